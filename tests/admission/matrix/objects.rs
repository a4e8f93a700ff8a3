//! The objects that the calls are about.

use std::collections::HashMap;

use anyhow::Result;
use serde_json::{Value, json};

use super::Server;
use super::cast::{Caller, Resource, Verb};
use crate::call::Call;
use crate::cluster::text;
use crate::office::{Office, POLICY, decide, request, secret};

/// The objects. They stay as they are during all calls.
pub struct Objects {
    /// A request by Alice, with an intent, the operator's finalizer, a status and an approval by Bob.
    pub live: Value,
    /// A request that the operator has not seen.
    pub fresh: Value,
    /// The Secret of `live`.
    pub secret: Value,
    /// A Secret without a pass.
    pub plain: Value,
    /// For each user who may create requests, a request of their own.
    own: HashMap<String, Value>,
}

impl Objects {
    pub async fn make(office: &Office<'_>, server: Server, everybody: &[Caller]) -> Result<Self> {
        let Office { alice, bob, .. } = office;
        let (admin, operator) = (&office.cluster.admin, office.operator());
        for name in ["live", "fresh"] {
            let mut asked = asked(name, server, alice.name());
            asked["metadata"]["labels"] = json!({"contoso.com/team": "desk"});
            asked["metadata"]["annotations"] = json!({"contoso.com/ticket": "1"});
            asked["metadata"]["finalizers"] = json!(["contoso.com/keep"]);
            alice.call(Call::create(&office.requests(), asked)).await?;
        }
        let intent = json!({"metadata": {
            "annotations": {"tap-operator.io/intent": r#"{"attempt":"1"}"#},
            "finalizers": ["contoso.com/keep", "tap-operator.io/pass"],
        }});
        let live = operator.call(Call::merge(&office.request("live"), intent)).await?;
        let with_code = secret("live", text(&live, "/metadata/uid")?);
        operator.call(Call::create(&office.secrets(), with_code)).await?;
        office.resolve("live").await?;
        let approve = Call::json_patch(&office.status("live"), decide(bob.name(), "Approve"));
        bob.call(approve).await?;
        let status = json!({
            "phase": "AwaitingApproval", "observedGeneration": 1, "approvals": "1/2",
            "secretName": "live", "checks": [{"name": "Tenant", "result": "Passed"}],
        });
        let live = office.write_status("live", status).await?;
        let plain = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "plain"},
            "stringData": {"password": "of somebody else"},
        });
        let mut own = HashMap::new();
        for (number, caller) in everybody.iter().enumerate() {
            if caller.can("create", Resource::Requests) && caller.has(Verb::Use, POLICY) {
                let user = caller.actor.name();
                let asked = asked(&format!("own-{number}"), server, user);
                caller.actor.call(Call::create(&office.requests(), asked.clone())).await?;
                let asked = office.resolve(text(&asked, "/metadata/name")?).await?;
                own.insert(user.to_owned(), asked);
            }
        }
        Ok(Self {
            live,
            fresh: alice.call(Call::get(&office.request("fresh"))).await?,
            secret: admin.call(Call::get(&office.secret("live"))).await?,
            plain: admin.call(Call::create(&office.secrets(), plain)).await?,
            own,
        })
    }

    /// A request that the caller made.
    pub fn own(&self, caller: &Caller) -> Option<&Value> {
        self.own.get(caller.actor.name())
    }
}

/// A request as this user must write it for this server.
pub fn asked(name: &str, server: Server, user: &str) -> Value {
    let mut request = request(name);
    if server == Server::Older {
        request["spec"]["requestedBy"] = json!(user);
    }
    request
}

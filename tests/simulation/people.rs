//! What people do during a run.

use jiff::{SignedDuration, Timestamp};
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};
use tap_operator::api::TapRequest;

use crate::plan::{Plan, Rules};
use crate::world::{NAMESPACE, SYSTEM, World};

/// What a person does. Requests are given by their number.
#[derive(Clone, Debug)]
pub enum Act {
    Create(usize),
    Decide(usize, &'static str, &'static str),
    Delete(usize),
    Suspend(bool),
    Stop {
        revoke: bool,
    },
    LiftStop,
    /// Deletes the Secret by hand, after reading it.
    DeleteSecret(usize),
    /// Makes a pass in the portal. A twin has the same lifetime and flag as a request's.
    Portal {
        user: &'static str,
        twin_of: Option<usize>,
    },
    PortalRemove(&'static str),
    DisableMethod,
    EnableMethod,
    SignIn(usize),
    Approvals(u32),
}

/// The present policy.
#[derive(Clone, Debug)]
pub struct Policy {
    pub rules: Rules,
    pub suspended: bool,
}

impl Policy {
    /// Writes it to the cluster.
    pub fn write(&self, world: &World) {
        let mut issuance = json!({
            "approval": {"required": self.rules.approvals},
            "requireOneTimeUse": false,
            "suspend": self.suspended,
            "replaceExistingPass": if self.rules.replace { "Allowed" } else { "Forbidden" },
        });
        if let Some(quota) = self.rules.quota {
            issuance["quota"] = json!({"activePerNamespace": quota});
        }
        world.policy(&issuance);
    }
}

/// The name of a request.
pub fn name(number: usize) -> String {
    format!("r{number}")
}

/// Does it. An action that is no longer possible is skipped.
pub async fn act(world: &World, plan: &Plan, policy: &mut Policy, act: &Act) {
    match act {
        Act::Create(number) => create(world, plan, *number),
        Act::Decide(number, by, decision) => decide(world, &name(*number), by, decision).await,
        Act::Delete(number) => {
            let _ = world.kubernetes.delete("taprequests", NAMESPACE, &name(*number));
        }
        Act::Suspend(suspended) => {
            policy.suspended = *suspended;
            policy.write(world);
        }
        Act::Approvals(required) => {
            policy.rules.approvals = *required;
            policy.write(world);
        }
        Act::Stop { revoke } => {
            world.kubernetes.put(json!({
                "apiVersion": "v1", "kind": "ConfigMap",
                "metadata": {"name": "tap-operator-stop", "namespace": SYSTEM},
                "data": {"revokeActive": revoke.to_string()},
            }));
        }
        Act::LiftStop => {
            let _ = world.kubernetes.delete("configmaps", SYSTEM, "tap-operator-stop");
        }
        Act::DeleteSecret(number) => {
            let _ = world.kubernetes.delete("secrets", NAMESPACE, &name(*number));
        }
        Act::Portal { user, twin_of } => {
            let twin = twin_of.map(|number| &plan.wishes[number]);
            let minutes = twin.map_or(45, |wish| wish.minutes);
            let one_time = twin.is_some_and(|wish| wish.one_time);
            let body = json!({"lifetimeInMinutes": minutes, "isUsableOnce": one_time});
            let _ = world.tenant.portal_create_pass(user, &body);
        }
        Act::PortalRemove(user) => {
            let ledger = world.tenant.ledger();
            let live = ledger.iter().find(|p| p.is_live() && p.user_principal_name == *user);
            if let Some(pass) = live {
                let _ = world.tenant.portal_delete_pass(user, pass.id);
            }
        }
        Act::DisableMethod => state(world, "disabled"),
        Act::EnableMethod => state(world, "enabled"),
        Act::SignIn(number) => {
            if let Some(code) = world.delivered(&name(*number)) {
                let _ = world.tenant.sign_in(plan.wishes[*number].user, &code);
            }
        }
    }
}

fn state(world: &World, state: &str) {
    world.tenant.portal_patch_policy(&json!({"state": state})).expect("a state");
}

fn create(world: &World, plan: &Plan, number: usize) {
    let wish = &plan.wishes[number];
    if world.kubernetes.get("taprequests", NAMESPACE, &name(number)).is_some() {
        return;
    }
    let mut fields = json!({
        "user": wish.user,
        "lifetime": format!("{}m", wish.minutes),
        "onExistingPass": wish.on_existing,
        "oneTimeUse": wish.one_time,
    });
    if let Some(after) = wish.start {
        let after = SignedDuration::from_secs(i64::try_from(after).expect("short"));
        let start: Timestamp = world.kubernetes.now() + after;
        fields["startTime"] = Value::String(format!("{start:.0}"));
    }
    if wish.sealed {
        fields["recipients"] = json!([world.reader()]);
    }
    world.request(&name(number), &fields);
}

async fn decide(world: &World, name: &str, by: &str, decision: &str) {
    let requests: Api<TapRequest> = Api::namespaced(world.kubernetes.client_as(by), NAMESPACE);
    let append = json!([{"op": "add", "path": "/status/decisions/-", "value": {"by": by, "decision": decision}}]);
    let append = Patch::<()>::Json(serde_json::from_value(append).expect("a JSON patch"));
    let _ = requests.patch_status(name, &PatchParams::default(), &append).await;
}

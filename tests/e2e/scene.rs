//! A helpdesk in a namespace of its own: people with the shipped roles, a policy, users of the tenant, and the fate of
//! the requests.

use anyhow::{Context, Result, bail, ensure};
use graph_simulator::tenant::User;
use graph_simulator::{LedgerEntry, Operation, RequestRecord};
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::events::v1::Event;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use tap_operator::api::{DecisionKind, Phase, TapPolicy, TapRequest};
use uuid::Uuid;

use crate::support::identity::Identity;
use crate::support::operator::{NAMESPACE, SERVICE_ACCOUNT};
use crate::support::simulator::Simulator;
use crate::support::wait;
use crate::support::world::{Options, World};
use crate::tenants;

/// Flags for a test without long waits: uses are seen within a second, calls are not paced, and reads that must be
/// repeated before a final verdict are soon repeated.
pub const QUICK: [&str; 3] =
    ["--use-check-interval=1s", "--calls-per-10-seconds=1000", "--settle-time=5s"];

/// The options of a world whose operator has [`QUICK`] and these flags.
pub fn quick(more: &[&str]) -> Options {
    let operator_flags = QUICK.iter().chain(more).map(|&flag| flag.to_owned()).collect();
    Options { operator_flags, ..Options::default() }
}

/// A world for a single test, with [`quick`] options, in which the tenant does not limit the number of calls. Pacing to
/// Graph's limit is tested elsewhere.
pub async fn quick_world(options: Options) -> Result<World> {
    let world = World::own(options).await?;
    world.simulator.switch(|switches| switches.authentication_method_limit = None);
    Ok(world)
}

/// A namespace with a requester who may read Secrets there, an approver, and the name of a policy that both may use.
pub struct Scene<'a> {
    pub world: &'a World,
    pub simulator: &'a Simulator,
    /// The tenant connection that the policies of this scene use.
    pub connection: String,
    pub namespace: String,
    /// The name of the policy. It does not exist before [`Scene::policy`].
    pub policy: String,
    /// Holds tap-requester, tap-deleter and `use` on the policy, and reads Secrets of the namespace.
    pub helpdesk: Identity,
    /// Holds tap-approver and `approve` on the policy.
    pub approver: Identity,
    /// Holds tap-policy-admin.
    pub administrator: Identity,
    requests: Api<TapRequest>,
}

impl Scene<'static> {
    /// A scene in the shared world.
    pub async fn shared(prefix: &str) -> Result<Self> {
        Scene::new(tenants::world().await?, prefix).await
    }

    /// The same, with a policy that requires no approval.
    pub async fn shared_with_policy(prefix: &str) -> Result<Self> {
        let scene = Self::shared(prefix).await?;
        scene.policy(json!({})).await?;
        Ok(scene)
    }
}

impl<'a> Scene<'a> {
    /// A scene in this world, for its tenant.
    pub async fn new(world: &'a World, prefix: &str) -> Result<Self> {
        Self::for_tenant(world, &world.simulator, "default", prefix).await
    }

    /// A scene for another tenant, which the operator knows as `connection`.
    pub async fn for_tenant(
        world: &'a World,
        simulator: &'a Simulator,
        connection: &str,
        prefix: &str,
    ) -> Result<Self> {
        let control_plane = &world.control_plane;
        let namespace = control_plane.new_namespace(prefix).await?;
        let policy = namespace.clone();
        let helpdesk = control_plane.person(&format!("helpdesk-{namespace}@contoso.com"))?;
        let approver = control_plane.person(&format!("approver-{namespace}@contoso.com"))?;
        let administrator = control_plane.person(&format!("admin-{namespace}@contoso.com"))?;
        // Where names are mapped, nobody asks or approves who is not in the tenant.
        for person in [&helpdesk, &approver] {
            simulator.add_user(User::member(Uuid::new_v4(), person.user(), "A Colleague"));
        }
        // Before the other rights, so that it is in force when those are.
        let readers = readers(helpdesk.user()).to_string();
        control_plane.admin().apply(&readers).in_namespace(&namespace).ok().await?;
        tokio::try_join!(
            control_plane.grant(&helpdesk, "tap-requester", &namespace),
            control_plane.grant(&helpdesk, "tap-deleter", &namespace),
            control_plane.grant(&approver, "tap-approver", &namespace),
            control_plane.grant_policy(&helpdesk, "use", &policy, &namespace),
            control_plane.grant_policy(&approver, "approve", &policy, &namespace),
            control_plane.grant_everywhere(&administrator, "tap-policy-admin"),
        )?;
        let requests = Api::namespaced(helpdesk.client().await?, &namespace);
        Ok(Self {
            world,
            simulator,
            connection: connection.to_owned(),
            namespace,
            policy,
            helpdesk,
            approver,
            administrator,
            requests,
        })
    }

    /// Requests of the namespace, through the helpdesk's rights.
    pub fn requests(&self) -> &Api<TapRequest> {
        &self.requests
    }

    /// Policies, through their administrator's rights.
    pub async fn policies(&self) -> Result<Api<TapPolicy>> {
        Ok(Api::all(self.administrator.client().await?))
    }

    /// Secrets of the namespace, through the helpdesk's rights.
    pub async fn secrets(&self) -> Result<Api<Secret>> {
        Ok(Api::namespaced(self.helpdesk.client().await?, &self.namespace))
    }

    /// Creates the scene's policy: users of contoso.com from this namespace, no approval, a lifetime of 1h, 8h at most.
    /// These fields of `issuance` are merged into it, as by a merge patch.
    pub async fn policy(&self, issuance: Value) -> Result<TapPolicy> {
        let mut spec = json!({
            "namespaces": { "names": [self.namespace] },
            "users": { "domains": ["contoso.com"] },
            "lifetime": { "default": "1h", "maximum": "8h" },
            "approval": { "required": 0 },
        });
        merge(&mut spec, issuance);
        self.policy_named(&self.policy, json!({ "tenant": self.connection, "issuance": spec }))
            .await
    }

    /// Creates a policy with this whole spec.
    pub async fn policy_named(&self, name: &str, spec: Value) -> Result<TapPolicy> {
        let policy = serde_json::from_value(json!({
            "apiVersion": "tap-operator.io/v1alpha1",
            "kind": "TapPolicy",
            "metadata": { "name": name },
            "spec": spec,
        }))?;
        let created = self.policies().await?.create(&PostParams::default(), &policy).await;
        created.with_context(|| format!("the policy {name}"))
    }

    /// Changes the scene's policy with a merge patch of its spec.
    pub async fn change_policy(&self, spec: Value) -> Result<TapPolicy> {
        let patch = Patch::Merge(json!({ "spec": spec }));
        Ok(self.policies().await?.patch(&self.policy, &PatchParams::default(), &patch).await?)
    }

    /// Creates a member of the tenant that only this test knows. Returns the user principal name.
    pub fn user(&self) -> String {
        self.new_user(|_| {})
    }

    /// Creates a user who differs from an ordinary member.
    pub fn new_user(&self, change: impl FnOnce(&mut User)) -> String {
        let id = Uuid::new_v4();
        let name = format!("u{}@contoso.com", id.simple());
        let mut user = User::member(id, &name, "A User");
        change(&mut user);
        let name = user.user_principal_name.clone();
        self.simulator.add_user(user);
        name
    }

    /// The object id of a user.
    pub fn user_id(&self, user: &str) -> Result<Uuid> {
        let users = self.simulator.users();
        let user = users.iter().find(|known| known.user_principal_name == user);
        Ok(user.context("there is no such user")?.id)
    }

    /// The manifest of a request through the scene's policy, with these fields in its spec.
    pub fn manifest(&self, name: &str, user: &str, spec: Value) -> Value {
        let mut whole = json!({ "policyRef": { "name": self.policy }, "user": user });
        merge(&mut whole, spec);
        json!({
            "apiVersion": "tap-operator.io/v1alpha1",
            "kind": "TapRequest",
            "metadata": { "name": name, "namespace": self.namespace },
            "spec": whole,
        })
    }

    /// The helpdesk asks for a pass.
    pub async fn ask(&self, name: &str, user: &str, spec: Value) -> Result<TapRequest> {
        let request = serde_json::from_value(self.manifest(name, user, spec))?;
        let created = self.requests.create(&PostParams::default(), &request).await;
        created.with_context(|| format!("the request {name}"))
    }

    /// Appends a person's decision, as people do: by a JSON patch of the status subresource.
    pub async fn decide(
        &self,
        who: &Identity,
        name: &str,
        decision: DecisionKind,
    ) -> Result<TapRequest> {
        let entry = json!({ "by": who.user(), "decision": decision });
        let patch: json_patch::Patch = serde_json::from_value(json!([
            { "op": "add", "path": "/status/decisions/-", "value": entry },
        ]))?;
        let requests: Api<TapRequest> = Api::namespaced(who.client().await?, &self.namespace);
        let patch = Patch::Json::<()>(patch);
        Ok(requests.patch_status(name, &PatchParams::default(), &patch).await?)
    }

    /// Writes into a finished request, as the operator, that it ended a day and an hour ago: the least time to live is over.
    pub async fn age(&self, name: &str) -> Result<()> {
        let control_plane = &self.world.control_plane;
        let operator = control_plane.service_account(NAMESPACE, SERVICE_ACCOUNT).await?;
        let ended = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(25);
        let patch = json!({ "status": { "finishedAt": format!("{ended:.0}") } });
        let requests: Api<TapRequest> = Api::namespaced(operator.client().await?, &self.namespace);
        let patch = Patch::Merge(&patch);
        requests.patch_status(name, &PatchParams::default(), &patch).await.map(drop)?;
        Ok(())
    }

    /// Waits until the request is in a phase, for this reason of its condition Ready.
    pub async fn wait_phase(&self, name: &str, phase: Phase, reason: &str) -> Result<TapRequest> {
        let what = format!("{phase}, {reason}");
        self.wait(name, &what, |seen| {
            seen.phase() == phase && condition(seen, "Ready").is_some_and(|c| c.1 == reason)
        })
        .await
    }

    /// Waits until the request meets a condition.
    pub async fn wait(
        &self,
        name: &str,
        what: &str,
        is: impl Fn(&TapRequest) -> bool,
    ) -> Result<TapRequest> {
        // A request never leaves a final phase, so waiting longer is useless.
        let seen = self
            .world
            .wait_for(&self.requests, name, what, |seen| is(seen) || seen.phase().is_final());
        let seen = seen.await?;
        if !is(&seen) {
            bail!("{name}: {what}: it ended otherwise\n{}", serde_json::to_string_pretty(&seen)?);
        }
        Ok(seen)
    }

    /// Waits until the request is in a phase and its finalizer is gone.
    pub async fn wait_released(&self, name: &str, phase: Phase) -> Result<TapRequest> {
        let what = format!("{phase} without a finalizer");
        let released = |seen: &TapRequest| {
            seen.phase() == phase && seen.metadata.finalizers.as_ref().is_none_or(Vec::is_empty)
        };
        self.world.wait_for(&self.requests, name, &what, released).await
    }

    /// Waits until a pass was issued for the request.
    pub async fn wait_active(&self, name: &str) -> Result<TapRequest> {
        self.wait_phase(name, Phase::Active, "Issued").await
    }

    /// Waits for an event about an object of this name.
    pub async fn event(&self, about: &str, reason: &str) -> Result<Event> {
        let events: Api<Event> = Api::all(self.world.control_plane.admin().client().await?);
        let about =
            ListParams::default().fields(&format!("regarding.name={about},reason={reason}"));
        let found = || async {
            let found = events.list(&about).await?.items.into_iter().next();
            found.context("no such event")
        };
        wait::until(wait::PATIENCE, "the event is there", || async { found().await.map(drop) })
            .await?;
        found().await
    }

    /// Deletes the request, without waiting.
    pub async fn delete(&self, name: &str) -> Result<()> {
        self.requests.delete(name, &DeleteParams::default()).await?;
        Ok(())
    }

    /// Waits until the request is gone.
    pub async fn wait_gone(&self, name: &str) -> Result<()> {
        self.world.wait_gone(&self.requests, name).await
    }

    /// The Secret of a request, read by the helpdesk.
    pub async fn secret(&self, name: &str) -> Result<Option<Secret>> {
        Ok(self.secrets().await?.get_opt(name).await?)
    }

    /// The value of a key of a Secret that must exist.
    pub async fn read(&self, name: &str, key: &str) -> Result<String> {
        let secret = self.secret(name).await?.with_context(|| format!("no Secret {name}"))?;
        let data = secret.data.unwrap_or_default();
        let value = data.get(key).with_context(|| format!("no key {key} in the Secret {name}"))?;
        Ok(String::from_utf8(value.0.clone())?)
    }

    /// The code, read by the helpdesk.
    pub async fn code(&self, name: &str) -> Result<String> {
        self.read(name, "temporaryAccessPass").await
    }

    /// Every pass that this user ever had, oldest first.
    pub fn ledger(&self, user: &str) -> Vec<LedgerEntry> {
        let ledger = self.simulator.ledger().into_iter();
        ledger.filter(|pass| pass.user_principal_name == user).collect()
    }

    /// The pass in the ledger that was made for a request.
    pub fn pass_of(&self, request: &TapRequest) -> Result<LedgerEntry> {
        let pass = request.status.as_ref().and_then(|status| status.pass.as_ref());
        let id = &pass.with_context(|| format!("{} has no pass", request.name_any()))?.id;
        let entry = self.simulator.ledger().into_iter().find(|entry| entry.id.to_string() == *id);
        entry.with_context(|| format!("the ledger has no pass {id}"))
    }

    /// What the operator wrote in the scene's namespace, without events and dry runs. Waits until there are so many
    /// writes, because a write is in the API server's audit log later than in its watches.
    pub async fn operator_writes(&self, at_least: usize) -> Result<Vec<QuietWrite>> {
        wait::until(wait::PATIENCE, "the operator's writes", || async {
            let writes = self.operator_writes_now()?;
            ensure!(writes.len() >= at_least, "{at_least} expected, and there are {writes:#?}");
            Ok(())
        })
        .await?;
        self.operator_writes_now()
    }

    fn operator_writes_now(&self) -> Result<Vec<QuietWrite>> {
        let operator = format!("system:serviceaccount:{NAMESPACE}:{SERVICE_ACCOUNT}");
        let here = format!("/namespaces/{}/", self.namespace);
        let writes = self.world.control_plane.writes_by(&operator)?.into_iter();
        let writes = writes.filter(|write| {
            write.uri.contains(&here)
                && !write.uri.contains("/events")
                && !write.uri.contains("dryRun=All")
        });
        let path = |uri: &str| uri.split('?').next().unwrap_or_default().to_owned();
        Ok(writes.map(|write| QuietWrite { path: path(&write.uri), verb: write.verb }).collect())
    }

    /// The calls that changed, or would have changed, anything about this user in the tenant.
    pub fn writes_about(&self, user: &str) -> Result<Vec<RequestRecord>> {
        let id = self.user_id(user)?.to_string();
        let writes = |call: &RequestRecord| {
            matches!(call.operation, Operation::PassCreate | Operation::PassDelete)
                && (call.path.contains(&id) || call.path.contains(user))
        };
        Ok(self.simulator.requests().into_iter().filter(writes).collect())
    }
}

/// A write of the operator, without its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuietWrite {
    pub verb: String,
    pub path: String,
}

/// A condition's status, reason and message.
pub fn condition<'a>(request: &'a TapRequest, type_: &str) -> Option<(&'a str, &'a str, &'a str)> {
    let conditions = &request.status.as_ref()?.conditions;
    let condition = conditions.iter().find(|condition| condition.type_ == type_)?;
    Some((&condition.status, &condition.reason, &condition.message))
}

/// A condition's status, reason and message of a policy.
pub fn policy_condition<'a>(
    policy: &'a TapPolicy,
    type_: &str,
) -> Option<(&'a str, &'a str, &'a str)> {
    let conditions = &policy.status.as_ref()?.conditions;
    let condition = conditions.iter().find(|condition| condition.type_ == type_)?;
    Some((&condition.status, &condition.reason, &condition.message))
}

/// A role and its binding by which one person may read and delete the Secrets of a namespace.
pub fn readers(user: &str) -> Value {
    let group = "rbac.authorization.k8s.io";
    let version = "rbac.authorization.k8s.io/v1";
    json!({ "apiVersion": "v1", "kind": "List", "items": [
        {
            "apiVersion": version, "kind": "Role", "metadata": { "name": "read-passes" },
            "rules": [{
                "apiGroups": [""], "resources": ["secrets"],
                "verbs": ["get", "list", "watch", "delete"],
            }],
        },
        {
            "apiVersion": version, "kind": "RoleBinding", "metadata": { "name": "read-passes" },
            "roleRef": { "apiGroup": group, "kind": "Role", "name": "read-passes" },
            "subjects": [{ "apiGroup": group, "kind": "User", "name": user }],
        },
    ]})
}

/// Applies a JSON merge patch.
fn merge(to: &mut Value, patch: Value) {
    match (to, patch) {
        (Value::Object(to), Value::Object(patch)) => {
            for (key, value) in patch {
                if value.is_null() {
                    to.remove(&key);
                } else {
                    merge(to.entry(key).or_insert(Value::Null), value);
                }
            }
        }
        (to, patch) => *to = patch,
    }
}

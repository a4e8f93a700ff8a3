//! The requests that are there while passes are measured.
//!
//! They are copies of one request that the operator issued and that was then revoked, and are written as it was: by the
//! requester who applied it, by the operator (finalizer and intent, then the status) and by the person who decided, each
//! under its own field manager, so that `managedFields` are as in a cluster. A live one is of a user of its own, with a
//! pass in the tenant that lasts for eight hours.

use std::collections::HashMap;
use std::ops::Range;

use anyhow::{Context, Result, ensure};
use futures::{StreamExt, TryStreamExt, stream};
use graph_simulator::LedgerEntry;
use graph_simulator::tenant::User;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use tap_operator::api::names::{FINALIZER, INTENT_ANNOTATION, OPERATOR};
use tap_operator::api::{Phase, TapRequest};
use uuid::Uuid;

use super::listing;
use super::template::{Template, Words, Written, text};
use crate::subject::{POLICY, user};
use crate::support::identity::Identity;
use crate::support::operator::{NAMESPACE as OPERATOR_NAMESPACE, SERVICE_ACCOUNT};
use crate::support::world::World;

/// Where these requests are.
pub const NAMESPACE: &str = "population";

/// The first user with a live pass. Those far before are for the passes that are measured.
const FIRST_LIVE: usize = 1_000_000;
/// The user of the request that is copied.
const COPIED: usize = FIRST_LIVE - 1;
/// The first user with a finished request, whom the tenant need not know.
const FIRST_FINISHED: usize = 2_000_000;
/// How many requests are written at once.
const IN_FLIGHT: usize = 64;

const REQUESTER: &str = "rita@contoso.com";
const APPROVER: &str = "ann@contoso.com";

/// The users whom so many live requests need.
pub fn users(live: usize) -> impl Iterator<Item = User> {
    (COPIED..FIRST_LIVE + live).map(user)
}

/// The requests that are there.
pub struct Population {
    requester: Api<TapRequest>,
    approver: Api<TapRequest>,
    operator: Api<TapRequest>,
    /// The Secrets, which the operator creates.
    secrets: Api<Secret>,
    template: Template,
    live: usize,
    finished: usize,
}

impl Population {
    /// Nobody yet: only what is copied, which the running operator makes.
    pub async fn new(world: &World) -> Result<Self> {
        let plane = &world.control_plane;
        let namespace =
            json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": NAMESPACE } });
        plane.admin().apply(&namespace.to_string()).ok().await?;
        let (requester, approver) = (plane.person(REQUESTER)?, plane.person(APPROVER)?);
        let operator = plane.service_account(OPERATOR_NAMESPACE, SERVICE_ACCOUNT).await?;
        plane.grant(&requester, "tap-requester", NAMESPACE).await?;
        plane.grant_policy(&requester, "use", POLICY, NAMESPACE).await?;
        plane.grant(&approver, "tap-approver", NAMESPACE).await?;
        plane.grant_policy(&approver, "approve", POLICY, NAMESPACE).await?;
        let requester = requests_of(&requester).await?;
        Ok(Self {
            template: template(world, &requester).await?,
            requester,
            approver: requests_of(&approver).await?,
            operator: requests_of(&operator).await?,
            secrets: Api::namespaced(operator.client().await?, NAMESPACE),
            live: 0,
            finished: 0,
        })
    }

    /// Adds requests until there are so many. The operator must not run meanwhile: it would issue passes for them.
    pub async fn grow(&mut self, world: &World, live: usize, finished: usize) -> Result<()> {
        let passes = give_passes(world, self.live..live)?;
        let all = stream::iter(self.live..live).map(Ok);
        all.try_for_each_concurrent(IN_FLIGHT, |number| self.add_live(number, &passes)).await?;
        let all = stream::iter(self.finished..finished).map(Ok);
        all.try_for_each_concurrent(IN_FLIGHT, |number| self.add_finished(number)).await?;
        (self.live, self.finished) = (live, finished);
        Ok(())
    }

    /// Fails where the operator did not leave them as they are: then something else was measured.
    pub async fn check(&self) -> Result<()> {
        let (mut live, mut finished) = (0, 0);
        listing::each(&self.requester, |request| {
            live += usize::from(request.phase() == Phase::Active);
            finished += usize::from(request.phase().is_final());
        })
        .await?;
        let wanted = (self.live, self.finished);
        ensure!(
            (live, finished) == wanted,
            "{live} are live and {finished} finished, not {wanted:?}"
        );
        Ok(())
    }

    /// How many bytes a live request has as JSON, and how many of these are its `managedFields`.
    pub async fn size(&self) -> Result<(usize, usize)> {
        let request = self.requester.get(&live_name(0)).await?;
        let managed_fields = serde_json::to_vec(request.managed_fields())?;
        Ok((serde_json::to_vec(&request)?.len(), managed_fields.len()))
    }

    async fn add_live(&self, number: usize, passes: &HashMap<Uuid, LedgerEntry>) -> Result<()> {
        let (name, user) = (live_name(number), user(FIRST_LIVE + number));
        let pass = passes.get(&user.id).context("a user without a pass")?;
        let created = ask(&self.requester, &name, &user.user_principal_name).await?;
        let start = pass.start_date_time;
        let expiration = start + jiff::SignedDuration::from_mins(pass.lifetime_in_minutes.into());
        let words = Words {
            pass_id: pass.id.to_string(),
            start_time: text(&Time(start))?,
            expiration_time: text(&Time(expiration))?,
            ..self.words(&created, user)?
        };
        let secret = self.template.secret(&words)?;
        self.secrets.create(&PostParams::default(), &secret).await.with_context(|| name.clone())?;
        self.write(&name, &self.template.live(&words)?, json!([FINALIZER])).await?;
        decide(&self.approver, &name, APPROVER, "Approve").await
    }

    async fn add_finished(&self, number: usize) -> Result<()> {
        let (name, user) = (format!("finished-{number}"), user(FIRST_FINISHED + number));
        let created = ask(&self.requester, &name, &user.user_principal_name).await?;
        let words = self.words(&created, user)?;
        self.write(&name, &self.template.finished(&words)?, Value::Null).await?;
        decide(&self.requester, &name, REQUESTER, "Revoke").await
    }

    /// What is written on a request of this user, with a pass that is nobody's.
    fn words(&self, created: &TapRequest, user: User) -> Result<Words> {
        let (start_time, expiration_time) = self.template.times();
        Ok(Words {
            name: created.name_any(),
            uid: created.uid().context("no uid")?,
            attempt: Uuid::new_v4().to_string(),
            user_id: user.id.to_string(),
            user_principal_name: user.user_principal_name,
            pass_id: Uuid::new_v4().to_string(),
            start_time: start_time.to_owned(),
            expiration_time: expiration_time.to_owned(),
        })
    }

    /// What the operator writes.
    async fn write(&self, name: &str, written: &Written, finalizers: Value) -> Result<()> {
        let by = PatchParams { field_manager: Some(OPERATOR.into()), ..PatchParams::default() };
        let annotations = json!({ INTENT_ANNOTATION: written.intent });
        let metadata = json!({ "finalizers": finalizers, "annotations": annotations });
        let patch = Patch::Merge(json!({ "metadata": metadata }));
        self.operator.patch(name, &by, &patch).await.with_context(|| name.to_owned())?;
        let patch = Patch::Merge(json!({ "status": written.status }));
        self.operator.patch_status(name, &by, &patch).await.with_context(|| name.to_owned())?;
        Ok(())
    }
}

fn live_name(number: usize) -> String {
    format!("live-{number}")
}

async fn requests_of(who: &Identity) -> Result<Api<TapRequest>> {
    Ok(Api::namespaced(who.client().await?, NAMESPACE))
}

/// Lets the operator issue a pass, and revokes it.
async fn template(world: &World, requests: &Api<TapRequest>) -> Result<Template> {
    let name = "template-request";
    ask(requests, name, &user(COPIED).user_principal_name).await?;
    let phase = |phase| move |request: &TapRequest| request.phase() == phase;
    let live = world.wait_for(requests, name, "is issued", phase(Phase::Active)).await?;
    let secrets: Api<Secret> =
        Api::namespaced(world.control_plane.admin().client().await?, NAMESPACE);
    let secret = secrets.get(name).await?;
    decide(requests, name, REQUESTER, "Revoke").await?;
    let released = |request: &TapRequest| request.finalizers().is_empty();
    let revoked = |request: &TapRequest| request.phase() == Phase::Revoked && released(request);
    let finished = world.wait_for(requests, name, "is revoked", revoked).await?;
    let admin: Api<TapRequest> = requests_of(world.control_plane.admin()).await?;
    admin.delete(name, &DeleteParams::default()).await?;
    world.wait_gone(&admin, name).await?;
    Template::of(&live, secret, &finished)
}

/// Gives each of these users a pass in the tenant.
fn give_passes(world: &World, live: Range<usize>) -> Result<HashMap<Uuid, LedgerEntry>> {
    let pass = json!({ "lifetimeInMinutes": 480, "isUsableOnce": true });
    for number in live {
        world.simulator.portal_create_pass(&user(FIRST_LIVE + number).id.to_string(), &pass)?;
    }
    let live = world.simulator.ledger().into_iter().filter(LedgerEntry::is_live);
    Ok(live.map(|pass| (pass.user_id, pass)).collect())
}

/// Asks as `kubectl apply` does.
async fn ask(requests: &Api<TapRequest>, name: &str, user: &str) -> Result<TapRequest> {
    let labels = json!({ "app.kubernetes.io/part-of": "onboarding" });
    let mut request = json!({
        "apiVersion": "tap-operator.io/v1alpha1",
        "kind": "TapRequest",
        "metadata": { "name": name, "namespace": NAMESPACE, "labels": labels },
        "spec": {
            "policyRef": { "name": POLICY },
            "user": user,
            "lifetime": "8h",
            "oneTimeUse": true,
            "reason": "INC0012345 lost phone",
        },
    });
    let applied =
        json!({ "kubectl.kubernetes.io/last-applied-configuration": request.to_string() });
    request["metadata"]["annotations"] = applied;
    let by = PostParams {
        field_manager: Some("kubectl-client-side-apply".into()),
        ..PostParams::default()
    };
    let request = serde_json::from_value(request)?;
    requests.create(&by, &request).await.with_context(|| name.to_owned())
}

/// Appends a decision as `kubectl patch` does.
async fn decide(requests: &Api<TapRequest>, name: &str, by: &str, decision: &str) -> Result<()> {
    let comment = "called back, identity confirmed";
    let entry = json!({ "by": by, "decision": decision, "comment": comment });
    let patch = serde_json::from_value(
        json!([{ "op": "add", "path": "/status/decisions/-", "value": entry }]),
    )?;
    let by = PatchParams { field_manager: Some("kubectl-patch".into()), ..PatchParams::default() };
    let patch = Patch::<()>::Json(patch);
    requests.patch_status(name, &by, &patch).await.with_context(|| name.to_owned())?;
    Ok(())
}

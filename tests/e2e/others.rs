//! What others refuse: admission of the platform team that refuses writes of the operator, and a tenant that gives some users,
//! or some apps, no pass.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use graph_simulator::tenant::OPERATOR;
use graph_simulator::{Actor, End, Fault, FaultKind, Operation};
use jiff::SignedDuration;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tap_operator::api::{Phase, TapRequest};
use tokio::time::sleep;

use crate::phases::wait_for_reads;
use crate::scene::{Scene, condition};
use crate::support::operator::{NAMESPACE, SERVICE_ACCOUNT};
use crate::support::{run, wait};
use crate::tenants;

/// What the API server says when the platform team's policy refuses.
const NO: &str = "the platform team says no";

/// A write of the operator that the platform team's policy refuses in the scene's namespace.
#[derive(Clone, Copy, Debug)]
enum Refused {
    /// Secrets with a pass, where it is no dry run.
    Secrets,
    /// What the operator writes to requests: finalizer and intent.
    Metadata,
    /// What the operator writes to the status of requests.
    Status,
}

impl Refused {
    fn rule(self) -> Value {
        let (group, resource, operation) = match self {
            Self::Secrets => ("", "secrets", "CREATE"),
            Self::Metadata => ("tap-operator.io", "taprequests", "UPDATE"),
            Self::Status => ("tap-operator.io", "taprequests/status", "UPDATE"),
        };
        json!({ "apiGroups": [group], "apiVersions": ["*"], "resources": [resource], "operations": [operation] })
    }

    fn condition(self) -> String {
        match self {
            Self::Secrets => {
                "!(has(request.dryRun) && request.dryRun) && has(object.data) && 'temporaryAccessPass' in object.data"
                    .to_owned()
            }
            Self::Metadata | Self::Status => {
                format!("request.userInfo.username == 'system:serviceaccount:{NAMESPACE}:{SERVICE_ACCOUNT}'")
            }
        }
    }

    /// Tries such a write. Returns the API server's refusal.
    async fn tried(self, scene: &Scene<'_>, request: &str) -> Result<Option<String>> {
        let control_plane = &scene.world.control_plane;
        let answer = if let Self::Secrets = self {
            let secrets: Api<Secret> =
                Api::namespaced(control_plane.admin().client().await?, &scene.namespace);
            let probe = serde_json::from_value(json!({
                "metadata": { "generateName": "probe-" },
                "stringData": { "temporaryAccessPass": "of the probe" },
            }))?;
            // Mutating admission and the API server move what is in `stringData` to `data` before policies see it.
            secrets.create(&PostParams::default(), &probe).await.map(drop)
        } else {
            let operator = control_plane.service_account(NAMESPACE, SERVICE_ACCOUNT).await?;
            let requests: Api<TapRequest> =
                Api::namespaced(operator.client().await?, &scene.namespace);
            let trial = PatchParams { dry_run: true, ..PatchParams::default() };
            let nothing = Patch::Merge(json!({}));
            match self {
                Self::Status => requests.patch_status(request, &trial, &nothing).await.map(drop),
                _ => requests.patch(request, &trial, &nothing).await.map(drop),
            }
        };
        match answer {
            Ok(()) => Ok(None),
            Err(kube::Error::Api(status)) if status.message.contains(NO) => {
                Ok(Some(status.message))
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// The platform team's policy. Each scene has at most one.
struct Policy<'a, 'w> {
    scene: &'a Scene<'w>,
    refused: Refused,
    /// A request by which it is found out whether the policy is in force.
    probe: String,
}

impl<'a, 'w> Policy<'a, 'w> {
    /// Installs the policy, and waits until it is in force.
    async fn install(scene: &'a Scene<'w>, refused: Refused, probe: &str) -> Result<Self> {
        let registration = "admissionregistration.k8s.io/v1";
        let name = &scene.namespace;
        let objects = json!({ "apiVersion": "v1", "kind": "List", "items": [
            {
                "apiVersion": registration, "kind": "ValidatingAdmissionPolicy", "metadata": { "name": name },
                "spec": {
                    "failurePolicy": "Fail",
                    "matchConstraints": {
                        "namespaceSelector": { "matchLabels": { "kubernetes.io/metadata.name": scene.namespace } },
                        "resourceRules": [refused.rule()],
                    },
                    "matchConditions": [{ "name": "these", "expression": refused.condition() }],
                    "validations": [{ "expression": "false", "message": NO }],
                },
            },
            {
                "apiVersion": registration, "kind": "ValidatingAdmissionPolicyBinding", "metadata": { "name": name },
                "spec": { "policyName": name, "validationActions": ["Deny"] },
            },
        ]});
        scene.world.control_plane.admin().apply(&objects.to_string()).ok().await?;
        let policy = Self { scene, refused, probe: probe.to_owned() };
        policy.wait_in_force(true).await?;
        Ok(policy)
    }

    /// Removes the policy, and waits until it is no longer in force.
    async fn lift(self) -> Result<()> {
        let binding = format!("validatingadmissionpolicybinding/{}", self.scene.namespace);
        let policy = format!("validatingadmissionpolicy/{}", self.scene.namespace);
        let admin = self.scene.world.control_plane.admin();
        admin.kubectl(["delete", &binding, &policy]).ok().await?;
        self.wait_in_force(false).await
    }

    async fn wait_in_force(&self, wanted: bool) -> Result<()> {
        wait::until(wait::PATIENCE, "the platform team's policy comes or goes", || async {
            let refusal = self.refused.tried(self.scene, &self.probe).await?;
            ensure!(refusal.is_some() == wanted, "{refusal:?}");
            Ok(())
        })
        .await
    }
}

fn posts(scene: &Scene<'_>, users: &[String]) -> Result<usize> {
    let mut posts = 0;
    for user in users {
        let writes = scene.writes_about(user)?;
        posts += writes.iter().filter(|w| w.operation == Operation::PassCreate).count();
    }
    Ok(posts)
}

/// Waits until an event of the request says that the platform team's policy refuses the status.
async fn told_by_an_event(scene: &Scene<'_>, request: &str) -> Result<()> {
    let of_it = format!("--field-selector=involvedObject.name={request},reason=WriteRefused");
    wait::until(wait::PATIENCE, "an event tells who refuses", || async {
        let events = scene.world.control_plane.admin();
        let events = events.kubectl(["get", "events", "--output=yaml", &of_it]);
        let events = events.in_namespace(&scene.namespace).ok().await?;
        let words = events.split_whitespace().collect::<Vec<_>>().join(" ");
        for expected in [NO, &scene.namespace, "refuses to write the status"] {
            ensure!(words.contains(expected), "no {expected:?} in {events}");
        }
        Ok(())
    })
    .await
}

/// The pass was deleted by the operator, and its Secret is gone.
async fn taken_away(scene: &Scene<'_>, request: &TapRequest, name: &str) -> Result<()> {
    let pass = scene.pass_of(request)?;
    ensure!(matches!(pass.end, End::Deleted { by: Actor::App { .. }, .. }), "{pass:?}");
    ensure!(scene.secret(name).await?.is_none(), "the Secret is still there");
    Ok(())
}

#[test]
fn secrets_refused_at_the_real_write_cost_one_pass_at_a_time() -> Result<()> {
    const WHILE_REFUSED: Duration = Duration::from_secs(30);
    // After 0, 10, 20 and 40 seconds.
    const FEW: usize = 4;
    run(async {
        let scene = Scene::shared_with_policy("unwritten").await?;
        let users: Vec<String> = (0..6).map(|_| scene.user()).collect();
        let names: Vec<String> = (0..6).map(|number| format!("waits-{number}")).collect();
        let policy = Policy::install(&scene, Refused::Secrets, "no request").await?;
        scene.ask(&names[0], &users[0], json!({})).await?;
        scene.wait_phase(&names[0], Phase::Pending, "SecretRefused").await?;
        for (name, user) in names.iter().zip(&users).skip(1) {
            scene.ask(name, user, json!({})).await?;
        }
        for name in &names {
            scene.wait_phase(name, Phase::Pending, "SecretRefused").await?;
        }
        sleep(WHILE_REFUSED).await;
        let made = posts(&scene, &users)?;
        ensure!((2..=FEW).contains(&made), "{made} passes were asked for");
        for user in &users {
            let passes = scene.ledger(user);
            ensure!(passes.iter().filter(|pass| pass.is_live()).count() <= 1, "{passes:?}");
        }

        policy.lift().await?;
        for (name, user) in names.iter().zip(&users) {
            scene.wait_active(name).await?;
            let passes = scene.ledger(user);
            let live: Vec<_> = passes.iter().filter(|pass| pass.is_live()).collect();
            ensure!(live.len() == 1, "{passes:?}");
            ensure!(scene.simulator.code(live[0].id) == Some(scene.code(name).await?));
        }
        Ok(())
    })
}

#[test]
fn refused_statuses_keep_no_deleted_request_and_no_namespace() -> Result<()> {
    run(async {
        let scene = Scene::shared_with_policy("untold").await?;
        scene.ask("deleted", &scene.user(), json!({})).await?;
        scene.ask("with-the-namespace", &scene.user(), json!({})).await?;
        let deleted = scene.wait_active("deleted").await?;
        let other = scene.wait_active("with-the-namespace").await?;
        Policy::install(&scene, Refused::Status, "deleted").await?;

        scene.delete("deleted").await?;
        scene.wait_gone("deleted").await?;
        taken_away(&scene, &deleted, "deleted").await?;
        told_by_an_event(&scene, "deleted").await?;

        let admin = scene.world.control_plane.admin();
        let namespaces: Api<Namespace> = Api::all(admin.client().await?);
        namespaces.delete(&scene.namespace, &DeleteParams::default()).await?;
        scene.world.wait_gone(&namespaces, &scene.namespace).await?;
        let pass = scene.pass_of(&other)?;
        ensure!(matches!(pass.end, End::Deleted { by: Actor::App { .. }, .. }), "{pass:?}");
        Ok(())
    })
}

#[test]
fn refused_statuses_keep_neither_secret_nor_finalizer_beyond_the_expiry() -> Result<()> {
    run(async {
        let scene = tenants::scene("untold-end").await?;
        scene.simulator.portal_patch_policy(&json!({ "minimumLifetimeInMinutes": 10 }))?;
        scene.policy(json!({})).await?;
        scene.ask("short", &scene.user(), json!({ "lifetime": "10m" })).await?;
        let request = scene.wait_active("short").await?;
        let policy = Policy::install(&scene, Refused::Status, "short").await?;

        scene.simulator.step_clock(SignedDuration::from_mins(9));
        wait_for_reads(&scene, &request, 5).await?;
        ensure!(scene.secret("short").await?.is_some(), "the Secret went early");
        scene.simulator.step_clock(SignedDuration::from_mins(1));
        let released = |seen: &TapRequest| seen.metadata.finalizers.is_none();
        let untold =
            scene.world.wait_for(scene.requests(), "short", "it is released", released).await?;
        ensure!(untold.phase() == Phase::Active, "the status was written: {untold:?}");
        ensure!(scene.secret("short").await?.is_none(), "the Secret is still there");
        told_by_an_event(&scene, "short").await?;

        policy.lift().await?;
        // A change wakes the request.
        scene.change_policy(json!({ "interval": "11m" })).await?;
        scene.wait_phase("short", Phase::Expired, "PassExpired").await?;
        Ok(())
    })
}

#[test]
fn an_attempt_that_may_not_be_recorded_is_told_and_asks_for_no_pass() -> Result<()> {
    run(async {
        let scene = Scene::shared("unrecorded").await?;
        scene.policy(json!({ "approval": { "required": 1 } })).await?;
        let user = scene.user();
        scene.ask("waits", &user, json!({})).await?;
        scene.wait_phase("waits", Phase::AwaitingApproval, "AwaitingApproval").await?;
        let policy = Policy::install(&scene, Refused::Metadata, "waits").await?;
        scene.decide(&scene.approver, "waits", tap_operator::api::DecisionKind::Approve).await?;
        let told = scene.wait_phase("waits", Phase::Pending, "WriteRefused").await?;
        let message = condition(&told, "Ready").context("no condition Ready")?.2;
        for words in [NO, &scene.namespace, "refuses to record the attempt"] {
            ensure!(message.contains(words), "no {words:?} in {message}");
        }
        ensure!(told.metadata.finalizers.is_none(), "{told:?}");
        ensure!(scene.writes_about(&user)?.is_empty(), "a pass was asked for");

        policy.lift().await?;
        scene.wait_active("waits").await?;
        ensure!(scene.ledger(&user).len() == 1, "{:?}", scene.ledger(&user));
        Ok(())
    })
}

fn forbidden() -> FaultKind {
    FaultKind::Status { status: 403, effect: false, code: None, retry_after_seconds: None }
}

#[test]
fn a_user_out_of_the_apps_reach_ends_and_keeps_nobody_else_waiting() -> Result<()> {
    run(async {
        let scene = tenants::scene("reach").await?;
        scene.policy(json!({})).await?;

        let restricted = scene.new_user(|user| user.is_management_restricted = true);
        scene.ask("restricted", &restricted, json!({})).await?;
        let failed = scene.wait_phase("restricted", Phase::Failed, "UserRestricted").await?;
        let message = condition(&failed, "Ready").context("no condition Ready")?.2;
        ensure!(message.contains("ask an administrator of that unit"), "{message}");
        ensure!(scene.writes_about(&restricted)?.is_empty(), "a pass was asked for");

        // The list comes after the check of the user and before the POST, so it is held up for that long.
        let late = scene.user();
        let id = scene.user_id(&late)?.to_string();
        let slow = Fault::on(Operation::PassList, FaultKind::Slow { seconds: 3 });
        scene.simulator.inject(slow.for_path(&id));
        scene.ask("late", &late, json!({})).await?;
        wait::until(wait::PATIENCE, "the passes are listed", || async {
            let lists = scene.simulator.requests_for(Operation::PassList);
            ensure!(lists.iter().any(|list| list.path.contains(&id)), "{lists:?}");
            Ok(())
        })
        .await?;
        scene.simulator.edit_user(&late, |user| user.is_management_restricted = true)?;
        scene.wait_phase("late", Phase::Failed, "UserRestricted").await?;
        ensure!(
            posts(&scene, std::slice::from_ref(&late))? == 1,
            "{:?}",
            scene.writes_about(&late)?
        );
        ensure!(scene.ledger(&late).is_empty(), "{:?}", scene.ledger(&late));

        // Graph does not tell why.
        let forbidden_user = scene.user();
        let id = scene.user_id(&forbidden_user)?.to_string();
        let refusal = Fault::on(Operation::PassCreate, forbidden()).for_path(&id).times(1000);
        scene.simulator.inject(refusal);
        scene.ask("forbidden", &forbidden_user, json!({})).await?;
        let told = scene.wait_phase("forbidden", Phase::Pending, "UserForbidden").await?;
        let message = condition(&told, "Ready").context("no condition Ready")?.2;
        ensure!(message.contains("restricted management administrative unit"), "{message}");
        ensure!(!message.contains("grant"), "{message}");
        scene.ask("another", &scene.user(), json!({})).await?;
        scene.wait_active("another").await?;
        scene.simulator.step_clock(SignedDuration::from_mins(3));
        let failed = scene.wait_phase("forbidden", Phase::Failed, "UserForbidden").await?;
        ensure!(failed.metadata.finalizers.is_none(), "{failed:?}");
        Ok(())
    })
}

#[test]
fn an_app_that_may_not_create_passes_makes_no_attempt_before_it_may() -> Result<()> {
    const WITHOUT: Duration = Duration::from_secs(25);
    run(async {
        let scene = tenants::scene("unpermitted").await?;
        let grant = |passes: &str| -> Result<()> {
            scene.simulator.edit_app(OPERATOR, |app| {
                app.roles.retain(|role| !role.starts_with("UserAuthMethod-TAP"));
                app.roles.push(passes.to_owned());
            })?;
            scene.simulator.expire_tokens();
            Ok(())
        };
        grant("UserAuthMethod-TAP.Read.All")?;
        scene.policy(json!({})).await?;
        let user = scene.user();
        scene.ask("stalled", &user, json!({})).await?;
        let told = scene.wait_phase("stalled", Phase::Pending, "PermissionMissing").await?;
        ensure!(condition(&told, "Stalled").is_some_and(|c| c.0 == "True"), "{told:?}");
        // Longer than the pauses between attempts at first. Each change of the policy looks at the request anew.
        for minutes in [11, 12] {
            scene.change_policy(json!({ "interval": format!("{minutes}m") })).await?;
            sleep(WITHOUT / 2).await;
        }
        scene.wait_phase("stalled", Phase::Pending, "PermissionMissing").await?;
        let tried = posts(&scene, std::slice::from_ref(&user))?;
        ensure!(tried <= 1, "{tried} attempts: {:?}", scene.writes_about(&user)?);

        grant("UserAuthMethod-TAP.ReadWrite.All")?;
        scene.change_policy(json!({ "interval": "13m" })).await?;
        scene.wait_active("stalled").await?;
        let tried = posts(&scene, std::slice::from_ref(&user))?;
        ensure!(tried <= 2, "{tried} attempts");
        Ok(())
    })
}

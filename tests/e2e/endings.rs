//! Ends that need special circumstances: a tenant that refuses, a backup, a finalizer taken off by hand, another user
//! of the same name.

use anyhow::{Context, Result, ensure};
use graph_simulator::tenant::User;
use graph_simulator::{End, Fault, FaultKind, Operation};
use jiff::SignedDuration;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use tap_operator::api::names::INTENT_ANNOTATION;
use tap_operator::api::{DecisionKind, Phase, TapRequest};
use uuid::Uuid;

use crate::phases::{from_now, wait_for_reads};
use crate::scene::{Scene, condition};
use crate::support::run;
use crate::tenants;

/// The message of the condition Ready.
fn message(request: &TapRequest) -> Result<&str> {
    Ok(condition(request, "Ready").context("no condition Ready")?.2)
}

fn contains_all(text: &str, words: &[&str]) -> Result<()> {
    for word in words {
        ensure!(text.contains(word), "no {word:?} in {text:?}");
    }
    Ok(())
}

#[test]
fn a_user_who_does_not_appear() -> Result<()> {
    run(async {
        let scene = tenants::scene("nobody").await?;
        // In the tenant, the ten minutes for which the policy has a request wait for its user are already over when the
        // request is created. Issuing another pass there has told the operator the tenant's time.
        scene.simulator.step_clock(SignedDuration::from_mins(11));
        scene.policy(json!({ "patience": "10m" })).await?;
        scene.ask("known", &scene.user(), json!({ "lifetime": "8h" })).await?;
        let known = scene.wait_active("known").await?;
        wait_for_reads(&scene, &known, 6).await?;
        let user = format!("nobody-{}@contoso.com", scene.namespace);
        scene.ask("lost", &user, json!({})).await?;
        // One read is no proof.
        scene.wait_phase("lost", Phase::Pending, "UserNotFound").await?;
        let failed = scene.wait_phase("lost", Phase::Failed, "UserNotFound").await?;
        contains_all(message(&failed)?, &[&user, "check the name", "make another request"])?;
        ensure!(condition(&failed, "Stalled").is_some_and(|c| c.0 == "True"), "{failed:?}");
        let posts = scene.simulator.requests_for(Operation::PassCreate);
        ensure!(posts.len() == 1, "a pass was asked for: {posts:?}");

        // A mail address in place of the sign-in name.
        let mail = format!("mail-{}@contoso.com", scene.namespace);
        let meant = scene.new_user(|user| user.mail = Some(mail.clone()));
        scene.ask("mail", &mail, json!({})).await?;
        let failed = scene.wait_phase("mail", Phase::Failed, "UserNotFound").await?;
        contains_all(message(&failed)?, &[&mail, "did you mean", &meant])
    })
}

#[test]
fn a_secret_that_somebody_deletes() -> Result<()> {
    run(async {
        let scene = tenants::scene("deleted-secret").await?;
        scene.policy(json!({})).await?;
        scene.ask("lost-phone", &scene.user(), json!({})).await?;
        scene.wait_active("lost-phone").await?;
        let delete = ["delete", "secret", "lost-phone"];
        let admin = scene.world.control_plane.admin();
        admin.kubectl(delete).in_namespace(&scene.namespace).ok().await?;
        let told = scene.wait_phase("lost-phone", Phase::Active, "SecretGone").await?;
        contains_all(message(&told)?, &["somebody deleted the Secret", "revoke this request"])?;
        scene.decide(&scene.helpdesk, "lost-phone", DecisionKind::Revoke).await?;
        scene.wait_phase("lost-phone", Phase::Revoked, "Revoked").await?;
        Ok(())
    })
}

#[test]
fn a_pass_that_the_tenant_keeps_refusing() -> Result<()> {
    run(async {
        let scene = tenants::scene("refusing").await?;
        let refusal = FaultKind::Status {
            status: 400,
            effect: false,
            code: Some("conditionNotMet".into()),
            retry_after_seconds: None,
        };
        scene.simulator.inject(Fault::on(Operation::PassCreate, refusal).times(1000));
        scene.policy(json!({})).await?;
        let user = scene.user();
        scene.ask("refused", &user, json!({})).await?;
        scene.wait_phase("refused", Phase::Pending, "RefusedByTenant").await?;
        scene.simulator.step_clock(SignedDuration::from_mins(3));
        let failed = scene.wait_phase("refused", Phase::Failed, "RefusedByTenant").await?;
        contains_all(message(&failed)?, &["400", "conditionNotMet"])?;
        ensure!(failed.metadata.finalizers.is_none(), "a finalizer is left: {failed:?}");
        ensure!(scene.secret("refused").await?.is_none(), "there is a Secret");
        ensure!(scene.ledger(&user).is_empty(), "{:?}", scene.ledger(&user));
        Ok(())
    })
}

#[test]
fn a_request_for_oneself() -> Result<()> {
    run(async {
        let scene = tenants::scene("self").await?;
        scene.policy(json!({})).await?;
        let own = scene.helpdesk.user().to_owned();
        let user = scene.new_user(|user| user.user_principal_name.clone_from(&own));
        scene.ask("mine", &user, json!({})).await?;
        let failed = scene.wait_phase("mine", Phase::Failed, "SelfService").await?;
        contains_all(message(&failed)?, &["for yourself", "somebody else must ask"])?;
        ensure!(scene.writes_about(&user)?.is_empty(), "a pass was asked for");
        Ok(())
    })
}

/// A backup restores what was on the object, under another uid.
#[test]
fn a_copy_restored_from_a_backup() -> Result<()> {
    run(async {
        let scene = Scene::shared_with_policy("backup").await?;
        let user = scene.user();
        scene.ask("lost-phone", &user, json!({})).await?;
        let original = scene.wait_active("lost-phone").await?;
        let annotations = original.metadata.annotations.clone().unwrap_or_default();
        let intent = annotations.get(INTENT_ANNOTATION).context("no intent on the request")?;
        scene.delete("lost-phone").await?;
        scene.wait_gone("lost-phone").await?;

        let mut copy = scene.manifest("lost-phone", &user, json!({}));
        copy["metadata"]["annotations"] = json!({ INTENT_ANNOTATION: intent });
        scene.helpdesk.kubectl(["create", "--filename=-"]).input(copy.to_string()).ok().await?;
        let restored = scene.wait_phase("lost-phone", Phase::Failed, "Restored").await?;
        contains_all(message(&restored)?, &["a backup", "make another request"])?;
        ensure!(scene.secret("lost-phone").await?.is_none(), "there is a Secret");
        let ledger = scene.ledger(&user);
        ensure!(ledger.len() == 1 && !ledger[0].is_live(), "{ledger:?}");
        Ok(())
    })
}

#[test]
fn a_finalizer_taken_off_by_hand() -> Result<()> {
    run(async {
        let scene = Scene::shared_with_policy("by-hand").await?;
        let control_plane = &scene.world.control_plane;
        let hand = control_plane.person(&format!("hand-{}@contoso.com", scene.namespace))?;
        control_plane.grant(&hand, "tap-viewer", &scene.namespace).await?;
        let may_patch = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
            "metadata": { "name": scene.namespace },
            "rules": [{
                "apiGroups": ["tap-operator.io"], "resources": ["taprequests"], "verbs": ["patch"],
            }],
        });
        control_plane.admin().apply(&may_patch.to_string()).ok().await?;
        control_plane.grant(&hand, &scene.namespace, &scene.namespace).await?;

        let user = scene.user();
        scene.ask("lost-phone", &user, json!({})).await?;
        scene.wait_active("lost-phone").await?;
        let requests: Api<TapRequest> = Api::namespaced(hand.client().await?, &scene.namespace);
        let off = Patch::Merge(json!({ "metadata": { "finalizers": null } }));
        let parameters = PatchParams::default();
        let take_off = || requests.patch("lost-phone", &parameters, &off);
        let refused = take_off().await.err().context("it was taken off without the verb")?;
        ensure!(format!("{refused:#}").contains("release"), "{refused:#}");
        control_plane.grant_policy(&hand, "release", &scene.policy, &scene.namespace).await?;
        take_off().await?;
        let released = scene.wait_phase("lost-phone", Phase::Failed, "Released").await?;
        contains_all(message(&released)?, &["removed the finalizer", "deleted in Entra"])?;
        // The pass is left to the person who took the finalizer off, and no other one is made.
        let ledger = scene.ledger(&user);
        ensure!(ledger.len() == 1 && ledger[0].is_live(), "{ledger:?}");
        scene.delete("lost-phone").await?;
        scene.wait_gone("lost-phone").await
    })
}

#[test]
fn a_pass_that_expires_before_it_can_be_revoked() -> Result<()> {
    run(async {
        let scene = tenants::scene("unrevoked").await?;
        scene.simulator.portal_patch_policy(&json!({ "minimumLifetimeInMinutes": 10 }))?;
        scene.policy(json!({})).await?;
        let user = scene.user();
        scene.ask("short", &user, json!({ "lifetime": "10m" })).await?;
        let request = scene.wait_active("short").await?;
        scene.simulator.step_clock(SignedDuration::from_secs(600 - 15));
        wait_for_reads(&scene, &request, 6).await?;
        scene.simulator.set_unreachable(true);
        scene.decide(&scene.helpdesk, "short", DecisionKind::Revoke).await?;
        let expired = scene.wait_phase("short", Phase::Expired, "ExpiredWhileRevoking").await?;
        scene.simulator.set_unreachable(false);
        contains_all(message(&expired)?, &["revoked by", scene.helpdesk.user(), "could not"])?;
        ensure!(scene.secret("short").await?.is_none(), "the Secret is still there");
        scene.wait_released("short", Phase::Expired).await?;
        let pass = scene.pass_of(&expired)?;
        ensure!(matches!(pass.end, End::Expired { .. }), "{pass:?}");
        Ok(())
    })
}

/// Creates a request that is approved for this user and waits for its start.
async fn approved(scene: &Scene<'_>, name: &str, user: &str) -> Result<()> {
    let start = from_now(SignedDuration::from_hours(2));
    scene.ask(name, user, json!({ "startTime": start })).await?;
    scene.wait_phase(name, Phase::AwaitingApproval, "AwaitingApproval").await?;
    scene.decide(&scene.approver, name, DecisionKind::Approve).await?;
    scene.wait_phase(name, Phase::Scheduled, "Scheduled").await?;
    Ok(())
}

#[test]
fn a_user_who_is_deleted_between_approval_and_issue() -> Result<()> {
    run(async {
        let scene = tenants::scene("leaver").await?;
        scene.policy(json!({ "approval": { "required": 1 } })).await?;
        let [leaver, namesake] = std::array::from_fn(|_| scene.user());
        approved(&scene, "leaver", &leaver).await?;
        approved(&scene, "namesake", &namesake).await?;
        scene.simulator.delete_user(&leaver)?;
        // Another user gets the name of one who left.
        scene.simulator.delete_user(&namesake)?;
        scene.simulator.add_user(User::member(Uuid::new_v4(), &namesake, "Another"));

        // Their start is near: they are due.
        scene.change_policy(json!({ "issuance": { "leadTime": "3h" } })).await?;
        // A user is looked for by the object id that people approved, whoever has the name now.
        for (name, user) in [("leaver", &leaver), ("namesake", &namesake)] {
            let failed = scene.wait_phase(name, Phase::Failed, "UserNotFound").await?;
            contains_all(message(&failed)?, &[user, "created again", "make another request"])?;
        }
        let posts = scene.simulator.requests_for(Operation::PassCreate);
        ensure!(posts.is_empty(), "a pass was asked for: {posts:?}");
        Ok(())
    })
}

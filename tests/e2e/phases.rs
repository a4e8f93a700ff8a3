//! Each phase of a request, and each way into it.

use anyhow::{Context, Result, ensure};
use graph_simulator::switches::OneTimeEnforced;
use graph_simulator::{Actor, End, Operation, SignInError};
use jiff::{SignedDuration, Timestamp};
use kube::api::DeleteParams;
use serde_json::json;
use tap_operator::api::{DecisionKind, Phase, TapRequest};

use crate::scene::{Scene, condition};
use crate::support::identity::Identity;
use crate::support::{run, wait};
use crate::tenants;

/// The time in so many seconds, as RFC 3339 in whole seconds.
pub fn from_now(length: SignedDuration) -> String {
    format!("{:.0}", Timestamp::now() + length)
}

/// Whether an app of the tenant ended the pass.
fn ended_by_operator(end: &End) -> bool {
    matches!(end, End::Deleted { by: Actor::App { .. }, .. })
}

/// Waits until the operator has read a pass so many more times.
pub async fn wait_for_reads(scene: &Scene<'_>, request: &TapRequest, times: usize) -> Result<()> {
    let pass = scene.pass_of(request)?.id.to_string();
    let reads = || {
        let all = scene.simulator.requests_for(Operation::PassGet);
        all.iter().filter(|call| call.path.contains(&pass) && call.status.is_some()).count()
    };
    let enough = reads() + times;
    wait::until(wait::PATIENCE, "the operator reads the pass", || async {
        ensure!(reads() >= enough, "{} of {enough} reads", reads());
        Ok(())
    })
    .await
}

/// Waits for an issued pass and checks that everything about it is as promised.
async fn issued(scene: &Scene<'_>, name: &str, user: &str) -> Result<TapRequest> {
    let request = scene.wait_active(name).await?;
    let ledger = scene.ledger(user);
    ensure!(ledger.len() == 1 && ledger[0].is_live(), "{ledger:?}");
    let pass = scene.pass_of(&request)?;
    ensure!(pass.user_principal_name == user, "{pass:?}");
    ensure!(scene.simulator.code(pass.id) == Some(scene.code(name).await?), "another code");
    Ok(request)
}

#[test]
fn active_with_a_secret_for_the_helpdesk() -> Result<()> {
    run(async {
        let scene = Scene::shared_with_policy("active").await?;
        let user = scene.user();
        scene.ask("lost-phone", &user, json!({ "lifetime": "2h", "reason": "lost" })).await?;
        let request = issued(&scene, "lost-phone", &user).await?;

        let status = request.status.clone().unwrap_or_default();
        ensure!(status.secret_name.as_deref() == Some("lost-phone"), "{status:?}");
        ensure!(request.spec.requested_by.as_deref() == Some(scene.helpdesk.user()), "{request:?}");
        for (type_, holds) in [("Ready", "True"), ("Issued", "True"), ("Finished", "False")] {
            let found = condition(&request, type_);
            ensure!(found.is_some_and(|c| c.0 == holds), "{type_}: {found:?}");
        }
        ensure!(condition(&request, "Stalled").is_none(), "{status:?}");

        let pass = scene.pass_of(&request)?;
        ensure!(pass.lifetime_in_minutes == 120 && pass.is_usable_once, "{pass:?}");
        let recorded = status.pass.context("no pass in the status")?;
        ensure!(pass.client_request_id == Some(recorded.client_request_id), "{pass:?}");
        let length = recorded.expiration_time.0.duration_since(recorded.start_time.0);
        ensure!((7200..=7201).contains(&length.as_secs()), "{length}");

        let secret = scene.secret("lost-phone").await?.context("no Secret")?;
        ensure!(secret.immutable == Some(true), "the Secret can be changed");
        ensure!(secret.type_.as_deref() == Some("tap-operator.io/temporary-access-pass"));
        let owners = secret.metadata.owner_references.unwrap_or_default();
        ensure!(owners.len() == 1 && Some(&owners[0].uid) == request.metadata.uid.as_ref());
        let labels = secret.metadata.labels.unwrap_or_default();
        let label = |key: &str| labels.get(key).map(String::as_str);
        ensure!(label("app.kubernetes.io/managed-by") == Some("tap-operator"), "{labels:?}");
        ensure!(label("velero.io/exclude-from-backup") == Some("true"), "{labels:?}");
        ensure!(scene.read("lost-phone", "userPrincipalName").await? == user);
        let sign_in_url = scene.read("lost-phone", "signInUrl").await?;
        ensure!(sign_in_url == "https://aka.ms/mysecurityinfo", "{sign_in_url}");
        let not_after: Timestamp = scene.read("lost-phone", "notAfter").await?.parse()?;
        let apart = not_after.duration_since(recorded.expiration_time.0).abs();
        ensure!(apart <= SignedDuration::from_secs(1), "{not_after}");
        Ok(())
    })
}

#[test]
fn pending_until_its_policy_is_there() -> Result<()> {
    run(async {
        let scene = Scene::shared("no-policy").await?;
        let user = scene.user();
        scene.ask("early", &user, json!({})).await?;
        let waiting = scene.wait_phase("early", Phase::Pending, "PolicyNotFound").await?;
        let message = condition(&waiting, "Ready").map(|c| c.2.to_owned()).unwrap_or_default();
        ensure!(message.contains(&scene.policy) && message.contains("create it"), "{message}");
        ensure!(scene.ledger(&user).is_empty(), "issued without a policy");

        scene.policy(json!({})).await?;
        issued(&scene, "early", &user).await?;
        Ok(())
    })
}

#[test]
fn pending_while_its_policy_is_suspended() -> Result<()> {
    run(async {
        let scene = Scene::shared("suspended").await?;
        scene.policy(json!({ "suspend": true })).await?;
        let user = scene.user();
        scene.ask("held", &user, json!({})).await?;
        scene.wait_phase("held", Phase::Pending, "Suspended").await?;
        ensure!(scene.ledger(&user).is_empty(), "issued through a suspended policy");

        scene.change_policy(json!({ "issuance": { "suspend": false } })).await?;
        let request = issued(&scene, "held", &user).await?;

        // Active passes stay.
        scene.change_policy(json!({ "issuance": { "suspend": true } })).await?;
        wait_for_reads(&scene, &request, 2).await?;
        issued(&scene, "held", &user).await?;
        Ok(())
    })
}

#[test]
fn pending_until_its_user_is_there() -> Result<()> {
    run(async {
        let scene = Scene::shared_with_policy("new-hire").await?;
        let user = format!("hire-{}@contoso.com", scene.namespace);
        scene.ask("first-day", &user, json!({})).await?;
        let waiting = scene.wait_phase("first-day", Phase::Pending, "UserNotFound").await?;
        let message = condition(&waiting, "Ready").map(|c| c.2.to_owned()).unwrap_or_default();
        ensure!(message.contains(&user), "{message}");

        scene.new_user(|new| new.user_principal_name.clone_from(&user));
        issued(&scene, "first-day", &user).await?;
        Ok(())
    })
}

#[test]
fn pending_while_the_method_is_disabled() -> Result<()> {
    run(async {
        let scene = tenants::scene("method").await?;
        scene.simulator.portal_patch_policy(&json!({ "state": "disabled" }))?;
        scene.policy(json!({})).await?;
        let user = scene.user();
        scene.ask("patient", &user, json!({})).await?;
        scene.wait_phase("patient", Phase::Pending, "MethodDisabled").await?;
        ensure!(scene.ledger(&user).is_empty(), "issued though nobody can sign in");

        let enable = json!({ "method": { "state": "Enabled" }, "enforcement": "Enforce" });
        scene.change_policy(enable).await?;
        issued(&scene, "patient", &user).await?;
        Ok(())
    })
}

#[test]
fn pending_while_somebody_elses_pass_lives() -> Result<()> {
    run(async {
        let scene = Scene::shared_with_policy("waits").await?;
        let user = scene.user();
        let foreign = scene.simulator.portal_create_pass(&user, &json!({}))?;
        scene.ask("second", &user, json!({ "onExistingPass": "Wait" })).await?;
        scene.wait_phase("second", Phase::Pending, "ExistingPass").await?;
        let ledger = scene.ledger(&user);
        ensure!(ledger.len() == 1 && ledger[0].is_live(), "{ledger:?}");

        scene.simulator.portal_delete_pass(&user, foreign)?;
        let request = scene.wait_active("second").await?;
        ensure!(scene.pass_of(&request)?.replaced_pass.is_none(), "it replaced a pass");
        Ok(())
    })
}

#[test]
fn approved_by_another_person() -> Result<()> {
    run(async {
        let scene = Scene::shared("approved").await?;
        scene.policy(json!({ "approval": { "required": 1 } })).await?;
        let user = scene.user();
        scene.ask("asked", &user, json!({})).await?;
        let waiting =
            scene.wait_phase("asked", Phase::AwaitingApproval, "AwaitingApproval").await?;
        let status = waiting.status.clone().unwrap_or_default();
        ensure!(status.approvals.as_deref() == Some("0/1"), "{status:?}");
        ensure!(status.resolved.as_ref().is_some_and(|r| r.user_principal_name == user));
        ensure!(condition(&waiting, "Ready").is_some_and(|c| c.0 == "True"), "{status:?}");
        ensure!(condition(&waiting, "Approved").is_some_and(|c| c.0 == "False"), "{status:?}");
        ensure!(scene.ledger(&user).is_empty(), "issued without approval");

        scene.decide(&scene.approver, "asked", DecisionKind::Approve).await?;
        let request = issued(&scene, "asked", &user).await?;
        let status = request.status.clone().unwrap_or_default();
        ensure!(status.approvals.as_deref() == Some("1/1"), "{status:?}");
        ensure!(condition(&request, "Approved").is_some_and(|c| c.0 == "True"), "{status:?}");
        ensure!(status.decisions.len() == 1, "{status:?}");
        Ok(())
    })
}

#[test]
fn two_approvals_are_those_of_two_people() -> Result<()> {
    run(async {
        let scene = Scene::shared("two").await?;
        scene.policy(json!({ "approval": { "required": 2 } })).await?;
        let (control_plane, user) = (&scene.world.control_plane, scene.user());
        let second = control_plane.person(&format!("second-{}@contoso.com", scene.namespace))?;
        control_plane.grant(&second, "tap-approver", &scene.namespace).await?;
        control_plane.grant_policy(&second, "approve", &scene.policy, &scene.namespace).await?;

        scene.ask("asked", &user, json!({})).await?;
        scene.wait_phase("asked", Phase::AwaitingApproval, "AwaitingApproval").await?;
        scene.decide(&scene.approver, "asked", DecisionKind::Approve).await?;
        scene
            .wait("asked", "1 of 2 approvals", |seen| {
                seen.status.as_ref().is_some_and(|s| s.approvals.as_deref() == Some("1/2"))
            })
            .await?;
        let twice = scene.decide(&scene.approver, "asked", DecisionKind::Approve).await;
        ensure!(twice.is_err(), "one person approved twice");
        ensure!(scene.ledger(&user).is_empty(), "issued with one approval of two");

        scene.decide(&second, "asked", DecisionKind::Approve).await?;
        issued(&scene, "asked", &user).await?;
        Ok(())
    })
}

#[test]
fn nobody_approves_their_own_request() -> Result<()> {
    run(async {
        let scene = Scene::shared("own").await?;
        scene.policy(json!({ "approval": { "required": 1 } })).await?;
        let control_plane = &scene.world.control_plane;
        let (policy, namespace) = (&scene.policy, &scene.namespace);
        control_plane.grant_policy(&scene.helpdesk, "approve", policy, namespace).await?;
        let user = scene.user();
        scene.ask("asked", &user, json!({})).await?;
        scene.wait_phase("asked", Phase::AwaitingApproval, "AwaitingApproval").await?;

        let refused = scene.decide(&scene.helpdesk, "asked", DecisionKind::Approve).await;
        let refusal = format!("{:#}", refused.err().context("she approved her own request")?);
        ensure!(refusal.contains("Forbidden") || refusal.contains("forbidden"), "{refusal}");
        ensure!(scene.ledger(&user).is_empty(), "issued nevertheless");
        Ok(())
    })
}

#[test]
fn denied_once_and_for_all() -> Result<()> {
    run(async {
        let scene = Scene::shared("denied").await?;
        scene.policy(json!({ "approval": { "required": 1 } })).await?;
        let user = scene.user();
        scene.ask("asked", &user, json!({})).await?;
        scene.wait_phase("asked", Phase::AwaitingApproval, "AwaitingApproval").await?;
        scene.decide(&scene.approver, "asked", DecisionKind::Deny).await?;
        let denied = scene.wait_phase("asked", Phase::Denied, "Denied").await?;
        let message = condition(&denied, "Ready").map(|c| c.2.to_owned()).unwrap_or_default();
        ensure!(message.contains(scene.approver.user()), "{message}");
        for (type_, holds) in [("Ready", "False"), ("Stalled", "True"), ("Finished", "True")] {
            let found = condition(&denied, type_);
            ensure!(found.is_some_and(|c| c.0 == holds), "{type_}: {found:?}");
        }

        // Nobody can approve it any more, and later decisions change nothing. The operator has seen them when it has
        // handled the request that follows.
        let late = scene.decide(&scene.approver, "asked", DecisionKind::Approve).await;
        let late = format!("{:#}", late.expect_err("a denied request was approved"));
        ensure!(late.contains("the request has ended (Denied)"), "{late}");
        scene.decide(&scene.helpdesk, "asked", DecisionKind::Revoke).await?;
        scene.ask("another", &user, json!({})).await?;
        scene.wait_phase("another", Phase::AwaitingApproval, "AwaitingApproval").await?;
        scene.wait_phase("asked", Phase::Denied, "Denied").await?;
        ensure!(scene.writes_about(&user)?.is_empty(), "a denied request asked for a pass");
        Ok(())
    })
}

#[test]
fn revoked_by_its_requester_before_the_issue() -> Result<()> {
    run(async {
        let scene = Scene::shared("withdrawn").await?;
        scene.policy(json!({ "approval": { "required": 1 } })).await?;
        let user = scene.user();
        scene.ask("asked", &user, json!({})).await?;
        scene.wait_phase("asked", Phase::AwaitingApproval, "AwaitingApproval").await?;
        scene.decide(&scene.helpdesk, "asked", DecisionKind::Revoke).await?;
        let revoked = scene.wait_phase("asked", Phase::Revoked, "Revoked").await?;
        let message = condition(&revoked, "Ready").map(|c| c.2.to_owned()).unwrap_or_default();
        ensure!(message.contains(scene.helpdesk.user()), "{message}");
        ensure!(scene.writes_about(&user)?.is_empty(), "a withdrawn request asked for a pass");
        Ok(())
    })
}

#[test]
fn scheduled_until_its_start_is_near() -> Result<()> {
    run(async {
        let scene = Scene::shared("scheduled").await?;
        // The default lead time is five minutes.
        scene.policy(json!({})).await?;
        let user = scene.user();
        let start = from_now(SignedDuration::from_secs(5 * 60 + 8));
        scene.ask("monday", &user, json!({ "startTime": start })).await?;
        let scheduled = scene.wait_phase("monday", Phase::Scheduled, "Scheduled").await?;
        ensure!(condition(&scheduled, "Ready").is_some_and(|c| c.0 == "True"));
        ensure!(scene.ledger(&user).is_empty(), "issued before its lead time");

        let request = issued(&scene, "monday", &user).await?;
        let start: Timestamp = start.parse()?;
        let pass = scene.pass_of(&request)?;
        ensure!(pass.start_date_time == start, "{pass:?}");
        let lead = start.duration_since(pass.created_date_time);
        ensure!(lead <= SignedDuration::from_mins(5), "made {lead:#} before its start");
        let not_before: Timestamp = scene.read("monday", "notBefore").await?.parse()?;
        ensure!(not_before == start, "{not_before}");
        let early = scene.simulator.sign_in(&user, &scene.code("monday").await?);
        ensure!(early.is_err_and(|e| e == SignInError::NotYetValid), "it works before its start");
        Ok(())
    })
}

#[test]
fn a_longer_lead_time_issues_earlier() -> Result<()> {
    run(async {
        let scene = Scene::shared("lead").await?;
        scene.policy(json!({ "leadTime": "168h" })).await?;
        let user = scene.user();
        let start = from_now(SignedDuration::from_hours(7 * 24 - 1));
        scene.ask("onboarding", &user, json!({ "startTime": start })).await?;
        let request = issued(&scene, "onboarding", &user).await?;
        ensure!(scene.pass_of(&request)?.start_date_time == start.parse::<Timestamp>()?);
        Ok(())
    })
}

#[test]
fn used_and_the_session_goes_on() -> Result<()> {
    run(async {
        let scene = Scene::shared_with_policy("used").await?;
        let user = scene.user();
        scene.ask("lost-key", &user, json!({})).await?;
        issued(&scene, "lost-key", &user).await?;
        let code = scene.code("lost-key").await?;
        let session = scene.simulator.sign_in(&user, &code)?.session;

        let used = scene.wait_phase("lost-key", Phase::Used, "PassUsed").await?;
        ensure!(scene.secret("lost-key").await?.is_none(), "the Secret is still there");
        let status = used.status.clone().unwrap_or_default();
        ensure!(status.secret_name.is_none(), "{status:?}");
        for (type_, holds) in [("Ready", "True"), ("Issued", "False"), ("Finished", "True")] {
            let found = condition(&used, type_);
            ensure!(found.is_some_and(|c| c.0 == holds), "{type_}: {found:?}");
        }
        scene.wait_released("lost-key", Phase::Used).await?;
        ensure!(scene.simulator.session_alive(session), "the session was ended");
        ensure!(scene.pass_of(&used)?.is_live(), "the pass was not left to expire");
        let writes = scene.writes_about(&user)?;
        ensure!(writes.len() == 1, "more than one write in the tenant: {writes:?}");
        Ok(())
    })
}

#[test]
fn a_multi_use_pass_stays_after_its_use() -> Result<()> {
    run(async {
        let scene = Scene::shared("multi").await?;
        scene.policy(json!({ "requireOneTimeUse": false })).await?;
        let user = scene.user();
        scene.ask("devices", &user, json!({ "oneTimeUse": false })).await?;
        let request = issued(&scene, "devices", &user).await?;
        ensure!(!scene.pass_of(&request)?.is_usable_once, "it is a one-time pass");

        let code = scene.code("devices").await?;
        scene.simulator.sign_in(&user, &code)?;
        wait_for_reads(&scene, &request, 2).await?;
        scene.simulator.sign_in(&user, &code)?;
        wait_for_reads(&scene, &request, 2).await?;
        issued(&scene, "devices", &user).await?;

        scene.decide(&scene.helpdesk, "devices", DecisionKind::Revoke).await?;
        let revoked = scene.wait_phase("devices", Phase::Revoked, "Revoked").await?;
        ensure!(ended_by_operator(&scene.pass_of(&revoked)?.end));
        Ok(())
    })
}

#[test]
fn expired_by_the_tenants_clock_and_never_before() -> Result<()> {
    run(async {
        let scene = tenants::scene("expired").await?;
        scene.simulator.portal_patch_policy(&json!({ "minimumLifetimeInMinutes": 10 }))?;
        scene.policy(json!({})).await?;
        let user = scene.user();
        scene.ask("short", &user, json!({ "lifetime": "10m" })).await?;
        let request = issued(&scene, "short", &user).await?;

        scene.simulator.step_clock(SignedDuration::from_secs(9 * 60));
        wait_for_reads(&scene, &request, 5).await?;
        issued(&scene, "short", &user).await?;

        scene.simulator.step_clock(SignedDuration::from_secs(60));
        let expired = scene.wait_phase("short", Phase::Expired, "PassExpired").await?;
        ensure!(scene.secret("short").await?.is_none(), "the Secret is still there");
        for (type_, holds) in [("Ready", "True"), ("Issued", "False"), ("Finished", "True")] {
            let found = condition(&expired, type_);
            ensure!(found.is_some_and(|c| c.0 == holds), "{type_}: {found:?}");
        }
        let pass = scene.pass_of(&expired)?;
        ensure!(matches!(pass.end, End::Expired { .. }), "{pass:?}");
        let deletes = scene.simulator.requests_for(Operation::PassDelete);
        ensure!(deletes.is_empty(), "an expired pass needs no DELETE: {deletes:?}");
        Ok(())
    })
}

#[test]
fn too_late_issues_nothing() -> Result<()> {
    run(async {
        let scene = Scene::shared_with_policy("too-late").await?;
        let user = scene.user();
        let start = from_now(-SignedDuration::from_hours(3));
        scene.ask("last-week", &user, json!({ "startTime": start, "lifetime": "2h" })).await?;
        let late = scene.wait_phase("last-week", Phase::Expired, "NotIssuedInTime").await?;
        ensure!(condition(&late, "Issued").is_some_and(|c| c.0 == "False"));
        ensure!(scene.writes_about(&user)?.is_empty(), "a pass was asked for");
        Ok(())
    })
}

#[test]
fn an_approval_that_does_not_come_in_time() -> Result<()> {
    run(async {
        let scene = Scene::shared("forgotten").await?;
        scene.policy(json!({ "approval": { "required": 1 } })).await?;
        let user = scene.user();
        let start = from_now(SignedDuration::from_secs(8) - SignedDuration::from_hours(1));
        scene.ask("asked", &user, json!({ "startTime": start, "lifetime": "1h" })).await?;
        let waiting =
            scene.wait_phase("asked", Phase::AwaitingApproval, "AwaitingApproval").await?;
        let deadline = waiting.status.and_then(|s| s.deadline).context("no deadline")?;
        let start: Timestamp = start.parse()?;
        ensure!(deadline.0 == start + SignedDuration::from_hours(1), "{deadline:?}");
        scene.wait_phase("asked", Phase::Expired, "NotIssuedInTime").await?;
        ensure!(scene.writes_about(&user)?.is_empty(), "a pass was asked for");
        Ok(())
    })
}

#[test]
fn issued_late_it_has_its_full_lifetime() -> Result<()> {
    run(async {
        let scene = Scene::shared_with_policy("late").await?;
        let user = scene.user();
        let start = from_now(-SignedDuration::from_mins(90));
        scene.ask("late", &user, json!({ "startTime": start, "lifetime": "2h" })).await?;
        let request = issued(&scene, "late", &user).await?;
        let pass = scene.pass_of(&request)?;
        let delay = pass.start_date_time.duration_since(pass.created_date_time).abs();
        ensure!(delay < SignedDuration::from_secs(2), "{pass:?}");
        ensure!(pass.lifetime_in_minutes == 120, "{pass:?}");
        Ok(())
    })
}

#[test]
fn revoked_by_its_requester() -> Result<()> {
    run(async {
        let scene = Scene::shared_with_policy("revoked").await?;
        revoked_by(&scene, &scene.helpdesk, DecisionKind::Revoke, "Revoked").await
    })
}

#[test]
fn revoked_by_an_approver() -> Result<()> {
    run(async {
        let scene = Scene::shared_with_policy("approver").await?;
        revoked_by(&scene, &scene.approver, DecisionKind::Revoke, "Revoked").await
    })
}

#[test]
fn revoked_by_a_denial_after_the_issue() -> Result<()> {
    run(async {
        let scene = Scene::shared_with_policy("deny-late").await?;
        revoked_by(&scene, &scene.approver, DecisionKind::Deny, "DeniedAfterIssue").await
    })
}

async fn revoked_by(
    scene: &Scene<'_>,
    who: &Identity,
    decision: DecisionKind,
    reason: &str,
) -> Result<()> {
    let user = scene.user();
    scene.ask("mistake", &user, json!({})).await?;
    issued(scene, "mistake", &user).await?;
    scene.decide(who, "mistake", decision).await?;
    let revoked = scene.wait_phase("mistake", Phase::Revoked, reason).await?;
    let message = condition(&revoked, "Ready").map(|c| c.2.to_owned()).unwrap_or_default();
    ensure!(message.contains(who.user()), "{message}");
    ensure!(scene.secret("mistake").await?.is_none(), "the Secret is still there");
    let pass = scene.pass_of(&revoked)?;
    ensure!(ended_by_operator(&pass.end), "{pass:?}");
    Ok(())
}

#[test]
fn a_pass_that_somebody_removed() -> Result<()> {
    run(async {
        let scene = Scene::shared_with_policy("removed").await?;
        let user = scene.user();
        scene.ask("gone", &user, json!({})).await?;
        let request = issued(&scene, "gone", &user).await?;
        let pass = scene.pass_of(&request)?.id;
        scene.simulator.portal_delete_pass(&user, pass)?;
        scene.wait_phase("gone", Phase::Revoked, "PassRemoved").await?;
        ensure!(scene.secret("gone").await?.is_none(), "the Secret is still there");
        Ok(())
    })
}

#[test]
fn a_pass_that_somebody_replaced() -> Result<()> {
    run(async {
        let scene = Scene::shared_with_policy("replaced").await?;
        let user = scene.user();
        scene.ask("gone", &user, json!({})).await?;
        issued(&scene, "gone", &user).await?;
        let foreign = scene.simulator.portal_create_pass(&user, &json!({}))?;
        scene.wait_phase("gone", Phase::Revoked, "PassRemoved").await?;
        ensure!(scene.secret("gone").await?.is_none(), "the Secret is still there");
        scene.delete("gone").await?;
        scene.wait_gone("gone").await?;
        let ledger = scene.ledger(&user);
        let theirs = ledger.iter().find(|pass| pass.id == foreign).context("no such pass")?;
        ensure!(theirs.is_live(), "a foreign pass must stay: {ledger:?}");
        Ok(())
    })
}

#[test]
fn superseded_by_a_request_that_replaces() -> Result<()> {
    run(async {
        let scene = Scene::shared("superseded").await?;
        scene.policy(json!({ "replaceExistingPass": "Allowed" })).await?;
        let user = scene.user();
        scene.ask("first", &user, json!({})).await?;
        let first = issued(&scene, "first", &user).await?;
        let first_pass = scene.pass_of(&first)?.id;

        scene.ask("second", &user, json!({ "onExistingPass": "Replace" })).await?;
        let second = scene.wait_active("second").await?;
        let superseded = scene.wait_phase("first", Phase::Revoked, "Superseded").await?;
        let message = condition(&superseded, "Ready").map(|c| c.2.to_owned()).unwrap_or_default();
        ensure!(message.contains("second"), "{message}");
        ensure!(scene.secret("first").await?.is_none(), "the first Secret is still there");

        let pass = scene.pass_of(&second)?;
        ensure!(pass.is_live() && pass.replaced_pass == Some(first_pass), "{pass:?}");
        ensure!(scene.simulator.code(pass.id) == Some(scene.code("second").await?));
        ensure!(scene.ledger(&user).len() == 2, "{:?}", scene.ledger(&user));
        let writes = scene.writes_about(&user)?;
        ensure!(writes.len() == 2, "one POST each: {writes:?}");
        Ok(())
    })
}

#[test]
fn refused_where_another_request_has_a_pass() -> Result<()> {
    run(async {
        let scene = Scene::shared_with_policy("another").await?;
        let user = scene.user();
        scene.ask("first", &user, json!({})).await?;
        issued(&scene, "first", &user).await?;
        scene.ask("second", &user, json!({})).await?;
        let failed = scene.wait_phase("second", Phase::Failed, "ExistingPass").await?;
        let message = condition(&failed, "Ready").map(|c| c.2.to_owned()).unwrap_or_default();
        ensure!(message.contains("request first"), "{message}");
        issued(&scene, "first", &user).await?;
        Ok(())
    })
}

#[test]
fn failed_where_somebody_else_made_a_pass() -> Result<()> {
    run(async {
        let scene = Scene::shared_with_policy("foreign").await?;
        let user = scene.user();
        scene.simulator.portal_create_pass(&user, &json!({}))?;
        scene.ask("second", &user, json!({})).await?;
        let failed = scene.wait_phase("second", Phase::Failed, "ExistingPass").await?;
        ensure!(condition(&failed, "Stalled").is_some_and(|c| c.0 == "True"));
        let ledger = scene.ledger(&user);
        ensure!(ledger.len() == 1 && ledger[0].is_live(), "{ledger:?}");
        ensure!(scene.writes_about(&user)?.is_empty(), "something was written");
        Ok(())
    })
}

#[test]
fn failed_and_taken_back_where_the_tenant_makes_another_kind_of_pass() -> Result<()> {
    run(async {
        let scene = tenants::scene("coerced").await?;
        scene.policy(json!({ "requireOneTimeUse": false })).await?;
        // The tenant requires one-time use, and a read of its method does not show that yet.
        scene.simulator.switch(|switches| {
            switches.one_time_enforced = OneTimeEnforced::Coerce;
            switches.policy_read_lag_seconds = 3600;
        });
        scene.simulator.portal_patch_policy(&json!({ "isUsableOnce": true }))?;
        let user = scene.user();
        scene.ask("devices", &user, json!({ "oneTimeUse": false })).await?;
        let failed = scene.wait_phase("devices", Phase::Failed, "FlagCoerced").await?;
        ensure!(condition(&failed, "Stalled").is_some_and(|c| c.0 == "True"));
        ensure!(scene.secret("devices").await?.is_none(), "its code was delivered");
        let ledger = scene.ledger(&user);
        ensure!(ledger.len() == 1 && ended_by_operator(&ledger[0].end), "{ledger:?}");
        Ok(())
    })
}

#[test]
fn a_request_of_the_same_name_after_deletion_is_a_new_one() -> Result<()> {
    run(async {
        let scene = Scene::shared_with_policy("again").await?;
        let user = scene.user();
        scene.ask("again", &user, json!({})).await?;
        let first = issued(&scene, "again", &user).await?;
        scene.requests().delete("again", &DeleteParams::default()).await?;
        scene.wait_gone("again").await?;
        scene.ask("again", &user, json!({})).await?;
        let second = scene.wait_active("again").await?;
        ensure!(first.metadata.uid != second.metadata.uid, "the same object");
        ensure!(ended_by_operator(&scene.pass_of(&first)?.end), "the first pass still lives");
        ensure!(scene.pass_of(&second)?.is_live());
        Ok(())
    })
}

//! The permissions of the operator's app, as they are reported in the status of each policy that needs them.

use anyhow::{Context, Result, ensure};
use graph_simulator::tenant::OPERATOR;
use serde_json::json;
use tap_operator::api::TapPolicy;

use crate::scene::{Scene, policy_condition};
use crate::support::run;
use crate::tenants;

const FITTING: [&str; 3] =
    ["UserAuthMethod-TAP.ReadWrite.All", "Policy.Read.AuthenticationMethod", "User.Read.All"];

/// Gives the operator's app these permissions, in force at once.
fn grant(scene: &Scene<'_>, roles: &[&str]) -> Result<()> {
    let roles = roles.iter().map(ToString::to_string).collect();
    scene.simulator.edit_app(OPERATOR, |app| app.roles = roles)?;
    scene.simulator.expire_tokens();
    Ok(())
}

/// Waits until a condition of the policy has this status and reason. Returns its message.
async fn says(scene: &Scene<'_>, type_: &str, status: &str, reason: &str) -> Result<String> {
    let is = |policy: &TapPolicy| {
        policy_condition(policy, type_).is_some_and(|c| (c.0, c.1) == (status, reason))
    };
    let what = format!("{type_} {status} {reason}");
    let policies = scene.policies().await?;
    let policy = scene.world.wait_for(&policies, &scene.policy, &what, is).await?;
    // Neither affects whether the tenant is as the policy requires.
    let ready = policy_condition(&policy, "Ready").context("no condition Ready")?;
    ensure!((ready.0, ready.1) == ("True", "AdmitsRequests"), "{ready:?}");
    Ok(policy_condition(&policy, type_).context("no such condition")?.2.to_owned())
}

#[test]
fn what_is_missing_and_what_is_too_much_is_named_with_its_remedy() -> Result<()> {
    run(async {
        let scene = tenants::scene("permissions").await?;
        grant(&scene, &["Policy.Read.AuthenticationMethod", "Directory.ReadWrite.All"])?;
        scene.policy(json!({})).await?;
        let message = says(&scene, "Permissions", "False", "PermissionMissing").await?;
        for words in [
            "UserAuthMethod-TAP.ReadWrite.All [627169a8-8c15-451c-861a-5b80e383de5c]",
            "admin consent",
            "Directory.ReadWrite.All (User.Read.All",
        ] {
            ensure!(message.contains(words), "no {words:?} in {message}");
        }
        ensure!(!message.contains("lacks User.Read.All"), "the broader one covers it: {message}");

        grant(&scene, &[&FITTING[..], &["RoleManagement.ReadWrite.Directory"]].concat())?;
        scene.change_policy(json!({ "interval": "5m" })).await?;
        let message = says(&scene, "Permissions", "True", "PermissionExcessive").await?;
        ensure!(
            message.contains("RoleManagement.ReadWrite.Directory (RoleManagement.Read"),
            "{message}"
        );
        scene.ask("issued", &scene.user(), json!({})).await?;
        scene.wait_active("issued").await?;

        grant(&scene, &FITTING)?;
        scene.change_policy(json!({ "interval": "6m" })).await?;
        says(&scene, "Permissions", "True", "PermissionsGranted").await?;
        Ok(())
    })
}

#[test]
fn what_cannot_be_checked_is_reported_by_the_policy_and_by_each_request() -> Result<()> {
    run(async {
        let scene = tenants::scene("unchecked").await?;
        grant(&scene, &FITTING)?;
        scene.policy(json!({})).await?;
        let message = says(&scene, "ChecksComplete", "False", "ScopedRolesNotSeen").await?;
        let words = "RoleEligibilitySchedule.Read.Directory [ff278e11-4a33-4d0c-83d2-d01dc58929a5]";
        ensure!(message.contains(words), "no {words:?} in {message}");
        scene.ask("issued", &scene.user(), json!({})).await?;
        let request = scene.wait_active("issued").await?;
        let checks = request.status.unwrap_or_default().checks;
        let roles = checks.iter().find(|check| check.name == "DirectoryRoles");
        let roles = roles.and_then(|check| check.message.clone()).context("no such check")?;
        for word in ["cannot see", "grant RoleManagement.Read.Directory", "grant RoleEligibility"] {
            ensure!(roles.contains(word), "no {word:?} in {roles}");
        }

        // The connection that all tests share does not say how user names map to users.
        let unmapped = Scene::shared("unmapped").await?;
        unmapped.policy(json!({})).await?;
        let message = says(&unmapped, "ChecksComplete", "False", "UserNamesNotMapped").await?;
        ensure!(message.contains("TAP_OPERATOR_USER_NAME"), "{message}");
        Ok(())
    })
}

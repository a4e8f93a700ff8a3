//! What is said of Conditional Access before a pass is made, on a real API server.

use anyhow::{Context, Result, ensure};
use graph_simulator::SignInError;
use graph_simulator::tenant::OPERATOR;
use serde_json::{Value, json};
use tap_operator::api::{CheckResult, DecisionKind, Phase, TapPolicy, TapRequest};

use crate::scene::{condition, policy_condition};
use crate::support::{run, wait};
use crate::tenants;

/// A policy that demands phishing-resistant methods of everybody, and of whoever registers one.
fn keys(state: &str) -> Value {
    json!({
        "id": "ca000000-0000-4000-8000-000000000001", "displayName": "Keys for all", "state": state,
        "conditions": {
            "users": {"includeUsers": ["All"]},
            "applications": {"includeUserActions": ["urn:user:registersecurityinfo"]},
        },
        "grantControls": {
            "operator": "OR", "authenticationStrength": {"id": "00000000-0000-0000-0000-000000000004"},
        },
    })
}

/// What the request says of the sign-in of its user.
fn check(request: &TapRequest) -> Result<(CheckResult, String)> {
    let checks = request.status.as_ref().map(|status| status.checks.as_slice()).unwrap_or_default();
    let check = checks.iter().find(|check| check.name == "SignIn").context("no check SignIn")?;
    Ok((check.result, check.message.clone().unwrap_or_default()))
}

#[test]
fn a_policy_that_is_switched_on_between_request_and_issue_is_told_and_refused_where_that_is_wanted()
-> Result<()> {
    run(async {
        let scene = tenants::scene("preflight").await?;
        let simulator = scene.simulator;
        simulator.set_access_policies(vec![keys("enabledForReportingButNotEnforced")]);
        simulator.edit_app(OPERATOR, |app| app.roles.push("Policy.Read.All".into()))?;
        simulator.expire_tokens();
        let policies = scene.policies().await?;
        let warns = &scene.policy;
        let refuses = format!("{}-refuses", scene.policy);
        let control_plane = &scene.world.control_plane;
        for (who, verb) in [(&scene.helpdesk, "use"), (&scene.approver, "approve")] {
            control_plane.grant_policy(who, verb, &refuses, &scene.namespace).await?;
        }
        for (name, what) in [(warns, "Warn"), (&refuses, "Refuse")] {
            let issuance = json!({
                "namespaces": { "names": [scene.namespace] }, "users": { "domains": ["contoso.com"] },
                "approval": { "required": 1 }, "unusablePass": what,
            });
            let spec =
                json!({ "tenant": scene.connection, "interval": "1m", "issuance": issuance });
            scene.policy_named(name, spec).await?;
        }
        let usable = |name: &str, reason: &'static str, patience| {
            let is = move |policy: &TapPolicy| {
                policy_condition(policy, "PassesUsable").is_some_and(|c| c.1 == reason)
            };
            let (policies, name) = (policies.clone(), name.to_owned());
            async move {
                let seen = wait::object(&policies, &name, patience, reason, is).await?;
                let told = policy_condition(&seen, "PassesUsable").context("no condition")?;
                ensure!(told.2.contains("\"Keys for all\""), "{told:?}");
                anyhow::Ok(format!("{} {}", told.0, told.2))
            }
        };
        for name in [warns, &refuses] {
            let told = usable(name, "PassesBlockedOnceEnforced", wait::PATIENCE).await?;
            ensure!(told.starts_with("True "), "{told}");
        }
        for (name, policy) in [("warned", warns), ("refused", &refuses)] {
            scene.ask(name, &scene.user(), json!({ "policyRef": { "name": policy } })).await?;
            let asked = scene.wait_phase(name, Phase::AwaitingApproval, "AwaitingApproval").await?;
            let (result, message) = check(&asked)?;
            ensure!(result == CheckResult::Passed, "{message}");
            ensure!(message.contains("\"Keys for all\""), "{message}");
        }

        simulator.set_access_policies(vec![keys("enabled")]);
        // The tenant is read once a minute.
        for (name, effect) in [(warns, "issued nevertheless"), (&refuses, "wait")] {
            let told = usable(name, "PassesBlocked", wait::PATIENCE * 2).await?;
            ensure!(told.starts_with("False ") && told.contains(effect), "{told}");
        }
        for name in ["warned", "refused"] {
            scene.decide(&scene.approver, name, DecisionKind::Approve).await?;
        }
        let warned = scene.wait_active("warned").await?;
        let (result, message) = check(&warned)?;
        ensure!(result == CheckResult::Warned, "{message}");
        ensure!(message.contains("\"Keys for all\""), "{message}");
        let code = scene.code("warned").await?;
        let tried = simulator.sign_in(&warned.spec.user, &code);
        ensure!(matches!(tried, Err(SignInError::BlockedByConditionalAccess)), "{tried:?}");

        let refused = scene.wait_phase("refused", Phase::Pending, "PassUnusable").await?;
        let (_, _, message) = condition(&refused, "Ready").context("no condition Ready")?;
        ensure!(message.contains("\"Keys for all\""), "{message}");
        let writes = scene.writes_about(&refused.spec.user)?;
        ensure!(writes.is_empty(), "{writes:?}");
        Ok(())
    })
}

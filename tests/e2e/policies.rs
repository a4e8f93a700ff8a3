//! What a `TapPolicy` does about the tenant's method.

use anyhow::{Context, Result, ensure};
use graph_simulator::Operation;
use graph_simulator::policy::MethodState as TenantState;
use graph_simulator::tenant::OPERATOR;
use kube::api::DeleteParams;
use serde_json::{Value, json};
use tap_operator::api::TapPolicy;

use crate::scene::{Scene, policy_condition};
use crate::support::{run, wait};
use crate::tenants;

/// Waits until the policy's condition Ready has this reason, for the present spec.
async fn settled(scene: &Scene<'_>, name: &str, reason: &str) -> Result<TapPolicy> {
    let policies = scene.policies().await?;
    let what = format!("Ready for the reason {reason}");
    scene
        .world
        .wait_for(&policies, name, &what, |policy| {
            let status = policy.status.as_ref();
            status.and_then(|s| s.observed_generation) == policy.metadata.generation
                && policy_condition(policy, "Ready").is_some_and(|c| c.1 == reason)
        })
        .await
}

fn drifted(policy: &TapPolicy) -> String {
    policy.status.as_ref().and_then(|s| s.drifted_fields.clone()).unwrap_or_default()
}

/// The bodies of the `PATCH` calls for the method.
fn patches(scene: &Scene<'_>, recorder: &graph_simulator::Recorder) -> Result<Vec<Value>> {
    let patches =
        recorder.exchanges().into_iter().filter(|e| e.operation == Operation::PolicyPatch);
    let bodies: Vec<Value> =
        patches.map(|e| serde_json::from_slice(&e.request_body)).collect::<Result<_, _>>()?;
    let logged = scene.simulator.requests_for(Operation::PolicyPatch).len();
    ensure!(logged == bodies.len(), "{logged} PATCHes in the log, {} recorded", bodies.len());
    Ok(bodies)
}

#[test]
fn observe_reports_drift_and_writes_nothing() -> Result<()> {
    run(async {
        let scene = tenants::scene("observe").await?;
        let method = json!({
            "state": "Enabled",
            "lifetime": { "minimum": "1h", "maximum": "4h" },
            "codeLength": 14,
        });
        // requireOneTimeUse and the targets are left out, so they are not managed.
        scene
            .policy_named(&scene.policy, json!({ "tenant": scene.connection, "method": method }))
            .await?;
        let policy = settled(&scene, &scene.policy, "Drifted").await?;
        let status = policy.status.clone().unwrap_or_default();
        let mut drift: Vec<_> = status
            .drift
            .iter()
            .map(|d| (d.field.as_str(), d.desired.as_str(), d.observed.as_str()))
            .collect();
        drift.sort_unstable();
        ensure!(
            drift == [("codeLength", "14", "8"), ("lifetime.maximum", "4h", "8h")],
            "{drift:?}"
        );
        for field in ["codeLength", "lifetime.maximum"] {
            ensure!(drifted(&policy).contains(field), "{}", drifted(&policy));
        }
        // A difference is no failure.
        ensure!(policy_condition(&policy, "Ready").is_some_and(|c| c.0 == "True"), "{status:?}");
        ensure!(policy_condition(&policy, "Synced").is_some_and(|c| c.0 == "False"), "{status:?}");
        ensure!(policy_condition(&policy, "Stalled").is_none(), "{status:?}");
        let observed = status.observed.context("nothing observed")?;
        ensure!(observed.state.as_deref() == Some("Enabled"), "{observed:?}");
        ensure!(observed.code_length == Some(8), "{observed:?}");
        ensure!(status.adopted.is_none(), "nothing was adopted");

        let event = scene.event(&scene.policy, "Drifted").await?;
        let note = event.note.unwrap_or_default();
        ensure!(note.contains("codeLength is 8, not 14"), "{note}");
        ensure!(event.type_.as_deref() == Some("Warning"));

        let columns = ["get", "tpol", &scene.policy, "--output=wide", "--no-headers"];
        let line = scene.administrator.kubectl(columns).ok().await?;
        for word in ["codeLength", "Enabled", "False", "Drifted", scene.connection.as_str()] {
            ensure!(line.contains(word), "no {word:?} in {line}");
        }
        let writes = scene.simulator.requests_for(Operation::PolicyPatch);
        ensure!(writes.is_empty(), "Observe wrote: {writes:?}");
        Ok(())
    })
}

#[test]
fn enforce_corrects_in_one_patch_and_keeps_what_it_found() -> Result<()> {
    run(async {
        let scene = tenants::scene("enforce").await?;
        let recorder = scene.simulator.record();
        scene
            .simulator
            .portal_patch_policy(&json!({ "state": "disabled", "isUsableOnce": true }))?;
        let method = json!({
            "state": "Enabled",
            "lifetime": { "minimum": "1h", "default": "2h", "maximum": "4h" },
            "codeLength": 14,
        });
        let spec = json!({
            "tenant": scene.connection, "method": method, "enforcement": "Enforce",
        });
        scene.policy_named(&scene.policy, spec).await?;
        let policy = settled(&scene, &scene.policy, "InSync").await?;

        let values = scene.simulator.policy();
        ensure!(values.state == TenantState::Enabled, "{values:?}");
        ensure!(values.default_length == 14, "{values:?}");
        let lifetimes = [
            values.minimum_lifetime_in_minutes,
            values.default_lifetime_in_minutes,
            values.maximum_lifetime_in_minutes,
        ];
        ensure!(lifetimes == [60, 120, 240], "{values:?}");
        ensure!(values.is_usable_once, "a field left out was changed: {values:?}");

        let bodies = patches(&scene, &recorder)?;
        ensure!(bodies.len() == 1, "{bodies:?}");
        for absent in ["isUsableOnce", "includeTargets", "excludeTargets"] {
            ensure!(bodies[0].get(absent).is_none(), "{absent} was sent: {}", bodies[0]);
        }
        let operations: Vec<Operation> =
            recorder.exchanges().iter().map(|exchange| exchange.operation).collect();
        let patched = operations.iter().position(|o| *o == Operation::PolicyPatch);
        let reread = operations.iter().rposition(|o| *o == Operation::PolicyGet);
        ensure!(patched < reread, "the method was not read again: {operations:?}");

        let status = policy.status.clone().unwrap_or_default();
        ensure!(drifted(&policy) == "None" && status.drift.is_empty(), "{status:?}");
        ensure!(policy_condition(&policy, "Synced").is_some_and(|c| c.0 == "True"), "{status:?}");
        ensure!(policy_condition(&policy, "Reconciling").is_none(), "{status:?}");
        let adopted = status.adopted.context("nothing was adopted")?;
        ensure!(adopted.state.as_deref() == Some("Disabled"), "{adopted:?}");
        ensure!(adopted.code_length == Some(8), "{adopted:?}");
        scene.event(&scene.policy, "Corrected").await?;

        // Drift again: somebody changed the method in the portal. The values that were adopted first stay.
        scene.simulator.portal_patch_policy(&json!({ "defaultLength": 20 }))?;
        scene.change_policy(json!({ "interval": "5m" })).await?;
        wait::until(wait::PATIENCE, "the drift is corrected", || async {
            ensure!(scene.simulator.policy().default_length == 14, "not yet");
            Ok(())
        })
        .await?;
        let policy = settled(&scene, &scene.policy, "InSync").await?;
        ensure!(policy.status.and_then(|s| s.adopted).as_ref() == Some(&adopted));
        let bodies = patches(&scene, &recorder)?;
        ensure!(bodies.len() == 2, "{bodies:?}");

        // The adopted values can be applied as they are.
        scene.change_policy(json!({ "method": adopted })).await?;
        wait::until(wait::PATIENCE, "the tenant has its first values again", || async {
            let values = scene.simulator.policy();
            ensure!(values.state == TenantState::Disabled, "not yet");
            ensure!(values.default_length == 8, "not yet");
            Ok(())
        })
        .await?;

        // Deleting the policy leaves the tenant as it is.
        let before = scene.simulator.policy();
        let writes = scene.simulator.requests_for(Operation::PolicyPatch).len();
        scene.policies().await?.delete(&scene.policy, &DeleteParams::default()).await?;
        scene.world.wait_gone(&scene.policies().await?, &scene.policy).await?;
        ensure!(scene.simulator.policy() == before);
        ensure!(scene.simulator.requests_for(Operation::PolicyReset).is_empty());
        ensure!(scene.simulator.requests_for(Operation::PolicyPatch).len() == writes);
        Ok(())
    })
}

#[test]
fn two_policies_for_one_tenant_write_nothing_and_issuing_goes_on() -> Result<()> {
    run(async {
        let scene = tenants::scene("conflict").await?;
        let spec = |length: u32, issuance: Value| {
            json!({
                "tenant": scene.connection, "enforcement": "Enforce",
                "method": { "codeLength": length }, "issuance": issuance,
            })
        };
        let issuance = json!({
            "namespaces": { "names": [scene.namespace] }, "users": { "domains": ["contoso.com"] },
            "approval": { "required": 0 },
        });
        scene.policy_named(&scene.policy, spec(8, issuance)).await?;
        settled(&scene, &scene.policy, "InSync").await?;

        let other = format!("{}-other", scene.policy);
        scene.policy_named(&other, spec(12, Value::Null)).await?;
        for (name, rival) in [(&other, &scene.policy), (&scene.policy, &other)] {
            let policy = settled(&scene, name, "Conflict").await?;
            let (status, _, message) = policy_condition(&policy, "Ready").context("no Ready")?;
            ensure!(status == "False" && message.contains(rival.as_str()), "{message}");
            ensure!(policy_condition(&policy, "Stalled").is_some_and(|c| c.0 == "True"));
        }
        let user = scene.user();
        scene.ask("goes-on", &user, json!({})).await?;
        scene.wait_active("goes-on").await?;
        let writes = scene.simulator.requests_for(Operation::PolicyPatch);
        ensure!(writes.is_empty(), "one of two wrote: {writes:?}");

        scene.policies().await?.delete(&scene.policy, &DeleteParams::default()).await?;
        settled(&scene, &other, "InSync").await?;
        ensure!(scene.simulator.policy().default_length == 12);
        Ok(())
    })
}

#[test]
fn a_tenant_that_cannot_be_read_is_unknown_and_never_in_sync() -> Result<()> {
    run(async {
        let scene = tenants::scene("unreadable").await?;
        scene.simulator.set_unreachable(true);
        let spec = json!({
            "tenant": scene.connection, "enforcement": "Enforce", "method": { "codeLength": 12 },
        });
        scene.policy_named(&scene.policy, spec).await?;
        let policy = settled(&scene, &scene.policy, "TenantUnreachable").await?;
        let status = policy.status.clone().unwrap_or_default();
        ensure!(
            policy_condition(&policy, "Synced").is_some_and(|c| c.0 == "Unknown"),
            "{status:?}"
        );
        ensure!(policy_condition(&policy, "Ready").is_some_and(|c| c.0 == "False"), "{status:?}");
        ensure!(drifted(&policy) == "Unknown", "{status:?}");

        scene.simulator.set_unreachable(false);
        settled(&scene, &scene.policy, "InSync").await?;
        ensure!(scene.simulator.policy().default_length == 12);
        Ok(())
    })
}

#[test]
fn without_the_permission_to_write_nothing_is_corrected() -> Result<()> {
    run(async {
        let scene = tenants::scene("read-only").await?;
        let permission = "Policy.ReadWrite.AuthenticationMethod";
        scene.simulator.edit_app(OPERATOR, |app| {
            app.roles.retain(|role| role != permission);
            app.roles.push("Policy.Read.AuthenticationMethod".to_owned());
        })?;
        scene.simulator.expire_tokens();
        let before = scene.simulator.policy();
        let spec = json!({
            "tenant": scene.connection, "enforcement": "Enforce", "method": { "codeLength": 12 },
        });
        scene.policy_named(&scene.policy, spec).await?;
        let policy = settled(&scene, &scene.policy, "PermissionMissing").await?;
        let (ready, _, message) = policy_condition(&policy, "Ready").context("no Ready")?;
        ensure!(ready == "False", "{message}");
        for word in [permission, "admin consent", "403"] {
            ensure!(message.contains(word), "no {word:?} in {message}");
        }
        ensure!(policy_condition(&policy, "Synced").is_some_and(|c| c.0 == "False"), "{policy:?}");
        ensure!(policy_condition(&policy, "Stalled").is_some_and(|c| c.0 == "True"), "{policy:?}");
        ensure!(drifted(&policy).contains("codeLength"), "{}", drifted(&policy));
        ensure!(scene.simulator.policy() == before, "something was changed");

        scene.simulator.edit_app(OPERATOR, |app| app.roles.push(permission.to_owned()))?;
        scene.simulator.expire_tokens();
        scene.change_policy(json!({ "interval": "5m" })).await?;
        settled(&scene, &scene.policy, "InSync").await?;
        ensure!(scene.simulator.policy().default_length == 12);
        Ok(())
    })
}

#[test]
fn values_that_the_tenant_refuses_are_reported_once() -> Result<()> {
    run(async {
        let scene = tenants::scene("not-taken").await?;
        // The tenant's minimum of 1h stays, because it is not managed.
        let spec = json!({
            "tenant": scene.connection, "enforcement": "Enforce",
            "method": { "lifetime": { "maximum": "30m" } },
        });
        scene.policy_named(&scene.policy, spec).await?;
        let policy = settled(&scene, &scene.policy, "NotTaken").await?;
        let (_, _, message) = policy_condition(&policy, "Ready").context("no Ready")?;
        ensure!(message.contains("change the policy"), "{message}");
        ensure!(policy_condition(&policy, "Stalled").is_some_and(|c| c.0 == "True"));
        let writes = scene.simulator.requests_for(Operation::PolicyPatch).len();
        ensure!(writes == 1, "{writes} PATCHes");

        scene.change_policy(json!({ "method": { "lifetime": { "maximum": "2h" } } })).await?;
        settled(&scene, &scene.policy, "InSync").await?;
        ensure!(scene.simulator.policy().maximum_lifetime_in_minutes == 120);
        Ok(())
    })
}

#[test]
fn a_policy_that_manages_nothing_reads_and_says_so() -> Result<()> {
    run(async {
        let scene = tenants::scene("nothing").await?;
        scene.policy(json!({})).await?;
        let policy = settled(&scene, &scene.policy, "AdmitsRequests").await?;
        ensure!(policy_condition(&policy, "Ready").is_some_and(|c| c.0 == "True"));
        let version = policy.metadata.resource_version;
        // Another reconcile does not write it again.
        let reads = scene.simulator.requests_for(Operation::PolicyGet).len();
        scene.ask("later", &scene.user(), json!({})).await?;
        scene.wait_active("later").await?;
        ensure!(scene.simulator.requests_for(Operation::PolicyGet).len() > reads);
        let now = scene.policies().await?.get(&scene.policy).await?;
        ensure!(now.metadata.resource_version == version, "{now:?}");
        Ok(())
    })
}

#[test]
fn a_group_by_another_name_is_reported_and_not_written() -> Result<()> {
    run(async {
        use graph_simulator::tenant::{BREAK_GLASS_GROUP, PILOT_GROUP};

        let scene = tenants::scene("names").await?;
        let spec = json!({
            "tenant": scene.connection, "enforcement": "Enforce",
            "method": {
                "include": [{ "group": PILOT_GROUP, "displayName": "Somebody else" }],
                "exclude": [{ "group": BREAK_GLASS_GROUP, "displayName": "Break glass" }],
            },
        });
        scene.policy_named(&scene.policy, spec).await?;
        let policy = settled(&scene, &scene.policy, "InSync").await?;
        let status = policy.status.clone().unwrap_or_default();
        ensure!(status.drift.len() == 1, "{status:?}");
        ensure!(status.drift[0].observed == "Helpdesk pilot", "{status:?}");
        let values = scene.simulator.policy();
        ensure!(values.include_targets.len() == 1, "{values:?}");
        ensure!(values.include_targets[0].id == PILOT_GROUP.to_string(), "{values:?}");
        ensure!(values.exclude_targets.len() == 1, "{values:?}");
        ensure!(scene.simulator.requests_for(Operation::PolicyPatch).len() == 1);
        Ok(())
    })
}

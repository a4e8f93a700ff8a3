//! The shortest path through everything: one field of the tenant is corrected, one pass is issued and revoked.

use anyhow::{Context, Result, ensure};
use kube::Api;
use serde_json::json;
use tap_operator::api::{Phase, TapPolicy, TapRequest};

use crate::scene::readers;
use crate::support::run;
use crate::support::world::World;

#[test]
fn a_tenant_is_corrected_and_a_pass_is_issued_revoked_and_gone() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let plane = &world.control_plane;
        let namespace = plane.new_namespace("thin").await?;
        let ivy = plane.person("ivy")?;
        plane.grant_everywhere(&ivy, "tap-policy-admin").await?;
        let issuance = json!({
            "namespaces": { "names": [&namespace] },
            "users": { "domains": ["contoso.com"] },
            "approval": { "required": 0 },
        });
        let policy = json!({
            "apiVersion": "tap-operator.io/v1alpha1",
            "kind": "TapPolicy",
            "metadata": { "name": "thin" },
            "spec": { "tenant": "default", "method": { "codeLength": 12 }, "enforcement": "Enforce", "issuance": issuance },
        });
        ivy.apply(&policy.to_string()).ok().await?;
        let policies: Api<TapPolicy> = Api::all(ivy.client().await?);
        let synced = |p: &TapPolicy| {
            p.status
                .iter()
                .flat_map(|s| &s.conditions)
                .any(|c| c.type_ == "Synced" && c.status == "True")
        };
        world.wait_for(&policies, "thin", "it is synced", synced).await?;
        ensure!(world.simulator.policy().default_length == 12, "the tenant was not corrected");

        let helen = plane.person("helen")?;
        let may_read = readers(helen.user()).to_string();
        plane.admin().apply(&may_read).in_namespace(&namespace).ok().await?;
        plane.grant(&helen, "tap-requester", &namespace).await?;
        plane.grant(&helen, "tap-deleter", &namespace).await?;
        plane.grant_policy(&helen, "use", "thin", &namespace).await?;
        let request = json!({
            "apiVersion": "tap-operator.io/v1alpha1",
            "kind": "TapRequest",
            "metadata": { "name": "alice", "namespace": &namespace },
            "spec": { "policyRef": { "name": "thin" }, "user": "alice@contoso.com" },
        });
        helen.apply(&request.to_string()).ok().await?;
        let requests: Api<TapRequest> = Api::namespaced(helen.client().await?, &namespace);
        let active = |r: &TapRequest| r.phase() == Phase::Active;
        let active = world.wait_for(&requests, "alice", "it is active", active).await?;
        let pass =
            active.status.and_then(|s| s.pass).context("an active request records its pass")?;
        let code = helen
            .kubectl(["get", "secret", "alice", "--output=jsonpath={.data.temporaryAccessPass}"])
            .in_namespace(&namespace)
            .ok()
            .await?;
        ensure!(!code.is_empty(), "the Secret has no code");

        let revoke = r#"[{"op":"add","path":"/status/decisions/-","value":{"by":"helen","decision":"Revoke"}}]"#;
        helen
            .kubectl([
                "patch",
                "tap",
                "alice",
                "--subresource=status",
                "--type=json",
                "--patch",
                revoke,
            ])
            .in_namespace(&namespace)
            .ok()
            .await?;
        let revoked =
            |r: &TapRequest| r.phase() == Phase::Revoked && r.metadata.finalizers.is_none();
        world.wait_for(&requests, "alice", "it is revoked and released", revoked).await?;
        let secret =
            helen.kubectl(["get", "secret", "alice"]).in_namespace(&namespace).refused().await?;
        ensure!(secret.contains("NotFound"), "{secret}");
        let entry = world
            .simulator
            .ledger()
            .into_iter()
            .find(|e| e.id.to_string() == pass.id)
            .context("the ledger knows the pass")?;
        ensure!(!entry.is_live(), "the pass is still usable: {entry:?}");

        helen.kubectl(["delete", "tap", "alice"]).in_namespace(&namespace).ok().await?;
        Ok(())
    })
}

//! Mutating policies of the platform team change what the operator writes, too, as those of Kyverno and Gatekeeper do.

use anyhow::{Result, ensure};
use graph_simulator::{Actor, End};
use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use tap_operator::api::{DecisionKind, Phase, TapRequest};

use crate::scene::{QuietWrite, Scene};
use crate::support::{run, wait};

const LABEL: &str = "contoso.com/cost-center";
const WRITER: &str = "contoso.com/last-writer";
const FINALIZER: &str = "contoso.com/inventory";

/// A policy that changes every update of a request in this namespace, and its binding: it sets a label, an annotation that
/// is another for each writer, and a finalizer while the request is not being deleted.
fn mutator(name: &str, namespace: &str) -> Value {
    let registration = "admissionregistration.k8s.io/v1";
    let marks = format!(
        r#"Object{{metadata: Object.metadata{{
            labels: {{"{LABEL}": "7"}}, annotations: {{"{WRITER}": request.userInfo.username}}
        }}}}"#
    );
    let holds = format!(
        r#"has(object.metadata.deletionTimestamp) || "{FINALIZER}" in object.metadata.?finalizers.orValue([]) ? [] :
        [JSONPatch{{op: "add", path: "/metadata/finalizers",
        value: object.metadata.?finalizers.orValue([]) + ["{FINALIZER}"]}}]"#
    );
    json!({ "apiVersion": "v1", "kind": "List", "items": [
        {
            "apiVersion": registration, "kind": "MutatingAdmissionPolicy", "metadata": { "name": name },
            "spec": {
                "failurePolicy": "Fail", "reinvocationPolicy": "Never",
                "matchConstraints": {
                    "namespaceSelector": { "matchLabels": { "kubernetes.io/metadata.name": namespace } },
                    "resourceRules": [{
                        "apiGroups": ["tap-operator.io"], "apiVersions": ["*"], "operations": ["UPDATE"],
                        "resources": ["taprequests", "taprequests/status"],
                    }],
                },
                "mutations": [
                    { "patchType": "ApplyConfiguration", "applyConfiguration": { "expression": marks } },
                    { "patchType": "JSONPatch", "jsonPatch": { "expression": holds } },
                ],
            },
        },
        {
            "apiVersion": registration, "kind": "MutatingAdmissionPolicyBinding",
            "metadata": { "name": name }, "spec": { "policyName": name },
        },
    ]})
}

/// Installs the policy, and waits until it is in force, by dry runs on this request.
async fn install(scene: &Scene<'_>, request: &str) -> Result<Api<TapRequest>> {
    let admin = scene.world.control_plane.admin();
    admin.apply(&mutator(&scene.namespace, &scene.namespace).to_string()).ok().await?;
    let requests: Api<TapRequest> = Api::namespaced(admin.client().await?, &scene.namespace);
    let trial = PatchParams { dry_run: true, ..PatchParams::default() };
    wait::until(wait::PATIENCE, "the policy is in force", || async {
        let touched = Patch::Merge(json!({ "metadata": { "labels": { "touched": "yes" } } }));
        let after = requests.patch(request, &trial, &touched).await?;
        ensure!(after.labels().contains_key(LABEL), "{:?}", after.labels());
        Ok(())
    })
    .await?;
    Ok(requests)
}

#[test]
fn stop_neither_an_issue_nor_a_revocation_nor_a_deletion() -> Result<()> {
    run(async {
        let scene = Scene::shared("mutated").await?;
        scene.policy(json!({ "approval": { "required": 1 } })).await?;
        let users = [scene.user(), scene.user()];
        for (name, user) in ["revoked", "deleted"].into_iter().zip(&users) {
            scene.ask(name, user, json!({})).await?;
            scene.wait_phase(name, Phase::AwaitingApproval, "AwaitingApproval").await?;
        }
        let requests = install(&scene, "revoked").await?;

        let mut passes = Vec::new();
        for name in ["revoked", "deleted"] {
            scene.decide(&scene.approver, name, DecisionKind::Approve).await?;
            let live = scene.wait_active(name).await?;
            ensure!(live.labels().get(LABEL).is_some_and(|v| v == "7"), "{:?}", live.labels());
            ensure!(live.annotations()[WRITER].contains("tap-operator"), "it did not ride along");
            ensure!(!scene.code(name).await?.is_empty());
            passes.push(live);
        }

        scene.decide(&scene.helpdesk, "revoked", DecisionKind::Revoke).await?;
        let over = |seen: &TapRequest| {
            seen.phase() == Phase::Revoked
                && !seen.finalizers().iter().any(|f| f == "tap-operator.io/pass")
        };
        let ended =
            scene.world.wait_for(scene.requests(), "revoked", "it is released", over).await?;
        ensure!(ended.finalizers() == [FINALIZER], "{:?}", ended.finalizers());

        scene.delete("deleted").await?;
        let released =
            |seen: &TapRequest| !seen.finalizers().iter().any(|f| f == "tap-operator.io/pass");
        scene.world.wait_for(scene.requests(), "deleted", "it is released", released).await?;
        // The finalizer of the platform team is for the platform team to remove.
        let free = Patch::Merge(json!({ "metadata": { "finalizers": null } }));
        requests.patch("deleted", &PatchParams::default(), &free).await?;
        scene.wait_gone("deleted").await?;

        for (request, user) in passes.iter().zip(&users) {
            let pass = scene.pass_of(request)?;
            ensure!(matches!(pass.end, End::Deleted { by: Actor::App { .. }, .. }), "{pass:?}");
            ensure!(scene.ledger(user).len() == 1, "{:?}", scene.ledger(user));
            // The intent and the release, each once more at most after a conflict: nothing is written again because it
            // came back with more than was sent.
            let path = format!(
                "/apis/tap-operator.io/v1alpha1/namespaces/{}/taprequests/{}",
                scene.namespace,
                request.name_any()
            );
            let writes = scene.operator_writes(1).await?;
            let of_it = |write: &&QuietWrite| write.path == path && write.verb == "patch";
            ensure!((2..=4).contains(&writes.iter().filter(of_it).count()), "{writes:#?}");
        }
        Ok(())
    })
}

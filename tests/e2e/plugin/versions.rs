//! Definitions of another version than the program: what they do not know is refused, and said, and never left out in silence.

use anyhow::{Context as _, Result, ensure};
use kube::Api;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tap_operator::api::{TapRequest, crds};

use super::{KEYS, expect, one_line_and_a_remedy};
use crate::support::control_plane::{ControlPlane, Options};
use crate::support::identity::Identity;
use crate::support::kubectl::Outcome;
use crate::support::program::kubectl_tap;
use crate::support::run;
use crate::support::terminal::Terminal;
use crate::support::world::requests_are_known;

/// A cluster with the definitions as they were before they had these fields, and with nothing that serves them.
async fn older(without: &[&str]) -> Result<ControlPlane> {
    let plane =
        ControlPlane::start(Options { controller_manager: false, ..Options::default() }).await?;
    for (_, mut definition) in crds::all() {
        if definition["spec"]["names"]["kind"] == "TapRequest" {
            for path in without {
                let (parent, field) = path.rsplit_once('/').context("a path")?;
                let parent = format!(
                    "/spec/versions/0/schema/openAPIV3Schema/properties/{parent}/properties"
                );
                let parent = definition.pointer_mut(&parent).context("no such field")?;
                parent
                    .as_object_mut()
                    .and_then(|fields| fields.remove(field))
                    .context("no field")?;
            }
        }
        plane.admin().apply(&definition.to_string()).ok().await?;
    }
    requests_are_known(&plane, false).await?;
    Ok(plane)
}

async fn tap(who: &Identity, arguments: &[&str]) -> Result<Outcome> {
    let namespace = ["--namespace=default"];
    let arguments = arguments.iter().chain(&namespace).copied();
    who.program(&kubectl_tap()?, arguments).run().await
}

async fn requests(plane: &ControlPlane) -> Result<Api<TapRequest>> {
    Ok(Api::namespaced(plane.admin().client().await?, "default"))
}

#[test]
fn keys_that_the_cluster_does_not_know_are_not_left_out() -> Result<()> {
    run(async {
        let plane = older(&["spec/recipients", "spec/oneTimeUse"]).await?;
        let admin = plane.admin();
        let policy = json!({
            "apiVersion": "tap-operator.io/v1alpha1", "kind": "TapPolicy", "metadata": { "name": "helpdesk" },
            "spec": { "tenant": "default" },
        });
        admin.apply(&policy.to_string()).ok().await?;
        let key = std::fs::read_to_string(format!("{KEYS}/ed25519.pub"))?;
        let ask = ["request", "alice@contoso.com", "--policy", "helpdesk", "--name", "asked"];
        for (more, fields) in [
            (&["--recipient", key.trim()][..], "spec.recipients"),
            (&["--recipient", key.trim(), "--dry-run"], "spec.recipients"),
            (&["--multi-use"], "spec.oneTimeUse"),
            (&["--multi-use", "--recipient", key.trim()], "spec.oneTimeUse, spec.recipients"),
        ] {
            let refused = tap(admin, &[&ask[..], more].concat()).await?;
            expect(&refused, 1, &format!("does not know {fields}: nothing was written"))?;
            ensure!(refused.stdout.is_empty(), "{refused}");
            one_line_and_a_remedy(&refused.stderr)?;
        }
        // A code that only this terminal can open must not be asked for in the clear.
        let reveal = [&ask[..], &["--reveal", "--namespace=default"]].concat();
        let (code, screen) = Terminal::start(admin, &kubectl_tap()?, &reveal)?.end().await?;
        ensure!(code == Some(1) && screen.contains("does not know spec.recipients"), "{screen}");
        ensure!(screen.contains("hint: use the kubectl-tap of the version"), "{screen}");
        let there = requests(&plane).await?.list(&ListParams::default()).await?.items;
        ensure!(there.is_empty(), "{there:?}");
        // What the cluster knows can be asked for.
        let asked = tap(admin, &ask).await?;
        expect(&asked, 0, "A pass for alice@contoso.com")?;
        Ok(())
    })
}

/// A request that awaits approval, as its operator wrote it.
async fn awaiting(plane: &ControlPlane, name: &str, more: Value) -> Result<()> {
    let requests = requests(plane).await?;
    let request = json!({
        "apiVersion": "tap-operator.io/v1alpha1", "kind": "TapRequest", "metadata": { "name": name },
        "spec": { "policyRef": { "name": "helpdesk" }, "user": "alice@contoso.com", "requestedBy": "heidi@contoso.com" },
    });
    requests.create(&PostParams::default(), &serde_json::from_value(request)?).await?;
    let mut status = json!({
        "phase": "AwaitingApproval",
        "conditions": [{
            "type": "Ready", "status": "True", "reason": "AwaitingApproval", "message": "1 more person must approve",
            "lastTransitionTime": "2026-11-29T17:25:00Z",
        }],
    });
    status.as_object_mut().context("a map")?.extend(more.as_object().context("a map")?.clone());
    let patch = Patch::Merge(json!({ "status": status }));
    requests.patch_status(name, &PatchParams::default(), &patch).await?;
    Ok(())
}

fn resolved() -> Value {
    json!({ "resolved": {
        "tenantId": "7f2d6c1e-3b6a-4c64-9d0e-5a1c3e2b4f60", "userId": "0b1c7c1e-3b6a-4c64-9d0e-5a1c3e2b4f60",
        "userPrincipalName": "alice@contoso.com", "lifetime": "1h", "oneTimeUse": true,
    } })
}

#[test]
fn a_comment_that_the_cluster_does_not_know_is_no_decision() -> Result<()> {
    run(async {
        // Nor does it know what `show` says of deadlines and approvals.
        let plane = older(&[
            "status/properties/decisions/items/comment",
            "status/deadline",
            "status/approvals",
        ])
        .await?;
        let admin = plane.admin();
        awaiting(&plane, "waits", resolved()).await?;
        let inbox = tap(admin, &["inbox"]).await?;
        ensure!(inbox.stdout.contains("alice@contoso.com   1h, works once"), "{inbox}");
        let shown = tap(admin, &["show", "waits"]).await?;
        ensure!(shown.stdout.contains("AwaitingApproval"), "{shown}");
        ensure!(!shown.stdout.contains("has not looked at it"), "{shown}");

        let comment = ["approve", "waits", "--yes", "-m", "called back"];
        let refused = tap(admin, &comment).await?;
        expect(&refused, 1, "does not know status.decisions[0].comment: nothing was written")?;
        one_line_and_a_remedy(&refused.stderr)?;
        let requests = requests(&plane).await?;
        ensure!(requests.get("waits").await?.decisions().is_empty());
        let approved = tap(admin, &["approve", "waits", "--yes"]).await?;
        expect(&approved, 0, "")?;
        ensure!(requests.get("waits").await?.decisions().len() == 1);
        // What takes a pass away is not kept from it by its comment.
        let revoked = tap(admin, &["revoke", "waits", "-m", "the phone is back"]).await?;
        expect(&revoked, 0, "so the comment is left out")?;
        ensure!(requests.get("waits").await?.decisions().len() == 2);
        Ok(())
    })
}

#[test]
fn a_request_that_does_not_say_what_it_is_for_is_not_approved() -> Result<()> {
    run(async {
        let plane = older(&["status/resolved"]).await?;
        awaiting(&plane, "unsaid", json!({})).await?;
        let refused = tap(plane.admin(), &["approve", "unsaid", "--yes"]).await?;
        expect(&refused, 1, "does not say for which user and lifetime an approval would be")?;
        ensure!(refused.stderr.contains("use the kubectl-tap of the version"), "{refused}");

        // Whoever may not read definitions learns it, too.
        let person = plane.person("heidi@contoso.com")?;
        let report = async |who: &Identity| {
            let outcome = tap(who, &["doctor", "-o", "json"]).await?;
            let report: Value = serde_json::from_str(&outcome.stdout)?;
            let findings = report["findings"].as_array().context("no findings")?.clone();
            let found = findings.into_iter().find(|finding| finding["check"] == "definitions");
            found.with_context(|| outcome.to_string())
        };
        for (who, name) in [(plane.admin(), "taprequests.tap-operator.io"), (&person, "TapRequest")]
        {
            let found = report(who).await?;
            ensure!(found["result"] == "warning", "{found:#}");
            let detail = found["finding"].as_str().unwrap_or_default();
            ensure!(detail.contains(&format!("{name} lacks status.resolved")), "{found:#}");
        }
        Ok(())
    })
}

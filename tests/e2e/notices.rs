//! Notices to a receiver outside of the cluster.

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tap_operator::api::{DecisionKind, Phase};

use crate::scene::Scene;
use crate::support::{run, wait};

#[test]
fn a_receiver_that_was_down_is_told_what_people_did_once_and_signed() -> Result<()> {
    run(async {
        let scene = Scene::shared("told").await?;
        let receiver = &scene.world.receiver;
        receiver.down_for(&scene.namespace, true);
        scene.policy(json!({"approval": {"required": 1, "contact": "#helpdesk"}})).await?;
        scene.ask("lost-phone", &scene.user(), json!({"reason": "INC1"})).await?;
        scene.wait_phase("lost-phone", Phase::AwaitingApproval, "AwaitingApproval").await?;
        scene.decide(&scene.approver, "lost-phone", DecisionKind::Approve).await?;
        let active = scene.wait_active("lost-phone").await?;
        wait::until(wait::PATIENCE, "it was tried", || async {
            ensure!(!receiver.got_about(&scene.namespace).is_empty(), "nothing came");
            Ok(())
        })
        .await?;

        receiver.down_for(&scene.namespace, false);
        let taken = || {
            let mut got = receiver.got_about(&scene.namespace);
            got.retain(|got| got.taken);
            got
        };
        wait::until(wait::PATIENCE, "it is told", || async {
            ensure!(taken().len() >= 3, "{:?}", taken());
            Ok(())
        })
        .await?;
        let kinds: Vec<_> = taken().iter().map(|got| got.event["data"]["kind"].clone()).collect();
        ensure!(kinds == ["AwaitingApproval", "Approved", "Issued"], "{kinds:?}");
        let got = receiver.got_about(&scene.namespace);
        ensure!(!got[0].taken && got[0].event["id"] == taken()[0].event["id"], "another id");
        ensure!(got.iter().all(|got| got.genuine), "a signature is wrong");
        let asked = &taken()[0].event["data"];
        ensure!(asked["requester"] == scene.helpdesk.user(), "{asked:#}");
        ensure!(asked["ticket"] == "INC1" && asked["contact"] == "#helpdesk", "{asked:#}");
        ensure!(asked["deadline"].is_string() && asked["how_to_approve"].is_array(), "{asked:#}");
        let code = scene.code("lost-phone").await?;
        let pass = active.status.and_then(|status| status.pass).context("a pass")?;
        let issued = &taken()[2].event["data"];
        ensure!(issued["pass_id"] == pass.id, "{issued:#}");
        ensure!(got.iter().all(|got| !String::from_utf8_lossy(&got.body).contains(&code)));
        Ok(())
    })
}

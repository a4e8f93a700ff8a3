//! Somebody deletes or replaces the operator's pass in the portal, after its user has signed in with it.

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tap_operator::api::Phase;
use uuid::Uuid;

use crate::phases::wait_for_reads;
use crate::scene::{Scene, condition};
use crate::support::run;
use crate::tenants;

/// What somebody does in the portal.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Click {
    Delete,
    Replace,
}

impl Click {
    /// Does it to the only pass of this user. Returns the id of the new pass, if there is one.
    fn at(self, scene: &Scene<'_>, user: &str) -> Result<Option<Uuid>> {
        match self {
            Self::Delete => {
                let pass = scene.ledger(user).pop().context("no pass")?;
                scene.simulator.portal_delete_pass(user, pass.id)?;
                Ok(None)
            }
            Self::Replace => Ok(Some(scene.simulator.portal_create_pass(user, &json!({}))?)),
        }
    }
}

/// Checks that the operator has asked for one pass for this user and done nothing else there, and that the foreign pass
/// lives.
fn left_alone(scene: &Scene<'_>, user: &str, theirs: Option<Uuid>) -> Result<()> {
    let writes = scene.writes_about(user)?;
    ensure!(writes.len() == 1, "more than one POST: {writes:?}");
    let live: Vec<Uuid> =
        scene.ledger(user).iter().filter(|pass| pass.is_live()).map(|pass| pass.id).collect();
    ensure!(live == theirs.into_iter().collect::<Vec<_>>(), "{:?}", scene.ledger(user));
    Ok(())
}

/// Waits until the request has ended because its pass was removed, and holds nothing any more.
async fn removed(scene: &Scene<'_>, name: &str) -> Result<()> {
    let ended = scene.wait_phase(name, Phase::Revoked, "PassRemoved").await?;
    let (_, _, message) = condition(&ended, "Ready").context("no condition Ready")?;
    ensure!(message.contains("removed or replaced"), "{message}");
    ensure!(scene.secret(name).await?.is_none(), "the Secret of {name} is still there");
    scene.wait_released(name, Phase::Revoked).await?;
    Ok(())
}

async fn deleted(scene: &Scene<'_>, name: &str) -> Result<()> {
    scene.delete(name).await?;
    scene.wait_gone(name).await
}

#[test]
fn before_the_use_was_seen() -> Result<()> {
    run(async {
        let scene = tenants::scene("unseen").await?;
        scene.simulator.switch(|switches| switches.use_seen_lag_seconds = 3600);
        scene.policy(json!({ "requireOneTimeUse": false })).await?;
        for (name, one_time, click) in [
            ("once-deleted", true, Click::Delete),
            ("once-replaced", true, Click::Replace),
            ("often-deleted", false, Click::Delete),
            ("often-replaced", false, Click::Replace),
        ] {
            let user = scene.user();
            scene.ask(name, &user, json!({ "oneTimeUse": one_time })).await?;
            let request = scene.wait_active(name).await?;
            scene.simulator.sign_in(&user, &scene.code(name).await?)?;
            // The operator does not see yet that it was used.
            wait_for_reads(&scene, &request, 2).await?;
            scene.wait_active(name).await?;
            let theirs = click.at(&scene, &user)?;
            removed(&scene, name).await?;
            deleted(&scene, name).await?;
            left_alone(&scene, &user, theirs).with_context(|| name.to_owned())?;
        }
        Ok(())
    })
}

#[test]
fn after_the_use_was_seen() -> Result<()> {
    run(async {
        let scene = Scene::shared_with_policy("seen").await?;
        for (name, click) in [("deleted", Click::Delete), ("replaced", Click::Replace)] {
            let user = scene.user();
            scene.ask(name, &user, json!({})).await?;
            scene.wait_active(name).await?;
            scene.simulator.sign_in(&user, &scene.code(name).await?)?;
            scene.wait_phase(name, Phase::Used, "PassUsed").await?;
            let used = scene.wait_released(name, Phase::Used).await?;
            let theirs = click.at(&scene, &user)?;

            // If the operator does anything about it, it does so before it issues this other pass.
            let other = format!("after-{name}");
            scene.ask(&other, &scene.user(), json!({})).await?;
            scene.wait_active(&other).await?;
            let still = scene.requests().get(name).await?;
            ensure!(still.metadata.resource_version == used.metadata.resource_version, "{still:?}");
            deleted(&scene, name).await?;
            left_alone(&scene, &user, theirs).with_context(|| name.to_owned())?;
        }
        Ok(())
    })
}

#[test]
fn after_a_use_of_several() -> Result<()> {
    run(async {
        let scene = Scene::shared("several").await?;
        scene.policy(json!({ "requireOneTimeUse": false })).await?;
        for (name, click) in [("deleted", Click::Delete), ("replaced", Click::Replace)] {
            let user = scene.user();
            scene.ask(name, &user, json!({ "oneTimeUse": false })).await?;
            let request = scene.wait_active(name).await?;
            let code = scene.code(name).await?;
            scene.simulator.sign_in(&user, &code)?;
            wait_for_reads(&scene, &request, 2).await?;
            scene.simulator.sign_in(&user, &code)?;
            let theirs = click.at(&scene, &user)?;
            removed(&scene, name).await?;
            deleted(&scene, name).await?;
            left_alone(&scene, &user, theirs).with_context(|| name.to_owned())?;
        }
        Ok(())
    })
}

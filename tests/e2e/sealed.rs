//! Sealed delivery: who can read a code, and where the code is stored.

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use rcgen::RsaKeySize;
use serde_json::json;
use tap_operator::api::Phase;

use crate::scene::{Scene, condition};
use crate::support::age::Reader;
use crate::support::canary::Search;
use crate::support::run;

#[test]
fn a_sealed_code_opens_with_each_recipients_key_alone_and_is_nowhere_in_the_clear() -> Result<()> {
    run(async {
        let scene = Scene::shared("sealed").await?;
        scene.policy(json!({ "delivery": "Sealed" })).await?;
        let user = scene.user();
        let readers = [
            Reader::age(),
            Reader::ssh_ed25519("alice@laptop")?,
            Reader::ssh_rsa(RsaKeySize::_2048, "the desk of bob")?,
            Reader::ssh_rsa(RsaKeySize::_4096, "")?,
            Reader::ssh_ed25519("")?,
        ];
        let recipients: Vec<_> = readers.iter().map(|reader| &reader.public).collect();
        scene.ask("sealed", &user, json!({ "recipients": recipients })).await?;
        let active = scene.wait_active("sealed").await?;
        let (_, _, message) = condition(&active, "Ready").context("no condition Ready")?;
        ensure!(message.contains("encrypted to spec.recipients"), "{message}");
        let checks = active.status.as_ref().map(|status| status.checks.as_slice());
        let delivery = checks.into_iter().flatten().find(|check| check.name == "Delivery");
        let says = delivery.and_then(|check| check.message.as_deref()).unwrap_or_default();
        let kinds = "5 recipients (age, ssh-ed25519, ssh-rsa, ssh-rsa, ssh-ed25519)";
        ensure!(says.contains(kinds), "{says}");

        let pass = scene.pass_of(&active)?;
        let code = scene.simulator.code(pass.id).context("a live pass has a code")?;
        let data = scene.secret("sealed").await?.and_then(|secret| secret.data);
        let data = data.context("no data in the Secret")?;
        let keys: Vec<_> = data.keys().map(String::as_str).collect();
        ensure!(
            keys == [
                "notAfter",
                "notBefore",
                "signInUrl",
                "temporaryAccessPass.age",
                "userPrincipalName"
            ],
            "{keys:?}"
        );
        let search = Search::new([&code]);
        for (key, value) in &data {
            ensure!(!search.is_in(&value.0), "{key}: {}", String::from_utf8_lossy(&value.0));
        }

        // As people read it: by kubectl and base64.
        let path = r"--output=jsonpath={.data.temporaryAccessPass\.age}";
        let read = scene.helpdesk.kubectl(["get", "secret", "sealed", path]);
        let read = read.in_namespace(&scene.namespace).ok().await?;
        let sealed = base64::engine::general_purpose::STANDARD.decode(read)?;
        let scratch = scene.world.control_plane.scratch();
        for reader in &readers {
            let opened = reader.open(scratch, &sealed).await.context(reader.public.clone())?;
            ensure!(opened == code, "{}: another code", reader.public);
        }
        let strangers = [
            Reader::age(),
            Reader::ssh_ed25519("alice@laptop")?,
            Reader::ssh_rsa(RsaKeySize::_2048, "the desk of bob")?,
        ];
        for stranger in &strangers {
            stranger.cannot_open(scratch, &sealed).await?;
        }

        let stored = scene.world.control_plane.keys_with(&search).await?;
        ensure!(stored.is_empty(), "the code is in etcd: {stored:?}");
        let files = scene.world.control_plane.etcd_files_with(&search)?;
        ensure!(files.is_empty(), "the code is in etcd's files: {files:?}");
        let log = scene.world.operator.component().log_text();
        ensure!(log.contains("sealed"), "the log does not mention the request");
        ensure!(!search.is_in(&log), "the code is in the log");

        scene.simulator.sign_in(&user, &code)?;
        scene.wait_phase("sealed", Phase::Used, "PassUsed").await?;
        Ok(())
    })
}

/// The counterpart of the test for sealed codes: the same search finds a code in the clear.
#[test]
fn a_code_in_the_clear_is_in_one_key_of_etcd_and_not_in_the_log() -> Result<()> {
    run(async {
        let scene = Scene::shared_with_policy("clear").await?;
        let user = scene.user();
        scene.ask("clear", &user, json!({})).await?;
        scene.wait_active("clear").await?;
        let search = Search::new([scene.code("clear").await?]);
        let stored = scene.world.control_plane.keys_with(&search).await?;
        ensure!(stored == [format!("/registry/secrets/{}/clear", scene.namespace)], "{stored:?}");
        ensure!(!scene.world.control_plane.etcd_files_with(&search)?.is_empty(), "in no file");
        let log = scene.world.operator.component().log_text();
        ensure!(log.contains("clear"), "the log does not mention the request");
        ensure!(!search.is_in(&log), "the code is in the log");
        Ok(())
    })
}

//! Creating a request.

use anyhow::{Result, ensure};
use rcgen::RsaKeySize;
use serde_json::{Value, json};

use crate::call::Expect::{Allowed, Forbidden, Invalid};
use crate::call::{Call, check};
use crate::cluster::text;
use crate::office::{Office, decide, request};
use crate::support::age::Reader;
use crate::support::run;

/// A request with one more field.
fn with(pointer: &str, value: Value) -> Value {
    let mut request = request("new");
    let (parent, key) = pointer.rsplit_once('/').unwrap_or_default();
    request.pointer_mut(parent).unwrap_or(&mut Value::Null)[key] = value;
    request
}

#[test]
fn asking_needs_a_verb_on_the_policy() -> Result<()> {
    run(async {
        let office = Office::new("creation").await?;
        let Office { alice, bob, carol, dave, erin, pipeline, .. } = &office;
        let create = |object| Call::create(&office.requests(), object);
        let plain = || create(request("new"));
        let owner = json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "1"}]);
        let mut restored = with("/metadata/finalizers", json!(["tap-operator.io/pass"]));
        restored["metadata"]["annotations"] =
            json!({"tap-operator.io/intent": r#"{"uid":"74a1cf5b-7a83-4a5b-9c32-0d41c1f0b9aa"}"#});
        let no_use = "needs the verb use on tappolicies/contoso";
        check([
            ("the requester", alice, plain(), Allowed),
            ("a requester who may also approve", bob, plain(), Allowed),
            ("a pipeline", pipeline, plain(), Allowed),
            (
                "a pipeline that applies",
                pipeline,
                Call::apply(&office.request("new"), request("new")),
                Allowed,
            ),
            ("an administrator", &office.cluster.admin, plain(), Allowed),
            ("an editor without the verb", carol, plain(), Forbidden(no_use)),
            ("somebody with another verb", dave, plain(), Forbidden(no_use)),
            ("an approver", erin, plain(), Forbidden("cannot create resource")),
            ("the operator", office.operator(), plain(), Forbidden("cannot create resource")),
            (
                "the requester through another policy",
                alice,
                create(with("/spec/policyRef", json!({"name": "other"}))),
                Forbidden("needs the verb use on tappolicies/other"),
            ),
            (
                "with the operator's finalizer",
                alice,
                create(with("/metadata/finalizers", json!(["tap-operator.io/pass"]))),
                Forbidden("only tap-operator sets the finalizer tap-operator.io/pass"),
            ),
            (
                "with a finalizer of somebody else",
                alice,
                create(with("/metadata/finalizers", json!(["contoso.com/keep"]))),
                Allowed,
            ),
            ("a copy from a backup", alice, create(restored), Allowed),
            (
                "with an owner",
                alice,
                create(with("/metadata/ownerReferences", owner)),
                Forbidden("the ownerReferences of a TapRequest cannot be set"),
            ),
        ])
        .await
    })
}

#[test]
fn a_request_says_who_asked() -> Result<()> {
    run(async {
        let office = Office::new("stamp").await?;
        let says = |requester: &str| with("/spec/requestedBy", json!(requester));
        for object in [request("new"), says(""), says("alice@contoso.com")] {
            let create = Call::create(&office.requests(), object);
            let created = office.alice.call(create.dry_run()).await?;
            ensure!(text(&created, "/spec/requestedBy")? == "alice@contoso.com", "{created:#}");
        }
        let apply = Call::apply(&office.request("new"), request("new"));
        let applied = office.pipeline.call(apply.dry_run()).await?;
        ensure!(text(&applied, "/spec/requestedBy")? == office.pipeline.name(), "{applied:#}");
        let of_bob = || says("bob@contoso.com");
        let copied = Forbidden("a request of somebody else cannot be restored or copied");
        check([
            (
                "in another's name",
                &office.alice,
                Call::create(&office.requests(), of_bob()),
                copied,
            ),
            (
                "a manifest read from the cluster",
                &office.pipeline,
                Call::apply(&office.request("new"), of_bob()),
                copied,
            ),
        ])
        .await
    })
}

#[test]
fn a_new_request_has_no_status_but_the_default() -> Result<()> {
    run(async {
        let office = Office::new("status").await?;
        let decided = json!({
            "phase": "Active", "decisions": [{"by": "bob@contoso.com", "decision": "Approve"}],
        });
        let create = Call::create(&office.requests(), with("/status", decided));
        office.alice.call(create).await?;
        let created = office.alice.call(Call::get(&office.request("new"))).await?;
        ensure!(created["status"] == json!({"phase": "Pending", "decisions": []}), "{created:#}");
        Ok(())
    })
}

#[test]
fn the_schema_refuses_what_is_no_request() -> Result<()> {
    run(async {
        let office = Office::new("schema").await?;
        for (spec, message) in [
            (json!(null), "spec: Required value"),
            (json!("hello"), "spec in body must be of type object"),
            (json!({"user": "nora@contoso.com"}), "spec.policyRef: Required value"),
        ] {
            let refusal =
                office.alice.refused(Call::create(&office.requests(), with("/spec", spec))).await?;
            ensure!(refusal.code == 422 && refusal.message.contains(message), "{refusal:?}");
        }
        Ok(())
    })
}

/// Who may not delete a request would else take its record away by a time to live.
#[test]
fn a_finished_request_stays_for_a_day_at_least() -> Result<()> {
    run(async {
        let office = Office::new("kept").await?;
        let living = |time: &str| {
            let mut request = with("/spec/startTime", json!("2020-01-01T08:00:00Z"));
            request["spec"]["ttlAfterFinished"] = json!(time);
            Call::create(&office.requests(), request)
        };
        let day = Invalid("spec.ttlAfterFinished: Invalid value");
        check([
            ("no time", &office.alice, living("0m"), day),
            ("less than a day", &office.alice, living("23h59m"), day),
            ("a day", &office.alice, living("24h"), Allowed),
            ("a day in minutes", &office.alice, living("1440m"), Allowed),
        ])
        .await
    })
}

#[test]
fn a_copy_from_a_backup_is_another_request() -> Result<()> {
    run(async {
        let office = Office::new("copies").await?;
        let Office { bob, pipeline, .. } = &office;
        office.ask("lost").await?;
        bob.call(Call::json_patch(&office.status("lost"), decide(bob.name(), "Approve"))).await?;
        let saved = office.issue("lost").await?;
        office.delete_secret("lost").await?;
        office.finish("lost").await?;
        office.alice.call(Call::delete(&office.request("lost"), json!({}))).await?;

        let mut copy = saved.clone();
        copy["metadata"]["resourceVersion"] = json!(null);
        copy["metadata"]["creationTimestamp"] = json!("2020-01-01T00:00:00Z");
        let restore = Call::create(&office.requests(), copy);
        // A backup tool is not who asked. As the requester it would pass the checks that are about people.
        let refused = Forbidden("must be the user name of its creator: system:serviceaccount:");
        check([("the ServiceAccount of a backup tool", pipeline, restore.clone(), refused)])
            .await?;
        let restored = office.alice.call(restore).await?;
        ensure!(restored["metadata"]["uid"] != saved["metadata"]["uid"], "{restored:#}");
        ensure!(
            restored["metadata"]["creationTimestamp"].as_str()
                >= saved["metadata"]["creationTimestamp"].as_str(),
            "{restored:#}"
        );
        ensure!(restored["status"] == json!({"phase": "Pending", "decisions": []}), "{restored:#}");
        ensure!(text(&restored, "/spec/requestedBy")? == office.alice.name(), "{restored:#}");
        // Its intent has the uid of the first request, which tells the operator that this is a copy.
        let intent = "/metadata/annotations/tap-operator.io~1intent";
        let (intent, uid) = (text(&restored, intent)?, text(&saved, "/metadata/uid")?);
        ensure!(intent.contains(uid), "{restored:#}");
        Ok(())
    })
}

#[test]
fn recipients_are_public_keys_and_each_refusal_says_what_is_wrong() -> Result<()> {
    run(async {
        let office = Office::new("recipients").await?;
        let create = |keys: Value| {
            Call::create(&office.requests(), with("/spec/recipients", keys)).dry_run()
        };
        let age = Reader::age().public;
        let ed25519 = Reader::ssh_ed25519("alice@laptop")?.public;
        let rsa = Reader::ssh_rsa(RsaKeySize::_2048, "the desk of bob")?.public;
        let long = Reader::ssh_rsa(RsaKeySize::_4096, "")?.public;
        let ten: Vec<_> = (0..10).map(|_| Reader::age().public).collect();
        let other = rsa.replace("the desk of bob", "the desk of carol");
        for keys in [json!([age, ed25519, rsa, other, long]), json!(ten)] {
            office.alice.call(create(keys)).await?;
        }

        let eleven = [ten.as_slice(), &[Reader::age().public]].concat();
        let pem =
            "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQ\n";
        let large =
            format!("-----BEGIN RSA PRIVATE KEY-----\n{}\n", "MIIJKAIBAAKCAgEA".repeat(200));
        let secret = format!("AGE-SECRET-KEY-1{}", "Q".repeat(58));
        for (keys, message) in [
            (json!([]), "at least 1 items"),
            (json!(eleven), "at most 10 items"),
            (json!([age, secret]), "this is a private key"),
            (json!([secret.to_lowercase()]), "this is a private key"),
            (json!([pem]), "this is a private key"),
            (json!([large]), "this is a private key"),
            (json!(["b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQ"]), "this is a private key"),
            (json!([format!("{age}\n")]), "one public key on one line"),
            (json!([format!("{age}\n{ed25519}")]), "one public key on one line"),
            (json!([format!("{ed25519} {}", "x".repeat(1000))]), "at most 1024 characters"),
            (json!(["alice@contoso.com"]), "must be an age key (age1...) or an SSH public key"),
            (json!([age.to_uppercase()]), "must be an age key (age1...) or an SSH public key"),
            (json!([format!(" {age}")]), "must be an age key (age1...) or an SSH public key"),
            (json!(["ecdsa-sha2-nistp256 AAAAE2VjZHNh"]), "can only sign"),
            (json!(["sk-ssh-ed25519@openssh.com AAAAGnNrLXNz"]), "can only sign"),
            (json!([age, age[..61]]), "age1 and 58 more characters"),
            (json!([format!("{age}q")]), "age1 and 58 more characters"),
            (json!([age.replace("age1", "age1b")[..62]]), "age1 and 58 more characters"),
            (
                json!(["age1yubikey1qwt50d05nh5vutpdzmlg5wn80xq5negm4uj9ghv0snvdd3yysf5yw3rhl3t"]),
                "age plugins",
            ),
            (json!([ed25519[..70]]), "68 characters of base64"),
            (json!([ed25519.replace("ssh-ed25519 ", "ssh-rsa ")]), "with 2048 to 4096 bits"),
            (json!([rsa.replace("ssh-rsa ", "ssh-ed25519 ")]), "68 characters of base64"),
            (json!([rsa[..300]]), "with 2048 to 4096 bits"),
            (json!([format!("{long}{}", "A".repeat(8))]), "with 2048 to 4096 bits"),
            (json!([rsa, other, long, format!("{long} carol")]), "at most 3"),
            (json!([age, ed25519, age]), "named once"),
        ] {
            let refusal = office.alice.refused(create(keys.clone())).await?;
            ensure!(
                refusal.code == 422 && refusal.message.contains(message),
                "{keys}: {refusal:?}"
            );
            for key in keys.as_array().into_iter().flatten().filter_map(Value::as_str) {
                ensure!(!refusal.message.contains(key), "it repeats the key: {refusal:?}");
            }
        }
        Ok(())
    })
}

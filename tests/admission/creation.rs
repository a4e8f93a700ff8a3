//! Creating a request.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::call::Expect::{Allowed, Forbidden};
use crate::call::{Call, check};
use crate::cluster::text;
use crate::office::{Office, decide, request};
use crate::support::run;

/// A request with something more.
fn with(pointer: &str, value: Value) -> Value {
    let mut request = request("new");
    let (parent, key) = pointer.rsplit_once('/').unwrap_or_default();
    request.pointer_mut(parent).unwrap_or(&mut Value::Null)[key] = value;
    request
}

#[test]
fn who_may_ask_is_a_verb_on_the_policy() -> Result<()> {
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
                Forbidden("the finalizer tap-operator.io/pass is set by tap-operator alone"),
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
        for object in [request("new"), with("/spec/requestedBy", json!("bob@contoso.com"))] {
            let create = Call::create(&office.requests(), object);
            let created = office.alice.call(create.dry_run()).await?;
            ensure!(text(&created, "/spec/requestedBy")? == "alice@contoso.com", "{created:#}");
        }
        let apply = Call::apply(&office.request("new"), request("new"));
        let applied = office.pipeline.call(apply.dry_run()).await?;
        ensure!(text(&applied, "/spec/requestedBy")? == office.pipeline.name(), "{applied:#}");
        Ok(())
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
fn what_is_no_request_is_told_by_the_schema() -> Result<()> {
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
        let restored = pipeline.call(Call::create(&office.requests(), copy)).await?;
        ensure!(restored["metadata"]["uid"] != saved["metadata"]["uid"], "{restored:#}");
        ensure!(
            restored["metadata"]["creationTimestamp"].as_str()
                >= saved["metadata"]["creationTimestamp"].as_str(),
            "{restored:#}"
        );
        ensure!(restored["status"] == json!({"phase": "Pending", "decisions": []}), "{restored:#}");
        ensure!(text(&restored, "/spec/requestedBy")? == pipeline.name(), "{restored:#}");
        // It tells of the first one's uid, by which the operator knows it for a copy.
        let intent = "/metadata/annotations/tap-operator.io~1intent";
        let (intent, uid) = (text(&restored, intent)?, text(&saved, "/metadata/uid")?);
        ensure!(intent.contains(uid), "{restored:#}");
        Ok(())
    })
}

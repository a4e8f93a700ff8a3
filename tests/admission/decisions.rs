//! Decisions on a request, and the rest of its status.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::call::Expect::{Allowed, Forbidden, Invalid};
use crate::call::{Actor, Call, check};
use crate::office::{Office, POLICY, decide, request};
use crate::support::run;

#[test]
fn who_may_decide_what() -> Result<()> {
    run(async {
        let office = Office::new("deciders").await?;
        office.ask("alices").await?;
        let as_pipeline = office.pipeline.name();
        let status = |name: &str, decision: &str, who: &Actor| {
            Call::json_patch(&office.status(name), decide(who.name(), decision))
        };
        // One request by somebody who may approve, and one by a pipeline.
        for (who, name) in [(&office.bob, "bobs"), (&office.pipeline, "pipelines")] {
            who.call(Call::create(&office.requests(), request(name))).await?;
            office.resolve(name).await?;
        }
        let Office { alice, bob, carol, dave, erin, pipeline, .. } = &office;
        let own = "the requester cannot approve or deny the request";
        let robot = "a ServiceAccount cannot approve or deny";
        let verb = "needs the verb approve on tappolicies/contoso";
        check([
            ("an approver approves", bob, status("alices", "Approve", bob), Allowed),
            ("an approver denies", bob, status("alices", "Deny", bob), Allowed),
            ("an approver revokes", bob, status("alices", "Revoke", bob), Allowed),
            ("the requester approves", alice, status("alices", "Approve", alice), Forbidden(own)),
            ("the requester denies", alice, status("alices", "Deny", alice), Forbidden(own)),
            ("the requester revokes", alice, status("alices", "Revoke", alice), Allowed),
            ("an approver's own request", bob, status("bobs", "Approve", bob), Forbidden(own)),
            ("an approver's own request", bob, status("bobs", "Revoke", bob), Allowed),
            ("somebody else's request", alice, status("bobs", "Revoke", alice), Forbidden(verb)),
            ("the role without the verb", erin, status("alices", "Approve", erin), Forbidden(verb)),
            ("the role without the verb", erin, status("alices", "Deny", erin), Forbidden(verb)),
            ("the role without the verb", erin, status("alices", "Revoke", erin), Forbidden(verb)),
            ("an editor", carol, status("alices", "Approve", carol), Forbidden(verb)),
            ("another verb", dave, status("alices", "Approve", dave), Forbidden(verb)),
            ("a pipeline", pipeline, status("alices", "Approve", pipeline), Forbidden(robot)),
            ("a pipeline", pipeline, status("alices", "Deny", pipeline), Forbidden(robot)),
            ("a pipeline", pipeline, status("alices", "Revoke", pipeline), Allowed),
            (
                "a pipeline's own",
                pipeline,
                status("pipelines", "Approve", pipeline),
                Forbidden(robot),
            ),
            ("a pipeline's own", pipeline, status("pipelines", "Revoke", pipeline), Allowed),
            ("a person, on a pipeline's", bob, status("pipelines", "Approve", bob), Allowed),
            (
                "in another's name",
                bob,
                Call::json_patch(&office.status("alices"), decide(as_pipeline, "Approve")),
                Forbidden("by must be bob@contoso.com"),
            ),
            (
                "in one's own name and another's",
                bob,
                Call::merge(
                    &office.status("alices"),
                    json!({"status": {"decisions": [
                        {"by": bob.name(), "decision": "Approve"},
                        {"by": carol.name(), "decision": "Approve"},
                    ]}}),
                ),
                Forbidden("by must be bob@contoso.com"),
            ),
            (
                "by server-side apply",
                bob,
                Call::apply(
                    &office.status("alices"),
                    json!({
                        "apiVersion": "tap-operator.io/v1alpha1", "kind": "TapRequest",
                        "status": {"decisions": [{"by": bob.name(), "decision": "Approve"}]},
                    }),
                ),
                Allowed,
            ),
        ])
        .await
    })
}

/// One person may have several names that differ in case, as Entra takes them for one.
#[test]
fn one_person_decides_under_one_name() -> Result<()> {
    run(async {
        let office = Office::new("spelling").await?;
        let person = async |name: &str| {
            let control_plane = &office.cluster.control_plane;
            let actor = Actor::new(control_plane.person(name)?).await?;
            control_plane.grant(&actor.identity, "tap-approver", &office.namespace).await?;
            let namespace = &office.namespace;
            control_plane.grant_policy(&actor.identity, "approve", POLICY, namespace).await?;
            anyhow::Ok(actor)
        };
        let alice = &person("Alice@Contoso.com").await?;
        let bob = &person("BOB@contoso.com").await?;
        let nora = &person("NORA@contoso.com").await?;
        let user = &person("nora.new@contoso.com").await?;
        office.ask("asked").await?;
        let decide = |who: &Actor, decision: &str| {
            Call::json_patch(&office.status("asked"), decide(who.name(), decision))
        };
        let own = "the requester cannot approve or deny";
        let users = "the user of the pass cannot approve it";
        let twice = "you have approved the request already";
        check([
            ("the requester, in other letters", alice, decide(alice, "Approve"), Forbidden(own)),
            ("the requester, in other letters", alice, decide(alice, "Deny"), Forbidden(own)),
            ("the user", nora, decide(nora, "Approve"), Forbidden(users)),
            ("the user may deny", nora, decide(nora, "Deny"), Allowed),
            ("somebody", bob, decide(bob, "Approve"), Allowed),
        ])
        .await?;
        office.bob.call(decide(&office.bob, "Approve")).await?;
        check([
            ("the same one, in other letters", bob, decide(bob, "Approve"), Forbidden(twice)),
            ("who denies is not counted", bob, decide(bob, "Deny"), Allowed),
            ("another one", user, decide(user, "Approve"), Allowed),
        ])
        .await?;
        // Where sameness grants something, names are compared as they are.
        let stranger =
            &Actor::new(office.cluster.control_plane.person("ALICE@contoso.com")?).await?;
        office
            .cluster
            .control_plane
            .grant(&stranger.identity, "tap-requester", &office.namespace)
            .await?;
        let only = "only alice@contoso.com and people who may approve can revoke";
        check([("not the requester", stranger, decide(stranger, "Revoke"), Forbidden(only))]).await
    })
}

#[test]
fn an_approval_needs_a_resolved_request_that_has_not_ended() -> Result<()> {
    run(async {
        let office = Office::new("timely").await?;
        let Office { alice, bob, .. } = &office;
        alice.call(Call::create(&office.requests(), request("asked"))).await?;
        let decide = |decision: &str| {
            Call::json_patch(&office.status("asked"), decide(bob.name(), decision))
        };
        let early = "wait for the phase AwaitingApproval";
        check([
            ("too early", bob, decide("Approve").dry_run(), Forbidden(early)),
            ("a denial is never too early", bob, decide("Deny").dry_run(), Allowed),
            ("nor is a revocation", bob, decide("Revoke").dry_run(), Allowed),
        ])
        .await?;
        office.resolve("asked").await?;
        check([("in time", bob, decide("Approve").dry_run(), Allowed)]).await?;
        for phase in ["Used", "Expired", "Revoked", "Denied", "Failed"] {
            // The same if it ended before anything was resolved.
            for status in [json!({"phase": phase}), json!({"phase": phase, "resolved": null})] {
                office.write_status("asked", status).await?;
                let ended = format!("the request has ended ({phase})");
                let refusal = bob.refused(decide("Approve").dry_run()).await?;
                ensure!(refusal.code == 403 && refusal.message.contains(&ended), "{refusal:?}");
                bob.call(decide("Revoke").dry_run()).await?;
            }
            office.resolve("asked").await?;
        }
        Ok(())
    })
}

#[test]
fn decisions_are_only_appended() -> Result<()> {
    run(async {
        let office = Office::new("append").await?;
        office.ask("asked").await?;
        let status = office.status("asked");
        let bob = &office.bob;
        bob.call(Call::json_patch(&status, decide(bob.name(), "Approve"))).await?;
        let merge =
            |decisions: Value| Call::merge(&status, json!({"status": {"decisions": decisions}}));
        let approve = json!({"by": bob.name(), "decision": "Approve"});
        let revoke = json!({"by": bob.name(), "decision": "Revoke"});
        let fixed = "a decision cannot be changed or removed";
        let json_patch = |op, path: &str, value: &str| {
            Call::json_patch(&status, json!([{"op": op, "path": path, "value": value}]))
        };
        check([
            ("another", bob, merge(json!([approve, revoke])), Allowed),
            ("the same", bob, merge(json!([approve])), Allowed),
            ("none", bob, merge(json!([])), Forbidden(fixed)),
            (
                "none, as an administrator",
                &office.cluster.admin,
                merge(json!([])),
                Forbidden(fixed),
            ),
            ("nothing", bob, merge(json!(null)), Forbidden(fixed)),
            ("another instead", bob, merge(json!([revoke])), Forbidden(fixed)),
            (
                "a comment",
                bob,
                json_patch("add", "/status/decisions/0/comment", "ok"),
                Forbidden(fixed),
            ),
            (
                "another decision",
                bob,
                json_patch("replace", "/status/decisions/0/decision", "Revoke"),
                Forbidden(fixed),
            ),
            ("the operator, the same", office.operator(), merge(json!([approve])), Allowed),
            (
                "the operator, none",
                office.operator(),
                merge(json!([])),
                Invalid("tap-operator does not change status.decisions"),
            ),
            (
                "the operator, another",
                office.operator(),
                merge(json!([approve, {"by": office.operator().name(), "decision": "Revoke"}])),
                Invalid("tap-operator does not change status.decisions"),
            ),
        ])
        .await
    })
}

#[test]
fn a_comment_reads_as_it_is_written() -> Result<()> {
    run(async {
        let office = Office::new("comments").await?;
        office.ask("one").await?;
        let bob = &office.bob;
        let with = |comment: &str| {
            let decision = json!({"by": bob.name(), "decision": "Deny", "comment": comment});
            let append = json!([{"op": "add", "path": "/status/decisions/-", "value": decision}]);
            Call::json_patch(&office.status("one"), append)
        };
        let rule = "the comment of a decision must be text on one line";
        check([
            ("a plain comment", bob, with("called back, 東京 القاهرة"), Allowed),
            ("an empty comment", bob, with(""), Allowed),
            ("the first control character", bob, with("a\u{0}b"), Forbidden(rule)),
            ("a line break", bob, with("a\nb"), Forbidden(rule)),
            ("an escape sequence", bob, with("\u{1b}[2K"), Forbidden(rule)),
            ("delete", bob, with("a\u{7f}"), Forbidden(rule)),
            ("a control character above ASCII", bob, with("a\u{9b}2K"), Forbidden(rule)),
            ("an Arabic letter mark", bob, with("\u{61c}"), Forbidden(rule)),
            ("a mark from left to right", bob, with("\u{200e}"), Forbidden(rule)),
            ("a mark from right to left", bob, with("\u{200f}"), Forbidden(rule)),
            ("an embedding", bob, with("\u{202a}"), Forbidden(rule)),
            ("an override", bob, with("\u{202e}"), Forbidden(rule)),
            ("an isolate", bob, with("\u{2066}"), Forbidden(rule)),
            ("a line separator", bob, with("\u{2028}"), Forbidden(rule)),
            ("a paragraph separator", bob, with("\u{2029}"), Forbidden(rule)),
            ("the end of an isolate", bob, with("\u{2069}"), Forbidden(rule)),
        ])
        .await
    })
}

#[test]
fn the_rest_of_the_status_is_the_operators() -> Result<()> {
    run(async {
        let office = Office::new("rest").await?;
        office.ask("live").await?;
        office.issue("live").await?;
        let merge = |status: Value| Call::merge(&office.status("live"), json!({"status": status}));
        let only = "people may write only status.decisions, no other part of the status";
        let (bob, carol, admin) = (&office.bob, &office.carol, &office.cluster.admin);
        check([
            ("the phase", bob, merge(json!({"phase": "Revoked"})), Forbidden(only)),
            ("the phase", carol, merge(json!({"phase": "Revoked"})), Forbidden(only)),
            ("the phase", admin, merge(json!({"phase": "Revoked"})), Forbidden(only)),
            (
                "a new field",
                bob,
                merge(json!({"deadline": "2027-01-01T00:00:00Z"})),
                Forbidden(only),
            ),
            ("less", bob, merge(json!({"checks": null})), Forbidden(only)),
            (
                "nothing left",
                bob,
                Call::merge(&office.status("live"), json!({"status": null})),
                Forbidden(only),
            ),
            (
                "beside a decision",
                bob,
                merge(json!({
                    "approvals": "2/2", "decisions": [{"by": bob.name(), "decision": "Approve"}],
                })),
                Forbidden(only),
            ),
            (
                "the operator",
                office.operator(),
                merge(json!({"phase": "Revoked", "secretName": null})),
                Allowed,
            ),
        ])
        .await
    })
}

#[test]
fn a_status_write_changes_no_more_than_the_status() -> Result<()> {
    run(async {
        let office = Office::new("nomore").await?;
        office.ask("live").await?;
        let issued = office.issue("live").await?;
        let patch = json!({
            "metadata": {
                "finalizers": null,
                "annotations": {"tap-operator.io/intent": null},
                "labels": {"a": "b"},
            },
            "spec": {"user": "eve@contoso.com"},
            "status": {"decisions": [{"by": "bob@contoso.com", "decision": "Approve"}]},
        });
        let decided = office.bob.call(Call::merge(&office.status("live"), patch)).await?;
        for field in ["finalizers", "annotations", "labels"] {
            ensure!(
                decided["metadata"][field] == issued["metadata"][field],
                "{field}: {decided:#}"
            );
        }
        ensure!(decided["spec"] == issued["spec"], "{decided:#}");
        Ok(())
    })
}

#[test]
fn an_approval_is_not_inherited() -> Result<()> {
    run(async {
        let office = Office::new("heirs").await?;
        let Office { alice, bob, carol, .. } = &office;
        let status = office.status("asked");
        let first = office.ask("asked").await?;
        bob.call(Call::json_patch(&status, decide(bob.name(), "Approve"))).await?;
        alice.call(Call::delete(&office.request("asked"), json!({}))).await?;
        // A request of the name that Bob approved, but for another user.
        let mut other = request("asked");
        other["spec"]["user"] = json!("eve@contoso.com");
        let second = alice.call(Call::create(&office.requests(), other)).await?;
        ensure!(second["status"]["decisions"] == json!([]), "{second:#}");
        // With a test of the uid, an approval does not count for another request of the same name.
        let approve = |uid: &Value| {
            let mut patch = json!([{"op": "test", "path": "/metadata/uid", "value": uid}]);
            let decision = decide(bob.name(), "Approve")[0].take();
            patch.as_array_mut().into_iter().for_each(|patch| patch.push(decision.clone()));
            Call::json_patch(&status, patch)
        };
        let refusal = bob.refused(approve(&first["metadata"]["uid"])).await?;
        ensure!(refusal.code == 422, "{refusal:?}");
        let untouched = bob.call(Call::get(&office.request("asked"))).await?;
        ensure!(untouched["status"]["decisions"] == json!([]), "{untouched:#}");
        office.resolve("asked").await?;
        bob.call(approve(&second["metadata"]["uid"])).await?;

        // While its pass may be live, the name of the first request is not free.
        office.issue("asked").await?;
        alice.call(Call::delete(&office.request("asked"), json!({}))).await?;
        let create = Call::create(&office.requests(), request("asked"));
        let refusal = alice.refused(create).await?;
        ensure!(refusal.code == 409 && refusal.message.contains("being deleted"), "{refusal:?}");
        let revived = Call::merge(
            &office.request("asked"),
            json!({"metadata": {"deletionTimestamp": null, "labels": {"a": "b"}}}),
        );
        let revived = carol.call(revived).await?;
        ensure!(revived["metadata"]["deletionTimestamp"].is_string(), "{revived:#}");
        Ok(())
    })
}

#[test]
fn kubectl_has_no_other_way_into_the_status() -> Result<()> {
    run(async {
        let office = Office::new("ways").await?;
        office.ask("asked").await?;
        let asked = office.issue("asked").await?;
        let carol = &office.carol.identity;
        let status = json!({"status": {"phase": "Revoked"}}).to_string();
        let decided = json!({"status": {
            "phase": "Active", "decisions": [{"by": office.bob.name(), "decision": "Approve"}],
        }});
        let mut manifest = asked.clone();
        manifest["metadata"]["managedFields"] = Value::Null;
        manifest["status"]["decisions"] = decided["status"]["decisions"].clone();
        let mut applied = request("asked");
        applied["spec"] = Value::Null;
        applied["status"] = decided["status"].clone();
        let patch = |kind| ["patch", "tap", "asked", "--subresource=status", kind, "-p", &status];
        let only = "people may write only status.decisions, no other part of the status";
        let own = "by must be carol@contoso.com";
        for (arguments, input, message) in [
            (&patch("--type=merge")[..], Value::Null, only),
            (&patch("--type=strategic"), Value::Null, "unknown format"),
            (&["replace", "--subresource=status", "-f-"], manifest, own),
            (
                &["apply", "--subresource=status", "--server-side", "--force-conflicts", "-f-"],
                applied,
                own,
            ),
        ] {
            let kubectl = carol.kubectl(arguments.iter().copied()).input(input.to_string());
            let refusal = kubectl.in_namespace(&office.namespace).refused().await?;
            ensure!(refusal.contains(message), "{arguments:?}: {refusal}");
        }
        // A write that does not go to the status subresource leaves the status as it is.
        let patch = ["patch", "tap", "asked", "--type=merge", "-p", &status];
        let answer = carol.kubectl(patch).in_namespace(&office.namespace).ok().await?;
        ensure!(answer.contains("no change"), "{answer}");
        Ok(())
    })
}

#[test]
fn what_was_applied_once_cannot_be_left_out() -> Result<()> {
    run(async {
        let office = Office::new("leaving").await?;
        office.ask("asked").await?;
        let bob = &office.bob;
        let apply = |decisions: Value| {
            let mut object =
                json!({"apiVersion": "tap-operator.io/v1alpha1", "kind": "TapRequest"});
            object["status"]["decisions"] = decisions;
            Call::apply(&office.status("asked"), object)
        };
        let approve = json!({"by": bob.name(), "decision": "Approve"});
        bob.call(apply(json!([approve]))).await?;
        let fixed = "a decision cannot be changed or removed";
        check([
            ("the same", bob, apply(json!([approve])), Allowed),
            ("none", bob, apply(json!([])), Forbidden(fixed)),
            (
                "another",
                bob,
                apply(json!([{"by": bob.name(), "decision": "Revoke"}])),
                Forbidden(fixed),
            ),
        ])
        .await
    })
}

#[test]
fn the_longest_status_is_not_too_long_for_the_rules() -> Result<()> {
    run(async {
        let office = Office::new("longest").await?;
        office.ask("asked").await?;
        let status = office.status("asked");
        let decisions = ["Approve", "Deny", "Revoke"];
        // One decision less than the schema allows.
        for number in 0..31 {
            let name = format!("{}-{}@contoso.com", "somebody".repeat(4), number / 3);
            let identity = office.cluster.control_plane.member(&name, "system:masters")?;
            let mut decision = decide(&name, decisions[number % 3]);
            decision[0]["value"]["comment"] = json!("because".repeat(73));
            Actor::new(identity).await?.call(Call::json_patch(&status, decision)).await?;
        }
        let message = "Why this is so, and what to do about it. ".repeat(20);
        let checks: Vec<_> = (0..30)
            .map(|number| json!({"name": format!("Check{number}"), "result": "Passed", "message": message}))
            .collect();
        let condition = |kind: &str| {
            json!({
                "type": kind, "status": "True", "reason": kind, "message": message,
                "lastTransitionTime": "2026-11-24T08:00:00Z",
            })
        };
        let conditions = ["Ready", "Issued", "Approved", "Finished", "Reconciling"].map(condition);
        office.write_status("asked", json!({"checks": checks, "conditions": conditions})).await?;
        let alice = &office.alice;
        let revoke = Call::json_patch(&status, decide(alice.name(), "Revoke"));
        let revoked = alice.call(revoke).await?;
        ensure!(revoked["status"]["decisions"].as_array().is_some_and(|all| all.len() == 32));
        office.write_status("asked", json!({"phase": "Revoked"})).await.map(drop)
    })
}

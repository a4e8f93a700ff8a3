//! Deciding on a request, and everything else in its status.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::call::Expect::{Allowed, Forbidden, Invalid};
use crate::call::{Actor, Call, check};
use crate::office::{Office, decide};
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
        // A request by somebody who may approve, and one by a pipeline.
        for (who, name) in [(&office.bob, "bobs"), (&office.pipeline, "pipelines")] {
            who.call(Call::create(&office.requests(), crate::office::request(name))).await?;
        }
        let Office { alice, bob, carol, dave, erin, pipeline, .. } = &office;
        let own = "who made the request neither approves nor denies it";
        let robot = "a ServiceAccount neither approves nor denies";
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
        let fixed = "a decision is never changed or dropped";
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
fn the_rest_of_the_status_is_the_operators() -> Result<()> {
    run(async {
        let office = Office::new("rest").await?;
        office.ask("live").await?;
        office.issue("live").await?;
        let merge = |status: Value| Call::merge(&office.status("live"), json!({"status": status}));
        let only = "of the status, people write only status.decisions";
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

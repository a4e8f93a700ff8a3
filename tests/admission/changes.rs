//! Changes to an existing request.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::call::Expect::{Allowed, Forbidden, Invalid};
use crate::call::{Call, check};
use crate::office::{Office, request};
use crate::support::run;

const INTENT: &str = "/metadata/annotations/tap-operator.io~1intent";

fn owner() -> Value {
    json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "1"}])
}

#[test]
fn people_change_nothing_that_counts() -> Result<()> {
    run(async {
        let office = Office::new("people").await?;
        office.ask("live").await?;
        office.issue("live").await?;
        let Office { alice, carol, dave, pipeline, .. } = &office;
        let merge = |patch| Call::merge(&office.request("live"), patch);
        let spec = "the spec of a TapRequest cannot be changed";
        let release = "the verb release on tappolicies/contoso";
        let intent = "only tap-operator writes the annotation tap-operator.io/intent";
        let drop_finalizer = || merge(json!({"metadata": {"finalizers": null}}));
        check([
            ("the spec", carol, merge(json!({"spec": {"user": "eve@contoso.com"}})), Forbidden(spec)),
            ("a new field of the spec", carol, merge(json!({"spec": {"lifetime": "1h"}})), Forbidden(spec)),
            ("less of the spec", carol, merge(json!({"spec": {"reason": null}})), Forbidden(spec)),
            (
                "the spec, as an administrator",
                &office.cluster.admin,
                merge(json!({"spec": {"lifetime": "1h"}})),
                Forbidden(spec),
            ),
            (
                "the requester",
                carol,
                merge(json!({"spec": {"requestedBy": "carol@contoso.com"}})),
                Forbidden("spec.requestedBy says who created the request, alice@contoso.com"),
            ),
            ("labels", carol, merge(json!({"metadata": {"labels": {"a": "b"}}})), Allowed),
            ("labels, with the shipped role", alice, merge(json!({"metadata": {"labels": {"a": "b"}}})),
                Forbidden("cannot patch resource")),
            ("annotations", carol, merge(json!({"metadata": {"annotations": {"a": "b"}}})), Allowed),
            (
                "the intent",
                carol,
                merge(json!({"metadata": {"annotations": {"tap-operator.io/intent": "{}"}}})),
                Forbidden(intent),
            ),
            (
                "the intent, as who may release",
                dave,
                merge(json!({"metadata": {"annotations": {"tap-operator.io/intent": "{}"}}})),
                Forbidden(intent),
            ),
            (
                "a finalizer of somebody else",
                carol,
                merge(json!({"metadata": {"finalizers": ["contoso.com/keep", "tap-operator.io/pass"]}})),
                Allowed,
            ),
            ("no finalizer", carol, drop_finalizer(), Forbidden(release)),
            ("no finalizer, in a pipeline", pipeline, drop_finalizer(), Forbidden(release)),
            ("no finalizer, as who may release", dave, drop_finalizer(), Allowed),
            ("no finalizer, as an administrator", &office.cluster.admin, drop_finalizer(), Allowed),
            (
                "owners",
                carol,
                merge(json!({"metadata": {"ownerReferences": owner()}})),
                Forbidden("ownerReferences of a TapRequest"),
            ),
            (
                "owners, as an administrator",
                &office.cluster.admin,
                merge(json!({"metadata": {"ownerReferences": owner()}})),
                Forbidden("ownerReferences of a TapRequest"),
            ),
        ])
        .await
    })
}

#[test]
fn the_finalizer_is_set_by_nobody_else() -> Result<()> {
    run(async {
        let office = Office::new("finalizer").await?;
        office.ask("new").await?;
        let finalizers = json!({"metadata": {"finalizers": ["tap-operator.io/pass"]}});
        let intent = json!({"metadata": {"annotations": {"tap-operator.io/intent": ""}}});
        let call = |patch: &Value| Call::merge(&office.request("new"), patch.clone());
        check([
            (
                "finalizer",
                &office.carol,
                call(&finalizers),
                Forbidden("only tap-operator sets the finalizer"),
            ),
            (
                "finalizer",
                &office.dave,
                call(&finalizers),
                Forbidden("only tap-operator sets the finalizer"),
            ),
            (
                "intent",
                &office.dave,
                call(&intent),
                Forbidden("only tap-operator writes the annotation"),
            ),
            ("the operator", office.operator(), call(&finalizers), Allowed),
            ("the operator", office.operator(), call(&intent), Allowed),
        ])
        .await
    })
}

#[test]
fn the_operator_writes_its_intent_and_its_finalizer_and_nothing_else_that_counts() -> Result<()> {
    run(async {
        let office = Office::new("operator").await?;
        let mut asked = request("live");
        asked["metadata"]["annotations"] = json!({"contoso.com/ticket": "1"});
        asked["metadata"]["finalizers"] = json!(["contoso.com/keep"]);
        let asked = office.alice.call(Call::create(&office.requests(), asked)).await?;
        let merge = |patch| Call::merge(&office.request("live"), patch);
        let operator = office.operator();
        check([
            (
                "intent and finalizer",
                operator,
                merge(json!({"metadata": {
                    "annotations": {"tap-operator.io/intent": "{}"},
                    "finalizers": ["contoso.com/keep", "tap-operator.io/pass"],
                }})),
                Allowed,
            ),
            (
                "the spec",
                operator,
                merge(json!({"spec": {"reason": "other"}})),
                Invalid("does not change the spec"),
            ),
            (
                "the requester",
                operator,
                merge(json!({"spec": {"requestedBy": null}})),
                Invalid("does not change the spec"),
            ),
            // Another mutating policy of the cluster may add these to the operator's write.
            ("labels", operator, merge(json!({"metadata": {"labels": {"a": "b"}}})), Allowed),
            (
                "a label of its own",
                operator,
                merge(json!({"metadata": {"labels": {"tap-operator.io/a": "b"}}})),
                Invalid("changes no label tap-operator.io/*"),
            ),
            (
                "owners",
                operator,
                merge(json!({"metadata": {"ownerReferences": owner()}})),
                Invalid("does not change the ownerReferences"),
            ),
            (
                "another annotation",
                operator,
                merge(json!({"metadata": {"annotations": {"a": "b"}}})),
                Allowed,
            ),
            (
                "another annotation of its own",
                operator,
                merge(json!({"metadata": {"annotations": {"tap-operator.io/a": "b"}}})),
                Invalid("changes no annotation tap-operator.io/*"),
            ),
            (
                "an annotation of somebody else",
                operator,
                merge(json!({"metadata": {"annotations": {"contoso.com/ticket": "2"}}})),
                Allowed,
            ),
            (
                "all annotations",
                operator,
                merge(json!({"metadata": {"annotations": null}})),
                Allowed,
            ),
            (
                "a finalizer of somebody else",
                operator,
                merge(json!({"metadata": {"finalizers": ["tap-operator.io/pass"]}})),
                Allowed,
            ),
            (
                "another finalizer",
                operator,
                merge(
                    json!({"metadata": {"finalizers": ["contoso.com/keep", "contoso.com/more"]}}),
                ),
                Allowed,
            ),
            (
                "another finalizer of its own",
                operator,
                merge(
                    json!({"metadata": {"finalizers": ["contoso.com/keep", "tap-operator.io/a"]}}),
                ),
                Invalid("changes no finalizer tap-operator.io/*"),
            ),
            (
                "a replacement",
                operator,
                Call::replace(&office.request("live"), &asked, request("live")),
                Forbidden("cannot update resource"),
            ),
        ])
        .await
    })
}

#[test]
fn a_replace_loses_nothing() -> Result<()> {
    run(async {
        let office = Office::new("replace").await?;
        office.ask("live").await?;
        let issued = office.issue("live").await?;
        // A person with the verb `release`, or an administrator, may take the finalizer off, but not by an incomplete
        // manifest.
        for who in [&office.carol, &office.dave, &office.pipeline, &office.cluster.admin] {
            for annotations in [json!(null), json!({"contoso.com/ticket": "1"})] {
                let mut manifest = request("live");
                manifest["metadata"]["annotations"] = annotations;
                manifest["metadata"]["finalizers"] = json!(["contoso.com/keep"]);
                let replaced = who
                    .call(Call::replace(&office.request("live"), &issued, manifest).dry_run())
                    .await?;
                ensure!(replaced["spec"] == issued["spec"], "{replaced:#}");
                ensure!(replaced.pointer(INTENT) == issued.pointer(INTENT), "{replaced:#}");
                let finalizers = json!(["contoso.com/keep", "tap-operator.io/pass"]);
                ensure!(replaced["metadata"]["finalizers"] == finalizers, "{replaced:#}");
            }
        }
        Ok(())
    })
}

#[test]
fn the_intent_of_a_finished_request_stays_too() -> Result<()> {
    run(async {
        let office = Office::new("finished").await?;
        office.ask("over").await?;
        office.issue("over").await?;
        let over = office.finish("over").await?;
        let replaced = office
            .carol
            .call(Call::replace(&office.request("over"), &over, request("over")))
            .await?;
        ensure!(replaced.pointer(INTENT) == over.pointer(INTENT), "{replaced:#}");
        ensure!(replaced.pointer("/metadata/finalizers").is_none(), "{replaced:#}");
        Ok(())
    })
}

#[test]
fn nobody_makes_a_request_too_large_for_the_rules() -> Result<()> {
    run(async {
        let office = Office::new("large").await?;
        let with = |annotations: usize, finalizers: usize| {
            let mut request = request("large");
            for n in 0..annotations {
                request["metadata"]["annotations"][format!("contoso.com/{n}")] = json!("");
            }
            let finalizers: Vec<_> = (0..finalizers).map(|n| format!("contoso.com/{n}")).collect();
            request["metadata"]["finalizers"] = json!(finalizers);
            request
        };
        let create = |object| Call::create(&office.requests(), object);
        let most = "at most 64 labels, 500 annotations and 50 finalizers";
        office.alice.call(create(with(500, 49))).await?;
        let more = json!({"metadata": {"annotations": {"contoso.com/more": ""}}});
        check([
            ("annotations", &office.alice, create(with(501, 0)), Forbidden(most)),
            ("finalizers", &office.alice, create(with(0, 51)), Forbidden(most)),
            (
                "one more",
                &office.carol,
                Call::merge(&office.request("large"), more),
                Forbidden(most),
            ),
        ])
        .await?;
        // Even the largest request leaves room for what the operator adds.
        let seen = office.operator().call(Call::get(&office.request("large"))).await?;
        let mut finalizers = seen["metadata"]["finalizers"].as_array().cloned().unwrap_or_default();
        finalizers.push(json!("tap-operator.io/pass"));
        let intent = json!({"metadata": {
            "annotations": {"tap-operator.io/intent": "{}"}, "finalizers": finalizers,
        }});
        office.operator().call(Call::merge(&office.request("large"), intent)).await?;
        office
            .operator()
            .call(Call::merge(
                &office.request("large"),
                json!({
                    "metadata": {"finalizers": seen["metadata"]["finalizers"]},
                }),
            ))
            .await?;
        let free = json!({"metadata": {"finalizers": null}});
        office.carol.call(Call::merge(&office.request("large"), free)).await.map(drop)
    })
}

/// Objects that are larger than the limits come from a time before them. Here the operator makes one, because other
/// mutating policies may add anything to its writes.
#[test]
fn what_was_larger_than_the_limits_can_still_be_changed_and_released() -> Result<()> {
    run(async {
        let office = Office::new("larger").await?;
        office.ask("old").await?;
        office.issue("old").await?;
        let merge =
            |metadata: Value| Call::merge(&office.request("old"), json!({ "metadata": metadata }));
        let labels: Value = (0..70).map(|n| (format!("contoso.com/{n}"), json!(""))).collect();
        let large = json!({"contoso.com/large": "x".repeat(20 * 1024)});
        let larger = json!({"labels": labels, "annotations": large});
        office.operator().call(merge(larger)).await?;
        let Office { carol, dave, .. } = &office;
        let size = "at most 16384 bytes in all";
        check([
            ("a label changed", carol, merge(json!({"labels": {"contoso.com/0": "1"}})), Allowed),
            ("fewer labels", carol, merge(json!({"labels": {"contoso.com/0": null}})), Allowed),
            (
                "one more label",
                carol,
                merge(json!({"labels": {"a": "b"}})),
                Forbidden("at most 64 labels"),
            ),
            (
                "a smaller annotation",
                carol,
                merge(json!({"annotations": {"contoso.com/large": "x".repeat(19 * 1024)}})),
                Allowed,
            ),
            (
                "one more annotation",
                carol,
                merge(json!({"annotations": {"a": "b"}})),
                Forbidden(size),
            ),
            ("the release", dave, merge(json!({"finalizers": null})), Allowed),
        ])
        .await?;
        // Nearly as many bytes as the API server takes at all. With twice as many annotations, a write takes a busy server longer than
        // the 34 s that it gives a request.
        let many: Value = (0..10_000).map(|n| (format!("c.io/{n:018}"), json!(""))).collect();
        let seen = merge(json!({"annotations": many}));
        office.operator().call(seen).await?;
        carol.call(merge(json!({"labels": {"contoso.com/0": "2"}})).dry_run()).await?;
        office.write_intent("old").await?;
        office.finish("old").await.map(drop)
    })
}

#[test]
fn the_spec_may_differ_only_where_nothing_is_issued_any_more() -> Result<()> {
    run(async {
        let office = Office::new("swapped").await?;
        office.ask("live").await?;
        office.issue("live").await?;
        let merge = |patch| Call::merge(&office.request("live"), patch);
        // As if another mutating policy had changed the spec, too.
        let swapped = json!({
            "metadata": {"finalizers": null}, "spec": {"user": "eve@contoso.com"},
        });
        let spec = "does not change the spec";
        let operator = office.operator();
        check([("the spec", operator, merge(swapped.clone()), Invalid(spec))]).await?;
        office.alice.call(Call::delete(&office.request("live"), json!({}))).await?;
        check([("the spec of a deleted one", operator, merge(swapped), Allowed)]).await
    })
}

#[test]
fn an_apply_cannot_leave_out_what_it_once_said() -> Result<()> {
    run(async {
        let office = Office::new("less").await?;
        let pipeline = &office.pipeline;
        let apply = |object| Call::apply(&office.request("copy"), object);
        // A copy from a backup, in which the pipeline owns intent and finalizer.
        let mut copy = request("copy");
        copy["metadata"]["annotations"] = json!({"tap-operator.io/intent": r#"{"uid":"other"}"#});
        copy["metadata"]["finalizers"] = json!(["tap-operator.io/pass"]);
        let applied = pipeline.call(apply(copy.clone())).await?;
        let again = pipeline.call(apply(request("copy"))).await?;
        for place in [INTENT, "/metadata/finalizers"] {
            ensure!(again.pointer(place) == applied.pointer(place), "{again:#}");
        }
        let mut without_reason = request("copy");
        without_reason["spec"].as_object_mut().map(|spec| spec.remove("reason"));
        check([(
            "the reason",
            pipeline,
            apply(without_reason),
            Forbidden("the spec of a TapRequest cannot be changed"),
        )])
        .await?;
        // Fields that were put back are no longer owned by the pipeline.
        copy["metadata"]["finalizers"] = json!([]);
        let again = pipeline.call(apply(copy)).await?;
        ensure!(again["metadata"]["finalizers"] == applied["metadata"]["finalizers"], "{again:#}");
        Ok(())
    })
}

//! Kubernetes 1.30 to 1.35, which do not serve `MutatingAdmissionPolicy` v1. Their overlay requires people to write
//! their own names.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::call::Expect::{Allowed, Forbidden, Invalid};
use crate::call::{Actor, Call, check};
use crate::cluster::{Cluster, OLDER, repository};
use crate::life::applied_all_along;
use crate::office::{EDITOR, Office, request};
use crate::support::run;

fn request_by(name: &str, who: &Actor) -> Value {
    let mut request = request(name);
    request["spec"]["requestedBy"] = json!(who.name());
    request
}

#[test]
fn an_older_server_holds_the_same_rules() -> Result<()> {
    run(async {
        let cluster = Cluster::older().await?;
        let office = Office::open(cluster, "older").await?;
        let Office { alice, bob, carol, .. } = &office;
        let create = |object| Call::create(&office.requests(), object);
        let asks = "spec.requestedBy must be the user name of its creator: alice@contoso.com";
        check([
            ("who says so", alice, create(request_by("new", alice)), Allowed),
            ("who says nothing", alice, create(request("new")), Forbidden(asks)),
            ("who says another", alice, create(request_by("new", bob)), Forbidden(asks)),
        ])
        .await?;

        alice.call(create(request_by("live", alice))).await?;
        let issued = office.issue("live").await?;
        let mut kept = request_by("live", alice);
        kept["metadata"]["annotations"] = issued["metadata"]["annotations"].clone();
        kept["metadata"]["finalizers"] = issued["metadata"]["finalizers"].clone();
        let mut without_intent = kept.clone();
        without_intent["metadata"]["annotations"] = json!(null);
        let mut without_finalizer = kept.clone();
        without_finalizer["metadata"]["finalizers"] = json!(null);
        let replace = |object| Call::replace(&office.request("live"), &issued, object);
        let requester = "cannot be changed, nor left out by a replace";
        check([
            ("a replace that keeps all", carol, replace(kept), Allowed),
            ("one that loses the requester", carol, replace(request("live")), Forbidden(requester)),
            (
                "one that loses the intent",
                &cluster.admin,
                replace(without_intent),
                Forbidden("only tap-operator writes the annotation"),
            ),
            (
                "one that loses the finalizer",
                carol,
                replace(without_finalizer),
                Forbidden("people with the verb release on tappolicies/contoso may remove it"),
            ),
        ])
        .await?;

        // There is no garbage collection here, so a deletion in the foreground stays unfinished. People may not begin one.
        let foreground = json!({"propagationPolicy": "Foreground"});
        let in_foreground = Call::delete(&office.secret("live"), foreground);
        let stays = Forbidden("is deleted in the background");
        check([("a deletion that may stay", carol, in_foreground.clone(), stays)]).await?;
        let manager = office.cluster.control_plane.person("system:kube-controller-manager")?;
        office.cluster.control_plane.grant(&manager, EDITOR, &office.namespace).await?;
        Actor::new(manager).await?.call(in_foreground).await?;
        check([(
            "a Secret with a finalizer, of which the answer would have the content",
            office.operator(),
            Call::delete(&office.secret("live"), json!({})),
            Invalid("deletes no Secrets that have finalizers"),
        )])
        .await
    })
}

#[test]
fn a_pipeline_says_who_it_is_and_applies_all_along() -> Result<()> {
    run(async {
        let cluster = Cluster::older().await?;
        let office = Office::open(cluster, "pipeline").await?;
        applied_all_along(&office, &request_by("first-day", &office.pipeline)).await
    })
}

#[test]
fn the_overlay_is_the_same_without_the_mutating_kinds() -> Result<()> {
    run(async {
        let cluster = Cluster::shared().await?;
        let build = async |directory: &str| -> Result<Vec<String>> {
            let path = repository(directory).display().to_string();
            let text = cluster.admin.identity.kubectl(["kustomize", &path]).ok().await?;
            Ok(text.split("\n---\n").map(|object| object.trim().to_owned()).collect())
        };
        let mut full = build("deploy").await?;
        full.retain(|object| !object.contains("kind: MutatingAdmissionPolicy"));
        ensure!(build(OLDER).await? == full, "the overlay differs from deploy in more");
        Ok(())
    })
}

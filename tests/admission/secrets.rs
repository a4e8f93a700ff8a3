//! The rules about Secrets with a pass, and about the operator's right to create and delete Secrets.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::call::Expect::{Allowed, Forbidden, Invalid};
use crate::call::{Actor, Call, check};
use crate::cluster::text;
use crate::office::{EDITOR, Office, secret};
use crate::support::run;

const UID: &str = "74a1cf5b-7a83-4a5b-9c32-0d41c1f0b9aa";

/// The operator's Secret with one change.
fn but(pointer: &str, value: Value) -> Value {
    let mut secret = secret("new", UID);
    let (parent, key) = pointer.rsplit_once('/').unwrap_or_default();
    secret.pointer_mut(parent).unwrap_or(&mut Value::Null)[key] = value;
    secret
}

#[test]
fn only_the_operator_makes_secrets_with_a_pass_and_no_others() -> Result<()> {
    run(async {
        let office = Office::new("making").await?;
        let create = |object| Call::create(&office.secrets(), object);
        let Office { carol, pipeline, .. } = &office;
        let (operator, admin) = (office.operator(), &office.cluster.admin);
        let plain = || json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "new"}});
        let owner = "has one owner, the TapRequest of its own name";
        let alone = "only tap-operator creates Secrets of type";
        let others = "creates and deletes only Secrets of type";
        check([
            ("the operator", operator, create(secret("new", UID)), Allowed),
            ("an editor", carol, create(secret("new", UID)), Forbidden(alone)),
            ("a pipeline", pipeline, create(secret("new", UID)), Forbidden(alone)),
            ("an administrator", admin, create(secret("new", UID)), Forbidden(alone)),
            (
                "an editor who applies",
                carol,
                Call::apply(&office.secret("new"), secret("new", UID)),
                Forbidden(alone),
            ),
            ("an editor, another type", carol, create(but("/type", json!("Opaque"))), Allowed),
            ("an editor, no type", carol, create(plain()), Allowed),
            (
                "the operator, another type",
                operator,
                create(but("/type", json!("Opaque"))),
                Invalid(others),
            ),
            ("the operator, no type", operator, create(plain()), Invalid(others)),
            ("mutable", operator, create(but("/immutable", json!(false))), Invalid("is immutable")),
            (
                "perhaps mutable",
                operator,
                create(but("/immutable", json!(null))),
                Invalid("is immutable"),
            ),
            (
                "no owner",
                operator,
                create(but("/metadata/ownerReferences", json!([]))),
                Invalid(owner),
            ),
            (
                "no owners",
                operator,
                create(but("/metadata/ownerReferences", json!(null))),
                Invalid(owner),
            ),
            (
                "another name",
                operator,
                create(but("/metadata/name", json!("other"))),
                Invalid(owner),
            ),
            (
                "an owner of another kind",
                operator,
                create(but("/metadata/ownerReferences/0/kind", json!("TapPolicy"))),
                Invalid(owner),
            ),
            (
                "an owner of another group",
                operator,
                create(but("/metadata/ownerReferences/0/apiVersion", json!("contoso.com/v1"))),
                Invalid(owner),
            ),
            (
                "an owner that waits for it",
                operator,
                create(but("/metadata/ownerReferences/0/blockOwnerDeletion", json!(true))),
                Invalid(owner),
            ),
            (
                "a finalizer",
                operator,
                create(but("/metadata/finalizers", json!(["contoso.com/keep"]))),
                Invalid("has no finalizers"),
            ),
        ])
        .await
    })
}

#[test]
fn nobody_changes_a_secret_with_a_pass() -> Result<()> {
    run(async {
        let office = Office::new("changing").await?;
        office.ask("live").await?;
        office.issue("live").await?;
        let (carol, admin) = (&office.carol, &office.cluster.admin);
        let merge = |patch| Call::merge(&office.secret("live"), patch);
        let fixed = "cannot be changed";
        let now = admin.call(Call::get(&office.secret("live"))).await?;
        check([
            (
                "a label",
                carol,
                merge(json!({"metadata": {"labels": {"a": "b"}}})),
                Forbidden(fixed),
            ),
            (
                "a label",
                admin,
                merge(json!({"metadata": {"labels": {"a": "b"}}})),
                Forbidden(fixed),
            ),
            (
                "an annotation",
                carol,
                merge(json!({"metadata": {"annotations": {"a": "b"}}})),
                Forbidden(fixed),
            ),
            (
                "a finalizer",
                carol,
                merge(json!({"metadata": {"finalizers": ["a.b/c"]}})),
                Forbidden(fixed),
            ),
            (
                "no owner",
                carol,
                merge(json!({"metadata": {"ownerReferences": null}})),
                Forbidden(fixed),
            ),
            (
                "nothing, as for a new encryption key",
                admin,
                Call::replace(&office.secret("live"), &now.clone(), now),
                Allowed,
            ),
            (
                "the operator",
                office.operator(),
                merge(json!({"metadata": {"labels": {"a": "b"}}})),
                Forbidden("cannot patch resource"),
            ),
        ])
        .await
    })
}

#[test]
fn people_may_delete_a_secret_with_a_pass() -> Result<()> {
    run(async {
        let office = Office::new("reading").await?;
        for name in ["first", "second", "third"] {
            office.ask(name).await?;
            office.issue(name).await?;
        }
        office.carol.call(Call::delete(&office.secret("first"), json!({}))).await?;
        // Else somebody could hold it, with its code, for as long as they like.
        for options in [
            json!({"propagationPolicy": "Foreground"}),
            json!({"propagationPolicy": "Orphan"}),
            json!({"orphanDependents": true}),
        ] {
            let refusal =
                office.carol.refused(Call::delete(&office.secret("second"), options)).await?;
            ensure!(refusal.code == 403 && refusal.message.contains("background"), "{refusal:?}");
        }
        let background = json!({"propagationPolicy": "Background"});
        office.carol.call(Call::delete(&office.secret("second"), background)).await?;
        office.carol.call(Call::delete(&office.secrets(), json!({}))).await?;
        Ok(())
    })
}

#[test]
fn the_operator_deletes_by_uid_and_learns_no_content() -> Result<()> {
    run(async {
        let office = Office::new("deleting").await?;
        let operator = office.operator();
        let absent =
            operator.refused(Call::delete(&office.secret("live"), json!({})).dry_run()).await?;
        ensure!(absent.code == 404, "{absent:?}");

        office.ask("live").await?;
        office.issue("live").await?;
        let foreign =
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "foreign"}});
        let foreign = office.carol.call(Call::create(&office.secrets(), foreign)).await?;
        let foreign_uid = text(&foreign, "/metadata/uid")?.to_owned();
        let uid = office.secret_uid("live").await?;

        // Real deletions that must be refused. A dry run needs no uid.
        for (what, name, options, code, message) in [
            ("no uid", "live", json!({}), 422, "deletes Secrets only by uid"),
            ("another uid", "live", json!({"preconditions": {"uid": UID}}), 409, "UID"),
            (
                "only a version",
                "live",
                json!({"preconditions": {"resourceVersion": "1"}}),
                409,
                "ResourceVersion",
            ),
            (
                "foreign",
                "foreign",
                json!({"preconditions": {"uid": foreign_uid}}),
                422,
                "creates and deletes only Secrets of type",
            ),
            (
                "foreign, no uid",
                "foreign",
                json!({}),
                422,
                "creates and deletes only Secrets of type",
            ),
        ] {
            let refusal = operator.refused(Call::delete(&office.secret(name), options)).await?;
            ensure!(
                refusal.code == code && refusal.message.contains(message),
                "{what}: {refusal:?}"
            );
        }
        let delete = |options| Call::delete(&office.secret("live"), options);
        check([
            ("a dry run", operator, delete(json!({})), Allowed),
            ("background", operator, delete(json!({"propagationPolicy": "Background"})), Allowed),
            (
                "a dry run of a foreign one",
                operator,
                Call::delete(&office.secret("foreign"), json!({})),
                Invalid("creates and deletes only Secrets of type"),
            ),
            (
                "foreground",
                operator,
                delete(json!({"propagationPolicy": "Foreground", "preconditions": {"uid": uid}})),
                Invalid("only in the background"),
            ),
            (
                "orphan",
                operator,
                delete(json!({"propagationPolicy": "Orphan", "preconditions": {"uid": uid}})),
                Invalid("only in the background"),
            ),
            (
                "orphan, as it was said once",
                operator,
                delete(json!({"orphanDependents": true, "preconditions": {"uid": uid}})),
                Invalid("only in the background"),
            ),
            (
                "all",
                operator,
                Call::delete(&office.secrets(), json!({})),
                Forbidden("cannot deletecollection"),
            ),
            ("reading", operator, Call::get(&office.secret("live")), Forbidden("cannot get")),
            ("listing", operator, Call::get(&office.secrets()), Forbidden("cannot list")),
        ])
        .await?;
        office.delete_secret("live").await
    })
}

#[test]
fn options_in_the_url_show_the_operator_no_more() -> Result<()> {
    run(async {
        let office = Office::new("urls").await?;
        let operator = office.operator();
        office.ask("live").await?;
        office.issue("live").await?;
        let path = office.secret("live");
        let uid = office.secret_uid("live").await?;
        for (query, message) in [
            ("", "deletes Secrets only by uid"),
            ("propagationPolicy=Foreground", "deletes Secrets only"),
            ("propagationPolicy=Orphan", "deletes Secrets only"),
            ("orphanDependents=true", "deletes Secrets only"),
            ("dryRun=All&propagationPolicy=Foreground", "only in the background"),
            ("dryRun=All&propagationPolicy=Orphan", "only in the background"),
            ("dryRun=All&orphanDependents=true", "only in the background"),
            ("dryRun=All&orphanDependents=false", "only in the background"),
        ] {
            let refusal = operator.refused(Call::delete_by_url(&path, query)).await?;
            ensure!(
                refusal.code == 422 && refusal.message.contains(message),
                "{query}: {refusal:?}"
            );
        }
        // If there is a body, the API server ignores the URL's query, so this is not a dry run.
        let delete = Call::delete(&format!("{path}?dryRun=All"), json!({}));
        let refusal = operator.refused(delete).await?;
        ensure!(refusal.message.contains("deletes Secrets only by uid"), "{refusal:?}");
        let told = operator.call(Call::delete_by_url(&path, "dryRun=All")).await?;
        ensure!(told.get("data").is_none(), "{told:#}");
        ensure!(text(&told, "/details/uid")? == uid, "{told:#}");
        ensure!(office.secret_uid("live").await? == uid, "another Secret");
        Ok(())
    })
}

#[test]
fn the_operator_reads_no_secret_in_any_way() -> Result<()> {
    run(async {
        let office = Office::new("readers").await?;
        let operator = office.operator();
        office.ask("live").await?;
        office.issue("live").await?;
        let (all, one) = (office.secrets(), office.secret("live"));
        let label = json!({"metadata": {"labels": {"a": "b"}}});
        for (call, message) in [
            (Call::get(&one), "cannot get"),
            (Call::get(&all), "cannot list"),
            (Call::get("/api/v1/secrets"), "cannot list"),
            (Call::get(&format!("{all}?watch=true")), "cannot watch"),
            (Call::get(&format!("{all}?fieldSelector=metadata.name%3Dlive")), "cannot list"),
            (Call::merge(&one, label.clone()), "cannot patch"),
            (Call::strategic(&one, label), "cannot patch"),
            (Call::apply(&one, secret("live", UID)), "cannot patch"),
            (Call::delete(&all, json!({})), "cannot deletecollection"),
            (Call::delete_by_url(&all, "dryRun=All"), "cannot deletecollection"),
            (
                Call::delete_by_url(
                    &all,
                    "labelSelector=app.kubernetes.io/managed-by%3Dtap-operator",
                ),
                "cannot deletecollection",
            ),
        ] {
            let refusal = operator.refused(call.clone()).await?;
            ensure!(
                refusal.code == 403 && refusal.message.contains(message),
                "{call}: {refusal:?}"
            );
        }
        // RBAC grants the operator no other right on Secrets.
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview",
            "spec": {"namespace": office.namespace},
        });
        let reviews = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews";
        let answer = operator.call(Call::create(reviews, review)).await?;
        let rules = answer["status"]["resourceRules"].as_array().cloned().unwrap_or_default();
        let names = |rule: &Value, name: &str| {
            rule["resources"].as_array().is_some_and(|all| {
                all.iter().any(|one| one.as_str().is_some_and(|one| one.starts_with(name)))
            })
        };
        let on_secrets: Vec<_> =
            rules.iter().filter(|rule| names(rule, "secrets") || names(rule, "*")).collect();
        ensure!(on_secrets.len() == 1, "{on_secrets:#?}");
        ensure!(on_secrets[0]["verbs"] == json!(["create", "delete"]), "{on_secrets:#?}");
        Ok(())
    })
}

#[test]
fn a_delete_of_a_secret_with_a_finalizer_shows_no_content() -> Result<()> {
    run(async {
        let office = Office::new("held").await?;
        office.ask("live").await?;
        office.issue("live").await?;
        let (admin, operator) = (&office.cluster.admin, office.operator());
        let manager = office.cluster.control_plane.person("system:kube-controller-manager")?;
        office.cluster.control_plane.grant(&manager, EDITOR, &office.namespace).await?;
        let manager = Actor::new(manager).await?;
        let finalizers = |held: Value| {
            Call::merge(&office.secret("live"), json!({"metadata": {"finalizers": held}}))
        };
        // Only garbage collection can set a finalizer on such a Secret.
        let held = json!(["contoso.com/keep"]);
        let refusal = admin.refused(finalizers(held.clone())).await?;
        ensure!(refusal.code == 403, "{refusal:?}");
        let seen = manager.call(finalizers(held)).await?;
        let exactly = json!({"preconditions": {"uid": seen["metadata"]["uid"]}});
        let delete = Call::delete(&office.secret("live"), exactly);
        for call in [delete.clone().dry_run(), delete] {
            let refusal = operator.refused(call).await?;
            ensure!(
                refusal.code == 422
                    && refusal.message.contains("deletes no Secrets that have finalizers"),
                "{refusal:?}"
            );
        }
        manager.call(finalizers(Value::Null)).await?;
        office.delete_secret("live").await
    })
}

#[test]
fn a_backup_brings_no_code_back() -> Result<()> {
    run(async {
        let office = Office::new("restored").await?;
        office.ask("live").await?;
        office.issue("live").await?;
        let (admin, alone) = (&office.cluster.admin, "only tap-operator creates Secrets of type");
        let mut copy = admin.call(Call::get(&office.secret("live"))).await?;
        office.delete_secret("live").await?;
        copy["metadata"]["resourceVersion"] = Value::Null;
        let mut unowned = copy.clone();
        unowned["metadata"]["ownerReferences"] = Value::Null;
        unowned["immutable"] = Value::Null;
        for (who, object) in [(&office.pipeline, &copy), (admin, &copy), (admin, &unowned)] {
            let create = Call::create(&office.secrets(), object.clone());
            let refusal = who.refused(create).await?;
            ensure!(refusal.code == 403 && refusal.message.contains(alone), "{refusal:?}");
            let apply = Call::apply(&office.secret("live"), {
                let mut object = object.clone();
                object["metadata"]["managedFields"] = Value::Null;
                object["metadata"]["uid"] = Value::Null;
                object
            });
            let refusal = who.refused(apply).await?;
            ensure!(refusal.code == 403 && refusal.message.contains(alone), "{refusal:?}");
        }
        // The type of an existing Secret cannot be changed either.
        let plain = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "plain"}});
        admin.call(Call::create(&office.secrets(), plain)).await?;
        let change = json!({"type": "tap-operator.io/temporary-access-pass"});
        let refusal = admin.refused(Call::merge(&office.secret("plain"), change)).await?;
        ensure!(refusal.message.contains("field is immutable"), "{refusal:?}");
        Ok(())
    })
}

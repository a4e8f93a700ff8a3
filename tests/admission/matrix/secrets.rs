//! Creation, change and deletion of Secrets, with a pass and without.

use anyhow::Result;
use serde_json::{Value, json};

use super::cast::{Caller, Resource};
use super::edit::{self, Way};
use super::objects::Objects;
use super::{Case, Verdict};
use crate::call::Call;
use crate::office::{Office, secret};

const UID: &str = "74a1cf5b-7a83-4a5b-9c32-0d41c1f0b9aa";
const ALONE_RULE: &str = "only tap-operator creates Secrets of type";
const TYPE_RULE: &str = "creates and deletes only Secrets of type";
const OWNER_RULE: &str = "has one owner, the TapRequest of its own name";
const IMMUTABLE_RULE: &str = "a Secret with a pass is immutable";
const FINALIZER_RULE: &str = "a Secret with a pass has no finalizers";
const FIXED_RULE: &str = "a Secret with a pass cannot be changed";
const UID_RULE: &str = "deletes Secrets only by uid";
const BACKGROUND_RULE: &str = "deletes Secrets only in the background";
const STAYS_RULE: &str = "a Secret with a pass is deleted in the background";

/// New Secrets, and whether they may be created.
fn new() -> Vec<(&'static str, Value, Result<(), &'static str>)> {
    let with = |change: Value| {
        let mut object = secret("new", UID);
        json_patch::merge(&mut object, &change);
        object
    };
    let owner = |change: Value| {
        let mut owner = secret("new", UID)["metadata"]["ownerReferences"][0].clone();
        json_patch::merge(&mut owner, &change);
        owner
    };
    let owned = |owners: Value| with(json!({"metadata": {"ownerReferences": owners}}));
    vec![
        ("a pass", with(json!({})), Ok(())),
        ("no owner", owned(Value::Null), Err(OWNER_RULE)),
        ("an owner of another name", owned(json!([owner(json!({"name": "x"}))])), Err(OWNER_RULE)),
        ("an owner of another kind", owned(json!([owner(json!({"kind": "X"}))])), Err(OWNER_RULE)),
        (
            "an owner of another version",
            owned(json!([owner(json!({"apiVersion": "tap-operator.io/v1"}))])),
            Err(OWNER_RULE),
        ),
        (
            "an owner that waits",
            owned(json!([owner(json!({"blockOwnerDeletion": true}))])),
            Err(OWNER_RULE),
        ),
        (
            "two owners",
            owned(json!([owner(json!({})), owner(json!({"uid": "1", "controller": false}))])),
            Err(OWNER_RULE),
        ),
        ("a mutable one", with(json!({"immutable": false})), Err(IMMUTABLE_RULE)),
        ("one that says nothing", with(json!({"immutable": null})), Err(IMMUTABLE_RULE)),
        (
            "a finalizer",
            with(json!({"metadata": {"finalizers": ["contoso.com/keep"]}})),
            Err(FINALIZER_RULE),
        ),
        (
            "any name",
            with(json!({"metadata": {"name": null, "generateName": "new-"}})),
            Err(OWNER_RULE),
        ),
    ]
}

fn creation<'a>(office: &Office<'_>, who: &'a Caller) -> Vec<Case<'a>> {
    let mut cases = Vec::new();
    for (what, object, operator) in new() {
        let wrong = match (who.is_operator(), operator) {
            (false, _) => vec![ALONE_RULE],
            (true, Err(rule)) => vec![rule],
            (true, Ok(())) => vec![],
        };
        let verdict = Verdict::of(who, "create", Resource::Secrets, wrong, vec![]);
        let call = Call::create(&office.secrets(), object);
        cases.push(Case { what: format!("create a Secret with {what}"), who, call, verdict });
    }
    for kind in [json!("Opaque"), json!("kubernetes.io/tls"), Value::Null] {
        let object = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "new"}, "type": kind,
            "stringData": {"tls.crt": "", "tls.key": ""},
        });
        let wrong = if who.is_operator() { vec![TYPE_RULE] } else { vec![] };
        let verdict = Verdict::of(who, "create", Resource::Secrets, wrong, vec![]);
        let call = Call::create(&office.secrets(), object);
        cases.push(Case { what: format!("create a Secret of type {kind}"), who, call, verdict });
    }
    cases
}

/// Changes to a Secret, and whether they change nothing.
fn changes() -> Vec<(&'static str, Value, bool)> {
    let set = |path: &str, value: Value| json!([{"op": "add", "path": path, "value": value}]);
    vec![
        ("nothing", json!([]), true),
        ("a label", set("/metadata/labels", json!({"a": "b"})), false),
        ("an annotation", set("/metadata/annotations", json!({"a": "b"})), false),
        ("a finalizer", set("/metadata/finalizers", json!(["contoso.com/keep"])), false),
        ("no owner", set("/metadata/ownerReferences", json!([])), false),
    ]
}

fn change<'a>(office: &Office<'_>, objects: &Objects, who: &'a Caller) -> Result<Vec<Case<'a>>> {
    let mut cases = Vec::new();
    for (name, before) in [("live", &objects.secret), ("plain", &objects.plain)] {
        for (what, operations, none) in changes() {
            for way in Way::ALL {
                let path = office.secret(name);
                let Some(call) = edit::call(way, &path, before, &operations)? else { continue };
                // A strategic patch merges this list, so an empty one changes nothing.
                let none = none || what == "no owner" && way == Way::StrategicPatch;
                let wrong = if name == "plain" || none || who.is_garbage_collector() {
                    vec![]
                } else {
                    vec![FIXED_RULE]
                };
                let verdict = Verdict::of(who, way.verb(), Resource::Secrets, wrong, vec![]);
                let what = format!("{way:?} on the Secret {name}, {what}");
                cases.push(Case { what, who, call, verdict });
            }
        }
    }
    Ok(cases)
}

/// Options of a DELETE, whether the operator may use them, and whether people may.
fn deletions() -> Vec<(&'static str, Value, bool, bool)> {
    vec![
        ("without a word", json!({}), true, true),
        ("in the background", json!({"propagationPolicy": "Background"}), true, true),
        ("in the foreground", json!({"propagationPolicy": "Foreground"}), false, false),
        ("leaving orphans", json!({"propagationPolicy": "Orphan"}), false, false),
        ("leaving orphans, as of old", json!({"orphanDependents": true}), false, false),
        ("leaving none, as of old", json!({"orphanDependents": false}), false, true),
    ]
}

fn deletion<'a>(office: &Office<'_>, objects: &Objects, who: &'a Caller) -> Vec<Case<'a>> {
    let mut cases = Vec::new();
    for (name, object) in [("live", &objects.secret), ("plain", &objects.plain)] {
        for (what, options, allowed, allowed_to_people) in deletions() {
            for by_uid in [false, true] {
                let mut options = options.clone();
                if by_uid {
                    options["preconditions"] = json!({"uid": object["metadata"]["uid"]});
                }
                let wrong = match (who.is_operator(), name) {
                    (false, "live") if !allowed_to_people && !who.is_garbage_collector() => {
                        vec![STAYS_RULE]
                    }
                    (false, _) => vec![],
                    (true, "plain") => vec![TYPE_RULE],
                    (true, _) if allowed => vec![],
                    (true, _) if by_uid => vec![BACKGROUND_RULE],
                    (true, _) => vec![BACKGROUND_RULE, UID_RULE],
                };
                // The answer to the operator's own DELETE must not contain the Secret.
                let answer = vec![("/data", Value::Null), ("/metadata/name", Value::Null)];
                let answer = if who.is_operator() { answer } else { vec![] };
                let verdict = Verdict::of(who, "delete", Resource::Secrets, wrong, answer);
                let call = Call::delete(&office.secret(name), options);
                let what = format!("delete the Secret {name} {what}, by uid: {by_uid}");
                cases.push(Case { what, who, call, verdict });
            }
        }
    }
    cases
}

pub fn cases<'a>(
    office: &Office<'_>,
    objects: &Objects,
    everybody: &'a [Caller],
) -> Result<Vec<Case<'a>>> {
    let mut cases = Vec::new();
    for who in everybody.iter().filter(|who| who.matters_to(None)) {
        cases.extend(creation(office, who));
        cases.extend(change(office, objects, who)?);
        cases.extend(deletion(office, objects, who));
    }
    Ok(cases)
}

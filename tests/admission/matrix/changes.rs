//! Changes to an existing request.

use anyhow::Result;
use serde_json::{Map, Value, json};

use super::cast::{Caller, Resource, Verb};
use super::edit::{self, Way};
use super::objects::Objects;
use super::{Case, Server, Verdict};
use crate::call::Call;
use crate::cluster::text;
use crate::office::{Office, POLICY};

const INTENT: &str = "/metadata/annotations/tap-operator.io~1intent";
const INTENT_RULE: &str = "only tap-operator writes the annotation tap-operator.io/intent";
const FINALIZER_RULE: &str = "only tap-operator sets the finalizer tap-operator.io/pass";
const RELEASE_RULE: &str = "people with the verb release on tappolicies/contoso may remove it";
const SPEC_RULE: &str = "the spec of a TapRequest cannot be changed";
const REQUESTER_RULE: &str = "spec.requestedBy says who created the request, alice@contoso.com";
pub const COUNT_RULE: &str = "at most 64 labels, 500 annotations and 50 finalizers";
pub const SIZE_RULE: &str = "at most 16384 bytes in all";
const OWNER_RULE: &str = "the ownerReferences of a TapRequest cannot be set or changed";

/// What people may do.
#[derive(Clone, Copy, Debug)]
enum People {
    May,
    MayNot(&'static str),
    /// Anyone with the verb `release` may.
    MayRelease,
    /// Garbage collection may.
    MayCollect,
    /// A newer server puts the field back, so leaving it out is no error.
    Forget(&'static str),
}

/// Whether the operator may do it; an error is the message of the refusal.
type Operator = Result<(), &'static str>;

/// A change to the live or the fresh request.
struct Change {
    what: &'static str,
    on: &'static str,
    operations: Value,
    people: People,
    operator: Operator,
}

/// As many labels.
pub fn numbered(count: usize) -> Value {
    (0..count).map(|n| (format!("contoso.com/{n}"), json!(""))).collect::<Map<_, _>>().into()
}

fn table() -> Vec<Change> {
    use People::{Forget, May, MayCollect, MayNot, MayRelease};
    let set = |path: &str, value: Value| json!([{"op": "add", "path": path, "value": value}]);
    let take = |path: &str| json!([{"op": "remove", "path": path}]);
    let owner = json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "1"}]);
    let both = json!([
        {"op": "remove", "path": INTENT}, {"op": "remove", "path": "/metadata/finalizers/1"},
    ]);
    let spec = Err("tap-operator does not change the spec");
    let label = Err("tap-operator changes no label tap-operator.io/*");
    let annotation = Err("tap-operator changes no annotation tap-operator.io/*");
    let finalizer = Err("tap-operator changes no finalizer tap-operator.io/*");
    let owners = Err("tap-operator does not change the ownerReferences");
    let own = "/metadata/finalizers/1";
    let other = "/metadata/finalizers/0";
    [
        ("nothing", "live", json!([]), May, Ok(())),
        ("a label", "live", set("/metadata/labels/a", json!("b")), May, Ok(())),
        ("no labels", "live", take("/metadata/labels"), May, Ok(())),
        ("our label", "live", set("/metadata/labels/tap-operator.io~1a", json!("b")), May, label),
        ("an annotation", "live", set("/metadata/annotations/a", json!("b")), May, Ok(())),
        (
            "our annotation",
            "live",
            set("/metadata/annotations/tap-operator.io~1a", json!("b")),
            May,
            annotation,
        ),
        (
            "another's annotation",
            "live",
            set("/metadata/annotations/contoso.com~1ticket", json!("2")),
            May,
            Ok(()),
        ),
        (
            "without another's annotation",
            "live",
            take("/metadata/annotations/contoso.com~1ticket"),
            May,
            Ok(()),
        ),
        ("the user", "live", set("/spec/user", json!("eve@contoso.com")), MayNot(SPEC_RULE), spec),
        ("the policy", "live", set("/spec/policyRef/name", json!("x")), MayNot(SPEC_RULE), spec),
        ("a lifetime", "live", set("/spec/lifetime", json!("1h")), MayNot(SPEC_RULE), spec),
        (
            "the user of a new one",
            "fresh",
            set("/spec/user", json!("eve@contoso.com")),
            MayNot(SPEC_RULE),
            spec,
        ),
        ("without a reason", "live", take("/spec/reason"), MayNot(SPEC_RULE), spec),
        (
            "another requester",
            "live",
            set("/spec/requestedBy", json!("mallory@contoso.com")),
            MayNot(REQUESTER_RULE),
            spec,
        ),
        ("without the requester", "live", take("/spec/requestedBy"), Forget(REQUESTER_RULE), spec),
        ("another intent", "live", set(INTENT, json!("{}")), MayNot(INTENT_RULE), Ok(())),
        ("a first intent", "fresh", set(INTENT, json!("{}")), MayNot(INTENT_RULE), Ok(())),
        ("without the intent", "live", take(INTENT), Forget(INTENT_RULE), Ok(())),
        ("without annotations", "live", take("/metadata/annotations"), Forget(INTENT_RULE), Ok(())),
        ("without the finalizer", "live", take(own), MayRelease, Ok(())),
        ("without both", "live", both, Forget(INTENT_RULE), Ok(())),
        ("without any finalizer", "live", take("/metadata/finalizers"), MayRelease, Ok(())),
        (
            "the finalizer",
            "fresh",
            set("/metadata/finalizers/-", json!("tap-operator.io/pass")),
            MayNot(FINALIZER_RULE),
            Ok(()),
        ),
        (
            "another finalizer",
            "live",
            set("/metadata/finalizers/-", json!("contoso.com/more")),
            May,
            Ok(()),
        ),
        (
            "our other finalizer",
            "live",
            set("/metadata/finalizers/-", json!("tap-operator.io/more")),
            May,
            finalizer,
        ),
        ("without another's finalizer", "live", take(other), May, Ok(())),
        ("many labels", "live", set("/metadata/labels", numbered(65)), MayNot(COUNT_RULE), Ok(())),
        (
            "a large annotation",
            "live",
            set("/metadata/annotations/a", json!("ä".repeat(8 * 1024))),
            MayNot(SIZE_RULE),
            Ok(()),
        ),
        ("an owner", "live", set("/metadata/ownerReferences", owner), MayCollect, owners),
        ("a status", "live", set("/status/phase", json!("Active")), May, Ok(())),
    ]
    .map(|(what, on, operations, people, operator)| Change {
        what,
        on,
        operations,
        people,
        operator,
    })
    .into()
}

fn wrong_with(change: &Change, who: &Caller, server: Server) -> Vec<&'static str> {
    if who.is_operator() {
        return change.operator.err().into_iter().collect();
    }
    match change.people {
        People::MayNot(rule) => vec![rule],
        People::MayRelease if !who.has(Verb::Release, POLICY) => vec![RELEASE_RULE],
        People::MayCollect if !who.is_garbage_collector() => vec![OWNER_RULE],
        People::Forget(rule) if server == Server::Older => vec![rule],
        People::May | People::MayRelease | People::MayCollect | People::Forget(_) => Vec::new(),
    }
}

pub fn cases<'a>(
    office: &Office<'_>,
    server: Server,
    objects: &Objects,
    everybody: &'a [Caller],
) -> Result<Vec<Case<'a>>> {
    let mut cases = Vec::new();
    for change in table() {
        let before = if change.on == "live" { &objects.live } else { &objects.fresh };
        let path = office.request(text(before, "/metadata/name")?);
        for way in Way::ALL {
            // One strategic patch is enough to see that none is supported.
            if way == Way::StrategicPatch && change.what != "a label" {
                continue;
            }
            let Some(call) = edit::call(way, &path, before, &change.operations)? else { continue };
            for who in everybody.iter().filter(|who| who.matters_to(Some(Verb::Release))) {
                let wrong = wrong_with(&change, who, server);
                let mut kept =
                    vec![("/spec", before["spec"].clone()), ("/status", before["status"].clone())];
                if !who.is_operator() {
                    kept.push((INTENT, before.pointer(INTENT).cloned().unwrap_or_default()));
                }
                if !who.is_operator() && matches!(change.people, People::Forget(_)) {
                    kept.push(("/metadata/finalizers", before["metadata"]["finalizers"].clone()));
                }
                let mut verdict = Verdict::of(who, way.verb(), Resource::Requests, wrong, kept);
                if way == Way::StrategicPatch && who.can("patch", Resource::Requests) {
                    verdict =
                        Verdict::Outside(415, "the body of the request was in an unknown format");
                }
                let what = format!("{way:?}, {}", change.what);
                cases.push(Case { what, who, call: call.clone(), verdict });
            }
        }
    }
    // RBAC alone decides who may delete a request, and with which policy: the finalizer makes sure that the pass goes
    // first.
    for policy in ["Background", "Foreground", "Orphan"] {
        for who in everybody {
            let options = json!({"propagationPolicy": policy});
            let call = Call::delete(&office.request("live"), options);
            let verdict = Verdict::of(who, "delete", Resource::Requests, vec![], vec![]);
            cases.push(Case { what: format!("delete, {policy}"), who, call, verdict });
        }
    }
    Ok(cases)
}

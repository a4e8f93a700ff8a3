//! Creation of requests: who may create them, and with which fields.

use serde_json::{Value, json};

use super::cast::{Caller, OTHER_POLICY, Resource, Verb};
use super::changes::{COUNT_RULE, SIZE_RULE, numbered};
use super::objects::asked;
use super::{Case, Server, Verdict, cannot};
use crate::call::Call;
use crate::office::{Office, POLICY};

const INTENT: &str = "tap-operator.io/intent";
const INTENT_RULE: &str = "the annotation tap-operator.io/intent has at most 4096 bytes";
const TEXT_RULE: &str = "spec.user and spec.reason must be text on one line";

/// A request with a particular field, and what is wrong with it.
struct New {
    what: &'static str,
    /// What is merged into a plain request.
    with: Value,
    wrong: Wrong,
}

#[derive(Clone, Copy)]
enum Wrong {
    Nothing,
    /// The verb `use` is needed on the other policy.
    OtherPolicy,
    /// The operator's finalizer without an intent, so this is not a restored copy.
    Finalizer,
    /// Only garbage collection may set owners.
    Owner,
    /// Something that nobody may write.
    Always(&'static str),
    /// Somebody else as the requester.
    Name,
    /// No requester, unless the server stamps the right one.
    NoName,
}

/// Metadata with one annotation. Key and value have together as many bytes, of two-byte characters.
fn annotated(key: &str, bytes: usize) -> Value {
    let value = bytes - key.len();
    let value = "ä".repeat(value / 2) + if value % 2 == 1 { "a" } else { "" };
    json!({"annotations": {key: value}})
}

fn reason(reason: &str) -> Value {
    json!({"spec": {"reason": reason}})
}

fn start(time: &str) -> Value {
    json!({"spec": {"startTime": format!("2026-11-24T{time}")}})
}

fn table(who: &Caller) -> Vec<New> {
    use Wrong::{Always, Finalizer, Name, NoName, Nothing, OtherPolicy, Owner};
    let finalizer = json!(["tap-operator.io/pass"]);
    let intent =
        json!({"tap-operator.io/intent": r#"{"uid":"74a1cf5b-7a83-4a5b-9c32-0d41c1f0b9aa"}"#});
    let owner = json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "1"}]);
    let by = |name: Value| json!({"spec": {"requestedBy": name}});
    let metadata = |metadata: Value| json!({ "metadata": metadata });
    let decided = json!({"status": {
        "phase": "Active", "decisions": [{"by": who.actor.name(), "decision": "Approve"}],
    }});
    let past = json!({
        "uid": "74a1cf5b-7a83-4a5b-9c32-0d41c1f0b9aa", "creationTimestamp": "2020-01-01T00:00:00Z",
    });
    [
        ("a plain request", json!({}), Nothing),
        ("in one's own name", by(json!(who.actor.name())), Nothing),
        ("in another's name", by(json!("mallory@contoso.com")), Name),
        ("in nobody's name", by(Value::Null), NoName),
        (
            "through another policy",
            json!({"spec": {"policyRef": {"name": OTHER_POLICY}}}),
            OtherPolicy,
        ),
        ("with the finalizer", metadata(json!({"finalizers": finalizer})), Finalizer),
        ("with another finalizer", metadata(json!({"finalizers": ["contoso.com/keep"]})), Nothing),
        ("with an intent", metadata(json!({"annotations": intent})), Nothing),
        (
            "as a restored copy",
            metadata(json!({"annotations": intent, "finalizers": finalizer})),
            Nothing,
        ),
        (
            "as a restored copy of another's",
            json!({
                "metadata": {"annotations": intent, "finalizers": finalizer},
                "spec": {"requestedBy": "mallory@contoso.com"},
            }),
            Name,
        ),
        ("with an owner", metadata(json!({"ownerReferences": owner})), Owner),
        ("with a status", decided, Nothing),
        ("with a uid and a time", metadata(past), Nothing),
        ("with 64 labels", metadata(json!({"labels": numbered(64)})), Nothing),
        ("with 65 labels", metadata(json!({"labels": numbered(65)})), Always(COUNT_RULE)),
        ("with annotations of 16 KiB", metadata(annotated("a", 16 * 1024)), Nothing),
        ("with larger annotations", metadata(annotated("a", 16 * 1024 + 1)), Always(SIZE_RULE)),
        ("with an intent of 4 KiB", metadata(annotated(INTENT, 4 * 1024 + INTENT.len())), Nothing),
        (
            "with a larger intent",
            metadata(annotated(INTENT, 4 * 1024 + INTENT.len() + 1)),
            Always(INTENT_RULE),
        ),
        ("with a reason that turns around", reason("INC1 \u{202e}ecila"), Always(TEXT_RULE)),
        ("with a line separator", reason("INC1 \u{2028}approved"), Always(TEXT_RULE)),
        ("with a reason on two lines", reason("INC1\nfor bob"), Always(TEXT_RULE)),
        ("with a reason in another script", reason("INC1 القاهرة 東京 👩‍💻"), Nothing),
        (
            "for a user with a control character",
            json!({"spec": {"user": "nora\u{7}@contoso.com"}}),
            Always(TEXT_RULE),
        ),
        ("that starts within a nanosecond", start("20:00:00.123456789+02:00"), Nothing),
    ]
    .map(|(what, with, wrong)| New { what, with, wrong })
    .into()
}

fn wrong_with(new: &New, who: &Caller, server: Server) -> Vec<&'static str> {
    let mut wrong = Vec::new();
    let (policy, no_use) = match new.wrong {
        Wrong::OtherPolicy => (OTHER_POLICY, "needs the verb use on tappolicies/fabrikam"),
        _ => (POLICY, "needs the verb use on tappolicies/contoso"),
    };
    if !who.has(Verb::Use, policy) {
        wrong.push(no_use);
    }
    match new.wrong {
        Wrong::Finalizer => {
            wrong.push("only tap-operator sets the finalizer tap-operator.io/pass");
        }
        Wrong::Owner if !who.is_garbage_collector() => {
            wrong.push("the ownerReferences of a TapRequest cannot be set");
        }
        Wrong::Name => wrong.push("a request of somebody else cannot be restored or copied"),
        Wrong::NoName if server == Server::Older => {
            wrong.push("spec.requestedBy must be the user name of its creator");
        }
        Wrong::Always(rule) => wrong.push(rule),
        Wrong::Nothing | Wrong::OtherPolicy | Wrong::Owner | Wrong::NoName => {}
    }
    wrong
}

pub fn cases<'a>(office: &Office<'_>, server: Server, everybody: &'a [Caller]) -> Vec<Case<'a>> {
    let mut cases = Vec::new();
    for who in everybody.iter().filter(|who| who.matters_to(Some(Verb::Use))) {
        for new in table(who) {
            let mut object = asked("new", server, who.actor.name());
            json_patch::merge(&mut object, &new.with);
            let mut generated = object.clone();
            generated["metadata"]["name"] = Value::Null;
            generated["metadata"]["generateName"] = json!("new-");
            let mut stated = object.clone();
            // An apply must not contain a uid.
            stated["metadata"]["uid"] = Value::Null;
            let answer = vec![
                ("/spec/requestedBy", json!(who.actor.name())),
                ("/status", json!({"phase": "Pending", "decisions": []})),
            ];
            let wrong = wrong_with(&new, who, server);
            let created = Verdict::of(who, "create", Resource::Requests, wrong, answer);
            // An apply that creates an object needs both verbs.
            let applied = match created {
                _ if !who.can("patch", Resource::Requests) => {
                    Verdict::Outside(403, cannot("patch"))
                }
                // Kubernetes 1.30 does not say which verb is missing.
                Verdict::Outside(code, _) if server == Server::Older => {
                    Verdict::Outside(code, "is forbidden: ")
                }
                _ => created.clone(),
            };
            for (how, call, verdict) in [
                ("create", Call::create(&office.requests(), object), created.clone()),
                ("create under any name", Call::create(&office.requests(), generated), created),
                ("apply", Call::apply(&office.request("new"), stated), applied),
            ] {
                let what = format!("{how} {}", new.what);
                cases.push(Case { what, who, call, verdict });
            }
        }
    }
    cases
}

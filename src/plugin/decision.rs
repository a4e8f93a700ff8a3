//! Decisions of people: whether one can be made, and the patch that makes it about nothing but what was read.

use json_patch::Patch;
use serde_json::{Value, json};

use super::failure::OTHER_VERSION;
use super::program;
use super::record::Record;
use crate::api::{DecisionKind, Phase};

/// Whether a decision can be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It can.
    Open,
    /// It was made, or what it wants is so already; the text says which.
    Done(String),
    /// It cannot; the text says why.
    Closed(String),
}

/// Whether `me` can decide about this request. The admission policies say the same in the end; this says it before anybody
/// is asked to confirm, and with more words.
pub fn standing(record: &Record, decision: DecisionKind, me: &str) -> Standing {
    use DecisionKind::{Approve, Deny, Revoke};
    let name = record.name();
    if record.has_ended() {
        return ended(record, decision);
    }
    if record.was_decided(me, decision) {
        return Standing::Done(match decision {
            Approve => format!("you have approved {name} already"),
            Deny => format!("you have denied {name} already"),
            Revoke | DecisionKind::Unknown => {
                format!("you have revoked {name} already. {}", until_ended(&[record]))
            }
        });
    }
    let same = |other: &str| other.to_lowercase() == me.to_lowercase();
    if decision != Revoke && same(record.requester()) {
        return Standing::Closed(format!(
            "{name} is your own request: somebody else must decide; you may revoke it"
        ));
    }
    if decision == Approve && (same(record.user()) || same(&record.request().spec.user)) {
        return Standing::Closed(format!(
            "{name} asks for a pass of your own: somebody else must approve"
        ));
    }
    if decision == Approve {
        return approvable(record);
    }
    Standing::Open
}

/// How to see that nothing is left of requests of one namespace that were revoked: what is written is a wish, and the operator
/// fulfils it.
pub fn until_ended(revoked: &[&Record]) -> String {
    let Some(namespace) = revoked.first().map(|record| record.namespace()) else {
        return String::new();
    };
    let names: Vec<String> = revoked.iter().map(|record| record.name()).collect();
    format!(
        "To see when it has ended: {} wait {} --for finished -n {namespace}",
        program(),
        names.join(" ")
    )
}

/// Whether it says for what an approval would be. A denial or revocation is for whatever it stands for.
fn approvable(record: &Record) -> Standing {
    let name = record.name();
    match (record.strange(), record.resolved(), record.phase()) {
        (Some(why), _, _) => {
            Standing::Closed(format!("{why}, so nobody can approve it here: {OTHER_VERSION}"))
        }
        (None, Some(_), _) => Standing::Open,
        (None, None, Phase::AwaitingApproval) => Standing::Closed(format!(
            "{name} does not say for which user and lifetime an approval would be, so it was written by another version: \
             {OTHER_VERSION}"
        )),
        (None, None, _) => Standing::Closed(format!(
            "it is too early to approve {name} ({}): an approval is for one user and lifetime, and they are not fixed yet",
            told(record)
        )),
    }
}

fn ended(record: &Record, decision: DecisionKind) -> Standing {
    let (name, told) = (record.name(), told(record));
    match (decision, record.phase()) {
        // Whoever wants to take a pass away must learn that somebody has signed in with it.
        (DecisionKind::Revoke | DecisionKind::Deny, Phase::Used) => Standing::Closed(format!(
            "the pass of {name} was used: there is nothing left to revoke. If it was not the user who used it, revoke the user's sessions in Entra"
        )),
        (DecisionKind::Revoke | DecisionKind::Deny, _) => {
            Standing::Done(format!("{name} has ended already ({told}): it has no usable pass"))
        }
        _ => Standing::Closed(format!(
            "{name} has ended ({told}): ask for another pass if one is needed"
        )),
    }
}

/// The phase, with the reason where that says more.
pub fn told(record: &Record) -> String {
    let (phase, reason) = (record.phase().name(), record.reason());
    if reason.is_empty() || reason == phase {
        phase.to_owned()
    } else {
        format!("{phase}, {reason}")
    }
}

/// Appends a decision, if the request is still the one that was read: the same object, for the same user and pass.
pub fn patch(record: &Record, decision: DecisionKind, by: &str, comment: Option<&str>) -> Patch {
    let mut entry = json!({ "by": by, "decision": decision });
    if let Some(comment) = comment {
        entry["comment"] = comment.into();
    }
    let mut operations = vec![test("/metadata/uid", &record.uid().into())];
    operations.extend(record.resolved().map(|resolved| test("/status/resolved", resolved)));
    operations.push(json!({ "op": "add", "path": "/status/decisions/-", "value": entry }));
    serde_json::from_value(Value::Array(operations)).unwrap_or_default()
}

fn test(path: &str, value: &Value) -> Value {
    json!({ "op": "test", "path": path, "value": value })
}

/// What became of a request whose patch was refused: the sentence to tell, if it is no longer the one that was read.
pub fn changed(read: &Record, now: &Record) -> Option<String> {
    let name = read.name();
    if read.uid() != now.uid() {
        return Some(format!(
            "{name} was deleted, and another request has its name now: nothing was decided"
        ));
    }
    if read.resolved() != now.resolved() {
        return Some(format!(
            "what {name} stands for has changed since it was read: nothing was decided"
        ));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::samples::{awaiting, ended, record};
    use json_patch::patch as apply;

    #[test]
    fn the_patch_tests_uid_and_resolved_before_it_appends() {
        let record = awaiting();
        let patch = patch(&record, DecisionKind::Approve, "lea@contoso.com", Some("called back"));
        assert_eq!(
            serde_json::to_value(&patch).unwrap(),
            json!([
                { "op": "test", "path": "/metadata/uid", "value": "74a1cf5b-7a83-4a5b-9c32-0d41c1f0b9aa" },
                { "op": "test", "path": "/status/resolved", "value": {
                    "tenantId": "t", "userId": "u", "userPrincipalName": "alice@contoso.com",
                    "lifetime": "1h", "oneTimeUse": true, "later": "a field of a later version",
                } },
                { "op": "add", "path": "/status/decisions/-", "value": {
                    "by": "lea@contoso.com", "decision": "Approve", "comment": "called back",
                } },
            ])
        );
    }

    #[test]
    fn the_patch_decides_about_no_other_object_and_no_other_pass() {
        let read = awaiting();
        let patch = patch(&read, DecisionKind::Approve, "lea@contoso.com", None);
        let mut same = read.printed();
        apply(&mut same, &patch).unwrap();
        assert_eq!(same["status"]["decisions"][0]["by"], "lea@contoso.com");
        for (pointer, value) in [
            ("/metadata/uid", "another"),
            ("/status/resolved/lifetime", "8h"),
            ("/status/resolved/userId", "v"),
        ] {
            let mut other = read.printed();
            *other.pointer_mut(pointer).unwrap() = value.into();
            apply(&mut other, &patch).unwrap_err();
            assert!(changed(&read, &record(other)).is_some(), "{pointer}");
        }
        assert_eq!(changed(&read, &read.clone()), None);
    }

    #[test]
    fn nobody_decides_about_their_own() {
        let record = awaiting();
        for (decision, me) in [
            (DecisionKind::Approve, "Heidi@contoso.com"),
            (DecisionKind::Deny, "heidi@contoso.com"),
            (DecisionKind::Approve, "alice@contoso.com"),
        ] {
            assert!(
                matches!(standing(&record, decision, me), Standing::Closed(_)),
                "{decision:?} {me}"
            );
        }
        assert_eq!(standing(&record, DecisionKind::Revoke, "heidi@contoso.com"), Standing::Open);
        assert_eq!(standing(&record, DecisionKind::Approve, "lea@contoso.com"), Standing::Open);
    }

    #[test]
    fn it_can_be_too_early_or_too_late_to_approve() {
        let mut object = awaiting().printed();
        object["status"]["phase"] = "Pending".into();
        object["status"].as_object_mut().unwrap().remove("resolved");
        let early = record(object);
        let approve = |record: &Record| standing(record, DecisionKind::Approve, "lea@contoso.com");
        assert!(matches!(approve(&early), Standing::Closed(why) if why.contains("too early")));
        let mut late = ended("Expired", "NotIssuedInTime").printed();
        late["status"]["decisions"] = json!([{ "by": "lea@contoso.com", "decision": "Approve" }]);
        for ended in [ended("Expired", "NotIssuedInTime"), record(late)] {
            assert!(matches!(approve(&ended), Standing::Closed(why) if why.contains("has ended")));
        }
    }

    #[test]
    fn what_another_version_wrote_can_be_revoked_but_not_approved() {
        let mut novel = awaiting().printed();
        novel["status"]["phase"] = "Novel".into();
        let mut unreadable = awaiting().printed();
        unreadable["status"]["checks"] = json!([{ "name": "Novel", "result": "Novel" }]);
        let mut unresolved = awaiting().printed();
        unresolved["status"].as_object_mut().unwrap().remove("resolved");
        for other in [novel, unreadable, unresolved] {
            let other = record(other);
            let approve = standing(&other, DecisionKind::Approve, "lea@contoso.com");
            assert!(
                matches!(&approve, Standing::Closed(why) if why.contains("version")),
                "{approve:?}"
            );
            assert_eq!(standing(&other, DecisionKind::Revoke, "lea@contoso.com"), Standing::Open);
        }
    }

    #[test]
    fn a_used_pass_is_not_said_to_be_revoked() {
        let revoke = |record: &Record| standing(record, DecisionKind::Revoke, "lea@contoso.com");
        assert!(
            matches!(revoke(&ended("Used", "PassUsed")), Standing::Closed(why) if why.contains("was used"))
        );
        assert!(matches!(revoke(&ended("Expired", "PassExpired")), Standing::Done(_)));
    }
}

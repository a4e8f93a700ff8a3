//! What a row of the directory audit log tells, as far as the operator asks.
//!
//! The words differ between tenants and years (reported), and "Admin" or "User" in them says nothing of who did it: an app
//! that makes a pass may be told as "User registered security info". Who did it is in the row's initiator alone.

use crate::entra::AuditRow;

/// The errors of a sign-in with a pass: blocked by the method, wrong code, expired, used already, not on the web, not found
/// (reported).
pub const FAILED_WITH_PASS: std::ops::RangeInclusive<i32> = 130_502..=130_507;

/// What a row tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// A pass was made.
    PassMade,
    /// A pass was deleted.
    PassDeleted,
    /// The user registered a sign-in method of this kind, named as Graph names its type.
    Registered(&'static str),
    /// The policy of authentication methods was changed; the method of passes is a part of it.
    MethodChanged,
}

/// The kinds of methods, by words in the detail of a row. The first that fits counts.
const KINDS: &[(&str, &str)] = &[
    ("windows hello", "windowsHelloForBusiness"),
    ("platform credential", "platformCredential"),
    ("fido", "fido2"),
    ("passkey", "fido2"),
    ("authenticator app with code", "softwareOath"),
    ("authenticator", "microsoftAuthenticator"),
    ("passwordless phone", "microsoftAuthenticator"),
    ("oath", "softwareOath"),
    ("phone", "phone"),
    ("email", "email"),
];
/// A method of another kind.
const OTHER: &str = "other";

/// What a row tells; `None` if it failed, or is about something else.
pub fn meaning(row: &AuditRow) -> Option<Meaning> {
    if !row.succeeded {
        return None;
    }
    let activity = row.activity.to_lowercase();
    let words = format!("{activity} {}", row.reason.to_lowercase());
    if row.pass_id.is_some() || words.contains("temporary access pass") {
        let deleted = words.contains("delete");
        let made = ["register", "create", "add"].iter().any(|word| words.contains(word));
        return match (deleted, made) {
            (true, _) => Some(Meaning::PassDeleted),
            (false, true) => Some(Meaning::PassMade),
            (false, false) => None,
        };
    }
    if activity.starts_with("authentication methods policy") {
        return Some(Meaning::MethodChanged);
    }
    let kind = KINDS.iter().find(|(word, _)| words.contains(word)).map(|(_, kind)| *kind);
    if activity == "user registered security info" {
        return Some(Meaning::Registered(kind.unwrap_or(OTHER)));
    }
    // What a device registers for its user is told by another service.
    kind.filter(|_| activity.starts_with("add ")).map(Meaning::Registered)
}

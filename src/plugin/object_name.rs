//! Names of objects as people type them, or copy them from what this program or kubectl has printed.

use super::naming::is_object_name;
use crate::api::names::GROUP;

/// The name of a request: alone, or with its kind, as `-o name` prints it.
pub fn of_request(text: &str) -> Result<String, String> {
    named(text, &["taprequest", "taprequests", "tap"])
}

/// The name of a policy: alone, or with its kind.
pub fn of_policy(text: &str) -> Result<String, String> {
    named(text, &["tappolicy", "tappolicies", "tpol"])
}

/// `kinds`: the names of the kind, as kubectl knows them.
fn named(text: &str, kinds: &[&str]) -> Result<String, String> {
    let name = match text.split_once('/') {
        Some((kind, name)) if is_of(kind, kinds) => name,
        _ => text,
    };
    if is_object_name(name) {
        return Ok(name.to_owned());
    }
    let kind = kinds[0];
    Err(format!("write NAME or {kind}/NAME; a name has lower-case letters, digits, '-' and '.'"))
}

/// Whether this is one of the kinds: with or without its group, and its version.
fn is_of(text: &str, kinds: &[&str]) -> bool {
    let text = text.to_ascii_lowercase();
    let (kind, group) = text.split_once('.').unwrap_or((&text, GROUP));
    kinds.contains(&kind)
        && (group == GROUP || group.split_once('.').is_some_and(|(_, group)| group == GROUP))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_as_a_name_is_taken_as_one() {
        for text in [
            "alice-inc0012345",
            "taprequest.tap-operator.io/alice-inc0012345",
            "taprequests.tap-operator.io/alice-inc0012345",
            "taprequests.v1alpha1.tap-operator.io/alice-inc0012345",
            "TapRequest/alice-inc0012345",
            "taprequests/alice-inc0012345",
            "tap/alice-inc0012345",
        ] {
            assert_eq!(of_request(text).as_deref(), Ok("alice-inc0012345"), "{text}");
        }
        let printed = crate::plugin::samples::awaiting();
        assert_eq!(of_request(&printed.title()), Ok(printed.name()));
        assert_eq!(of_policy("tappolicy.tap-operator.io/helpdesk").as_deref(), Ok("helpdesk"));
        assert_eq!(of_policy("tpol/helpdesk").as_deref(), Ok("helpdesk"));
    }

    #[test]
    fn what_cannot_be_a_name_is_refused() {
        let long = "a".repeat(254);
        for text in [
            "",
            "a/status",
            "a/",
            "/a",
            "tap/",
            "tap/a/status",
            "tap/a/b",
            "secret/a",
            "tap.example.com/a",
            "Alice",
            "a b",
            "-a",
            "a-",
            "a..b",
            "..",
            "a?b",
            "alice@contoso.com",
            &long,
        ] {
            assert!(of_request(text).is_err(), "{text}");
        }
        assert!(of_policy("tap/helpdesk").is_err());
    }
}

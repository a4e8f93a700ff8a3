//! The name of a request that its creator gives none.

use std::sync::LazyLock;

use jiff::civil::Date;
use regex::Regex;

/// The longest name of a request.
const LONGEST: usize = 63;

/// The longest name of any object.
const LONGEST_OF_OBJECT: usize = 253;

/// A ticket: letters and a number, such as INC0012345 or HELP-4711.
static TICKET: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)\b[a-z]{2,10}-?[0-9]{3,12}\b").unwrap_or_else(|_| unreachable!("a constant"))
});

/// A name after the user and the ticket, or the day: `alice-inc0012345`. Further attempts are numbered.
pub fn name(user: &str, reason: Option<&str>, today: Date, attempt: u32) -> String {
    let local = user.split(['@', '#']).next().unwrap_or_default();
    let ticket = reason.and_then(|reason| TICKET.find(reason)).map(|found| slug(found.as_str()));
    let number = if attempt > 1 { format!("-{attempt}") } else { String::new() };
    let ending = format!("-{}{number}", ticket.unwrap_or_else(|| today.to_string()));
    let mut stem = slug(local);
    if stem.is_empty() {
        stem.push_str("pass");
    }
    stem.truncate(LONGEST - ending.len());
    format!("{}{ending}", stem.trim_end_matches('-'))
}

/// Whether an object may have this name: parts of lower-case letters, digits and dashes, with dots between them.
pub fn is_object_name(name: &str) -> bool {
    name.len() <= LONGEST_OF_OBJECT && name.split('.').all(is_part)
}

/// Whether this is lower-case letters, digits and dashes, with a letter or digit at both ends.
fn is_part(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    !text.is_empty() && text.bytes().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

/// Lower-case letters, digits and single dashes.
fn slug(text: &str) -> String {
    let mut slug = String::new();
    for c in text.chars() {
        if c.is_ascii_alphanumeric() {
            slug.push(c.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn today() -> Date {
        Date::constant(2026, 11, 29)
    }

    #[test]
    fn a_request_is_named_after_user_and_ticket_or_day() {
        for (user, reason, expected) in [
            ("alice@contoso.com", Some("INC0012345 lost phone"), "alice-inc0012345"),
            ("alice@contoso.com", Some("lost phone, see HELP-4711"), "alice-help-4711"),
            ("alice@contoso.com", Some("lost phone"), "alice-2026-11-29"),
            ("alice@contoso.com", None, "alice-2026-11-29"),
            ("Jürgen.O'Neil@contoso.com", None, "j-rgen-o-neil-2026-11-29"),
            ("bob_fabrikam.com#EXT#@contoso.com", None, "bob-fabrikam-com-2026-11-29"),
            ("漢字@contoso.com", None, "pass-2026-11-29"),
            (
                "6c1f8a4e-0b5d-4f7a-9b1c-2d3e4f5a6b7c",
                None,
                "6c1f8a4e-0b5d-4f7a-9b1c-2d3e4f5a6b7c-2026-11-29",
            ),
        ] {
            assert_eq!(name(user, reason, today(), 1), expected);
        }
        assert_eq!(name("alice@contoso.com", None, today(), 3), "alice-2026-11-29-3");
    }

    #[test]
    fn a_name_is_never_too_long() {
        let user = format!("{}-@contoso.com", "a".repeat(100));
        let name = name(&user, Some("INC123456789012"), today(), 12);
        assert_eq!(name.len(), LONGEST);
        assert!(name.ends_with("a-inc123456789012-12"), "{name}");
    }
}

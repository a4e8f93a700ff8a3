//! Paths of Graph's resources.

use std::fmt::Write as _;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What is escaped in a path segment: everything but RFC 3986's unreserved characters.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Returns `/collection/key` for any key.
///
/// A sign-in name that begins with `$` must be written in parentheses and quotes, as in `OData`. So must `.` and `..`,
/// which a URL resolves, and an empty key, which would address the collection.
pub(super) fn keyed(collection: &str, key: &str) -> String {
    let mut path = format!("/{collection}");
    let _ = if key.starts_with('$') || matches!(key, "" | "." | "..") {
        write!(path, "({})", literal(key))
    } else {
        write!(path, "/{}", utf8_percent_encode(key, SEGMENT))
    };
    path
}

/// Encodes a string literal of `OData`, with its quotes.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", utf8_percent_encode(&text.replace('\'', "''"), SEGMENT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_cannot_leave_their_segment() {
        for (key, path) in [
            ("6f1967b7-15e8-4935-ac26-d50770ed07a7", "/users/6f1967b7-15e8-4935-ac26-d50770ed07a7"),
            ("alice@contoso.com", "/users/alice%40contoso.com"),
            ("a_x.com#EXT#@c.com", "/users/a_x.com%23EXT%23%40c.com"),
            ("o'neil@c.com", "/users/o%27neil%40c.com"),
            ("$alice@c.com", "/users('%24alice%40c.com')"),
            ("$o'neil@c.com", "/users('%24o%27%27neil%40c.com')"),
            ("a/../b?c=d&e%2f", "/users/a%2F..%2Fb%3Fc%3Dd%26e%252f"),
            ("..", "/users('..')"),
            (".", "/users('.')"),
            ("", "/users('')"),
            ("żółw@c.com", "/users/%C5%BC%C3%B3%C5%82w%40c.com"),
        ] {
            assert_eq!(keyed("users", key), path);
        }
    }
}

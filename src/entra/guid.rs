//! Object ids, tenant ids and client ids.

/// Returns a GUID in lower case. Accepts only the usual form with hyphens and without braces.
pub(crate) fn guid(text: &str) -> Option<String> {
    let id = uuid::Uuid::try_parse(text).ok()?.hyphenated().to_string();
    id.eq_ignore_ascii_case(text).then_some(id)
}

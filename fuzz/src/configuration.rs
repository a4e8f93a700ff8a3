//! Files that the people who run the operator write.

use tap_operator::graph::connections_from_text;

/// A file with tenant connections.
pub fn connections(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    match connections_from_text(text, "tenants.yaml") {
        Ok(connections) => {
            for connection in &connections {
                assert!(connection.graph_url.starts_with("https://"), "{}", connection.graph_url);
                if let Some(users) = &connection.users {
                    let _ = users.behind(text);
                }
            }
        }
        Err(error) => assert!(error.to_string().len() <= 2_000 + 4 * text.len(), "{error}"),
    }
}

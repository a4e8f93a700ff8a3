//! Files that the people who run the operator write.

use tap_operator::graph::connections_from_text;
use tap_operator::notice::{Address, receivers_from_text, request};

use super::{decide, logs};

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

/// A file with receivers of notices.
pub fn receivers(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    match receivers_from_text(text, "notices.yaml") {
        Ok(receivers) => {
            for mut receiver in receivers.all {
                // Any file could be named, such as one that never ends.
                (receiver.token, receiver.hmac_key) = (None, None);
                if let Address::File(_) = receiver.address {
                    continue;
                }
                let notice = logs::foreign_pass();
                let source = receivers.source.as_deref();
                let sent = request(&receiver, &notice, source, decide::NOW).expect("no file");
                assert_eq!(sent.uri().scheme_str(), Some("https"), "{}", sent.uri());
                assert!(sent.uri().host().is_some_and(|host| !host.is_empty()), "{}", sent.uri());
                let body: Result<serde_json::Value, _> = serde_json::from_slice(sent.body());
                assert!(body.is_ok(), "{body:?}");
            }
        }
        Err(error) => assert!(error.to_string().len() <= 2_000 + 4 * text.len(), "{error}"),
    }
}

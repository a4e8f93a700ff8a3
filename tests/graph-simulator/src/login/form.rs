//! What comes with a token request.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::wire::{Incoming, pairs};

/// What came with a token request, in its body or as Basic authentication.
#[derive(Debug)]
pub(super) struct Form {
    fields: Vec<(String, String)>,
    basic: Option<(String, String)>,
}

impl Form {
    pub(super) fn read(incoming: &Incoming) -> Self {
        let fields = std::str::from_utf8(&incoming.body).map(pairs).unwrap_or_default();
        let basic = incoming
            .header("authorization")
            .and_then(|value| value.strip_prefix("Basic "))
            .and_then(|encoded| String::from_utf8(STANDARD.decode(encoded).ok()?).ok())
            .and_then(|both| {
                // Both halves are form-encoded before they are joined.
                let (id, secret) = both.split_once(':')?;
                let decoded = |half: &str| {
                    pairs(half).into_iter().next().map(|(name, _)| name).unwrap_or_default()
                };
                Some((decoded(id), decoded(secret)))
            });
        Self { fields, basic }
    }

    /// A field, empty where it is missing.
    pub(super) fn get(&self, name: &str) -> &str {
        self.fields.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    pub(super) fn client_id(&self) -> String {
        self.basic.as_ref().map_or_else(|| self.get("client_id").to_owned(), |(id, _)| id.clone())
    }

    pub(super) fn secret(&self) -> Option<String> {
        let field =
            Some(self.get("client_secret")).filter(|secret| !secret.is_empty()).map(str::to_owned);
        self.basic.as_ref().map(|(_, secret)| secret.clone()).or(field)
    }
}

//! The tokens that login issued.

use std::collections::HashMap;

use jiff::Timestamp;
use uuid::Uuid;

/// A token that was issued.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    pub(crate) client_id: Uuid,
    pub(crate) expires: Timestamp,
    /// As granted when it was issued: what is granted later is in the next one.
    pub(crate) roles: Vec<String>,
}

/// Every token that is still good, by its text.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    known: HashMap<String, Token>,
}

impl Tokens {
    pub(crate) fn get(&self, text: &str) -> Option<&Token> {
        self.known.get(text)
    }

    /// Keeps a new token, and forgets those that have expired.
    pub(crate) fn add(&mut self, text: String, token: Token, now: Timestamp) {
        self.known.retain(|_, token| token.expires > now);
        self.known.insert(text, token);
    }

    /// No token that was issued until now is good any longer.
    pub(crate) fn clear(&mut self) {
        self.known.clear();
    }
}

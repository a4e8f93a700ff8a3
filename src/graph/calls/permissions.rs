//! The permissions of the app, as its tokens show them.

use crate::entra::{Call, GraphError};
use crate::graph::client::Client;
use crate::graph::exchange::{Token, unexpected};

impl Client {
    /// Returns the application permissions in the current token. They are a hint: the signature is not checked.
    pub async fn token_roles(&self) -> Result<Vec<String>, GraphError> {
        roles_in(&*self.exchange.current_token().await?)
    }

    /// Returns the application permissions in a token that is at most 5 minutes old, because an older one lacks what was
    /// granted since. If there is no new token, the current one is used.
    pub async fn new_token_roles(&self) -> Result<Vec<String>, GraphError> {
        roles_in(&*self.exchange.recent_token().await?)
    }
}

fn roles_in(token: &Token) -> Result<Vec<String>, GraphError> {
    let unreadable = || unexpected(Call::Token, "the permissions in the token cannot be read");
    token.roles().ok_or_else(unreadable)
}

//! Who stands behind a request to Graph.

use uuid::Uuid;

use crate::{
    passes::Actor,
    state::State,
    switches::ExpiredTokenBody,
    wire::{Incoming, Refusal},
};

/// Graph's own client id, the same in every tenant.
pub(super) const GRAPH_APP: &str = "00000003-0000-0000-c000-000000000000";

/// The app behind a request.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) client_id: Uuid,
    name: String,
    roles: Vec<String>,
}

impl Caller {
    pub(crate) fn has_any(&self, permissions: &[&str]) -> bool {
        self.roles.iter().any(|role| permissions.contains(&role.as_str()))
    }

    pub(crate) fn actor(&self) -> Actor {
        Actor::App { client_id: self.client_id, name: self.name.clone() }
    }
}

impl State {
    /// The app behind a request to Graph, by its token.
    pub(crate) fn caller(&self, incoming: &Incoming) -> Result<Caller, Refusal> {
        let authorization = incoming.header("authorization").unwrap_or_default();
        let Some(token) = authorization.strip_prefix("Bearer ") else {
            return Err(unauthorized("Access token is empty."));
        };
        let Some(token) = self.tokens.get(token) else {
            // Tokens that have long expired are forgotten.
            return Err(if is_like_ours(token) {
                self.expired_token()
            } else {
                unauthorized("CompactToken parsing failed with error code: 80049217")
            });
        };
        let app = self.apps.iter().find(|app| app.client_id == token.client_id);
        match app {
            Some(app) if token.expires > self.now() => Ok(Caller {
                client_id: app.client_id,
                name: app.name.clone(),
                roles: token.roles.clone(),
            }),
            _ => Err(self.expired_token()),
        }
    }

    /// 401, in one of the forms that were seen.
    pub(crate) fn expired_token(&self) -> Refusal {
        match self.switches.expired_token_body {
            ExpiredTokenBody::AccessToken => {
                unauthorized("Access token has expired or is not yet valid.")
            }
            ExpiredTokenBody::Lifetime => {
                unauthorized("Lifetime validation failed, the token is expired.")
            }
            ExpiredTokenBody::Empty => unauthorized("").emptied(),
        }
    }
}

/// 401 because a policy changed after the token was issued (reported verbatim).
pub(crate) fn claims_challenge() -> Refusal {
    let why = "Continuous access evaluation resulted in challenge with result: InteractionRequired and code: \
        TokenCreatedWithOutdatedPolicies";
    let claims =
        "eyJhY2Nlc3NfdG9rZW4iOnsibmJmIjp7ImVzc2VudGlhbCI6dHJ1ZSwgInZhbHVlIjoiMTcwMjY4MjE4MSJ9fX0=";
    let more =
        format!(r#", error_description="{why}", error="insufficient_claims", claims="{claims}""#);
    challenge(why, &more)
}

fn unauthorized(message: &str) -> Refusal {
    challenge(message, "")
}

fn challenge(message: &str, more: &str) -> Refusal {
    let challenge = format!(
        r#"Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize", client_id="{GRAPH_APP}"{more}"#
    );
    Refusal::new(401, "InvalidAuthenticationToken", message.to_owned())
        .header("www-authenticate", challenge)
}

fn is_like_ours(token: &str) -> bool {
    token.split('.').count() == 3
}

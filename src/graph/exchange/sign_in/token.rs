//! An access token.

use std::time::Duration;

use azure_core::credentials::{AccessToken, Secret};
use azure_core::time::OffsetDateTime;
use tokio::time::Instant;

use super::refusal::Refusal;
use crate::entra::SignInErrorKind;
use crate::graph::wire;

/// How long before its end a token is renewed.
const RENEWAL: Duration = Duration::from_mins(5);
/// How long before its end a token is not used any more, for a call takes a while.
const IN_USE: Duration = Duration::from_mins(1);

/// An access token.
pub(in crate::graph) struct Token {
    header: http::HeaderValue,
    secret: Secret,
    pub(super) renew_at: Instant,
    /// Until when Graph takes it.
    pub(super) good_until: Instant,
    fetched: Instant,
}

impl Token {
    /// Takes a token that was fetched just now.
    pub(super) fn new(token: AccessToken) -> Result<Self, Refusal> {
        let unusable = || Refusal::new(SignInErrorKind::Unavailable, "the token cannot be used");
        let mut header = http::HeaderValue::from_str(&format!("Bearer {}", token.token.secret()))
            .map_err(|_| unusable())?;
        header.set_sensitive(true);
        if token.token.secret().is_empty() {
            return Err(unusable());
        }
        // The library uses the system's clock. From here on the monotonic clock is sufficient.
        let lasts = token.expires_on - OffsetDateTime::now_utc();
        let lasts = Duration::try_from(lasts).unwrap_or(Duration::ZERO);
        let fetched = Instant::now();
        let renew_at = fetched + lasts.saturating_sub(RENEWAL.min(lasts / 2));
        let good_until = fetched + lasts.saturating_sub(IN_USE.min(lasts / 4));
        Ok(Self { header, secret: token.token, renew_at, good_until, fetched })
    }

    /// The value of `Authorization`, marked as sensitive.
    pub(in crate::graph::exchange) fn header(&self) -> http::HeaderValue {
        self.header.clone()
    }

    /// The permissions in the token, if they can be read.
    pub(in crate::graph) fn roles(&self) -> Option<Vec<String>> {
        wire::token_claims(self.secret.secret()).map(|claims| claims.roles)
    }

    /// How long ago it was fetched.
    pub(in crate::graph::exchange) fn age(&self) -> Duration {
        self.fetched.elapsed()
    }
}

//! The claims of an access token.

use serde::Deserialize;
use zeroize::Zeroizing;

use super::json::read;

/// The claims that are read.
#[derive(Debug, Default, Deserialize)]
pub(in crate::graph) struct TokenClaims {
    /// The granted application permissions.
    #[serde(default)]
    pub(in crate::graph) roles: Vec<String>,
    /// When it expires, in seconds since 1970.
    #[serde(default)]
    pub(in crate::graph) exp: Option<i64>,
    /// The id of the tenant.
    #[serde(default)]
    pub(in crate::graph) tid: Option<String>,
}

/// Reads the claims of a token without checking its signature. Use them as a hint only, never for a decision about trust.
pub(in crate::graph) fn token_claims(token: &str) -> Option<TokenClaims> {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    let claims = token.split('.').nth(1)?;
    let claims = Zeroizing::new(URL_SAFE_NO_PAD.decode(claims.trim_end_matches('=')).ok()?);
    read(&claims).ok()
}

//! The discovery documents, and the names by which the tenant is known.

use serde_json::json;
use uuid::Uuid;

use super::denial::{Denial, as_login};
use crate::{
    state::State,
    wire::{Answer, Ids, Incoming},
};

impl State {
    pub(crate) fn discovery(&self, tenant: &str, incoming: &Incoming, ids: &Ids) -> Answer {
        if !self.is_own_name(tenant) && !["common", "organizations"].contains(&tenant) {
            let text = format!(
                "Tenant '{tenant}' not found. Check the tenant id and that you use the right cloud."
            );
            return as_login(
                Denial::new(400, "invalid_tenant", 90_002, text).answer(ids, self.now()),
            );
        }
        let (base, id) = (incoming.base(), self.id);
        as_login(Answer::json(
            200,
            json!({
                "issuer": format!("{base}/{id}/v2.0"),
                "authorization_endpoint": format!("{base}/{id}/oauth2/v2.0/authorize"),
                "token_endpoint": format!("{base}/{id}/oauth2/v2.0/token"),
                "jwks_uri": format!("{base}/{id}/discovery/v2.0/keys"),
                "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
                "response_types_supported": ["code", "id_token"],
                "scopes_supported": ["openid", "profile", "email", "offline_access"],
                "subject_types_supported": ["pairwise"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "tenant_region_scope": "EU",
                "cloud_instance_name": "microsoftonline.com",
                "msgraph_host": incoming.header("host").unwrap_or("graph.microsoft.com"),
            }),
        ))
    }

    pub(crate) fn instance_discovery(&self, incoming: &Incoming) -> Answer {
        let host = incoming.header("host").unwrap_or("login.microsoftonline.com");
        as_login(Answer::json(
            200,
            json!({
                "tenant_discovery_endpoint": format!("{}/{}/v2.0/.well-known/openid-configuration", incoming.base(), self.id),
                "api-version": "1.1",
                "metadata": [{"preferred_network": host, "preferred_cache": host, "aliases": [host]}],
            }),
        ))
    }

    /// Whether a tenant in a path is this one.
    pub(super) fn is_own_name(&self, name: &str) -> bool {
        Uuid::parse_str(name) == Ok(self.id)
            || self.domains.iter().any(|domain| domain.eq_ignore_ascii_case(name))
    }
}

//! The token endpoint.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    caller::GRAPH_APP,
    denial::{Denial, as_login},
    form::Form,
};
use crate::{
    clock::{seconds, shifted},
    state::State,
    tenant::App,
    tokens::Token,
    wire::{Answer, Ids, Incoming},
};

const GRAPH: &str = "https://graph.microsoft.com";

impl State {
    /// Answers a token request; beside it, the app that asked.
    pub(crate) fn token(
        &mut self,
        tenant: &str,
        incoming: &Incoming,
        ids: &Ids,
    ) -> (Option<Uuid>, Answer) {
        let now = self.now();
        let form = Form::read(incoming);
        let (app, issued) = match self.prove(tenant, incoming, &form) {
            Ok(app) => {
                let (client_id, roles) = (app.client_id, app.roles.clone());
                (Some(client_id), self.issue(client_id, roles))
            }
            Err(denial) => (Uuid::parse_str(&form.client_id()).ok(), denial.answer(ids, now)),
        };
        (app, as_login(issued))
    }

    fn issue(&mut self, client_id: Uuid, roles: Vec<String>) -> Answer {
        let now = self.now();
        let lifetime = self.switches.token_lifetime_seconds;
        let expires = shifted(now, seconds(lifetime));
        let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let header = part(json!({"typ": "JWT", "alg": "RS256", "kid": "simulator"}));
        let claims = part(json!({
            "aud": GRAPH,
            "iss": format!("https://sts.windows.net/{}/", self.id),
            "iat": now.as_second(),
            "nbf": now.as_second(),
            "exp": expires.as_second(),
            "appid": client_id,
            "idtyp": "app",
            "roles": roles,
            "tid": self.id,
            "ver": "1.0",
        }));
        // Nobody but this tenant is meant to believe it, and it knows its tokens by heart.
        let signature = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
        let token = format!("{header}.{claims}.{signature}");
        self.tokens.add(token.clone(), Token { client_id, expires, roles }, now);
        Answer::json(
            200,
            json!({
                "token_type": "Bearer",
                "expires_in": lifetime,
                "ext_expires_in": lifetime,
                "access_token": token,
            }),
        )
    }

    fn prove(&self, tenant: &str, incoming: &Incoming, form: &Form) -> Result<&App, Denial> {
        if ["common", "organizations", "consumers"].contains(&tenant) {
            let text = format!(
                "The endpoint /{tenant} cannot be used with this grant type; use the tenant's own."
            );
            return Err(Denial::new(400, "invalid_request", 9_001_023, text));
        }
        if !self.is_own_name(tenant) {
            let text = format!(
                "Tenant '{tenant}' not found. Check the tenant id and that you use the right cloud."
            );
            return Err(Denial::new(400, "invalid_request", 90_002, text));
        }
        match form.get("grant_type") {
            "client_credentials" => {}
            "" => {
                let text = "The request body must contain the following parameter: 'grant_type'.";
                return Err(Denial::new(400, "invalid_request", 900_144, text));
            }
            other => {
                let text = format!("The app requested an unsupported grant type '{other}'.");
                return Err(Denial::new(400, "unsupported_grant_type", 70_003, text));
            }
        }
        let client_id = form.client_id();
        let app = self.apps.iter().find(|app| Uuid::parse_str(&client_id) == Ok(app.client_id)).ok_or_else(|| {
            let text = format!(
                "Application with identifier '{client_id}' was not found in the directory '{}'.",
                self.display_name
            );
            Denial::new(400, "unauthorized_client", 700_016, text)
        })?;
        if !app.enabled {
            let text = format!("Application '{client_id}' is disabled.");
            return Err(Denial::new(400, "unauthorized_client", 7_000_112, text));
        }
        let secret = form.secret();
        match (secret, form.get("client_assertion")) {
            (Some(secret), "") => self.prove_by_secret(app, &secret)?,
            (None, "") => {
                let text = "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.";
                return Err(Denial::invalid_client(7_000_218, text));
            }
            (_, assertion) => self.prove_by_assertion(app, tenant, incoming, form, assertion)?,
        }
        check_scope(form.get("scope"), incoming)?;
        Ok(app)
    }
}

/// Exactly one scope, Graph's, with `/.default`.
fn check_scope(scope: &str, incoming: &Incoming) -> Result<(), Denial> {
    let invalid = |number, text: String| Err(Denial::new(400, "invalid_scope", number, text));
    if scope.is_empty() {
        let text = "The request body must contain the following parameter: 'scope'.";
        return Err(Denial::new(400, "invalid_request", 900_144, text));
    }
    if scope.split_whitespace().count() != 1 {
        return invalid(
            70_011,
            format!("The provided value for the input parameter 'scope' is not valid: '{scope}'."),
        );
    }
    let Some(resource) = scope.strip_suffix("/.default") else {
        let text = format!(
            "The scope '{scope}' is not valid: client credentials need the resource with /.default."
        );
        return invalid(1_002_012, text);
    };
    let own = incoming.base();
    if [GRAPH, GRAPH_APP, own.as_str()].contains(&resource.trim_end_matches('/')) {
        return Ok(());
    }
    let text = format!("The resource principal named {resource} was not found in the tenant.");
    Err(Denial::new(400, "invalid_resource", 500_011, text))
}

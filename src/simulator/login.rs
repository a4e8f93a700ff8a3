//! Login: the token endpoint with its three kinds of credentials, and the discovery documents.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    assertion::Assertion,
    clock::{seconds, shifted},
    passes::Actor,
    state::State,
    switches::ExpiredTokenBody,
    tenant::App,
    wire::{Answer, Ids, Incoming, Refusal, pairs},
};

/// Graph's own client id, the same in every tenant.
const GRAPH_APP: &str = "00000003-0000-0000-c000-000000000000";
const GRAPH: &str = "https://graph.microsoft.com";
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// How far the clocks of login and of the maker of an assertion may be apart.
const SKEW: SignedDuration = SignedDuration::from_mins(5);

/// A token that was issued.
#[derive(Debug, Clone)]
pub(super) struct Token {
    client_id: Uuid,
    expires: Timestamp,
    /// As granted when it was issued: what is granted later is in the next one.
    roles: Vec<String>,
}

/// The app behind a request.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    pub(super) client_id: Uuid,
    name: String,
    roles: Vec<String>,
}

impl Caller {
    pub(super) fn has_any(&self, permissions: &[&str]) -> bool {
        self.roles.iter().any(|role| permissions.contains(&role.as_str()))
    }

    pub(super) fn actor(&self) -> Actor {
        Actor::App { client_id: self.client_id, name: self.name.clone() }
    }
}

/// Why no token is issued: OAuth's error, Entra's number, and a text.
#[derive(Debug)]
struct Denial {
    status: u16,
    error: &'static str,
    number: u32,
    text: String,
}

impl Denial {
    fn new(status: u16, error: &'static str, number: u32, text: impl Into<String>) -> Self {
        Self { status, error, number, text: text.into() }
    }

    fn invalid_client(number: u32, text: impl Into<String>) -> Self {
        Self::new(401, "invalid_client", number, text)
    }

    fn answer(&self, ids: &Ids, now: Timestamp) -> Answer {
        let timestamp = now.strftime("%Y-%m-%d %H:%M:%SZ").to_string();
        let (trace, correlation) = (ids.request, &ids.client_request);
        let description = format!(
            "AADSTS{}: {} Trace ID: {trace}\r\nCorrelation ID: {correlation}\r\nTimestamp: {timestamp}",
            self.number, self.text
        );
        let body = json!({
            "error": self.error,
            "error_description": description,
            "error_codes": [self.number],
            "timestamp": timestamp,
            "trace_id": trace,
            "correlation_id": correlation,
            "error_uri": format!("https://login.microsoftonline.com/error?code={}", self.number),
        });
        Answer::json(self.status, body)
    }
}

impl State {
    /// Answers a token request; beside it, the app that asked.
    pub(super) fn token(
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
        self.tokens.retain(|_, token| token.expires > now);
        self.tokens.insert(token.clone(), Token { client_id, expires, roles });
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

    fn prove_by_secret(&self, app: &App, secret: &str) -> Result<(), Denial> {
        let now = self.now();
        let Some(found) = app.secrets.iter().find(|known| known.value == secret) else {
            let text = format!("Invalid client secret provided for app '{}'.", app.client_id);
            return Err(Denial::invalid_client(7_000_215, text));
        };
        if found.end_date_time.is_some_and(|end| end <= now) {
            let text =
                format!("The provided client secret keys for app '{}' are expired.", app.client_id);
            return Err(Denial::invalid_client(7_000_222, text));
        }
        Ok(())
    }

    fn prove_by_assertion(
        &self,
        app: &App,
        tenant: &str,
        incoming: &Incoming,
        form: &Form,
        assertion: &str,
    ) -> Result<(), Denial> {
        if form.get("client_assertion_type") != ASSERTION_TYPE {
            let text =
                "The request body must contain the following parameter: 'client_assertion_type'.";
            return Err(Denial::new(400, "invalid_request", 900_144, text));
        }
        let assertion = Assertion::parse(assertion).ok_or_else(|| {
            Denial::invalid_client(50_027, "The JWT token is invalid or malformed.")
        })?;
        self.check_times(&assertion)?;
        if assertion.claim("iss") == app.client_id.to_string() {
            self.prove_by_certificate(app, tenant, incoming, &assertion)
        } else {
            self.prove_by_federation(app, &assertion)
        }
    }

    /// Assertions are made outside, by clocks that take no part in the tenant's steps.
    fn check_times(&self, assertion: &Assertion) -> Result<(), Denial> {
        let second = |at: Timestamp| at.as_duration().as_secs_f64();
        let now = self.clock.outside();
        let begun = assertion.time("nbf").is_none_or(|begins| begins <= second(shifted(now, SKEW)));
        let lasts = assertion.time("exp").is_some_and(|ends| ends > second(shifted(now, -SKEW)));
        if begun && lasts {
            return Ok(());
        }
        let text = "Client assertion is not within its valid time range.";
        Err(Denial::invalid_client(700_024, text))
    }

    fn prove_by_certificate(
        &self,
        app: &App,
        tenant: &str,
        incoming: &Incoming,
        assertion: &Assertion,
    ) -> Result<(), Denial> {
        let now = self.now();
        let denied = |reason: &str| {
            let text = format!(
                "The certificate with identifier used to sign the client assertion {reason}."
            );
            Err(Denial::invalid_client(700_027, text))
        };
        let Some(certificate) = app.certificates.iter().find(|known| assertion.names(known)) else {
            return denied("is not registered on application");
        };
        if !assertion.is_signed_with(certificate) {
            return denied("was found, but the signature was not made with its key");
        }
        if certificate.end_date_time.is_some_and(|end| end <= now) {
            return denied("is expired on application");
        }
        if certificate.start_date_time.is_some_and(|start| start > now) {
            return denied("is not yet valid on application");
        }
        if assertion.claim("sub") != app.client_id.to_string() {
            let text =
                "Client assertion application identifier doesn't match 'client_id' parameter.";
            return Err(Denial::invalid_client(700_021, text));
        }
        let base = incoming.base();
        let audiences =
            [format!("{base}/{tenant}/oauth2/v2.0/token"), format!("{base}/{}/v2.0", self.id)];
        if !audiences.iter().any(|audience| assertion.is_for(audience)) {
            let text = "Client assertion audience claim does not match Realm issuer.";
            return Err(Denial::invalid_client(700_023, text));
        }
        Ok(())
    }

    fn prove_by_federation(&self, app: &App, assertion: &Assertion) -> Result<(), Denial> {
        let denied = |number, text: String| {
            Err(Denial::new(self.switches.federated_error_status, "invalid_client", number, text))
        };
        let ready_after = seconds(self.switches.federated_ready_after_seconds);
        let ready = |created: Option<Timestamp>| {
            created.is_none_or(|at| shifted(at, ready_after) <= self.now())
        };
        let mut known: Vec<_> = app
            .federated_credentials
            .iter()
            .filter(|known| ready(known.created_date_time))
            .collect();
        if known.is_empty() {
            let text = "The client has no configured federated identity credentials.";
            return denied(70_025, text.into());
        }
        let (issuer, subject) = (assertion.claim("iss"), assertion.claim("sub"));
        known.retain(|known| known.issuer == issuer);
        if known.is_empty() {
            let text = format!(
                "No matching federated identity record found for presented assertion issuer '{issuer}'."
            );
            return denied(700_211, text);
        }
        known.retain(|known| known.subject == subject);
        if known.is_empty() {
            let text = format!(
                "No matching federated identity record found for presented assertion subject '{subject}'."
            );
            return denied(700_213, text);
        }
        if !known.iter().any(|known| assertion.is_for(&known.audience)) {
            let text =
                "No matching federated identity record found for presented assertion audience.";
            return denied(700_212, text.into());
        }
        match self.issuers.get(issuer) {
            None => denied(501_661, format!("The keys of the issuer '{issuer}' could not be had.")),
            Some(jwks) if !assertion.is_signed_by(jwks) => {
                denied(50_013, "Assertion failed signature validation.".into())
            }
            Some(_) => Ok(()),
        }
    }

    /// The app behind a request to Graph, by its token.
    pub(super) fn caller(&self, incoming: &Incoming) -> Result<Caller, Refusal> {
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
    pub(super) fn expired_token(&self) -> Refusal {
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

    /// No token that was issued until now is good any longer.
    pub(super) fn expire_tokens(&mut self) {
        self.tokens.clear();
    }

    pub(super) fn discovery(&self, tenant: &str, incoming: &Incoming, ids: &Ids) -> Answer {
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

    pub(super) fn instance_discovery(&self, incoming: &Incoming) -> Answer {
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

    fn is_own_name(&self, name: &str) -> bool {
        Uuid::parse_str(name) == Ok(self.id)
            || self.domains.iter().any(|domain| domain.eq_ignore_ascii_case(name))
    }
}

/// What came with a token request, in its body or as Basic authentication.
#[derive(Debug)]
struct Form {
    fields: Vec<(String, String)>,
    basic: Option<(String, String)>,
}

impl Form {
    fn read(incoming: &Incoming) -> Self {
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
    fn get(&self, name: &str) -> &str {
        self.fields.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    fn client_id(&self) -> String {
        self.basic.as_ref().map_or_else(|| self.get("client_id").to_owned(), |(id, _)| id.clone())
    }

    fn secret(&self) -> Option<String> {
        let field =
            Some(self.get("client_secret")).filter(|secret| !secret.is_empty()).map(str::to_owned);
        self.basic.as_ref().map(|(_, secret)| secret.clone()).or(field)
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

fn unauthorized(message: &str) -> Refusal {
    let challenge = format!(
        r#"Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize", client_id="{GRAPH_APP}""#
    );
    Refusal::new(401, "InvalidAuthenticationToken", message.to_owned())
        .header("www-authenticate", challenge)
}

fn is_like_ours(token: &str) -> bool {
    token.split('.').count() == 3
}

fn as_login(answer: Answer) -> Answer {
    answer
        .with("content-type", "application/json; charset=utf-8")
        .with("cache-control", "no-store, no-cache")
        .with("pragma", "no-cache")
}

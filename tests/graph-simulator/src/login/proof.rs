//! How an app proves that it is itself: a secret, a certificate, or the token of an issuer that it trusts.

use jiff::{SignedDuration, Timestamp};

use super::{assertion::Assertion, denial::Denial, form::Form};
use crate::{
    clock::{seconds, shifted},
    state::State,
    tenant::App,
    wire::Incoming,
};

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// How far the clocks of login and of the maker of an assertion may be apart.
const SKEW: SignedDuration = SignedDuration::from_mins(5);

impl State {
    pub(super) fn prove_by_secret(&self, app: &App, secret: &str) -> Result<(), Denial> {
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

    pub(super) fn prove_by_assertion(
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
}

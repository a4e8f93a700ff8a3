//! What the operator needs of a tenant.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;
use tap_operator::api::TapPolicy;
use tap_operator::controller::Clocks;
use tap_operator::decision::permissions::{self, Uses};
use tap_operator::decision::situation::Connection;
use tap_operator::entra::{GraphError, MethodConfiguration, MethodState};
use tap_operator::graph::{Client, Priority};

use super::Finding;

/// From when on the end of a credential is told.
const EXPIRES_SOON: SignedDuration = SignedDuration::from_hours(14 * 24);
/// How many answers at most tell Graph's time.
const ANSWERS: usize = 4;
/// How far Graph's clock may be from ours before that is told.
const CLOCK_OFF: SignedDuration = SignedDuration::from_secs(60);

/// Checks a connection. Without a token there is nothing more to ask.
pub async fn check(
    client: &Client,
    policies: Option<&[TapPolicy]>,
    clocks: &Clocks,
) -> Vec<Finding> {
    let of = |what: &str| format!("{}: {what}", client.connection());
    let mut findings = vec![credential(client, of("credential"))];
    let held = client.token_roles().await;
    findings.push(match &held {
        Ok(_) => Finding::ok(of("sign-in"), format!("tenant {}", client.tenant_id())),
        Err(error) => Finding::failed(of("sign-in"), error.to_string()),
    });
    let Ok(held) = held else { return findings };
    if let Some(policies) = policies {
        findings.push(compare(client, policies, &held, of("permissions")));
    }
    let mut method = client.method(Priority::Read).await;
    // A clock that is far off is believed once several answers agree.
    for _ in 1..ANSWERS {
        if clocks.offset(client.tenant_id()).is_some() || method.is_err() {
            break;
        }
        method = client.method(Priority::Read).await;
    }
    findings.push(tell_method(&method, of("method")));
    let offset = clocks.offset(client.tenant_id());
    findings.push(match offset {
        None => Finding::warning(of("clock"), "Graph's answers do not tell its time"),
        Some((offset, error)) => {
            let off = offset.abs() > CLOCK_OFF;
            let side = if offset.is_negative() { "behind" } else { "ahead" };
            let (offset, error) = (offset.abs().as_secs_f64(), error.as_secs_f64());
            let detail =
                format!("Graph's clock is {offset:.1} s {side}, give or take {error:.1} s");
            if off {
                Finding::warning(of("clock"), detail)
            } else {
                Finding::ok(of("clock"), detail)
            }
        }
    });
    findings
}

/// The policies that name a connection which is not configured.
pub fn unknown(policies: &[TapPolicy], clients: &[Client]) -> Vec<Finding> {
    let is_known = |policy: &&TapPolicy| {
        clients.iter().any(|client| client.connection() == policy.spec.tenant)
    };
    let unknown = policies.iter().filter(|policy| !is_known(policy));
    unknown
        .map(|policy| {
            let (name, tenant) = (policy.name_any(), &policy.spec.tenant);
            let detail =
                format!("its spec.tenant is {tenant:?}, and no tenant connection has this name");
            Finding::failed(format!("TapPolicy {name}"), detail)
        })
        .collect()
}

fn credential(client: &Client, what: String) -> Finding {
    let credential = &client.config().credential;
    let kind = credential.kind();
    let Some(expires) = credential.expires() else { return Finding::ok(what, kind) };
    let left = expires.duration_since(Timestamp::now());
    let detail = format!("{kind}, until {expires:.0}");
    // The token of a service account lives for an hour, and is renewed before.
    let soon = if kind == "workloadIdentity" { SignedDuration::ZERO } else { EXPIRES_SOON };
    if left < SignedDuration::ZERO {
        Finding::failed(what, format!("{detail}: it has expired"))
    } else if left < soon {
        Finding::warning(what, format!("{detail}: renew it"))
    } else {
        Finding::ok(what, detail)
    }
}

fn compare(client: &Client, policies: &[TapPolicy], held: &[String], what: String) -> Finding {
    let config = client.config();
    let ours = || policies.iter().filter(|policy| policy.spec.tenant == config.name);
    let needs = permissions::needs_of_all(ours());
    let uses = Uses {
        corrects: ours().any(|policy| permissions::enforces(&policy.spec)),
        reads_sign_in_methods: ours()
            .any(|policy| permissions::reads_sign_in_methods(&policy.spec)),
    };
    let found = permissions::compare(&needs, held, config.cloud, uses);
    let connection = Connection {
        name: config.name.clone(),
        tenant_id: config.tenant_id.clone(),
        client_id: config.client_id.clone(),
        cloud: config.cloud,
        users: config.users.clone(),
        ceilings: Arc::default(),
    };
    match found.sentence(&connection) {
        None => Finding::ok(
            what,
            format!("what its TapPolicies need ({}), and no more", ours().count()),
        ),
        Some(sentence) if found.missing.is_empty() => Finding::warning(what, sentence),
        Some(sentence) => Finding::failed(what, sentence),
    }
}

fn tell_method(method: &Result<MethodConfiguration, GraphError>, what: String) -> Finding {
    let method = match method {
        Ok(method) => method,
        Err(error) => return Finding::failed(what, error.to_string()),
    };
    let minutes = |minutes: Option<u32>| minutes.map_or("?".to_owned(), |m| format!("{m} min"));
    let (shortest, longest) =
        (minutes(method.minimum_lifetime_minutes), minutes(method.maximum_lifetime_minutes));
    let detail = format!("lifetimes from {shortest} to {longest}");
    match &method.state {
        MethodState::Enabled => Finding::ok(what, format!("enabled, {detail}")),
        MethodState::Disabled | MethodState::Other(_) => {
            Finding::warning(what, format!("not enabled: no pass can be used; {detail}"))
        }
    }
}

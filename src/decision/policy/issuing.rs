//! The condition Issuing: whether requests that name the policy can get a pass, as far as that can be told without a request.

use super::advice::Finding;
use super::{PolicySituation, groups};
use crate::api::{Issuance, Lifetime, Users};
use crate::decision::Reason;
use crate::decision::checks::is_empty_selector;
use crate::decision::situation::Stop;
use crate::entra::MethodState;

/// Whether the policy can issue passes; `None` if it is not meant to.
pub(super) fn issuing(s: &PolicySituation) -> Option<Finding> {
    let issuance = s.policy.spec.issuance.as_ref()?;
    let prevented = nobody(issuance)
        .map(|message| (Reason::AdmitsNobody, message))
        .or_else(|| by_the_process(s, issuance))
        .or_else(|| by_the_tenant(s, issuance));
    Some(match prevented {
        Some((reason, message)) => ("False", reason, message),
        None => ("True", Reason::AdmitsRequests, limits(s)),
    })
}

/// Why the policy admits nobody, if it does not.
fn nobody(issuance: &Issuance) -> Option<String> {
    let namespaces = issuance.namespaces.as_ref();
    let named = namespaces.is_some_and(|n| n.names.as_ref().is_some_and(|names| !names.is_empty()));
    let selector = namespaces.and_then(|n| n.selector.as_ref());
    let selected = selector.is_some_and(|selector| !is_empty_selector(selector));
    if !named && !selected {
        return Some("the policy admits no namespace: name some in issuance.namespaces, or select them by label (an empty selector selects nothing)".into());
    }
    let users = issuance.users.as_ref();
    let any = |list: Option<usize>| list.is_some_and(|length| length > 0);
    let by_domain = any(users.and_then(|u| u.domains.as_ref()).map(Vec::len));
    let by_group = any(users.and_then(|u| u.groups.as_ref()).map(Vec::len));
    if !by_domain && !by_group {
        return Some("the policy admits no user: name domains or groups in issuance.users".into());
    }
    if by_domain && users.is_some_and(|users| domains(users).all(|domain| !is_domain(domain))) {
        let written: Vec<&str> = users.into_iter().flat_map(domains).collect();
        let message = format!(
            "no user is of a domain {}: write domains as contoso.com, without @ and *, each by itself",
            written.join(", ")
        );
        return Some(message);
    }
    None
}

fn domains(users: &Users) -> impl Iterator<Item = &str> {
    users.domains.iter().flatten().map(String::as_str)
}

/// Whether it may be the domain of a user principal name.
fn is_domain(text: &str) -> bool {
    text.contains('.') && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '-'))
}

/// What in the cluster keeps the policy from issuing.
fn by_the_process(s: &PolicySituation, issuance: &Issuance) -> Option<(Reason, String)> {
    if issuance.suspend == Some(true) {
        let message = "the policy is suspended: requests wait until issuance.suspend is false";
        return Some((Reason::Suspended, message.into()));
    }
    if s.stop.stop != Stop::Off {
        let message = "requests wait while the ConfigMap tap-operator-stop exists";
        return Some((Reason::Stopped, message.into()));
    }
    if s.connection.is_none() {
        let tenant = &s.policy.spec.tenant;
        let message = format!("the operator has no tenant connection named {tenant:?}");
        return Some((Reason::TenantNotConfigured, message));
    }
    None
}

/// What in the tenant keeps the policy from issuing.
fn by_the_tenant(s: &PolicySituation, issuance: &Issuance) -> Option<(Reason, String)> {
    let method = match s.reads.method.as_ref()? {
        Err(error) => {
            return Some((Reason::of(error), format!("the tenant cannot be read: {error}")));
        }
        Ok(method) => method,
    };
    if method.state != MethodState::Enabled {
        let message = "the Temporary Access Pass method is disabled in the tenant: enable it there, or with method.state: Enabled in a TapPolicy";
        return Some((Reason::MethodDisabled, message.into()));
    }
    let Some((_, longest)) = lifetime(s) else {
        return Some((Reason::PolicyInvalid, "issuance.lifetime is not valid".into()));
    };
    let (minimum, maximum) = method.lifetimes().into_inner();
    if longest < minimum {
        let message = format!(
            "the policy allows lifetimes up to {}, and the tenant from {} to {}: raise issuance.lifetime.maximum, or change the method",
            Lifetime::from_minutes(longest),
            Lifetime::from_minutes(minimum),
            Lifetime::from_minutes(maximum)
        );
        return Some((Reason::LifetimeOutOfRange, message));
    }
    gone_groups(s, issuance)
}

/// Whether a group that is excluded does not exist, or every group that the policy admits.
fn gone_groups(s: &PolicySituation, issuance: &Issuance) -> Option<(Reason, String)> {
    if let Some(message) = s.connection.and_then(|connection| groups::gone(s, connection)) {
        return Some((Reason::GroupNotFound, message));
    }
    let groups = issuance.users.as_ref()?.groups.as_ref().filter(|groups| !groups.is_empty())?;
    let found = s.reads.groups.as_ref()?.as_ref().ok()?;
    let all_gone = groups.iter().all(|group| groups::is_gone(&group.group, found));
    let names = groups.iter().map(|group| match &group.display_name {
        Some(name) => format!("{} ({name})", group.group),
        None => group.group.clone(),
    });
    let names: Vec<String> = names.collect();
    all_gone.then(|| {
        let message = format!("no group that the policy admits exists: {}", names.join(", "));
        (Reason::AdmitsNobody, message)
    })
}

/// The policy's default and longest lifetime, in minutes; `None` if they are not valid.
fn lifetime(s: &PolicySituation) -> Option<(u32, u32)> {
    s.terms?.lifetime
}

/// What requests of a policy that issues passes should know.
fn limits(s: &PolicySituation) -> String {
    let can = "requests that name this policy can get a pass";
    let method = s.reads.method.as_ref().and_then(|method| method.as_ref().ok());
    let (Some(method), Some((default, _))) = (method, lifetime(s)) else { return can.into() };
    let lifetimes = method.lifetimes();
    if lifetimes.contains(&default) {
        return can.into();
    }
    let (minimum, maximum) = lifetimes.into_inner();
    format!(
        "{can}, but those that name no lifetime must wait: the default of {} is not within the tenant's range from {} to {}; change issuance.lifetime.default",
        Lifetime::from_minutes(default),
        Lifetime::from_minutes(minimum),
        Lifetime::from_minutes(maximum)
    )
}

//! Published recommendations about the method of Temporary Access Passes, and whether a tenant follows them.
//!
//! | id | what it recommends |
//! |---|---|
//! | `EIDSCA.AT01` | Entra ID Security Config Analyzer: the method is enabled |
//! | `EIDSCA.AT02` | the same: every pass works only once |
//! | `ZeroTrust.21845` | Microsoft's Zero Trust Assessment: the method is enabled for all users, and Conditional Access demands a strength that admits passes of registering security info |
//! | `ZeroTrust.21846` | the same: every pass works only once |

use std::collections::BTreeSet;

use crate::api::{Posture, PostureResult};
use crate::entra::{
    ALL_USERS, AccessPolicy, AccessPolicyState, Control, MethodConfiguration, MethodState, PassKind,
};

/// Whether a tenant with this method follows each recommendation. `policies` are its Conditional Access policies, if they
/// can be seen.
pub fn posture(method: &MethodConfiguration, policies: Option<&[AccessPolicy]>) -> Vec<Posture> {
    use PostureResult::{Met, NotMet};
    let is_enabled = method.state == MethodState::Enabled;
    let enabled = if is_enabled { Met } else { NotMet };
    let once = if method.one_time_required == Some(true) { Met } else { NotMet };
    let of_state = if is_enabled {
        "the method is enabled"
    } else {
        "the method is not enabled: set method.state to Enabled"
    };
    let of_use = if once == Met {
        "every pass works only once"
    } else {
        "passes may work more than once: set method.requireOneTimeUse to true"
    };
    let (bootstrap, of_bootstrap) = bootstrap(method, policies);
    let all = [
        ("EIDSCA.AT01", enabled, of_state),
        ("EIDSCA.AT02", once, of_use),
        ("ZeroTrust.21845", bootstrap, of_bootstrap),
        ("ZeroTrust.21846", once, of_use),
    ];
    let one = |(id, result, message): (&str, PostureResult, &str)| Posture {
        id: id.into(),
        result,
        message: message.into(),
    };
    all.map(one).into()
}

/// Whether new people can begin with a pass, and are held to it.
fn bootstrap(
    method: &MethodConfiguration,
    policies: Option<&[AccessPolicy]>,
) -> (PostureResult, &'static str) {
    use PostureResult::{Met, NotMet, Unknown};
    if method.state != MethodState::Enabled {
        return (NotMet, "the method is not enabled: set method.state to Enabled");
    }
    if method.include.iter().all(|target| target.id != ALL_USERS) {
        let message = "the method is enabled for some users only: include allUsers, or accept that";
        return (NotMet, message);
    }
    let Some(policies) = policies else {
        let message = "the method is enabled for all users; whether Conditional Access protects registering security info cannot be seen";
        return (Unknown, message);
    };
    let enforced = policies.iter().filter(|policy| {
        policy.state == AccessPolicyState::Enforced && policy.resources.registration
    });
    let mut strengths =
        enforced.flat_map(|policy| &policy.grant.controls).filter_map(|control| match control {
            Control::Strength(strength) => Some(strength),
            _ => None,
        });
    let is_any = |kinds: &BTreeSet<PassKind>| !kinds.is_empty();
    match strengths.next() {
        None => (
            NotMet,
            "no enforced Conditional Access policy demands an authentication strength of registering security info",
        ),
        Some(first) => {
            let admits = std::iter::once(first)
                .chain(strengths)
                .any(|strength| strength.admits.as_ref().is_some_and(is_any));
            if admits {
                (
                    Met,
                    "the method is enabled for all users, and Conditional Access demands a strength of registering security info that admits passes",
                )
            } else {
                (
                    NotMet,
                    "the authentication strength that is demanded of registering security info admits no pass",
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision::sign_in::samples;
    use crate::entra::GraphTarget;

    fn method() -> MethodConfiguration {
        MethodConfiguration {
            state: MethodState::Enabled,
            default_lifetime_minutes: None,
            minimum_lifetime_minutes: None,
            maximum_lifetime_minutes: None,
            default_length: None,
            one_time_required: Some(true),
            include: vec![GraphTarget {
                id: ALL_USERS.into(),
                target_type: "group".into(),
                is_registration_required: None,
            }],
            exclude: vec![],
        }
    }

    fn demands(admits: &[PassKind]) -> AccessPolicy {
        samples::demands("register", admits)
    }

    fn results(method: &MethodConfiguration, policies: Option<&[AccessPolicy]>) -> String {
        let all = posture(method, policies).into_iter();
        all.map(|one| format!("{}={:?}", one.id, one.result)).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn each_recommendation_is_met_or_not() {
        let good = [demands(&[PassKind::OneTime])];
        assert_eq!(
            results(&method(), Some(&good)),
            "EIDSCA.AT01=Met EIDSCA.AT02=Met ZeroTrust.21845=Met ZeroTrust.21846=Met"
        );
        let off = MethodConfiguration {
            state: MethodState::Disabled,
            one_time_required: Some(false),
            ..method()
        };
        assert_eq!(
            results(&off, Some(&good)),
            "EIDSCA.AT01=NotMet EIDSCA.AT02=NotMet ZeroTrust.21845=NotMet ZeroTrust.21846=NotMet"
        );
    }

    #[test]
    fn registering_must_be_open_to_everybody_and_protected_by_a_strength_that_admits_passes() {
        let of = |method: &MethodConfiguration, policies: Option<&[AccessPolicy]>| {
            posture(method, policies)[2].result
        };
        assert_eq!(of(&method(), None), PostureResult::Unknown);
        assert_eq!(of(&method(), Some(&[])), PostureResult::NotMet);
        assert_eq!(of(&method(), Some(&[demands(&[])])), PostureResult::NotMet);
        let reported =
            AccessPolicy { state: AccessPolicyState::ReportOnly, ..demands(&[PassKind::OneTime]) };
        assert_eq!(of(&method(), Some(&[reported])), PostureResult::NotMet);
        let mut some = method();
        some.include[0].id = "6c1f".into();
        assert_eq!(of(&some, None), PostureResult::NotMet, "whatever cannot be seen");
    }
}

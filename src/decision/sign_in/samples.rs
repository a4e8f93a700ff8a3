//! A policy for tests.

use crate::entra::{
    AccessPolicy, AccessPolicyState, AccessResources, AccessTargets, AuthenticationStrength,
    Control, Grant, PassKind,
};

/// An enforced policy that demands, of everybody who registers security info, a strength that admits these kinds of passes.
pub fn demands(display_name: &str, admits: &[PassKind]) -> AccessPolicy {
    let strength = AuthenticationStrength {
        id: "s".into(),
        display_name: "bootstrap".into(),
        admits: Some(admits.iter().copied().collect()),
    };
    AccessPolicy {
        id: "p".into(),
        display_name: display_name.into(),
        state: AccessPolicyState::Enforced,
        include: AccessTargets { everybody: true, ..AccessTargets::default() },
        exclude: AccessTargets::default(),
        resources: AccessResources { registration: true, ..AccessResources::default() },
        in_browsers: true,
        conditions: std::collections::BTreeSet::new(),
        grant: Grant { one_is_enough: true, controls: vec![Control::Strength(strength)] },
    }
}

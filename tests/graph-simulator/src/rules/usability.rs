//! Whether a pass can be used, and why not.

use crate::{
    clock::{seconds, shifted},
    passes::Pass,
    policy::MethodState,
    state::State,
    switches::{MultiUse, ReasonPrecedence},
};

/// Why a pass can or cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    EnabledByPolicy,
    DisabledByPolicy,
    Expired,
    NotYetValid,
    OneTimeUsed,
}

impl Reason {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::EnabledByPolicy => "EnabledByPolicy",
            Self::DisabledByPolicy => "DisabledByPolicy",
            Self::Expired => "Expired",
            Self::NotYetValid => "NotYetValid",
            Self::OneTimeUsed => "OneTimeUsed",
        }
    }
}

impl State {
    /// Whether a pass can be used now, as sign-in sees it.
    pub(super) fn usability(&self, pass: &Pass) -> Reason {
        self.usability_with_use_seen(pass, pass.is_used_up())
    }

    pub(super) fn usability_with_use_seen(&self, pass: &Pass, used: bool) -> Reason {
        let (now, switches) = (self.now(), &self.switches);
        let policy = self.policy.seen(now, seconds(switches.policy_effect_lag_seconds));
        let groups = self.directory.current().group_ids_of(pass.user);
        let multi_use_blocked = policy.is_usable_once
            && !pass.one_time
            && switches.multi_use_under_one_time_policy == MultiUse::DisabledByPolicy;
        let disabled = policy.state == MethodState::Disabled
            || !policy.covers(pass.user, &groups)
            || multi_use_blocked;
        let used = (used, Reason::OneTimeUsed);
        let expired = (pass.expires() <= now, Reason::Expired);
        let disabled = (disabled, Reason::DisabledByPolicy);
        let order = match switches.reason_precedence {
            ReasonPrecedence::UsedFirst => [used, expired, disabled],
            ReasonPrecedence::PolicyFirst => [disabled, used, expired],
            ReasonPrecedence::ExpiredFirst => [expired, used, disabled],
        };
        let early =
            now < pass.start || now < shifted(pass.created, seconds(switches.usable_lag_seconds));
        let found =
            order.into_iter().chain([(early, Reason::NotYetValid)]).find(|(holds, _)| *holds);
        found.map_or(Reason::EnabledByPolicy, |(_, reason)| reason)
    }
}

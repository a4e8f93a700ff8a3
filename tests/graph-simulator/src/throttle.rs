//! Throttling: so many requests of an app in any ten seconds.

use std::collections::{HashMap, VecDeque};

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use crate::{clock::shifted, operation::Operation, switches::Switches};

const WINDOW: SignedDuration = SignedDuration::from_secs(10);

/// Who counts together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Class {
    /// Passes: 5 requests in 10 s for an app in a tenant (documented, with a doubt).
    AuthenticationMethods,
    /// Audit and sign-in logs: the same limit.
    Logs,
    /// Users, groups, roles, organization: resource units in 10 s.
    Directory,
    /// Conditional Access: 1 request in a second for a tenant, whatever its apps (documented).
    ConditionalAccess,
}

impl Class {
    /// The policy is in no list of limits.
    fn of(operation: Operation) -> Option<Self> {
        match operation {
            Operation::PassCreate
            | Operation::PassList
            | Operation::PassGet
            | Operation::PassDelete
            | Operation::SignInMethods => Some(Self::AuthenticationMethods),
            Operation::DirectoryAudits | Operation::SignIns => Some(Self::Logs),
            Operation::UserGet
            | Operation::UserList
            | Operation::CheckMemberGroups
            | Operation::TransitiveMemberOf
            | Operation::RoleAssignments
            | Operation::RoleEligibilities
            | Operation::RoleEligibilitySchedules
            | Operation::GroupEligibilitySchedules
            | Operation::GroupList
            | Operation::GroupGet
            | Operation::Organization => Some(Self::Directory),
            Operation::AccessPolicies
            | Operation::AuthenticationStrengths
            | Operation::Evaluate => Some(Self::ConditionalAccess),
            _ => None,
        }
    }

    fn window(self) -> SignedDuration {
        if self == Self::ConditionalAccess { SignedDuration::from_secs(1) } else { WINDOW }
    }
}

/// The requests of each app in the last ten seconds.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    recent: HashMap<(Uuid, Class), VecDeque<(Timestamp, u32)>>,
}

impl Throttle {
    /// Counts a request that costs `units`, or says how long to wait.
    pub(crate) fn admit(
        &mut self,
        app: Uuid,
        operation: Operation,
        units: u32,
        now: Timestamp,
        switches: &Switches,
    ) -> Result<(), SignedDuration> {
        let Some(class) = Class::of(operation) else { return Ok(()) };
        let (limit, units) = match class {
            Class::AuthenticationMethods => (switches.authentication_method_limit, 1),
            Class::Logs => (switches.log_limit, 1),
            Class::Directory => (switches.directory_limit, units),
            Class::ConditionalAccess => (switches.conditional_access_limit, 1),
        };
        let Some(limit) = limit else { return Ok(()) };
        let of_all = class == Class::ConditionalAccess;
        let app = if of_all { Uuid::nil() } else { app };
        let window = class.window();
        let recent = self.recent.entry((app, class)).or_default();
        // A clock that was set back leaves entries of the future: they no longer count.
        recent.retain(|(at, _)| *at <= now && shifted(*at, window) > now);
        let used: u32 = recent.iter().map(|(_, units)| units).sum();
        if used + units > limit {
            let first = recent.front().map_or(now, |(at, _)| *at);
            return Err(shifted(first, window).duration_since(now));
        }
        recent.push_back((now, units));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sixth_request_in_ten_seconds_waits_for_the_first_to_leave() {
        let (mut throttle, switches, app) =
            (Throttle::default(), Switches::default(), Uuid::new_v4());
        let at = |second: i64| Timestamp::from_second(1_000 + second).unwrap();
        for second in 0..5 {
            throttle.admit(app, Operation::PassList, 1, at(second), &switches).unwrap();
        }
        let wait = throttle.admit(app, Operation::PassCreate, 1, at(6), &switches).unwrap_err();
        assert_eq!(wait, SignedDuration::from_secs(4));
        throttle.admit(Uuid::new_v4(), Operation::PassCreate, 1, at(6), &switches).unwrap();
        throttle.admit(app, Operation::PolicyGet, 1, at(6), &switches).unwrap();
        throttle.admit(app, Operation::UserGet, 1, at(6), &switches).unwrap();
        throttle.admit(app, Operation::PassCreate, 1, at(10), &switches).unwrap();
        throttle.admit(app, Operation::PassCreate, 1, at(10), &switches).unwrap_err();
    }

    #[test]
    fn all_apps_share_one_request_in_a_second_to_conditional_access() {
        let (mut throttle, switches) = (Throttle::default(), Switches::default());
        let at = |milli: i64| Timestamp::from_millisecond(1_000_000 + milli).unwrap();
        let mut ask = |operation, milli| {
            throttle.admit(Uuid::new_v4(), operation, 1, at(milli), &switches).is_ok()
        };
        assert!(ask(Operation::AccessPolicies, 0));
        assert!(!ask(Operation::Evaluate, 999));
        assert!(ask(Operation::AuthenticationStrengths, 1_000));
    }

    #[test]
    fn a_refused_request_does_not_count() {
        let (mut throttle, app) = (Throttle::default(), Uuid::new_v4());
        let switches = Switches { authentication_method_limit: Some(1), ..Switches::default() };
        let at = |second: i64| Timestamp::from_second(1_000 + second).unwrap();
        throttle.admit(app, Operation::PassList, 1, at(0), &switches).unwrap();
        throttle.admit(app, Operation::PassList, 1, at(9), &switches).unwrap_err();
        throttle.admit(app, Operation::PassList, 1, at(10), &switches).unwrap();
    }
}

//! The admission policies on which the promises rest: what is shipped, how the cluster differs from it, and whether passes
//! may be issued.

mod shipped;

use jiff::{SignedDuration, Timestamp};

pub use self::shipped::{ServiceAccount, Shipped, told};

/// The longest time before an API server enforces a policy that was written.
pub const IN_FORCE_WITHIN: SignedDuration = SignedDuration::from_secs(15);

/// The outcome of a dry run that a policy must refuse.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Probe {
    /// It was not tried, there is no object to try it on, or the answer is inconclusive.
    #[default]
    Unknown,
    /// The policy refused it.
    Refused,
    /// The policy did not refuse it; the text says what happened instead.
    NotRefused(String),
}

/// The dry runs that show whether the policies are in force.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Probes {
    /// For the policy on Secrets. It can always be tried.
    pub secrets: Probe,
    /// For the policy on requests. It needs a request to try it on.
    pub requests: Probe,
    /// For the policy on decisions. It needs a request, too.
    pub decisions: Probe,
}

/// The state of the admission policies, by which passes may be issued or not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Guard {
    /// It is not known yet.
    #[default]
    Unknown,
    /// They are as shipped and in force. A request created before this time may have escaped them.
    InForce(Timestamp),
    /// They are missing, changed or not in force; the text says which.
    Broken(String),
    /// Passes are issued whatever their state (`--allow-unguarded`).
    Overridden,
}

impl Guard {
    /// Whether passes may be issued to requests that are not older than the policies.
    pub fn admits(&self) -> bool {
        matches!(self, Self::InForce(_) | Self::Overridden)
    }
}

/// Concludes the state of the admission policies from four facts: how they differ; what the dry runs showed; when the newest
/// policy or binding on requests and decisions was `created`; and whether they are `settled`, that is, the last change of
/// any of them is older than [`IN_FORCE_WITHIN`].
pub fn judge(differences: &[String], probes: &Probes, created: Timestamp, settled: bool) -> Guard {
    if !differences.is_empty() {
        return Guard::Broken(told(differences));
    }
    let Probes { secrets, requests, decisions } = probes;
    let all = [secrets, requests, decisions];
    let lets_through: Vec<&str> = all
        .iter()
        .filter_map(|probe| match probe {
            Probe::NotRefused(what) => Some(what.as_str()),
            Probe::Unknown | Probe::Refused => None,
        })
        .collect();
    if !lets_through.is_empty() {
        let what = lets_through.join("; ");
        return Guard::Broken(format!(
            "they exist, but the API server does not enforce them: {what}"
        ));
    }
    // Without a request only the policy on Secrets can be tried. Then enough time must have passed for the other two.
    if *secrets == Probe::Refused && (settled || all.iter().all(|p| **p == Probe::Refused)) {
        return Guard::InForce(created + IN_FORCE_WITHIN);
    }
    Guard::Unknown
}

/// How long requests that are created will still fail as too young, or as unguarded while the API server does not enforce yet what
/// `changed` so long ago. `now` is the time of this machine, which may be wrong: it is never longer than the policies take.
pub fn guarded_in(
    guard: &Guard,
    now: Timestamp,
    changed: Option<SignedDuration>,
) -> SignedDuration {
    let young = match guard {
        Guard::InForce(since) => since.duration_since(now),
        _ => SignedDuration::ZERO,
    };
    let settles = changed.map_or(SignedDuration::ZERO, |ago| IN_FORCE_WITHIN - ago);
    young.max(settles).clamp(SignedDuration::ZERO, IN_FORCE_WITHIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_guarded_while_policies_are_young_or_have_just_changed() {
        let now: Timestamp = "2026-11-23T08:00:00Z".parse().unwrap();
        let seconds = SignedDuration::from_secs;
        let in_force = |in_seconds| Guard::InForce(now + seconds(in_seconds));
        for (guard, changed, expected) in [
            (in_force(-60), None, 0),
            (in_force(10), None, 10),
            (in_force(600), None, 15),
            // Applied beside an operator that runs, before anything can be tried.
            (Guard::Unknown, Some(4), 11),
            (in_force(-60), Some(4), 11),
            (Guard::Broken("not enforced yet".into()), Some(4), 11),
            (Guard::Broken("missing".into()), None, 0),
            (Guard::Unknown, Some(20), 0),
        ] {
            let wait = guarded_in(&guard, now, changed.map(seconds));
            assert_eq!(wait, seconds(expected), "{guard:?} {changed:?}");
        }
    }

    #[test]
    fn passes_are_issued_only_with_policies_as_shipped_and_in_force() {
        use Probe::{NotRefused, Refused, Unknown};
        let created: Timestamp = "2026-11-24T08:00:00Z".parse().expect("a time");
        let since = Guard::InForce("2026-11-24T08:00:15Z".parse().expect("a time"));
        let let_through = || NotRefused("let through".into());
        let broken = Guard::Broken(
            "they exist, but the API server does not enforce them: let through".into(),
        );
        for (secrets, requests, decisions, settled, expected) in [
            (Refused, Refused, Refused, false, &since),
            (Refused, Unknown, Unknown, true, &since),
            (Refused, Unknown, Refused, false, &Guard::Unknown),
            (Unknown, Refused, Refused, true, &Guard::Unknown),
            (let_through(), Refused, Refused, true, &broken),
            (Refused, let_through(), Refused, true, &broken),
            (Refused, Unknown, let_through(), true, &broken),
        ] {
            let probes = Probes { secrets, requests, decisions };
            assert_eq!(judge(&[], &probes, created, settled), *expected, "{probes:?}");
            let differs = judge(&["it differs".into()], &probes, created, settled);
            assert_eq!(differs, Guard::Broken("it differs".into()));
        }
        let admit = [Guard::Unknown, broken, since, Guard::Overridden].map(|guard| guard.admits());
        assert_eq!(admit, [false, false, true, true]);
    }
}

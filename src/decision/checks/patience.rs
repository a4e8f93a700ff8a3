//! What time may heal: a user who is not there yet, whose account is not enabled yet, or who is not in a group yet. A request
//! waits for it, and people can be asked to approve meanwhile.

use jiff::{SignedDuration, Timestamp};

use super::{Checked, Obstacle, Run, Verdict};
use crate::api::CheckResult;
use crate::decision::Reason;
use crate::decision::clock::{earlier, later};
use crate::decision::terms::DEFAULT_PATIENCE;

/// How long before its start people are asked about a pass, and the tenant is. An approval should not be much older than what
/// it approves.
const ASKED_BEFORE: SignedDuration = SignedDuration::from_hours(30 * 24);

/// How long after its creation a request is young: what it waits for has probably just been made, too.
const YOUNG: SignedDuration = SignedDuration::from_mins(10);
/// How often the tenant is asked for a young request.
const YOUNG_AGAIN: SignedDuration = SignedDuration::from_secs(20);
/// How often the tenant is asked by how long it is until the pass may be issued: directory synchronization runs every 30
/// minutes, and a dynamic group may take a day.
const AGAIN: [(SignedDuration, SignedDuration); 2] = [
    (SignedDuration::from_hours(24), SignedDuration::from_hours(1)),
    (SignedDuration::from_hours(2), SignedDuration::from_mins(10)),
];
/// How often shortly before that, and from then on.
const SOON_AGAIN: SignedDuration = SignedDuration::from_mins(1);

impl<'a> Run<'a> {
    /// Something prevents the pass that time may heal, and the other checks go on, because people can be asked meanwhile. It is
    /// final when the request has waited long enough; `never` says so.
    pub(super) fn not_yet(
        &mut self,
        name: &str,
        reason: Reason,
        yet: String,
        never: impl Into<String>,
    ) -> Checked<'a> {
        match self.not_there_yet(name, reason, yet, never) {
            Err(Verdict::Not(obstacle @ Obstacle::Wait(..))) => {
                self.not_yet.get_or_insert(obstacle);
                Ok(())
            }
            other => other,
        }
    }

    /// The same, where no further check can be made before that.
    pub(super) fn not_there_yet<T>(
        &mut self,
        name: &str,
        reason: Reason,
        yet: String,
        never: impl Into<String>,
    ) -> Checked<'a, T> {
        if self.s.now.earliest >= self.patient_until() {
            return self.fail(name, reason, never);
        }
        self.wait(name, reason, yet, Some(self.look_again()))
    }

    /// How long a request waits for what time may heal.
    pub(super) fn patient_until(&self) -> Timestamp {
        if self.s.request.spec.start_time.is_some() {
            return self.deadline;
        }
        let patience = self.s.terms.map_or(DEFAULT_PATIENCE, |terms| terms.patience);
        later(self.s.request.created(), patience).min(self.deadline)
    }

    /// How long to wait before the tenant is asked again.
    fn look_again(&self) -> SignedDuration {
        let now = self.s.now.earliest;
        if now < later(self.s.request.created(), YOUNG) {
            return YOUNG_AGAIN;
        }
        let left = self.issued_from().map_or(SignedDuration::ZERO, |from| from.duration_since(now));
        let again = AGAIN.iter().find(|(ahead, _)| left > *ahead).map(|(_, again)| *again);
        // Not later than the pass may be issued.
        again.map_or(SOON_AGAIN, |again| again.min(left))
    }

    /// From when on the pass may be issued, for a request with a start time.
    pub(super) fn issued_from(&self) -> Option<Timestamp> {
        let start = self.s.request.spec.start_time.as_ref()?.0;
        let lead_time = self.s.terms.map(|terms| terms.lead_time).unwrap_or_default();
        Some(earlier(start, lead_time))
    }

    /// Nobody is asked about a pass that starts much later.
    pub(super) fn start_is_not_far(&mut self) -> Checked<'a> {
        let Some(start) = self.s.request.spec.start_time.as_ref().map(|start| start.0) else {
            return Ok(());
        };
        let asked_from = earlier(start, ASKED_BEFORE);
        if self.s.now.earliest >= asked_from {
            return Ok(());
        }
        let message = format!(
            "the pass starts at {start:.0}; the tenant, and people where the policy requires approvals, are asked from {asked_from:.0} on, 30 days before"
        );
        self.note("Start", CheckResult::Waiting, message.clone());
        Err(Obstacle::Later(Reason::StartsLater, message, asked_from).into())
    }
}

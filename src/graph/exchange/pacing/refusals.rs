//! What follows when Graph refuses a call because there were too many: nothing is sent for a time, and then one call alone
//! finds out whether more are taken.
//!
//! Graph mostly says how long to wait. Where it does not, a tenant that refuses call after call is asked less and less often:
//! a few times in an hour rather than a thousand. Revocations are tried more often than that.

use std::time::Duration;

use tokio::time::Instant;

use super::Priority;

/// How long a refusal without `Retry-After` delays all calls. After that, about one more call fits the limit.
const PAUSE: Duration = Duration::from_secs(2);
/// How long refusals in a row delay calls that revoke nothing, at most.
const LONGEST_PAUSE: Duration = Duration::from_mins(5);
/// After so many refusals in a row, which is half a minute, revocations wait longer, too.
const QUICK_REVOCATIONS: u32 = 15;
/// So long.
const SLOW_REVOCATION: Duration = Duration::from_secs(30);

/// What Graph refused last, and what that delays.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    /// Until when nothing is sent.
    paused_until: Option<Instant>,
    revocations: Held,
    others: Held,
    /// How many calls had been admitted when Graph refused one. Those under way then say nothing new.
    before: u64,
    /// Whether none that was admitted later has been taken.
    in_doubt: bool,
    /// The last of those, while it has no answer.
    trial: Option<u64>,
}

/// How long calls wait because such calls were refused in a row.
#[derive(Debug, Default)]
struct Held {
    in_a_row: u32,
    until: Option<Instant>,
}

impl Refusals {
    /// Whether a refusal is the last that is known of the tenant.
    pub(super) fn in_doubt(&self) -> bool {
        self.in_doubt
    }

    /// Whether a call is under way that finds out whether more are taken. Until then only revocations are admitted.
    pub(super) fn awaits_an_answer(&self) -> bool {
        self.trial.is_some()
    }

    /// Whether calls are delayed.
    pub(super) fn are_delaying(&self, now: Instant) -> bool {
        self.due(Priority::Read, now) > now
    }

    /// When a call can be admitted.
    pub(super) fn due(&self, priority: Priority, now: Instant) -> Instant {
        let held = if priority == Priority::Revoke { &self.revocations } else { &self.others };
        now.max(self.paused_until.max(held.until).unwrap_or(now))
    }

    /// Takes note of a call that is admitted.
    pub(super) fn admit(&mut self, call: u64) {
        if self.in_doubt {
            self.trial = Some(call);
        }
    }

    /// Graph took a call. Returns whether that ends a doubt.
    pub(super) fn take(&mut self, call: u64) -> bool {
        let ends = self.in_doubt && call > self.before;
        if ends {
            *self =
                Self { before: self.before, paused_until: self.paused_until, ..Self::default() };
        }
        ends
    }

    /// Nothing more will be heard of a call.
    pub(super) fn end(&mut self, call: u64) {
        self.trial.take_if(|trial| *trial == call);
    }

    /// Graph refused a call, the last of so many that were admitted, and may have said how long to wait. Returns whether
    /// that says anything new.
    pub(super) fn refuse(
        &mut self,
        (call, priority): (u64, Priority),
        admitted: u64,
        retry_after: Option<Duration>,
        now: Instant,
    ) -> bool {
        self.paused_until = self.paused_until.max(Some(now + retry_after.unwrap_or(PAUSE)));
        if call <= self.before {
            return false;
        }
        (self.before, self.in_doubt, self.trial) = (admitted, true, None);
        let held = if priority == Priority::Revoke {
            if self.revocations.in_a_row >= QUICK_REVOCATIONS {
                self.revocations.until = Some(now + SLOW_REVOCATION);
            }
            &mut self.revocations
        } else {
            // What Graph says is enough, the first time.
            if self.others.in_a_row > 0 || retry_after.is_none() {
                let grown = PAUSE.saturating_mul(3_u32.saturating_pow(self.others.in_a_row));
                self.others.until = Some(now + grown.min(LONGEST_PAUSE));
            }
            &mut self.others
        };
        held.in_a_row += 1;
        true
    }
}

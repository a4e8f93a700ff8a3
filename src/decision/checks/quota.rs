//! Whether one more pass is within the policy's quota.

use jiff::SignedDuration;

use super::{Checked, Obstacle, Run, Verdict};
use crate::api::CheckResult;
use crate::decision::Reason;
use crate::decision::quota::Party;
use crate::decision::situation::Slot;
use crate::decision::terms::Terms;

/// How often a request that waits for the quota is reconciled without a cause. It becomes due as soon as it is its turn.
pub const QUOTA_AGAIN: SignedDuration = SignedDuration::from_mins(10);

impl<'a> Run<'a> {
    pub(super) fn quota(&mut self, terms: &Terms) -> Checked<'a> {
        let bounds = terms.bounds;
        let party = Party::of(self.s.request);
        // What was foreseen is decided now.
        self.checks.retain(|check| check.name != "Quota");
        match self.s.reads.slot {
            None => Err(Verdict::Slot(bounds)),
            Some(Slot::Ours) if bounds.is_empty() => self.pass("Quota", "the policy has no quota"),
            Some(Slot::Ours) => self.pass("Quota", "within the quota"),
            Some(Slot::Contested(reached)) => {
                let message = reached.sentence(&party);
                self.note("Quota", CheckResult::Waiting, message.clone());
                Err(Obstacle::Contested(message).into())
            }
            Some(Slot::Taken(reached)) => self.wait(
                "Quota",
                Reason::QuotaReached,
                reached.sentence(&party),
                Some(QUOTA_AGAIN),
            ),
        }
    }
}

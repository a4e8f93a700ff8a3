//! Whether the policy's quota leaves a place for one more pass.

use jiff::SignedDuration;

use super::{Checked, Run, Verdict};
use crate::api::{CheckResult, Issuance};
use crate::decision::Reason;
use crate::decision::life::situation::Slot;
use crate::decision::life::step::Look;
use crate::decision::quota::{Bounds, Party};

/// How long before a request that waits for a place is looked at all the same: it is told when there is one.
pub const QUOTA_AGAIN: SignedDuration = SignedDuration::from_mins(10);

impl<'a> Run<'a> {
    pub(super) fn quota(&mut self, issuance: &Issuance) -> Checked<'a> {
        let bounds = Bounds::of(issuance);
        let party = Party::of(self.s.request);
        match self.s.reads.slot {
            None => Err(Verdict::Look(Look::Slot(bounds))),
            Some(Slot::Ours) if bounds.is_empty() => self.pass("Quota", "the policy has none"),
            Some(Slot::Ours) => self.pass("Quota", "it leaves a place"),
            Some(Slot::Contested(reached)) => {
                let message = reached.sentence(&party);
                self.note("Quota", CheckResult::Waiting, message.clone());
                Err(Verdict::Contested(message))
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

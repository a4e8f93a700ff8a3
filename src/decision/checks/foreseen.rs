//! What is known, without asking Graph, that would prevent the pass now: a live pass of the user, a quota that is used up. It
//! may be over when the pass is to be issued, so it prevents nothing yet, but people read it before they approve.

use super::{Checked, Run, Verdict};
use crate::api::{CheckResult, OnExistingPass};
use crate::decision::ids::UserKey;
use crate::decision::quota::Party;
use crate::decision::situation::LivePass;
use crate::decision::terms::Terms;
use crate::entra::User;

impl<'a> Run<'a> {
    pub(super) fn foreseen(&mut self, tenant_id: &str, user: &User, terms: &Terms) -> Checked<'a> {
        let Some(foreseen) = &self.s.reads.facts.foreseen else {
            return Err(Verdict::Foreseen(UserKey::new(tenant_id, &user.id), terms.bounds));
        };
        if let Some(reached) = &foreseen.quota {
            let message = reached.sentence(&Party::of(self.s.request));
            self.note("Quota", CheckResult::Waiting, message);
        }
        match &foreseen.live {
            None => self.pass("OtherPasses", "no other live pass of the user is known"),
            Some(live) => {
                let (result, message) = self.about(live);
                self.note("OtherPasses", result, message);
                Ok(())
            }
        }
    }

    /// What a live pass of the user means for the request.
    fn about(&self, live: &LivePass) -> (CheckResult, String) {
        let has = match &live.request {
            Some(request) => format!("{} has a live pass for the user", self.s.tell_of(request)),
            None => "the user has a live pass that somebody else created".into(),
        };
        let until = live.expires.map_or_else(String::new, |time| format!(" until {time:.0}"));
        let (result, then) = match self.s.request.spec.on_existing_pass.unwrap_or_default() {
            OnExistingPass::Replace => {
                (CheckResult::Passed, "the pass of this request replaces it")
            }
            OnExistingPass::Wait => {
                (CheckResult::Waiting, "the pass of this request is issued after it has ended")
            }
            OnExistingPass::Refuse | OnExistingPass::Unknown => (
                CheckResult::Waiting,
                "this request fails if it is still live when the pass is to be issued",
            ),
        };
        (result, format!("{has}{until}: {then}"))
    }
}

//! Ending a pass before its time.

use uuid::Uuid;

use super::find::{no_such_pass, restricted};
use crate::{
    audit::{AuditEvent, By},
    clock::{seconds, shifted},
    passes::{Actor, End},
    state::State,
    wire::Refusal,
};

impl State {
    /// Ends a pass, as DELETE does and the portal.
    pub(crate) fn delete_pass(
        &mut self,
        user_key: &str,
        pass_key: &str,
        by: Actor,
        client_request_id: Option<&str>,
    ) -> Result<(), Refusal> {
        let now = self.now();
        let user = self.user_with_methods(user_key)?.clone();
        let id = self.pass_id(pass_key)?;
        let too_young = seconds(self.switches.delete_after_post_not_found_seconds);
        let from_graph = by != Actor::Portal;
        let there = self.passes.get(id).filter(|pass| {
            let unseen = from_graph && shifted(pass.created, too_young) > now;
            pass.user == user.id && !pass.is_removed() && !unseen && self.is_kept(pass)
        });
        if there.is_none() {
            return Err(no_such_pass());
        }
        if user.is_management_restricted && from_graph {
            return Err(restricted());
        }
        if let Some(pass) = self.passes.get_mut(id) {
            pass.remove(now, End::Deleted { at: now, by: by.clone() });
        }
        let (event, by) = (AuditEvent::PassDeleted(id), By::Actor(by));
        self.audit.record(now, event, by, Some(&user), client_request_id);
        Ok(())
    }

    /// Ends whatever pass a user has, because the user goes.
    pub(crate) fn drop_passes_of(&mut self, user: Uuid, by: &Actor) {
        let now = self.now();
        let current = self.passes.current(user).map(|pass| pass.id);
        if let Some(pass) = current.and_then(|id| self.passes.get_mut(id)) {
            pass.remove(now, End::Deleted { at: now, by: by.clone() });
        }
    }
}

//! Changing the policy.

use serde_json::Value;

use crate::{
    audit::{AuditEvent, By},
    clock::seconds,
    passes::Actor,
    policy::PolicyValues,
    state::State,
    wire::Refusal,
};

impl State {
    /// Changes the policy as a PATCH does.
    pub(crate) fn change_policy(
        &mut self,
        body: &Value,
        by: Actor,
        client_request_id: Option<&str>,
    ) -> Result<(), Refusal> {
        let directory = self.directory.current();
        let next = self.policy.current().patched(body, &self.switches, |id| directory.knows(id))?;
        self.set_policy(next);
        let (now, by) = (self.now(), By::Actor(by));
        self.audit.record(now, AuditEvent::PolicyChanged, by, None, client_request_id);
        Ok(())
    }

    pub(crate) fn set_policy(&mut self, next: PolicyValues) {
        let lag = seconds(
            self.switches.policy_effect_lag_seconds.max(self.switches.policy_read_lag_seconds),
        );
        let now = self.now();
        self.policy.edit(now, lag, |policy| *policy = next);
    }
}

//! Changing the policy.

use serde_json::Value;

use crate::{clock::seconds, policy::PolicyValues, state::State, wire::Refusal};

impl State {
    /// Changes the policy as a PATCH does.
    pub(crate) fn change_policy(&mut self, body: &Value) -> Result<(), Refusal> {
        let directory = self.directory.current();
        let next = self.policy.current().patched(body, &self.switches, |id| directory.knows(id))?;
        self.set_policy(next);
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

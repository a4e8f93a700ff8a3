//! What readers see of passes, and when.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{find::no_such_pass, usability::Reason};
use crate::{
    clock::{graph_time, seconds, shifted},
    passes::{ODATA_TYPE, Pass},
    state::State,
    switches::UsabilityFields,
    wire::Refusal,
};

impl State {
    /// The list that GET answers with: one pass at most, and perhaps not the newest.
    pub(crate) fn list_passes(&self, user_key: &str) -> Result<Vec<Value>, Refusal> {
        let user = self.user_with_methods(user_key)?;
        let (post, delete) = (
            self.switches.list_lag_after_post_seconds,
            self.switches.list_lag_after_delete_seconds,
        );
        let listed =
            self.passes.of_user(user.id).rev().find(|pass| self.is_seen(pass, post, delete));
        Ok(listed.map(|pass| Value::Object(self.pass_fields(pass))).into_iter().collect())
    }

    /// What GET of one pass answers.
    pub(crate) fn get_pass(
        &self,
        user_key: &str,
        pass_key: &str,
    ) -> Result<Map<String, Value>, Refusal> {
        let user = self.user_with_methods(user_key)?;
        let id = self.pass_id(pass_key)?;
        let (post, delete) =
            (self.switches.get_lag_after_post_seconds, self.switches.get_lag_after_delete_seconds);
        let pass = self
            .passes
            .get(id)
            .filter(|pass| pass.user == user.id && self.is_seen(pass, post, delete));
        let pass = pass.ok_or_else(no_such_pass)?;
        let mut fields = self.pass_fields(pass);
        fields.insert("@odata.type".into(), ODATA_TYPE.into());
        Ok(fields)
    }

    /// The answer to a POST: the only one with the code.
    pub(crate) fn new_pass(&self, id: Uuid) -> Map<String, Value> {
        let Some(pass) = self.passes.get(id) else { return Map::new() };
        let mut fields = self.pass_fields(pass);
        fields.insert("@odata.type".into(), ODATA_TYPE.into());
        fields.insert("temporaryAccessPass".into(), pass.code.clone().into());
        fields
    }

    fn pass_fields(&self, pass: &Pass) -> Map<String, Value> {
        let use_seen_lag = seconds(self.switches.use_seen_lag_seconds);
        let use_seen =
            pass.uses.first().is_some_and(|first| shifted(first.at, use_seen_lag) <= self.now());
        let reason = self.usability_with_use_seen(pass, pass.one_time && use_seen);
        let mut fields = Map::new();
        fields.insert("id".into(), pass.id.to_string().into());
        fields.insert("temporaryAccessPass".into(), Value::Null);
        fields.insert("createdDateTime".into(), graph_time(pass.created).into());
        fields.insert("startDateTime".into(), pass.start.to_string().into());
        fields.insert("lifetimeInMinutes".into(), pass.lifetime_minutes.into());
        fields.insert("isUsableOnce".into(), pass.one_time.into());
        if self.switches.usability_fields == UsabilityFields::Both {
            fields.insert("isUsable".into(), json!(reason == Reason::EnabledByPolicy));
        }
        if self.switches.usability_fields != UsabilityFields::Neither {
            fields.insert("methodUsabilityReason".into(), reason.name().into());
        }
        fields
    }

    /// Whether a reader sees a pass who learns of passes `post` and of their removal `delete` seconds late.
    fn is_seen(&self, pass: &Pass, post: u64, delete: u64) -> bool {
        let now = self.now();
        let arrived = shifted(pass.created, seconds(post)) <= now;
        let gone = pass.removed_at().is_some_and(|at| shifted(at, seconds(delete)) <= now);
        arrived && !gone && self.is_kept(pass)
    }
}

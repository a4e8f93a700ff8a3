//! What was read of a tenant for one request, and holds for another, too: its method. Lists of passes are never shared.

use std::time::Duration;

use jiff::Timestamp;

use super::{Moment, Requests};
use crate::decision::ids::Uid;
use crate::decision::step::Question;
use crate::entra::{GraphError, MethodConfiguration};

/// How long the method is shared. Half of the time that a pass may rest on it, for a list of passes may wait for the pace.
const SHARED_FOR: Duration = Duration::from_secs(15);

/// The method of a tenant, as it was read for some request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct SharedMethod {
    method: MethodConfiguration,
    /// When it was asked for, in local time.
    asked: Duration,
    /// When it was asked for, by Graph's clock, at the earliest.
    asked_at: Timestamp,
}

impl Requests {
    /// The method was read for a request, through a connection of this name.
    pub(super) fn share_method(
        &mut self,
        uid: &Uid,
        method: &Result<MethodConfiguration, GraphError>,
    ) {
        let Some(reconcile) = self.entries.get(uid).and_then(|entry| entry.reconcile()) else {
            return;
        };
        let (Some(connection), Ok(method)) = (&reconcile.connection, method) else { return };
        let (asked, asked_at) = (reconcile.asked, reconcile.asked_at);
        let shared = SharedMethod { method: method.clone(), asked, asked_at };
        self.methods.insert(connection.clone(), shared);
    }

    /// What of this must still be read for a request, whose policy has this connection. What was read for another one lately,
    /// and after the last event that concerned this one, holds for it.
    pub(super) fn still_to_read(
        &mut self,
        uid: &Uid,
        connection: Option<&str>,
        mut questions: Vec<Question>,
        moment: Moment,
    ) -> Vec<Question> {
        let shared = connection.and_then(|name| self.methods.get(name));
        let changed = self.entries.get(uid).map(|entry| entry.changed).unwrap_or_default();
        let holds = |shared: &&SharedMethod| {
            shared.asked >= changed && moment.at <= shared.asked + SHARED_FOR
        };
        if questions.contains(&Question::Method)
            && let Some(shared) = shared.filter(holds).cloned()
        {
            questions.retain(|question| *question != Question::Method);
            self.reads_mut(uid, |reads| {
                reads.facts.asked(shared.asked_at);
                reads.facts.method = Some(Ok(shared.method));
            });
        }
        questions
    }
}

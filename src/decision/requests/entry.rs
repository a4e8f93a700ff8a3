//! What is kept of one request.

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::deletions::Deleting;
use super::observed::Observed;
use super::ready::Item;
use crate::api::TapRequest;
use crate::decision::ids::UserKey;
use crate::decision::intent::{Intent, has_finalizer};
use crate::decision::quota::Party;
use crate::decision::situation::{Held, Memory, Progress, Reads};
use crate::entra::{GraphError, TapMethod};

/// Everything that is kept of one request. It comes with the first word of the request, and goes when the request is gone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Entry {
    /// The newest version that is known; absent only until the first is.
    pub observed: Option<Observed>,
    /// When that version was first seen, in local time.
    pub changed: Duration,
    /// What a list that goes on has to do with it.
    pub in_list: InList,
    /// Whether the request is gone, and only a reconcile of it goes on.
    pub is_gone: bool,
    /// What goes on, or is remembered; absent where there is nothing.
    pub work: Option<Box<Work>>,
    /// Whose turn it has.
    pub turn: Option<Box<UserKey>>,
    /// For which user it waits for its turn, and when it was created.
    pub waits_for_turn: Option<Box<(UserKey, Timestamp)>>,
    /// Where its recorded pass is being deleted, or waits for that.
    pub deleting: Option<Box<Deleting>>,
    /// When it is due.
    pub due: Option<Box<Due>>,
    /// The looks at its recorded pass.
    pub look: LookState,
    /// What is remembered of its Secret; absent where that is nothing.
    pub secret: Option<Box<KnownSecret>>,
    /// How many decisions of people were told of.
    pub told: u32,
}

/// What a list that goes on has to do with a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) enum InList {
    /// Nothing yet, or no list goes on.
    #[default]
    Not,
    /// The request was read or written here since the list began.
    Learned,
    /// The list showed it.
    Shown,
}

/// What is remembered of the Secret of a recorded pass.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct KnownSecret {
    /// When it was last looked for, in local time.
    pub looked_for: Option<Duration>,
    /// Whether there was none.
    pub is_gone: bool,
    /// Its uid, if this process created it.
    pub uid: Option<Arc<str>>,
}

/// When a request is to be reconciled, in local time since the start of the process.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Due {
    /// Whether it goes before those that want a pass.
    pub urgent: bool,
    /// From when.
    pub at: Duration,
    /// When the request was created: of two that are due at once the older goes first.
    pub created: Timestamp,
    /// Whose request it is.
    pub party: Arc<Party>,
    /// Whether its time has come, for one that is not urgent.
    pub is_ready: bool,
    /// When people were last told how many requests are before it.
    pub told: Option<Duration>,
}

/// What goes on for a request, and what one process remembers of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Work {
    /// What decisions may know of it. Losing it costs time, never a promise.
    pub memory: Memory,
    /// The reconcile that goes on.
    pub reconcile: Option<Reconcile>,
    /// Whether something happened since the reconcile began that it may not have seen.
    pub is_outrun: bool,
    /// Failures in a row.
    pub failures: u32,
}

/// A reconcile of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Reconcile {
    /// The request as it was last read or written.
    pub request: Option<AsRead>,
    /// Whether it must be read before anything more is decided.
    pub must_read: bool,
    /// Whether the request is gone; and then whether its pass was being asked for.
    pub gone: Option<bool>,
    /// Id of the tenant of its policy.
    pub tenant_id: Option<Arc<str>>,
    /// What was read.
    pub reads: Reads,
    /// The name of the connection to that tenant.
    pub connection: Option<Arc<str>>,
    /// Graph's time, at least, when what is being read now was asked for.
    pub asked_at: Timestamp,
    /// The local time at that moment.
    pub asked: Duration,
    /// What is being done now.
    pub doing: Option<Doing>,
    /// Whether it gives way to others: it rests with an answer of Graph in its hands, or waits until Graph deletes its recorded
    /// pass.
    pub gives_way: bool,
    /// For whom it counts among those on the way to a pass, if it does.
    pub wants_a_pass: Option<Arc<Party>>,
}

/// What is being done for a request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Doing {
    /// A status is being written.
    Status,
    /// An intent is being recorded; whether a POST is to follow it.
    Intent { issuing: bool },
    /// The finalizer is being taken off.
    Release,
    /// The Secret with this uid is being deleted.
    DeleteSecret(String),
    /// The pass with this id is being deleted.
    DeletePass(String),
}

/// The looks at a recorded pass.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) enum LookState {
    /// Nothing is to be looked at.
    #[default]
    None,
    /// The next one is due at this local time.
    Due(Duration),
    /// It is due.
    Wanted(Box<WantedLook>),
    /// It is made.
    UnderWay(Box<LookUnderWay>),
    /// Something follows from what was seen.
    Seen(Box<Result<TapMethod, GraphError>>),
}

/// A look that is due.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct WantedLook {
    /// Id of the tenant of the pass.
    pub tenant_id: Arc<str>,
    /// Whose request it is.
    pub party: Arc<Party>,
    /// Its place among those that are due.
    pub item: Item,
}

/// A look that is made.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct LookUnderWay {
    /// Id of the tenant of the pass.
    pub tenant_id: Arc<str>,
    /// Whose request it is.
    pub party: Arc<Party>,
    /// Graph's time, at least, when it was asked for.
    pub asked_at: Timestamp,
}

/// A request as it was read. Two are the same where they are the same version of the same object; one that is known to be
/// gone is another than it was before.
#[derive(Clone, Debug)]
pub(super) struct AsRead(pub Arc<TapRequest>);

impl AsRead {
    fn key(&self) -> (Option<&str>, Option<&str>, bool) {
        let meta = &self.0.metadata;
        (meta.uid.as_deref(), meta.resource_version.as_deref(), has_finalizer(&self.0))
    }
}

impl PartialEq for AsRead {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for AsRead {}

impl Hash for AsRead {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl Entry {
    /// The reconcile that goes on.
    pub fn reconcile(&self) -> Option<&Reconcile> {
        self.work.as_ref()?.reconcile.as_ref()
    }

    /// What goes on or is remembered, made where there was nothing.
    pub fn work_mut(&mut self) -> &mut Work {
        self.work.get_or_insert_default()
    }

    /// Drops what was remembered of a request that has ended and is let go: it is never needed again, and such records may
    /// be many. Failures still count: its deletion may be what fails.
    pub fn let_go(&mut self) {
        let failures = self.work.as_ref().map_or(0, |work| work.failures);
        let failing = || Box::new(Work { failures, ..Work::default() });
        self.work = (failures > 0).then(failing);
        self.secret = None;
    }

    /// Drops what says nothing.
    pub fn tidy(&mut self) {
        self.work.take_if(|work| **work == Work::default());
    }
}

impl Work {
    /// Whether Graph answered with a pass that is neither recorded nor taken back yet.
    pub fn holds_an_answer(&self) -> bool {
        self.held().is_some()
    }

    /// The pass in that answer.
    pub fn held(&self) -> Option<&Held> {
        match &self.memory.attempt.as_ref()?.progress {
            Progress::Held(held) => Some(held),
            Progress::Armed | Progress::Sent | Progress::Void => None,
        }
    }

    /// Forgets an attempt that the request, as it was just read, does not carry: it was not recorded, or it is over. What
    /// Graph answered with is not forgotten.
    pub fn drop_unrecorded(&mut self, request: &TapRequest) {
        let carried = Intent::of(request).filter(|i| i.is_open() && has_finalizer(request));
        self.memory.attempt.take_if(|attempt| {
            !matches!(attempt.progress, Progress::Held(_))
                && carried.as_ref().is_none_or(|i| i.attempt != attempt.intent.attempt)
        });
    }
}

//! Passes.

use jiff::{SignedDuration, Timestamp};

use super::PassCode;

/// A pass of a user, without its code.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TapMethod {
    /// Id of the pass. Every pass has its own; a replacement gets a new one.
    pub id: String,
    /// When it was created.
    pub created: Option<Timestamp>,
    /// When it becomes valid.
    pub start: Option<Timestamp>,
    /// How long it is valid from its start, in minutes.
    pub lifetime_minutes: Option<u32>,
    /// Whether it is limited to one sign-in.
    pub one_time: Option<bool>,
    /// Whether it can be used right now. Some tenants do not return it (reported).
    pub usable: Option<bool>,
    /// Why it can or cannot be used.
    pub reason: Option<UsabilityReason>,
}

impl TapMethod {
    /// When its lifetime is over, if Graph told enough to say.
    pub fn expires(&self) -> Option<Timestamp> {
        let (start, minutes) = self.start.zip(self.lifetime_minutes)?;
        start.checked_add(SignedDuration::from_mins(i64::from(minutes))).ok()
    }
}

/// Why a pass can or cannot be used (`methodUsabilityReason`). Graph may add further values.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum UsabilityReason {
    /// It can be used.
    EnabledByPolicy,
    /// The method is disabled, for the tenant or for this user.
    DisabledByPolicy,
    /// Its lifetime is over.
    Expired,
    /// Its start is in the future.
    NotYetValid,
    /// Its one sign-in has happened.
    OneTimeUsed,
    /// A reason that this version does not know.
    Other(String),
}

/// The passes of a user at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Listed {
    /// Graph keeps at most one pass per user (documented). The list may lag behind a POST or a DELETE (inferred).
    pub passes: Vec<TapMethod>,
    /// The `Date` of the answer: Graph's own time, in whole seconds.
    pub date: Timestamp,
}

/// A pass to create.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NewPass {
    /// When it becomes valid. `None`: immediately.
    pub start: Option<Timestamp>,
    /// How long it is valid, in minutes.
    pub lifetime_minutes: u32,
    /// Whether it is limited to one sign-in.
    pub one_time: bool,
}

/// A pass that was created.
#[derive(Debug)]
pub struct Created {
    /// The pass as Graph created it.
    pub method: TapMethod,
    /// Its code. Graph returns it only once.
    pub code: PassCode,
    /// The `Date` of the answer: Graph's own time, in whole seconds.
    pub date: Timestamp,
}

//! Passes, made, told, used, and ended exactly once.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::clock::shifted;

/// The type name of a pass (documented).
pub(crate) const ODATA_TYPE: &str = "#microsoft.graph.temporaryAccessPassAuthenticationMethod";

/// Who did something in the tenant.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Actor {
    /// An app, through Graph.
    App {
        /// Its client id.
        client_id: Uuid,
        /// Its name.
        name: String,
    },
    /// A person in the portal.
    Portal,
}

/// An answer that carried a code, and whether it left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Telling {
    /// The number of the request in the log.
    pub request: u64,
    /// When.
    pub at: Timestamp,
    /// False: the answer was lost, so nobody knows the code.
    pub delivered: bool,
}

/// A sign-in with a code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Use {
    /// When.
    pub at: Timestamp,
    /// The session that came of it.
    pub session: Uuid,
}

/// How a pass ended, or that it has not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum End {
    /// Not yet.
    Live,
    /// By itself.
    Expired {
        /// Start and lifetime.
        at: Timestamp,
    },
    /// Somebody deleted it, or its user.
    Deleted {
        /// When.
        at: Timestamp,
        /// Who.
        by: Actor,
    },
    /// Another pass took its place.
    Replaced {
        /// When.
        at: Timestamp,
        /// Who made the other pass.
        by: Actor,
        /// The other pass.
        with: Uuid,
    },
}

/// A pass and everything that happened to it.
#[derive(Debug, Clone)]
pub(crate) struct Pass {
    pub(crate) id: Uuid,
    pub(crate) user: Uuid,
    pub(crate) user_principal_name: String,
    pub(crate) code: String,
    pub(crate) made_by: Actor,
    pub(crate) client_request_id: Option<String>,
    pub(crate) created: Timestamp,
    pub(crate) start: Timestamp,
    pub(crate) lifetime_minutes: u32,
    pub(crate) one_time: bool,
    pub(crate) told: Vec<Telling>,
    pub(crate) uses: Vec<Use>,
    pub(crate) replaces: Option<Uuid>,
    /// When and how somebody ended it, expired or not.
    pub(crate) removal: Option<(Timestamp, End)>,
}

impl Pass {
    pub(crate) fn expires(&self) -> Timestamp {
        shifted(self.start, SignedDuration::from_mins(i64::from(self.lifetime_minutes)))
    }

    /// Its one end: whatever came first.
    pub(crate) fn end(&self, now: Timestamp) -> End {
        let expires = self.expires();
        match &self.removal {
            Some((at, removal)) if *at < expires => removal.clone(),
            _ if expires <= now => End::Expired { at: expires },
            _ => End::Live,
        }
    }

    pub(crate) fn is_used_up(&self) -> bool {
        self.one_time && !self.uses.is_empty()
    }

    pub(crate) fn is_removed(&self) -> bool {
        self.removal.is_some()
    }

    pub(crate) fn removed_at(&self) -> Option<Timestamp> {
        self.removal.as_ref().map(|(at, _)| *at)
    }

    pub(crate) fn remove(&mut self, at: Timestamp, removal: End) {
        self.removal = Some((at, removal));
    }
}

/// Every pass there ever was.
#[derive(Debug, Default)]
pub(crate) struct Passes {
    all: Vec<Pass>,
    by_id: HashMap<Uuid, usize>,
    /// Oldest first.
    by_user: HashMap<Uuid, Vec<usize>>,
}

impl Passes {
    pub(crate) fn all(&self) -> &[Pass] {
        &self.all
    }

    pub(crate) fn get(&self, id: Uuid) -> Option<&Pass> {
        self.by_id.get(&id).map(|index| &self.all[*index])
    }

    pub(crate) fn get_mut(&mut self, id: Uuid) -> Option<&mut Pass> {
        self.by_id.get(&id).map(|index| &mut self.all[*index])
    }

    /// A user's passes, oldest first.
    pub(crate) fn of_user(&self, user: Uuid) -> impl DoubleEndedIterator<Item = &Pass> {
        self.by_user.get(&user).into_iter().flatten().map(|index| &self.all[*index])
    }

    /// The pass that a user has now, expired or not.
    pub(crate) fn current(&self, user: Uuid) -> Option<&Pass> {
        self.of_user(user).next_back().filter(|pass| !pass.is_removed())
    }

    pub(crate) fn add(&mut self, pass: Pass) {
        let index = self.all.len();
        self.by_id.insert(pass.id, index);
        self.by_user.entry(pass.user).or_default().push(index);
        self.all.push(pass);
    }
}

//! The ledger: every pass there ever was, with its maker, its hearers, its uses and its one end.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::passes::{Actor, End, Pass, Passes, Telling, Use};

/// A pass as the ledger has it. The code is not in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LedgerEntry {
    /// The pass.
    pub id: Uuid,
    /// Its user's object id.
    pub user_id: Uuid,
    /// Its user's name when it was made.
    pub user_principal_name: String,
    /// Who made it.
    pub made_by: Actor,
    /// The `client-request-id` of the request that made it.
    pub client_request_id: Option<String>,
    /// When it was made.
    pub created_date_time: Timestamp,
    /// When it begins.
    pub start_date_time: Timestamp,
    /// How long it lasts, in minutes.
    pub lifetime_in_minutes: u32,
    /// Whether it can be used only once.
    pub is_usable_once: bool,
    /// The answers that carried its code.
    pub told: Vec<Telling>,
    /// The sign-ins with it.
    pub uses: Vec<Use>,
    /// The pass that it took the place of, if that one was still live.
    pub replaced_pass: Option<Uuid>,
    /// Its end.
    pub end: End,
}

impl LedgerEntry {
    pub(crate) fn of(pass: &Pass, now: Timestamp) -> Self {
        Self {
            id: pass.id,
            user_id: pass.user,
            user_principal_name: pass.user_principal_name.clone(),
            made_by: pass.made_by.clone(),
            client_request_id: pass.client_request_id.clone(),
            created_date_time: pass.created,
            start_date_time: pass.start,
            lifetime_in_minutes: pass.lifetime_minutes,
            is_usable_once: pass.one_time,
            told: pass.told.clone(),
            uses: pass.uses.clone(),
            replaced_pass: pass.replaces,
            end: pass.end(now),
        }
    }

    /// Whether an answer with its code left.
    pub fn is_told(&self) -> bool {
        self.told.iter().any(|telling| telling.delivered)
    }

    /// Whether it has not ended.
    pub fn is_live(&self) -> bool {
        self.end == End::Live
    }
}

/// The ledger in numbers: `made` = `live` + `expired` + `deleted` + `replaced`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Balance {
    /// Passes made.
    pub made: usize,
    /// Of these, by apps.
    pub made_by_apps: usize,
    /// Of these, in the portal.
    pub made_in_portal: usize,
    /// Not ended.
    pub live: usize,
    /// Ended by themselves.
    pub expired: usize,
    /// Deleted.
    pub deleted: usize,
    /// Replaced by another pass.
    pub replaced: usize,
    /// Replaced by an app that had not made them.
    pub replaced_foreign: usize,
    /// Deleted by an app that had not made them.
    pub deleted_foreign: usize,
    /// Signed in with at least once.
    pub used: usize,
    /// Made by an app in an answer that never left: nobody knows the code.
    pub untold: usize,
    /// Of these, live.
    pub untold_live: usize,
    /// Of these, ended by themselves, though they should have been deleted.
    pub untold_expired: usize,
}

impl Balance {
    pub(crate) fn of(passes: &Passes, now: Timestamp) -> Self {
        let mut balance = Self::default();
        for pass in passes.all() {
            let by_app = matches!(pass.made_by, Actor::App { .. });
            let foreign = |by: &Actor| matches!(by, Actor::App { .. }) && *by != pass.made_by;
            let untold = by_app && !pass.told.iter().any(|telling| telling.delivered);
            balance.made += 1;
            balance.made_by_apps += usize::from(by_app);
            balance.made_in_portal += usize::from(!by_app);
            balance.used += usize::from(!pass.uses.is_empty());
            balance.untold += usize::from(untold);
            match pass.end(now) {
                End::Live => {
                    balance.live += 1;
                    balance.untold_live += usize::from(untold);
                }
                End::Expired { .. } => {
                    balance.expired += 1;
                    balance.untold_expired += usize::from(untold);
                }
                End::Deleted { by, .. } => {
                    balance.deleted += 1;
                    balance.deleted_foreign += usize::from(foreign(&by));
                }
                End::Replaced { by, .. } => {
                    balance.replaced += 1;
                    balance.replaced_foreign += usize::from(foreign(&by));
                }
            }
        }
        balance
    }
}

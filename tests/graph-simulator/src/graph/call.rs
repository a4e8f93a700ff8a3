//! A request to Graph on its way to an answer.

use crate::{
    login::caller::Caller,
    odata::Query,
    wire::{Ids, Incoming},
};

/// A request to Graph that was let in.
pub(super) struct Call<'a> {
    pub(super) incoming: &'a Incoming,
    pub(super) caller: &'a Caller,
    pub(super) query: Query,
    pub(super) ids: &'a Ids,
    /// Its number in the log.
    pub(super) number: u64,
}

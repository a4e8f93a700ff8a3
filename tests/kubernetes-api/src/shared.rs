//! The state behind its lock, and who is told of changes.

use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::state::{Controllers, State};

/// The server, as its clients, watches and tests share it.
#[derive(Debug)]
pub struct Shared {
    state: Mutex<State>,
    /// Counts whatever open watches may have to react to.
    changes: AtomicU64,
    /// Wakes them: all, and in the order in which they came to wait, as no channel does.
    changed: Notify,
}

impl Shared {
    /// A server with this state.
    pub fn new(state: State) -> Self {
        Self { state: Mutex::new(state), changes: AtomicU64::new(0), changed: Notify::new() }
    }

    /// The state. Who changes something calls [`Shared::change`] instead.
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state; lets the server's controllers and the open watches follow.
    pub fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = {
            let mut state = self.lock();
            let before = state.store.revision();
            let result = change(&mut state);
            if state.controllers == Controllers::Eager && state.store.revision() != before {
                state.clean_up();
            }
            result
        };
        self.changes.fetch_add(1, Ordering::Relaxed);
        self.changed.notify_waiters();
        result
    }

    /// How many changes there were.
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
    }

    /// Waits until there were more.
    pub async fn more_changes_than(&self, seen: u64) {
        let mut changed = pin!(self.changed.notified());
        changed.as_mut().enable();
        if self.changes() == seen {
            changed.await;
        }
    }
}

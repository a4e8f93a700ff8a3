//! For whom the last calls that issue passes were admitted.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::Share;

/// How many calls are remembered for the sharing. More never wait at once, because no more reconciles run.
const SERVED: usize = 128;

#[derive(Debug, Default)]
pub(super) struct Served {
    /// Whom the last calls were for, the oldest first.
    shares: VecDeque<Share>,
    /// How many there have been.
    count: u64,
    /// Which call was the last for each of them.
    by_namespace: HashMap<Arc<str>, u64>,
    by_share: HashMap<Share, u64>,
}

impl Served {
    pub(super) fn add(&mut self, share: Share) {
        self.count += 1;
        self.by_namespace.insert(Arc::clone(&share.namespace), self.count);
        self.by_share.insert(share.clone(), self.count);
        self.shares.push_back(share);
        if self.shares.len() > SERVED
            && let Some(oldest) = self.shares.pop_front()
        {
            // It is forgotten where no later call was for the same.
            let forgotten = self.count - SERVED as u64;
            if self.by_namespace.get(&oldest.namespace) == Some(&forgotten) {
                self.by_namespace.remove(&oldest.namespace);
            }
            if self.by_share.get(&oldest) == Some(&forgotten) {
                self.by_share.remove(&oldest);
            }
        }
    }

    /// Which call was the last for the namespace and the requester; absent where none is remembered, which is smaller than any.
    pub(super) fn last(&self, share: &Share) -> (Option<u64>, Option<u64>) {
        (self.by_namespace.get(&share.namespace).copied(), self.by_share.get(share).copied())
    }
}

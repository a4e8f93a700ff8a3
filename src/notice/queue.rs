//! What a receiver has not got yet.

use std::collections::VecDeque;
use std::sync::Arc;

use super::Notice;

/// How many notices wait for one receiver at most. One takes about a kilobyte, which receivers share, and a few at their
/// largest.
pub const LONGEST: usize = 256;

/// Notices that wait for their turn, each with a mark of the caller's, such as since when.
#[derive(Debug)]
pub struct Queue<M>(VecDeque<(Arc<Notice>, M)>);

impl<M> Default for Queue<M> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<M> Queue<M> {
    /// Adds a notice. If too many wait, the one that waits longest is dropped and returned: what happens now counts more.
    pub fn push(&mut self, notice: Arc<Notice>, mark: M) -> Option<Arc<Notice>> {
        let dropped = if self.0.len() >= LONGEST { self.0.pop_front() } else { None };
        self.0.push_back((notice, mark));
        dropped.map(|(notice, _)| notice)
    }

    /// Takes the notice that waits longest.
    pub fn pop(&mut self) -> Option<(Arc<Notice>, M)> {
        self.0.pop_front()
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

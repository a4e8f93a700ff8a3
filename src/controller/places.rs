//! How many passes over requests may wait for answers of tenants on the way to an issue, so that there is room for those
//! that take something away. Who finds no place is called when one is free, first come, first served.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use kube::runtime::reflector::ObjectRef;
use tokio::sync::mpsc::UnboundedSender;

use super::watches::GuardedRequest;

/// The places, and the line of those who wait for one.
#[derive(Debug)]
pub struct Places {
    state: Mutex<State>,
    nudges: UnboundedSender<ObjectRef<GuardedRequest>>,
}

#[derive(Debug)]
struct State {
    free: usize,
    line: VecDeque<ObjectRef<GuardedRequest>>,
}

/// A place, given up when dropped.
#[derive(Debug)]
pub struct Place(Arc<Places>);

impl Places {
    /// So many places. Who waits for one is called through `nudges`.
    pub fn new(free: usize, nudges: UnboundedSender<ObjectRef<GuardedRequest>>) -> Arc<Self> {
        Arc::new(Self { state: Mutex::new(State { free, line: VecDeque::new() }), nudges })
    }

    /// Takes a place, if there is one; else the request is called when there is.
    pub fn take(self: &Arc<Self>, at: ObjectRef<GuardedRequest>) -> Option<Place> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.free > 0 {
            state.free -= 1;
            state.line.retain(|other| *other != at);
            return Some(Place(Arc::clone(self)));
        }
        if !state.line.contains(&at) {
            state.line.push_back(at);
        }
        None
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.free += 1;
        // As many as there are places: who was called last may be gone.
        let called = state.free.min(state.line.len());
        for next in state.line.drain(..called) {
            let _ = self.0.nudges.send(next);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_finds_no_place_is_called_once_in_the_order_of_coming() {
        let (nudges, mut called) = tokio::sync::mpsc::unbounded_channel();
        let places = Places::new(1, nudges);
        let at = |name: &str| ObjectRef::new(name).within("helpdesk");
        let first = places.take(at("first")).expect("a place");
        for name in ["second", "third", "second"] {
            assert!(places.take(at(name)).is_none());
        }
        assert!(called.try_recv().is_err());
        drop(first);
        assert_eq!(called.try_recv().unwrap().name, "second");
        let second = places.take(at("second")).expect("a place");
        drop(second);
        assert_eq!(called.try_recv().unwrap().name, "third");
        assert!(called.try_recv().is_err());
    }
}

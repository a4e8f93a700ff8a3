//! Which of those that are due is next: of the requests that want a pass, and of the passes that are to be looked at. The
//! namespace with the fewest under way goes first, and within it the requester with the fewest, so that whoever asks for many
//! passes makes nobody else wait.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::ordered::{Map, Set};
use crate::decision::ids::Uid;
use crate::decision::quota::Party;

/// How many of one namespace may be under way.
const OF_ONE_NAMESPACE: usize = 32;

/// A request that is due, or its pass. The least comes first: since when it is due, and when the request was created or the
/// pass begins.
pub(super) type Item = (Duration, Timestamp, Uid);

/// Those that are due, with how many are under way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Ready {
    namespaces: Map<Arc<str>, Namespace>,
    /// The namespaces of which one may go next.
    order: Set<(usize, Item, Arc<str>)>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Namespace {
    under_way: usize,
    requesters: Map<Arc<str>, Requester>,
    /// The requesters for whom a request is due.
    order: Set<(usize, Item, Arc<str>)>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Requester {
    under_way: usize,
    due: Set<Item>,
}

impl Ready {
    /// The request that goes next.
    pub fn first(&self) -> Option<&Uid> {
        self.order.first().map(|(_, (.., uid), _)| uid)
    }

    /// Whether a request of this party's namespace may go next, as far as the namespace is concerned.
    pub fn may_go(&self, party: &Party) -> bool {
        self.namespaces.get(&party.namespace).is_some_and(|namespace| namespace.head().is_some())
    }

    /// How many requests are due.
    pub fn count(&self) -> usize {
        self.namespaces.values().map(Namespace::count).sum()
    }

    /// How many requests go before this one that is due, if all take as long and no other comes: namespaces take turns, and
    /// within one its requesters.
    pub fn before(&self, party: &Party, item: &Item) -> usize {
        let Some(namespace) = self.namespaces.get(&party.namespace) else { return 0 };
        let place = namespace.before(&party.requester, item);
        let others = self.namespaces.iter().filter(|(name, _)| **name != party.namespace);
        place + others.map(|(_, other)| other.count().min(place + 1)).sum::<usize>()
    }

    /// Whether none is due or under way.
    pub fn is_empty(&self) -> bool {
        self.namespaces.is_empty()
    }

    /// One is due.
    pub fn insert(&mut self, party: &Party, item: Item) {
        self.change(party, 0, |requester| {
            requester.due.insert(item);
        });
    }

    /// One is not due any more.
    pub fn remove(&mut self, party: &Party, item: &Item) {
        self.change(party, 0, |requester| {
            requester.due.remove(item);
        });
    }

    /// One begins or goes on (`by` 1), ends or rests (`by` -1).
    pub fn under_way(&mut self, party: &Party, by: isize) {
        self.change(party, by, |requester| {
            requester.under_way = requester.under_way.saturating_add_signed(by);
        });
    }

    fn change(&mut self, party: &Party, by: isize, change: impl FnOnce(&mut Requester)) {
        let name = &party.namespace;
        let mut namespace = self.namespaces.remove(name).unwrap_or_default();
        if let Some((under_way, item)) = namespace.head() {
            self.order.remove(&(under_way, item, name.clone()));
        }
        namespace.under_way = namespace.under_way.saturating_add_signed(by);
        namespace.change(&party.requester, change);
        if let Some((under_way, item)) = namespace.head() {
            self.order.insert((under_way, item, name.clone()));
        }
        if !namespace.requesters.is_empty() {
            self.namespaces.insert(name.clone(), namespace);
        }
    }
}

impl Namespace {
    /// How many requests are due.
    fn count(&self) -> usize {
        self.requesters.values().map(|requester| requester.due.len()).sum()
    }

    /// How many of its requests go before this one that is due.
    fn before(&self, requester: &Arc<str>, item: &Item) -> usize {
        let own = self.requesters.get(requester);
        let place = own.map_or(0, |own| own.due.iter().take_while(|due| *due < item).count());
        let others = self.requesters.iter().filter(|(name, _)| *name != requester);
        place + others.map(|(_, other)| other.due.len().min(place + 1)).sum::<usize>()
    }

    /// How many are under way, and the request that goes next; `None` if none may.
    fn head(&self) -> Option<(usize, Item)> {
        let (_, item, _) = self.order.first()?;
        (self.under_way < OF_ONE_NAMESPACE).then(|| (self.under_way, item.clone()))
    }

    fn change(&mut self, name: &Arc<str>, change: impl FnOnce(&mut Requester)) {
        let mut requester = self.requesters.remove(name).unwrap_or_default();
        if let Some(item) = requester.due.first() {
            self.order.remove(&(requester.under_way, item.clone(), name.clone()));
        }
        change(&mut requester);
        if let Some(item) = requester.due.first() {
            self.order.insert((requester.under_way, item.clone(), name.clone()));
        }
        if requester.under_way > 0 || !requester.due.is_empty() {
            self.requesters.insert(name.clone(), requester);
        }
    }
}

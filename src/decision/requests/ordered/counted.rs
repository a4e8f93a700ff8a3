//! Maps and sets that count each look-up, each change, and each element that is visited. They have what the machine uses,
//! and nothing by which an element could be visited uncounted.

use std::borrow::Borrow;
use std::cell::Cell;
use std::collections::btree_map::{BTreeMap, Entry, Iter as MapIter, IterMut};
use std::collections::btree_set::{BTreeSet, Iter as SetIter, Range};
use std::iter::Inspect;
use std::ops::{Index, RangeFrom};

thread_local! {
    static VISITS: Cell<u64> = const { Cell::new(0) };
}

/// How much was counted in this thread so far.
pub fn visits() -> u64 {
    VISITS.get()
}

fn visit() {
    VISITS.set(VISITS.get() + 1);
}

/// An ordered map.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Map<K, V>(BTreeMap<K, V>);

/// An ordered set.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Set<T>(BTreeSet<T>);

impl<K, V> Default for Map<K, V> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T> Default for Set<T> {
    fn default() -> Self {
        Self(BTreeSet::new())
    }
}

type Counted<I> = Inspect<I, fn(&<I as Iterator>::Item)>;

impl<K: Ord, V> Map<K, V> {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        visit();
        self.0.get(key)
    }

    pub fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        visit();
        self.0.get_mut(key)
    }

    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        visit();
        self.0.insert(key, value)
    }

    pub fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        visit();
        self.0.remove(key)
    }

    pub fn entry(&mut self, key: K) -> Entry<'_, K, V> {
        visit();
        self.0.entry(key)
    }

    pub fn first_key_value(&self) -> Option<(&K, &V)> {
        visit();
        self.0.first_key_value()
    }

    pub fn iter(&self) -> Counted<MapIter<'_, K, V>> {
        self.0.iter().inspect(|_| visit())
    }

    pub fn len(&self) -> usize {
        visit();
        self.0.len()
    }

    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.iter().map(|(key, _)| key)
    }

    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }

    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.0.values_mut().inspect(|_| visit())
    }
}

impl<T: Ord> Set<T> {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn len(&self) -> usize {
        visit();
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn contains(&self, value: &T) -> bool {
        visit();
        self.0.contains(value)
    }

    pub fn insert(&mut self, value: T) -> bool {
        visit();
        self.0.insert(value)
    }

    pub fn remove(&mut self, value: &T) -> bool {
        visit();
        self.0.remove(value)
    }

    pub fn first(&self) -> Option<&T> {
        visit();
        self.0.first()
    }

    pub fn pop_first(&mut self) -> Option<T> {
        visit();
        self.0.pop_first()
    }

    pub fn iter(&self) -> Counted<SetIter<'_, T>> {
        self.0.iter().inspect(|_| visit())
    }

    pub fn range(&self, from: RangeFrom<T>) -> Counted<Range<'_, T>> {
        visit();
        self.0.range(from).inspect(|_| visit())
    }
}

impl<K: Ord, V, Q: Ord + ?Sized> Index<&Q> for Map<K, V>
where
    K: Borrow<Q>,
{
    type Output = V;

    fn index(&self, key: &Q) -> &V {
        visit();
        &self.0[key]
    }
}

impl<'a, K: Ord, V> IntoIterator for &'a Map<K, V> {
    type Item = (&'a K, &'a V);
    type IntoIter = Counted<MapIter<'a, K, V>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'a, K: Ord, V> IntoIterator for &'a mut Map<K, V> {
    type Item = (&'a K, &'a mut V);
    type IntoIter = Counted<IterMut<'a, K, V>>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter_mut().inspect(|_| visit())
    }
}

impl<'a, T: Ord> IntoIterator for &'a Set<T> {
    type Item = &'a T;
    type IntoIter = Counted<SetIter<'a, T>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<T> IntoIterator for Set<T> {
    type Item = T;
    type IntoIter = Counted<std::collections::btree_set::IntoIter<T>>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter().inspect(|_| visit())
    }
}

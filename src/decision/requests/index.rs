//! Look-ups about other requests: who is being issued for a user, who records a pass, whose pass replaced which, who waits
//! for a policy. Each costs the logarithm of the number of requests.

use std::cmp::Reverse;
use std::sync::Arc;

use jiff::Timestamp;

use super::observed::{Observed, Unresolved};
use super::ordered::{Map, Set};
use crate::decision::ids::{PassId, Uid, UserKey};

/// Values under keys, in the order of both. Each costs as much as it is long: a set for each key would take eleven places for
/// one value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Many<K, V>(Set<(K, V)>);

impl<K, V> Default for Many<K, V> {
    fn default() -> Self {
        Self(Set::default())
    }
}

impl<K: Ord + Clone, V: Ord> Many<K, V> {
    /// Enters a value under a key, or takes it out.
    fn change(&mut self, key: K, value: V, enter: bool) {
        if enter {
            self.0.insert((key, value));
        } else {
            self.0.remove(&(key, value));
        }
    }

    /// The values under a key. None may be less than `least`.
    fn under(&self, key: K, least: V) -> impl Iterator<Item = &V> + use<'_, K, V> {
        let from = self.0.range((key.clone(), least)..);
        from.take_while(move |(other, _)| *other == key).map(|(_, value)| value)
    }
}

/// Less than any uid of a request.
fn no_uid() -> Uid {
    Uid::from("")
}

/// The requests, by what others ask about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Index {
    /// Those whose POST is unresolved, by the user, or as much as could be read of them.
    unresolved: Many<Unresolved, Uid>,
    /// Those whose status has a pass.
    recording: Many<PassId, Uid>,
    /// Those whose recorded pass replaced a pass.
    replacing: Many<PassId, Uid>,
    /// Those with a live pass of a user, by when the user's passes were listed before it was made, the newest first.
    issued: Many<UserKey, (Reverse<Timestamp>, Uid)>,
    /// Those that wait for another pass for their user, by when they were created.
    contending: Many<UserKey, (Timestamp, Uid)>,
    /// Those that have no pass yet, by the policy that they name.
    waiting: Many<Arc<str>, Uid>,
}

impl Index {
    /// Enters what is known of a request.
    pub fn enter(&mut self, uid: &Uid, observed: &Observed) {
        self.each_key(uid, observed, true);
    }

    /// Takes out what was known of a request.
    pub fn remove(&mut self, uid: &Uid, observed: &Observed) {
        self.each_key(uid, observed, false);
    }

    fn each_key(&mut self, uid: &Uid, observed: &Observed, enter: bool) {
        if let Some(unresolved) = &observed.unresolved {
            self.unresolved.change((**unresolved).clone(), uid.clone(), enter);
        }
        if let Some(recorded) = &observed.recorded {
            self.recording.change(recorded.pass_id.clone(), uid.clone(), enter);
            if let Some(attempt) = &recorded.attempt {
                if !observed.has_ended() {
                    let issued = (Reverse(attempt.listed_at), uid.clone());
                    self.issued.change(attempt.user.clone(), issued, enter);
                }
                if let Some(replaced) = &attempt.replaces {
                    self.replacing.change(replaced.clone(), uid.clone(), enter);
                }
            }
        }
        if let Some(user) = &observed.contends {
            self.contending.change((**user).clone(), (observed.created, uid.clone()), enter);
        }
        if !observed.phase.is_final() && observed.recorded.is_none() {
            self.waiting.change(observed.party.policy.clone(), uid.clone(), enter);
        }
    }

    /// The other requests because of whose unresolved POST nobody may ask for a pass for a user.
    pub fn unresolved_for<'a>(
        &'a self,
        user: &UserKey,
        but: &'a Uid,
    ) -> impl Iterator<Item = &'a Uid> {
        let tenants = [Some(&user.tenant_id), None];
        let users = [Some(&user.user_id), None];
        let all = tenants.into_iter().flat_map(move |tenant_id| {
            users.map(|user_id| Unresolved {
                tenant_id: tenant_id.cloned(),
                user_id: user_id.cloned(),
            })
        });
        all.flat_map(|key| self.unresolved.under(key, no_uid())).filter(move |uid| *uid != but)
    }

    /// The other requests whose status has a pass.
    pub fn recording<'a>(&'a self, pass_id: PassId, but: &'a Uid) -> impl Iterator<Item = &'a Uid> {
        self.recording.under(pass_id, no_uid()).filter(move |uid| *uid != but)
    }

    /// The other requests whose recorded pass replaced a pass.
    pub fn replacing<'a>(&'a self, pass_id: PassId, but: &'a Uid) -> impl Iterator<Item = &'a Uid> {
        self.replacing.under(pass_id, no_uid()).filter(move |uid| *uid != but)
    }

    /// The requests with a live pass of a user, the newest first.
    pub fn issued_for(&self, user: &UserKey) -> impl Iterator<Item = &Uid> {
        let least = (Reverse(Timestamp::MAX), no_uid());
        self.issued.under(user.clone(), least).map(|(_, uid)| uid)
    }

    /// The requests that wait for another pass for a user, the oldest first.
    pub fn contending_for(&self, user: &UserKey) -> impl Iterator<Item = &Uid> {
        self.contending.under(user.clone(), (Timestamp::MIN, no_uid())).map(|(_, uid)| uid)
    }

    /// The requests without a pass that name a policy.
    pub fn waiting_for(&self, policy: &str) -> impl Iterator<Item = &Uid> {
        self.waiting.under(policy.into(), no_uid())
    }
}

#[cfg(test)]
impl Index {
    /// What must be in it, by a scan over all requests.
    pub fn scanned(entries: &Map<Uid, Box<super::Entry>>) -> Self {
        let mut index = Self::default();
        for (uid, entry) in entries {
            let there = entry.observed.iter().filter(|_| !entry.is_gone);
            there.for_each(|observed| index.enter(uid, observed));
        }
        index
    }
}

/// Enters a value under a key, or takes it out. No key is kept without values.
pub(super) fn change<K: Ord, V: Ord>(map: &mut Map<K, Set<V>>, key: K, value: V, enter: bool) {
    if enter {
        map.entry(key).or_default().insert(value);
    } else if let Some(values) = map.get_mut(&key) {
        values.remove(&value);
        if values.is_empty() {
            map.remove(&key);
        }
    }
}

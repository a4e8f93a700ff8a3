//! Looking at active passes: is one used, or gone?
//!
//! Such a look waits for its turn, and for a Graph that may be slow. It is made apart from the passes over requests,
//! newest first, so that nobody is deaf meanwhile to an expiry, a revocation or a deletion.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use kube::runtime::reflector::ObjectRef;
use tokio::sync::{Notify, mpsc::UnboundedSender};
use tokio::time::Instant;

use super::watches::GuardedRequest;
use crate::graph::{Client, GraphError, Priority, TapMethod};

/// How many looks at the passes of one tenant are under way at once.
const AT_ONCE: usize = 4;

/// A pass to look at.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The request that records it.
    pub request: ObjectRef<GuardedRequest>,
    /// From when it is valid.
    pub start: Timestamp,
    /// Object id of its user.
    pub user_id: String,
    /// Id of the pass.
    pub pass_id: String,
}

#[derive(Debug)]
enum Sighting {
    Wanted(Wanted),
    UnderWay,
    Seen(Instant, Result<TapMethod, GraphError>),
}

/// The looks at the passes of one tenant connection, by uid of the request.
#[derive(Debug, Default)]
pub struct Sightings {
    all: Mutex<BTreeMap<String, Sighting>>,
    wanted: Notify,
}

impl Sightings {
    /// What was seen, and when it was asked for. Where nobody looked yet, somebody does soon, and the request is then
    /// looked at again.
    pub fn take(
        &self,
        uid: &str,
        wanted: Wanted,
    ) -> Option<(Instant, Result<TapMethod, GraphError>)> {
        let mut all = self.all();
        match all.remove(uid) {
            Some(Sighting::Seen(asked, seen)) => return Some((asked, seen)),
            Some(Sighting::UnderWay) => {
                all.insert(uid.into(), Sighting::UnderWay);
            }
            Some(Sighting::Wanted(_)) | None => {
                all.insert(uid.into(), Sighting::Wanted(wanted));
            }
        }
        self.wanted.notify_one();
        None
    }

    /// Nobody wants to know any more.
    pub fn forget(&self, uid: &str) {
        self.all().remove(uid);
    }

    /// Looks at what is wanted, for ever.
    pub async fn look(&self, client: &Client, nudges: &UnboundedSender<ObjectRef<GuardedRequest>>) {
        futures::future::join_all((0..AT_ONCE).map(|_| async {
            loop {
                let Some((uid, wanted)) = self.newest() else {
                    self.wanted.notified().await;
                    continue;
                };
                // There may be more than one.
                self.wanted.notify_one();
                let asked = Instant::now();
                let seen = client.pass(&wanted.user_id, &wanted.pass_id, Priority::Read).await;
                if let Some(sighting) = self.all().get_mut(&uid) {
                    *sighting = Sighting::Seen(asked, seen);
                    let _ = nudges.send(wanted.request);
                }
            }
        }))
        .await;
    }

    /// The newest pass that is wanted. It is under way from now on.
    fn newest(&self) -> Option<(String, Wanted)> {
        let mut all = self.all();
        let (uid, wanted) = all
            .iter()
            .filter_map(|(uid, sighting)| match sighting {
                Sighting::Wanted(wanted) => Some((uid, wanted)),
                Sighting::UnderWay | Sighting::Seen(..) => None,
            })
            .max_by_key(|(_, wanted)| wanted.start)
            .map(|(uid, wanted)| (uid.clone(), wanted.clone()))?;
        all.insert(uid.clone(), Sighting::UnderWay);
        Some((uid, wanted))
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<String, Sighting>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(start: i64) -> Wanted {
        Wanted {
            request: ObjectRef::new("request").within("helpdesk"),
            start: Timestamp::from_second(start).unwrap(),
            user_id: "user".into(),
            pass_id: "pass".into(),
        }
    }

    #[test]
    fn the_newest_is_looked_at_first_and_each_once() {
        let sightings = Sightings::default();
        for (uid, start) in [("old", 1), ("new", 3), ("older", 0)] {
            assert!(sightings.take(uid, wanted(start)).is_none());
        }
        let order: Vec<String> =
            std::iter::from_fn(|| sightings.newest()).map(|(uid, _)| uid).collect();
        assert_eq!(order, ["new", "old", "older"]);
        assert!(sightings.take("new", wanted(3)).is_none(), "it is under way");
        assert!(sightings.newest().is_none());
    }
}

//! What one process must remember across requests: whose turn it is for a user, and the passes it made and deleted.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use tokio::time::{Duration, Instant};

use crate::decision::life::situation::{Known, Turn, Unlisted};

/// A request, by uid and by namespace/name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId {
    /// Its uid.
    pub uid: String,
    /// namespace/name, for readers.
    pub name: String,
}

/// One request at a time for each user of a tenant, over namespaces, policies and connections.
#[derive(Debug, Default)]
pub struct Turns(Mutex<BTreeMap<(String, String), String>>);

impl Turns {
    /// Takes the turn for a user, unless a request with another uid has it.
    pub fn take(&self, tenant_id: &str, user_id: &str, uid: &str) -> Turn {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let holder =
            turns.entry((tenant_id.into(), user_id.into())).or_insert_with(|| uid.to_owned());
        if holder == uid { Turn::Ours } else { Turn::Busy }
    }

    /// Whether a request with another uid has the turn for a user.
    pub fn is_of_another(&self, tenant_id: &str, user_id: &str, uid: &str) -> bool {
        let turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        turns.get(&(tenant_id.into(), user_id.into())).is_some_and(|holder| holder != uid)
    }

    /// Gives back every turn of a request.
    pub fn give_back(&self, uid: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, holder| holder != uid);
    }
}

/// The passes that this process made and deleted: the cache may not show them yet.
#[derive(Debug, Default)]
pub struct OwnPasses(Mutex<BTreeMap<String, OwnPass>>);

#[derive(Debug)]
struct OwnPass {
    known: Known,
    /// The request that it was made for.
    uid: String,
    /// Its tenant and user.
    of: (String, String),
    noted: Instant,
}

/// How long an id is remembered: longer than any pass lives.
const REMEMBERED: Duration = Duration::from_hours(744);

impl OwnPasses {
    /// This process made a pass for a request. Those before it of the same user are gone, whatever lists show for a while:
    /// Graph keeps one for each user.
    pub fn made(&self, pass_id: &str, request: &RequestId, tenant_id: &str, user_id: &str) {
        let known = Known::Recorded(request.name.clone());
        let (uid, of) = (request.uid.clone(), (tenant_id.into(), user_id.into()));
        self.note(pass_id, OwnPass { known, uid, of, noted: Instant::now() });
    }

    /// This process deleted a pass.
    pub fn deleted(&self, pass_id: &str) {
        let (uid, of) = (String::new(), Default::default());
        self.note(pass_id, OwnPass { known: Known::Gone, uid, of, noted: Instant::now() });
    }

    /// What this process knows of a pass, unless it made it for the request that asks.
    pub fn known(&self, pass_id: &str, asking_uid: &str) -> Option<Known> {
        let passes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let OwnPass { known, uid, .. } = passes.get(pass_id)?;
        (uid != asking_uid || *known == Known::Gone).then(|| known.clone())
    }

    /// A pass that this process made for this user and another request within this time, and that is not among these.
    pub fn unlisted(
        &self,
        tenant_id: &str,
        user_id: &str,
        asking_uid: &str,
        within: Duration,
        listed: &[&str],
    ) -> Option<Unlisted> {
        let passes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        passes.iter().find_map(|(pass_id, pass)| {
            let theirs = pass.of.0 == tenant_id && pass.of.1 == user_id && pass.uid != asking_uid;
            let unlisted = pass.noted.elapsed() < within && !listed.contains(&pass_id.as_str());
            match &pass.known {
                Known::Recorded(request) if theirs && unlisted => {
                    Some(Unlisted { request: request.clone(), pass_id: pass_id.clone() })
                }
                _ => None,
            }
        })
    }

    fn note(&self, pass_id: &str, pass: OwnPass) {
        let mut passes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        passes.retain(|_, pass| pass.noted.elapsed() < REMEMBERED);
        let replaced = passes.values_mut().filter(|other| other.of == pass.of);
        replaced.for_each(|other| other.known = Known::Gone);
        passes.insert(pass_id.into(), pass);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(uid: &str) -> RequestId {
        RequestId { uid: uid.into(), name: format!("ns/{uid}") }
    }

    #[test]
    fn one_request_at_a_time_for_each_user() {
        let turns = Turns::default();
        assert_eq!(turns.take("t", "alice", "a"), Turn::Ours);
        assert_eq!(turns.take("t", "alice", "a"), Turn::Ours, "taking it again is no harm");
        assert_eq!(turns.take("t", "alice", "b"), Turn::Busy);
        assert!(turns.is_of_another("t", "alice", "b"));
        assert!(!turns.is_of_another("t", "alice", "a") && !turns.is_of_another("t", "bob", "b"));
        assert_eq!(turns.take("t", "bob", "b"), Turn::Ours);
        turns.give_back("a");
        assert_eq!(turns.take("t", "alice", "b"), Turn::Ours);
    }

    #[tokio::test]
    async fn a_request_does_not_stumble_over_its_own_pass() {
        let passes = OwnPasses::default();
        passes.made("p", &request("a"), "t", "alice");
        assert_eq!(passes.known("p", "a"), None);
        assert_eq!(passes.known("p", "b"), Some(Known::Recorded("ns/a".into())));
        passes.deleted("p");
        assert_eq!(passes.known("p", "a"), Some(Known::Gone));
    }

    #[tokio::test(start_paused = true)]
    async fn a_pass_that_was_just_made_and_is_not_listed_is_told_to_others_for_a_while() {
        let passes = OwnPasses::default();
        passes.made("p", &request("a"), "t", "alice");
        let within = Duration::from_secs(150);
        let unlisted =
            |user, uid, listed: &[&str]| passes.unlisted("t", user, uid, within, listed).is_some();
        assert!(unlisted("alice", "b", &["q"]));
        assert!(!unlisted("alice", "b", &["p"]), "it is listed");
        assert!(!unlisted("alice", "a", &[]), "it is its own");
        assert!(!unlisted("bob", "b", &[]), "it is another user's");
        tokio::time::advance(within).await;
        assert!(!unlisted("alice", "b", &[]), "a list would show it by now");
        for pass_id in ["y", "x"] {
            passes.made(pass_id, &request("a"), "t", "alice");
        }
        let newest = passes.unlisted("t", "alice", "b", within, &[]).map(|newest| newest.pass_id);
        assert_eq!(newest.as_deref(), Some("x"), "each replaced the one before");
        assert_eq!(passes.known("y", "b"), Some(Known::Gone), "though a list may still show it");
        passes.deleted("x");
        passes.made("r", &request("a"), "t", "alice");
        passes.deleted("r");
        assert!(!unlisted("alice", "b", &[]), "it is gone");
    }
}

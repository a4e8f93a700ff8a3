//! The passes that this process made and deleted: neither a list of Graph nor a status may show it yet.

use jiff::Timestamp;

use super::index::change;
use super::ordered::{Map, Set};
use crate::decision::ids::{PassId, RequestName, Uid, UserKey};
use crate::decision::situation::{Known, Unlisted};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct OwnPass {
    known: Known,
    /// The request that it was made for; absent where it was only deleted.
    made_for: Option<(Uid, UserKey)>,
    /// Until when lists need not show it.
    unlisted_until: Timestamp,
    /// When it can be forgotten: it has expired, and no list shows it any more.
    forgotten_at: Timestamp,
}

/// The passes, by id.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct OwnPasses {
    passes: Map<PassId, OwnPass>,
    /// The one that Graph keeps, for each user.
    newest: Map<UserKey, PassId>,
    leaving: Map<Timestamp, Set<PassId>>,
}

impl OwnPasses {
    /// This process made a pass for a request. The one before it of the same user is gone, whatever lists show for a while:
    /// Graph keeps one for each user.
    pub fn made(
        &mut self,
        pass_id: &str,
        request: (&Uid, &RequestName),
        user: UserKey,
        unlisted_until: Timestamp,
        forgotten_at: Timestamp,
    ) {
        let pass_id = PassId::from(pass_id);
        if let Some(replaced) = self.newest.insert(user.clone(), pass_id.clone())
            && let Some(replaced) = self.passes.get_mut(&replaced)
        {
            replaced.known = Known::Gone;
        }
        let known = Known::Recorded(request.1.to_string());
        let made_for = Some((request.0.clone(), user));
        self.note(pass_id, OwnPass { known, made_for, unlisted_until, forgotten_at });
    }

    /// This process deleted a pass.
    pub fn deleted(&mut self, pass_id: &str, forgotten_at: Timestamp) {
        let gone = OwnPass {
            known: Known::Gone,
            made_for: None,
            unlisted_until: Timestamp::MIN,
            forgotten_at,
        };
        self.note(pass_id.into(), gone);
    }

    /// What this process knows of a pass, unless it made it for the request that asks.
    pub fn known(&self, pass_id: &str, asking: &Uid) -> Option<Known> {
        let OwnPass { known, made_for, .. } = self.passes.get(&PassId::from(pass_id))?;
        let own = made_for.as_ref().is_some_and(|(uid, _)| uid == asking);
        (!own || *known == Known::Gone).then(|| known.clone())
    }

    /// The pass that this process made for this user and another request so lately that a list of this time need not show
    /// it.
    pub fn unlisted(&self, user: &UserKey, asking: &Uid, listed_at: Timestamp) -> Option<Unlisted> {
        let pass_id = self.newest.get(user)?;
        let pass = self.passes.get(pass_id).filter(|pass| listed_at < pass.unlisted_until)?;
        let theirs = pass.made_for.as_ref().is_some_and(|(uid, _)| uid != asking);
        match &pass.known {
            Known::Recorded(request) if theirs => {
                Some(Unlisted { request: request.clone(), pass_id: pass_id.to_string() })
            }
            Known::Recorded(_) | Known::Gone => None,
        }
    }

    /// Forgets what is long gone.
    pub fn forget_until(&mut self, now: Timestamp) {
        while let Some((at, _)) = self.leaving.first_key_value().filter(|first| *first.0 <= now) {
            let at = *at;
            for pass_id in self.leaving.remove(&at).into_iter().flatten() {
                self.forget(&pass_id);
            }
        }
    }

    fn forget(&mut self, pass_id: &PassId) {
        let Some(OwnPass { made_for: Some((_, user)), .. }) = self.passes.remove(pass_id) else {
            return;
        };
        if self.newest.get(&user) == Some(pass_id) {
            self.newest.remove(&user);
        }
    }

    fn note(&mut self, pass_id: PassId, mut pass: OwnPass) {
        if let Some(before) = self.passes.get(&pass_id) {
            change(&mut self.leaving, before.forgotten_at, pass_id.clone(), false);
            pass.made_for = pass.made_for.or_else(|| before.made_for.clone());
            pass.forgotten_at = pass.forgotten_at.max(before.forgotten_at);
        }
        change(&mut self.leaving, pass.forgotten_at, pass_id.clone(), true);
        self.passes.insert(pass_id, pass);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn alice() -> UserKey {
        UserKey::new("tenant", "alice")
    }

    fn made(passes: &mut OwnPasses, pass_id: &str, by: &str, second: i64) {
        let (uid, name) = (Uid::from(by), RequestName::new("ns", by));
        passes.made(pass_id, (&uid, &name), alice(), at(second + 150), at(second + 3600));
    }

    #[test]
    fn a_request_does_not_stumble_over_its_own_pass() {
        let mut passes = OwnPasses::default();
        made(&mut passes, "p", "a", 0);
        assert_eq!(passes.known("p", &"a".into()), None);
        assert_eq!(passes.known("p", &"b".into()), Some(Known::Recorded("ns/a".into())));
        passes.deleted("p", at(3600));
        assert_eq!(passes.known("p", &"a".into()), Some(Known::Gone));
    }

    #[test]
    fn a_pass_that_was_just_made_is_told_to_others_for_a_while() {
        let mut passes = OwnPasses::default();
        made(&mut passes, "p", "a", 0);
        let unlisted = |passes: &OwnPasses, user: &str, uid: &str, second| {
            let user = UserKey::new("tenant", user);
            passes.unlisted(&user, &uid.into(), at(second)).map(|found| found.pass_id)
        };
        assert_eq!(unlisted(&passes, "alice", "b", 149).as_deref(), Some("p"));
        assert_eq!(unlisted(&passes, "alice", "a", 149), None, "it is its own");
        assert_eq!(unlisted(&passes, "bob", "b", 149), None, "it is another user's");
        assert_eq!(unlisted(&passes, "alice", "b", 150), None, "a list would show it by now");
        made(&mut passes, "x", "a", 200);
        assert_eq!(unlisted(&passes, "alice", "b", 200).as_deref(), Some("x"));
        assert_eq!(passes.known("p", &"b".into()), Some(Known::Gone), "though a list may show it");
        passes.deleted("x", at(3800));
        assert_eq!(unlisted(&passes, "alice", "b", 200), None, "it is gone");
    }

    #[test]
    fn what_is_long_gone_is_forgotten() {
        let mut passes = OwnPasses::default();
        made(&mut passes, "p", "a", 0);
        passes.deleted("p", at(10));
        passes.forget_until(at(3599));
        assert_eq!(passes.known("p", &"a".into()), Some(Known::Gone));
        passes.forget_until(at(3600));
        assert_eq!(passes, OwnPasses::default());
    }
}

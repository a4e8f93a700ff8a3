//! The promises, as they can be seen in states and in what happens between them.

use std::rc::Rc;

use tap_operator::api::Phase;
use tap_operator::decision::intent::Intent;
use tap_operator::decision::situation::SecretFound;

use super::clock::{SETTLE, tick};
use super::events::Next;
use super::machine::{Core, Machine};
use super::objects::{IntentId, Object, ObjectId, Objects};
use super::process::Process;
use super::state::State;
use super::tenant::{Call, End, Maker, PassNo, RequestNo};
use super::world::number;

impl Next {
    /// A final phase is final; a pass is said to be issued by nobody who saw that it is to go; and none is usable beyond
    /// the end of its request.
    pub fn check_write(
        &mut self,
        objects: &Objects,
        request: RequestNo,
        old: ObjectId,
        new: ObjectId,
    ) {
        let (old, new) = (objects.object(old), objects.object(new));
        if old.phase.is_final() && (new.phase != old.phase || new.pass != old.pass) {
            self.breaks(format!("request {request} was {} and is {}", old.phase, new.phase));
        }
        if old.phase.is_final()
            && new.attempt.as_ref().is_some_and(|a| a.open && a.issuing)
            && old.attempt.as_ref().map(|a| a.number) != new.attempt.as_ref().map(|a| a.number)
        {
            self.breaks(format!("request {request} is {} and is issued again", old.phase));
        }
        if new.issued && !old.issued && (new.revoked || new.being_deleted) {
            self.breaks(format!("request {request} is said to be issued after it was revoked"));
        }
        if old.finalizer && !new.finalizer && new.attempt.as_ref().is_some_and(|a| a.open) {
            self.breaks(format!("the finalizer of request {request} goes with an open intent"));
        }
        let ends = new.phase.is_final() && !old.phase.is_final();
        if let (true, Some(pass)) = (ends, new.pass)
            && self.state.tenant.pass(pass).is_usable(self.state.now)
        {
            self.breaks(format!("request {request} is {}, and pass {pass} is usable", new.phase));
        }
    }

    /// One POST for each attempt, recorded before it is sent; by who has the lease, soon after the list; and no other one
    /// is open for the user.
    pub fn check_post(&mut self, by: &Process, attempt: &Intent) {
        let bit = 1 << number(&attempt.attempt).expect("attempts are numbered");
        let broken = if self.state.recorded & bit == 0 {
            "a POST is sent whose attempt is not recorded"
        } else if self.state.posted & bit != 0 {
            "two POSTs are sent for one attempt"
        } else if !by.has_the_lease() {
            "a POST is sent without the lease"
        } else if self.state.now > tick(attempt.listed_at) {
            "a POST is sent long after its list"
        } else if self.state.tenant.calls.iter().any(|call| call.made.is_none()) {
            "two POSTs are open for one user"
        } else {
            return;
        };
        self.breaks(broken);
    }

    /// What a POST replaces is what it was recorded to replace, for a request that says so. What was not listed is within
    /// the limits, where somebody else made it.
    pub fn check_replacement(
        &mut self,
        core: &Core,
        request: RequestNo,
        intent: IntentId,
        replaced: PassNo,
        s: &State,
    ) {
        let intent = core.objects.intent(intent);
        let pass = s.tenant.pass(replaced);
        let says_so = core.on_existing_pass[usize::from(request)] == "Replace";
        let names_it = intent.replaces.as_ref().and_then(|r| number(&r.pass_id)) == Some(replaced);
        if (says_so && names_it) || !pass.is_usable(s.now) {
            return;
        }
        let listed = intent.listed.iter().any(|id| number(id) == Some(replaced));
        match pass.maker {
            Maker::Portal if !listed => self.within_limits = true,
            Maker::Portal => self.breaks(format!(
                "pass {replaced}, which somebody else made, is replaced by request {request}"
            )),
            Maker::Operator(other) if other == request => {}
            Maker::Operator(other) => {
                self.breaks(format!(
                    "pass {replaced} of request {other} is replaced by request {request}"
                ));
            }
        }
    }

    /// Only what is ours is deleted; a twin made in the seconds of a lost attempt is within the limits. The Secret goes
    /// first.
    ///
    /// A twin is a pass that somebody else made in the window in which the pass of a lost POST is looked for: not listed
    /// before that POST, and made from its list until the settle time after it. It cannot be told from the lost one. It is
    /// deleted in the place of that one, and the attempt is taken to be resolved: so where the POST has not taken effect
    /// yet, the pass that it makes afterwards may be recorded by nobody. That, too, is the limit; without such a twin, or
    /// once the POST has come out, everything holds.
    pub fn check_delete(
        &mut self,
        core: &Core,
        request: RequestNo,
        machine: &Machine,
        lease_is_fresh: bool,
        number: PassNo,
    ) {
        let (uid, machine) = (core.world.uid(request), machine.requests());
        let pass = self.state.tenant.pass(number).clone();
        match pass.maker {
            Maker::Portal => {
                let read = machine.request(uid).expect("it was read");
                let object = core.objects.object(ObjectId::of(&read));
                let in_window = object.attempt.as_ref().is_some_and(|attempt| {
                    let window = attempt.listed_at..=attempt.listed_at + SETTLE;
                    window.contains(&pass.created) && !attempt.listed.contains(&number)
                });
                if in_window {
                    let is_open = |call: &Call| call.request == request && call.made.is_none();
                    self.within_limits = true;
                    self.is_beyond = self.state.tenant.calls.iter().any(is_open);
                } else {
                    self.breaks(format!("pass {number}, which somebody else made, is deleted"));
                }
            }
            Maker::Operator(other) if other != request => {
                self.breaks(format!(
                    "pass {number} of request {other} is deleted for request {request}"
                ));
            }
            Maker::Operator(_) => {}
        }
        let secret = self.state.request(request).secret;
        // Who lost the lease leaves a Secret that it does not know to the next; and may create one after the other's look.
        let found = machine.reads(uid).and_then(|reads| reads.secret.as_ref());
        let tried =
            !lease_is_fresh || found.is_some_and(|found| !matches!(found, SecretFound::Ours(_)));
        if secret.is_some_and(|secret| secret.pass == number) && !tried {
            self.breaks(format!("pass {number} is deleted before its Secret"));
        }
    }

    /// The Secret of a pass that is live and that nobody wants gone stays.
    pub fn check_delete_secret(&mut self, objects: &Objects, request: RequestNo, secret: PassNo) {
        let Some(id) = self.state.request(request).object else { return };
        let object = objects.object(id);
        let wanted = !object.revoked && !object.being_deleted;
        let active = object.phase == Phase::Active && object.pass == Some(secret);
        if wanted && active && self.state.tenant.pass(secret).is_usable(self.state.now) {
            self.breaks(format!(
                "the Secret of request {request} is deleted, and its pass is live"
            ));
        }
    }

    /// Where nothing went wrong so far, time does not go on while a Secret outlives its pass, or a pass its revocation.
    pub fn check_in_time(&mut self, objects: &Objects, s: &State) {
        for request in s.numbers() {
            let Some(object) = s.request(request).object.map(|id| objects.object(id)) else {
                continue;
            };
            let expired = |secret: &super::state::Secret| {
                let pass = s.tenant.pass(secret.pass);
                pass.is_there() && s.now >= pass.expires()
            };
            if s.request(request).secret.as_ref().is_some_and(expired) {
                self.breaks(format!("the Secret of request {request} outlives its pass"));
            }
            let usable = object.pass.is_some_and(|pass| s.tenant.pass(pass).is_usable(s.now));
            if usable && (object.revoked || object.being_deleted) {
                self.breaks(format!("request {request} is to end, and its pass is usable"));
            }
        }
    }

    /// What must be so in each state.
    pub fn check(&mut self, objects: &Objects, before: &State) {
        let s = &self.state;
        let broken = orphan(objects, s)
            .or_else(|| left_to_expire(before, s))
            .or_else(|| secrets(objects, s));
        if let Some(broken) = broken {
            self.breaks(broken);
        }
    }
}

/// Whether a process holds the answer with this pass, or is about to get it.
fn is_held(s: &State, number: PassNo) -> bool {
    let told = s.tenant.calls.iter().any(|call| call.made == Some(number));
    let held = |who| {
        let machine = &s.process(who).machine;
        s.numbers().any(|request| machine.holds(request) == Some(number))
    };
    told || s.processes().any(held)
}

/// A usable pass that the operator made is recorded by one request, or somebody will find it.
fn orphan(objects: &Objects, s: &State) -> Option<String> {
    s.tenant.numbered().find_map(|(number, pass)| {
        let Maker::Operator(request) = pass.maker else { return None };
        if !pass.is_usable(s.now) {
            return None;
        }
        let live = || s.requests.iter().filter_map(|request| Some(objects.object(request.object?)));
        let records = |object: &Rc<Object>| {
            object.phase == Phase::Active && object.finalizer && object.pass == Some(number)
        };
        let by = live().filter(records).count();
        let found_later = s.request(request).object.is_some_and(|id| {
            let object = objects.object(id);
            let lists = object.attempt.as_ref().is_some_and(|a| a.listed.contains(&number));
            object.is_unresolved() && !lists
        });
        match by {
            0 if found_later || is_held(s, number) => None,
            0 => Some(format!(
                "pass {number} of request {request} is usable, and nobody knows of it"
            )),
            1 => None,
            _ => Some(format!("pass {number} is recorded by {by} requests")),
        }
    })
}

/// A pass that nobody recorded does not live to its expiry.
fn left_to_expire(before: &State, s: &State) -> Option<String> {
    let expired = s.tenant.numbered().find(|(number, pass)| {
        let expires = before.now < pass.expires() && pass.expires() <= s.now;
        let forgotten = !pass.recorded && !pass.used && pass.is_there() && !is_held(s, *number);
        matches!(pass.maker, Maker::Operator(_)) && expires && forgotten
    });
    expired.map(|(number, _)| format!("pass {number} was never recorded, and is left to expire"))
}

/// A Secret holds the code of the pass that is recorded, and is gone where its request is over.
fn secrets(objects: &Objects, s: &State) -> Option<String> {
    (0..).zip(&s.requests).find_map(|(number, request)| {
        let (secret, object) = (request.secret?, objects.object(request.object?));
        let recorded = object.pass.filter(|_| object.phase == Phase::Active);
        if recorded.is_some_and(|recorded| recorded != secret.pass) {
            return Some(format!("the Secret of request {number} holds the code of another pass"));
        }
        if object.is_over() {
            return Some(format!("request {number} is over, and its Secret is there"));
        }
        None
    })
}

/// What must be so where nothing more happens by itself.
pub fn end(core: &Core, s: &State) -> Option<String> {
    let coming = s.requests.iter().any(|request| request.coming.is_some());
    if !s.tenant.calls.is_empty() || s.zombie.is_some() || coming {
        return Some("something hangs".into());
    }
    let usable = s
        .tenant
        .numbered()
        .find(|(_, pass)| matches!(pass.maker, Maker::Operator(_)) && pass.is_usable(s.now));
    if let Some((number, _)) = usable {
        return Some(format!("pass {number} is usable in the end"));
    }
    (0..).zip(&s.requests).find_map(|(number, request)| {
        let Some(id) = request.object else {
            if s.leader.machine.requests().observed(core.world.uid(number)).is_some() {
                return Some(format!("request {number} is gone, and something is kept of it"));
            }
            return (!request.deleted)
                .then(|| format!("request {number} is gone, and nobody deleted it"));
        };
        if request.deleted {
            return Some(format!("request {number} was deleted, and stays"));
        }
        let object = core.objects.object(id);
        let wrong = if !object.phase.is_final() {
            "has no end"
        } else if object.finalizer {
            "keeps its finalizer"
        } else if object.reconciling {
            "stays reconciling"
        } else if request.secret.is_some() {
            "keeps its Secret"
        } else if !ends_as_it_should(s, number, &object, s.left.is_strained(&core.at_first)) {
            "ends otherwise than it should"
        } else {
            return None;
        };
        Some(format!("request {number} {wrong}: {} {}", object.phase, object.reason))
    })
}

/// Whether the end of a request follows from what happened.
fn ends_as_it_should(s: &State, request: RequestNo, object: &Object, strained: bool) -> bool {
    let pass = object.pass.map(|number| s.tenant.pass(number));
    let by_somebody_else = s.tenant.passes.iter().any(|p| p.maker != Maker::Operator(request));
    match (object.phase, object.reason.as_str()) {
        (Phase::Used, _) => pass.is_some_and(|pass| pass.used),
        (Phase::Expired, "PassExpired" | "ExpiredWhileRevoking") => {
            pass.is_some_and(|pass| pass.expires() <= s.now)
        }
        (Phase::Expired, "NotIssuedInTime") => strained || by_somebody_else || s.left.enablings > 0,
        (Phase::Revoked, "Revoked") => object.revoked,
        (Phase::Revoked, "PassRemoved" | "Superseded") => {
            pass.is_some_and(|pass| matches!(pass.end, Some((End::Replaced, _))))
                && by_somebody_else
        }
        (Phase::Failed, "ExistingPass") => by_somebody_else,
        _ => false,
    }
}

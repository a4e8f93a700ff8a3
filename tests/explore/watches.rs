//! What processes see of the requests by their watches: at once what others wrote, unless the watch lags; and what a process
//! sees first when it begins to lead.

use super::clock::Tick;
use super::events::Next;
use super::machine::Core;
use super::objects::ObjectId;
use super::process::{Process, Set, Work};
use super::shell::Input;
use super::state::{State, Who};
use super::tenant::{ProcessNo, RequestNo};

impl Core {
    /// Shows to each process what it does not know yet. Where something may still lag, one of them may be shown it later.
    pub fn show(&mut self, mut next: Next, out: &mut Vec<Next>) {
        if next.state.left.stale > 0 {
            for who in next.state.processes() {
                for request in next.state.numbers() {
                    if next.state.is_to_be_shown(who, request) {
                        let mut later = next.clone();
                        later.lags = Some((later.state.process(who).number, request));
                        later.state.spend_stale(true);
                        later.state.process_mut(who).lags.insert(request);
                        self.show_all(&mut later.state);
                        out.push(later);
                    }
                }
            }
        }
        self.show_all(&mut next.state);
        out.push(next);
    }

    fn show_all(&mut self, state: &mut State) {
        for who in state.processes() {
            for request in state.numbers() {
                if state.is_to_be_shown(who, request) {
                    self.show_one(state, who, request);
                }
                if state.sees_what_is_there(who, request) {
                    let now = state.now;
                    self.has_seen(state.process_mut(who), request, now);
                }
            }
        }
    }

    /// The watch of a process shows a request.
    pub fn show_one(&mut self, state: &mut State, who: Who, request: RequestNo) {
        let (now, object) = (state.now, state.request(request).object);
        let process = state.process_mut(who);
        process.machine = self.run(&process.machine, now, Input::Shown(request, object)).0;
    }

    /// A process has seen what is there of a request: so it knows the attempt that was there when it began to lead. When it
    /// knows all of these, it has caught up.
    fn has_seen(&mut self, process: &mut Process, request: RequestNo, now: Tick) {
        process.lags.remove(request);
        process.shown_gone.remove(request);
        if process.unseen.contains(request) {
            process.unseen.remove(request);
            if process.unseen.is_empty() {
                process.machine = self.run(&process.machine, now, Input::CaughtUp).0;
            }
        }
    }

    /// A process that begins to lead, whose first list shows these. It has the lease, lists all requests that carry the
    /// finalizer, and has caught up when it has seen them.
    pub fn leads(
        &mut self,
        number: ProcessNo,
        listed: &[Option<ObjectId>],
        there: &[Option<ObjectId>],
        now: Tick,
    ) -> Process {
        let machine = self.begun(listed, now);
        let (mut lags, mut unseen) = (Set::default(), Set::default());
        for (request, (listed, there)) in (0..).zip(listed.iter().zip(there)) {
            if listed != there {
                lags.insert(request);
            }
            if let Some(object) = there.map(|id| self.objects.object(id)) {
                let uid = self.world.uid(request).as_str();
                let seen = machine.requests().has_seen(uid, &object.observed.version);
                if object.finalizer && !seen {
                    unseen.insert(request);
                }
            }
        }
        let caught_up = unseen.is_empty().then(|| self.run(&machine, now, Input::CaughtUp).0);
        let machine = caught_up.unwrap_or(machine);
        let works = vec![Work::Idle; listed.len()];
        let shown_gone = Set::default();
        Process { number, lost_the_lease: None, machine, works, lags, shown_gone, unseen }
    }

    /// The processes that may begin to lead now: the first list shows what is there, or lags for one request. What it lags
    /// for comes with each.
    pub fn may_lead(&mut self, s: &State) -> Vec<(Option<RequestNo>, Process)> {
        let there: Vec<_> = s.requests.iter().map(|request| request.object).collect();
        let fresh = self.leads(s.started, &there, &there, s.now);
        let mut all = vec![(None, fresh)];
        for (number, request) in (0..).zip(&s.requests) {
            if request.before.is_some() && request.before != request.object && s.left.stale > 0 {
                let mut listed = there.clone();
                listed[usize::from(number)] = request.before;
                all.push((Some(number), self.leads(s.started, &listed, &there, s.now)));
            }
        }
        all
    }
}

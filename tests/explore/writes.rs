//! What a process changes, in the cluster and in the tenant, and what may come of it.

use tap_operator::decision::situation::Written;

use super::events::{Event, Next};
use super::machine::Machine;
use super::objects::{IntentId, ObjectId};
use super::process::Work;
use super::shell::{Learned, NotCreated, Version};
use super::state::{Answer, Secret};
use super::steps::{Step, answers};
use super::tenant::{Call, End, PassNo};
use super::world::{Failure, number};

impl Step<'_> {
    /// A write that rests on what was read: what becomes of it in the cluster, and what the process learns of that.
    fn writes(
        &mut self,
        machine: &Machine,
        (kind, what): (Written, &str),
        version: Version,
        out: &mut Vec<Next>,
    ) {
        if self.s.left.refused > 0 {
            let mut next = self.next(machine, "", Answer::Fine);
            let (process, request) = (self.s.process(self.who).number, self.request);
            next.event = Event::Wrong(self.core.said(format_args!(
                "somebody refuses what process {process} writes of request {request}: {what}"
            )));
            next.state.left.refused -= 1;
            self.learns(&mut next, Learned::Refused(kind));
            out.push(next);
        }
        for answer in answers(self.s) {
            let mut next = self.next(machine, what, *answer);
            let Version { read, written } = version;
            let objects = &self.core.objects;
            let done =
                *answer != Answer::Void && next.state.replace(objects, self.request, read, written);
            if done {
                next.check_write(objects, self.request, read, written);
            }
            if done && *answer == Answer::Fine && next.state.request(self.request).object.is_none()
            {
                self.is_shown_first(next.clone(), written, out);
            }
            match answer {
                Answer::Fine if done => self.learns(&mut next, Learned::Written(written)),
                Answer::Fine => {
                    next.event.adds(": conflict");
                    self.learns(&mut next, Learned::Outdated);
                }
                Answer::Lost | Answer::Void => self.fails(&mut next),
            }
            out.push(next);
        }
    }

    /// The write took the last finalizer off, and the watch shows that the request is gone before the answer arrives.
    fn is_shown_first(&mut self, mut next: Next, written: ObjectId, out: &mut Vec<Next>) {
        next.event.adds(", and sees first that the request is gone");
        self.core.show_one(&mut next.state, self.who, self.request);
        self.learns(&mut next, Learned::Written(written));
        next.state.process_mut(self.who).shown_gone.insert(self.request);
        out.push(next);
    }

    /// Whether the lease was this process's when it decided.
    fn lease_is_fresh(&self) -> bool {
        let process = self.s.process(self.who);
        process.has_the_lease() || matches!(process.work(self.request), Work::OnItsWay(..))
    }

    pub fn write(&mut self, machine: &Machine, version: Version, out: &mut Vec<Next>) {
        let object = self.core.objects.object(version.written);
        let what = format!("writes status {} {}", object.phase, object.reason);
        self.writes(machine, (Written::Status, &what), version, out);
    }

    pub fn record(
        &mut self,
        machine: &Machine,
        version: Version,
        attempt: u8,
        issuing: bool,
        out: &mut Vec<Next>,
    ) {
        let first = out.len();
        let does = if issuing { "records" } else { "takes over as" };
        let what = format!("{does} attempt {attempt}");
        self.writes(machine, (Written::Intent, &what), version, out);
        // However it came out, nobody uses that number again.
        for next in &mut out[first..] {
            next.state.next_attempt = next.state.next_attempt.max(attempt + 1);
        }
    }

    pub fn release(&mut self, machine: &Machine, version: Version, out: &mut Vec<Next>) {
        let what = "closes the intent and takes the finalizer off";
        self.writes(machine, (Written::Release, what), version, out);
    }

    pub fn post(&mut self, machine: &Machine, intent: IntentId, out: &mut Vec<Next>) {
        let mut next = self.next(machine, "sends the POST", Answer::Fine);
        let process = self.s.process(self.who);
        let attempt = self.core.objects.intent(intent);
        next.check_post(process, &attempt);
        next.state.posted |= 1 << number(&attempt.attempt).expect("attempts are numbered");
        next.state.tenant.calls.push(Call {
            request: self.request,
            intent,
            sender: Some(process.number),
            sent: self.s.now,
            made: None,
        });
        *next.state.process_mut(self.who).work_mut(self.request) = Work::Posting;
        out.push(next);
    }

    pub fn create_secret(&mut self, machine: &Machine, pass: PassNo, out: &mut Vec<Next>) {
        let secret = Secret { pass };
        if self.s.left.late > 0 {
            self.give_up_creating(machine, secret, out);
        }
        if self.s.left.refused > 0 {
            let mut next = self.next(machine, "", Answer::Fine);
            next.event = Event::Wrong(self.core.said(format_args!(
                "the API server is too busy for the Secret of request {}",
                self.request
            )));
            next.state.left.refused -= 1;
            self.learns(&mut next, Learned::SecretCreated(Err(NotCreated::Busy)));
            out.push(next);
        }
        for answer in answers(self.s) {
            let mut next = self.next(machine, "creates the Secret", *answer);
            if !self.lease_is_fresh() {
                next.breaks("a Secret is created by a process that lost its lease");
            }
            let taken = self.s.request(self.request).secret.is_some();
            if !taken && *answer != Answer::Void {
                next.state.tenant.pass_mut(pass).told = true;
                // Where the request is gone, the Secret goes at once.
                if self.s.request(self.request).object.is_some() {
                    next.state.request_mut(self.request).secret = Some(secret);
                }
            }
            let created = match answer {
                Answer::Fine if taken => Err(NotCreated::Taken),
                Answer::Fine => Ok(pass),
                Answer::Lost | Answer::Void => Err(NotCreated::Unknown),
            };
            if created == Err(NotCreated::Taken) {
                next.event.adds(": conflict");
            }
            self.learns(&mut next, Learned::SecretCreated(created));
            out.push(next);
        }
    }

    /// It may take effect later, whether the process lives on or not.
    fn give_up_creating(&mut self, machine: &Machine, secret: Secret, out: &mut Vec<Next>) {
        let mut next = self.next(machine, "", Answer::Fine);
        next.event = Event::Wrong(self.core.said(format_args!(
            "the create of the Secret of request {} is given up, and may take effect later",
            self.request
        )));
        next.state.left.late -= 1;
        // How long it may take counts from when it was sent.
        let sent = match self.s.process(self.who).work(self.request) {
            Work::OnItsWay(_, sent) => *sent,
            _ => self.s.now,
        };
        if self.s.request(self.request).object.is_some() {
            next.state.request_mut(self.request).coming = Some((secret, sent));
        }
        self.learns(&mut next, Learned::SecretCreated(Err(NotCreated::Unknown)));
        out.push(next);
    }

    pub fn delete_secret(&mut self, machine: &Machine, pass: PassNo, out: &mut Vec<Next>) {
        for answer in answers(self.s) {
            let mut next = self.next(machine, "deletes the Secret", *answer);
            let there = self.s.request(self.request).secret;
            let ours = there.filter(|secret| secret.pass == pass);
            if let Some(secret) = ours.filter(|_| *answer != Answer::Void) {
                next.check_delete_secret(&self.core.objects, self.request, secret.pass);
                next.state.request_mut(self.request).secret = None;
            }
            let gone = ours.is_some() || there.is_none();
            let gone = (*answer == Answer::Fine).then_some(gone);
            self.learns(&mut next, Learned::SecretDeleted(gone));
            out.push(next);
        }
    }

    pub fn delete_pass(&mut self, machine: &Machine, number: PassNo, out: &mut Vec<Next>) {
        let is_there = self.s.tenant.pass(number).is_there();
        for answer in answers(self.s) {
            let what = format_args!("deletes pass {number}");
            let mut next = self.next(machine, what, *answer);
            next.check_delete(self.core, self.request, machine, self.lease_is_fresh(), number);
            if is_there && *answer != Answer::Void {
                next.state.tenant.pass_mut(number).end = Some((End::Deleted, self.s.now));
            }
            let deleted = match answer {
                Answer::Fine if is_there => Ok(()),
                Answer::Fine => Err(Failure::NotFound),
                Answer::Lost | Answer::Void => Err(Failure::NoAnswer),
            };
            self.learns(&mut next, Learned::PassDeleted(deleted));
            out.push(next);
        }
        // A server that does not know the pass yet.
        if is_there && self.s.left.stale > 0 && self.s.tenant.pass(number).created == self.s.now {
            let what = format_args!("deletes pass {number}, which is not known yet");
            let mut next = self.next(machine, what, Answer::Fine);
            next.state.spend_stale(true);
            self.learns(&mut next, Learned::PassDeleted(Err(Failure::NotFound)));
            out.push(next);
        }
    }
}

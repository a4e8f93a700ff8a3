//! What goes wrong on purpose: faults, held requests, late and broken watches.

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::request::{ApiRequest, Verb};
use crate::status::{self, Refusal};

type Predicate = Arc<dyn Fn(&ApiRequest) -> bool + Send + Sync>;

/// Which requests are meant. Each condition narrows it further.
#[derive(Clone, Default)]
pub struct Match {
    conditions: Vec<Predicate>,
}

impl fmt::Debug for Match {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Match of {} conditions", self.conditions.len())
    }
}

impl Match {
    /// Every request.
    pub fn any() -> Self {
        Self::default()
    }

    /// Requests of one verb.
    pub fn verb(verb: Verb) -> Self {
        Self::any().when(move |request| request.verb == verb)
    }

    /// Requests that may change something, dry runs included.
    pub fn writes() -> Self {
        Self::any().when(|request| request.verb.writes())
    }

    /// For one resource, by its plural.
    #[must_use]
    pub fn resource(self, plural: &str) -> Self {
        let plural = plural.to_owned();
        self.when(move |request| request.resource == plural)
    }

    /// For one subresource, such as `status`.
    #[must_use]
    pub fn subresource(self, subresource: &str) -> Self {
        let subresource = subresource.to_owned();
        self.when(move |request| request.subresource.as_ref() == Some(&subresource))
    }

    /// For the objects themselves, not their subresources.
    #[must_use]
    pub fn main_resource(self) -> Self {
        self.when(|request| request.subresource.is_none())
    }

    /// In one namespace.
    #[must_use]
    pub fn namespace(self, namespace: &str) -> Self {
        let namespace = namespace.to_owned();
        self.when(move |request| request.namespace.as_ref() == Some(&namespace))
    }

    /// For one object; a creation by the name in its body.
    #[must_use]
    pub fn name(self, name: &str) -> Self {
        let name = name.to_owned();
        self.when(move |request| request.name.as_ref() == Some(&name))
    }

    /// Dry runs only, or real ones only.
    #[must_use]
    pub fn dry_run(self, dry_run: bool) -> Self {
        self.when(move |request| request.is_dry_run() == dry_run)
    }

    /// From one user.
    #[must_use]
    pub fn user(self, user: &str) -> Self {
        let user = user.to_owned();
        self.when(move |request| request.user.as_ref() == Some(&user))
    }

    /// From clients with this `User-Agent`.
    #[must_use]
    pub fn user_agent(self, user_agent: &str) -> Self {
        let user_agent = user_agent.to_owned();
        self.when(move |request| request.user_agent.as_ref() == Some(&user_agent))
    }

    /// With any other property. The condition runs inside the server and must not call it.
    #[must_use]
    pub fn when(mut self, condition: impl Fn(&ApiRequest) -> bool + Send + Sync + 'static) -> Self {
        self.conditions.push(Arc::new(condition));
        self
    }

    /// Whether this request is meant.
    pub fn matches(&self, request: &ApiRequest) -> bool {
        self.conditions.iter().all(|condition| condition(request))
    }
}

/// What goes wrong with a request.
#[derive(Clone, Debug)]
pub enum Fault {
    /// The server refuses: nothing happens. `details.retryAfterSeconds` becomes a `Retry-After` header.
    Refused(Refusal),
    /// The server does what it was asked and then answers with this.
    RefusedAfterEffect(Refusal),
    /// The connection breaks before the request has any effect.
    ConnectionLost,
    /// The request takes effect, the answer is lost.
    AnswerLost,
    /// Nothing happens, and no answer ever comes.
    Hang,
    /// The request takes effect, and no answer ever comes.
    HangAfterEffect,
}

impl Fault {
    /// A 5xx without effect.
    pub fn server_error(code: u16) -> Self {
        Self::Refused(status::server_error(code))
    }

    /// 429 with `Retry-After`, in seconds.
    pub fn too_many_requests(retry_after_seconds: u32) -> Self {
        Self::Refused(status::too_many_requests(retry_after_seconds))
    }
}

/// How a watch is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchEnd {
    /// The server closes it, as after its timeout.
    Closed,
    /// The connection breaks in the middle.
    ConnectionLost,
    /// It ends with an ERROR event, 410 Expired.
    Expired,
    /// Nothing comes any more, not even the end.
    Silent,
}

/// Where an intercepted request is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// It has arrived and has no effect yet.
    BeforeEffect,
    /// It has taken effect; the client does not know.
    AfterEffect,
}

/// Faults that last: they end when this is dropped.
#[derive(Debug)]
pub struct Outage {
    _alive: Arc<()>,
}

/// What becomes of a held request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on.
    Release,
    /// Its connection is lost.
    Lose,
}

/// The next matching request, held at a point. Dropping the handle releases the request.
#[derive(Debug)]
pub struct Intercept {
    held: oneshot::Receiver<ApiRequest>,
    verdict: oneshot::Sender<Verdict>,
}

impl Intercept {
    /// Waits until a request is held.
    ///
    /// # Panics
    /// If it is called again after it has returned, or when the server is gone.
    pub async fn reached(&mut self) -> ApiRequest {
        (&mut self.held).await.expect("an intercept is reached once, while its server lives")
    }

    /// Lets the request go on. It takes its effect even if its client has gone away.
    pub fn release(self) {
        self.verdict.send(Verdict::Release).ok();
    }

    /// Breaks the request's connection: before the effect there will be none, after it the answer is lost.
    pub fn lose(self) {
        self.verdict.send(Verdict::Lose).ok();
    }
}

/// The server's side of an [`Intercept`].
#[derive(Debug)]
pub struct Hold {
    /// Where.
    pub point: Point,
    held: oneshot::Sender<ApiRequest>,
    verdict: oneshot::Receiver<Verdict>,
}

impl Hold {
    /// Holds the request until the test decides.
    pub async fn wait(self, request: &ApiRequest) -> Verdict {
        self.held.send(request.clone()).ok();
        self.verdict.await.unwrap_or(Verdict::Release)
    }
}

/// Everything that is to go wrong.
#[derive(Debug, Default)]
pub struct Faults {
    next: Vec<(Match, Fault)>,
    lasting: Vec<(Match, Fault, Weak<()>)>,
    holds: Vec<(Match, Hold)>,
    delays: Vec<(Match, Duration)>,
}

impl Faults {
    /// The next matching request fails; several are used up in the order in which they were given.
    pub fn fail_next(&mut self, requests: Match, fault: Fault) {
        self.next.push((requests, fault));
    }

    /// Every matching request fails until the outage is dropped.
    pub fn fail(&mut self, requests: Match, fault: Fault) -> Outage {
        let alive = Arc::new(());
        self.lasting.push((requests, fault, Arc::downgrade(&alive)));
        Outage { _alive: alive }
    }

    /// The next matching request is held.
    pub fn intercept(&mut self, requests: Match, point: Point) -> Intercept {
        let (held_sender, held) = oneshot::channel();
        let (verdict, verdict_receiver) = oneshot::channel();
        self.holds.push((requests, Hold { point, held: held_sender, verdict: verdict_receiver }));
        Intercept { held, verdict }
    }

    /// Sets how late matching watches and cached reads see changes. The last setting that matches counts.
    pub fn delay(&mut self, requests: Match, delay: Duration) {
        self.delays.push((requests, delay));
    }

    /// How late this request sees changes.
    pub fn delay_of(&self, request: &ApiRequest) -> Duration {
        let delay = self.delays.iter().rev().find(|(requests, _)| requests.matches(request));
        delay.map_or(Duration::ZERO, |(_, delay)| *delay)
    }

    /// What is to go wrong with a request that has just arrived.
    pub fn take(&mut self, request: &ApiRequest) -> (Option<Fault>, Option<Hold>) {
        self.holds.retain(|(_, hold)| !hold.held.is_closed());
        self.lasting.retain(|(.., alive)| alive.strong_count() > 0);
        let next = self.next.iter().position(|(requests, _)| requests.matches(request));
        let fault = next.map(|index| self.next.remove(index).1).or_else(|| {
            let lasting = self.lasting.iter().find(|(requests, ..)| requests.matches(request));
            lasting.map(|(_, fault, _)| fault.clone())
        });
        let hold = self.holds.iter().position(|(requests, _)| requests.matches(request));
        (fault, hold.map(|index| self.holds.remove(index).1))
    }
}

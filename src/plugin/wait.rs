//! Waiting for a request, until it is where it should be or can no longer get there.
//!
//! The request is read again and again, instead of watched: a watch over a connection that went silent, as on a laptop that
//! slept, shows nothing for minutes.

use std::time::Duration;

use jiff::SignedDuration;
use tokio::time::{Instant, sleep};

use super::call_error::CallError;
use super::failure::{Exit, Failure, OTHER_VERSION};
use super::output::{self, Progress};
use super::program;
use super::record::Record;
use super::session::Session;
use super::signals::Signals;
use super::time::Clock;
use super::view;
use crate::api::{ConditionType, Phase};
use crate::decision::Reason;

/// How often the request is read.
const EVERY: Duration = Duration::from_secs(1);
/// How long the cluster may not answer.
const PATIENCE: Duration = Duration::from_secs(300);

/// What to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Goal {
    /// The pass was issued
    Issued,
    /// People can approve, or need not any more
    Approval,
    /// The request has ended
    Finished,
}

/// Where a request is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It is there.
    Reached,
    /// It has ended, and will never be there.
    Ended,
    /// It may still come there.
    Going,
    /// Another version wrote it, and this one cannot tell.
    Strange,
}

/// Where a request is on its way to the goal.
pub fn step(record: &Record, goal: Goal) -> Step {
    let phase = record.phase();
    match (goal, phase) {
        _ if record.strange().is_some() => Step::Strange,
        (Goal::Finished, phase) if phase.is_final() => Step::Reached,
        (Goal::Issued, Phase::Active) if !is_being_revoked(record) => Step::Reached,
        (
            Goal::Approval,
            Phase::AwaitingApproval | Phase::Scheduled | Phase::Active | Phase::Used,
        ) => Step::Reached,
        (Goal::Approval, Phase::Pending) if record.is_approved() => Step::Reached,
        (_, phase) if phase.is_final() => Step::Ended,
        _ => Step::Going,
    }
}

fn is_being_revoked(record: &Record) -> bool {
    let issued = record.request().condition(ConditionType::Issued);
    // The pass was issued all the same where somebody has deleted its Secret, as whoever has read the code should.
    let takes_away = |reason: &str| reason != Reason::SecretGone.as_str();
    let is_revoking = issued.is_some_and(|i| i.status != "True" && takes_away(&i.reason));
    record.request().is_being_deleted() || is_revoking
}

/// One line about how far it is.
pub fn line(record: &Record, clock: &Clock) -> String {
    if let Some(position) = view::position(record) {
        // All that matters, in few words: a terminal may be narrow.
        let when = view::when(record, clock);
        let parts = [view::stage(record), position, &when].into_iter().filter(|p| !p.is_empty());
        return format!("{}: {}", record.name(), parts.collect::<Vec<_>>().join(", "));
    }
    let mut parts = vec![format!("{}: {}", record.name(), view::state(record))];
    if record.phase() == Phase::AwaitingApproval && !record.approvals().is_empty() {
        parts.push(format!("{} approvals", record.approvals()));
    }
    parts.extend(Some(view::when(record, clock)).filter(|when| !when.is_empty()));
    let line = parts.join(", ");
    let message = record.message();
    if message.is_empty() { line } else { format!("{line}: {message}") }
}

/// Which request to wait for.
pub struct Target<'a> {
    /// Its namespace.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
    /// Its uid, if it must be this very object.
    pub uid: Option<String>,
}

/// How long a command waits at most, for all requests together.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    timeout: Option<SignedDuration>,
    since: Instant,
}

impl Limit {
    /// From now on.
    pub fn new(timeout: Option<SignedDuration>) -> Self {
        Self { timeout, since: Instant::now() }
    }

    /// The time that was given, if it is over.
    fn is_over(self) -> Option<SignedDuration> {
        self.timeout.filter(|timeout| self.left(*timeout).is_zero())
    }

    /// As much of a pause as there is time for.
    fn within(self, pause: Duration) -> Duration {
        self.timeout.map_or(pause, |timeout| pause.min(self.left(timeout)))
    }

    fn left(self, timeout: SignedDuration) -> Duration {
        let limit = Duration::try_from(timeout).unwrap_or_default();
        limit.saturating_sub(self.since.elapsed())
    }
}

/// Waits for a request. Fails if it has ended otherwise, if the time is over, or if somebody interrupts it.
pub async fn follow(
    session: &Session,
    target: &Target<'_>,
    goal: Goal,
    limit: Limit,
    signals: &mut Signals,
) -> Result<Record, Failure> {
    let mut progress = Progress::new();
    let (mut uid, mut last, mut answered) = (target.uid.clone(), None, Instant::now());
    loop {
        let answer = tokio::select! {
            answer = session.cluster.request(target.namespace, target.name) => answer,
            () = signals.any() => return Err(interrupted(&mut progress, target)),
        };
        let mut pause = EVERY;
        match answer {
            Ok(record) => {
                answered = Instant::now();
                if *uid.get_or_insert_with(|| record.uid()) != record.uid() {
                    return Err(deleted(target));
                }
                match step(&record, goal) {
                    Step::Reached => return Ok(record),
                    Step::Ended | Step::Strange => return Err(ended(&record)),
                    Step::Going => progress.show(&line(&record, &Clock::system())),
                }
                last = Some(record);
            }
            Err(CallError::NoRequest { .. }) if uid.is_some() => return Err(deleted(target)),
            Err(error) => match error.heals_after() {
                Some(later) if answered.elapsed() < PATIENCE => {
                    pause = later;
                    progress.show(&format!("{}: {error}; trying again", target.name));
                }
                _ => return Err(error.into()),
            },
        }
        if let Some(timeout) = limit.is_over() {
            return Err(too_late(target, last.as_ref(), timeout));
        }
        tokio::select! {
            () = sleep(limit.within(pause)) => {}
            () = signals.any() => return Err(interrupted(&mut progress, target)),
        }
    }
}

fn interrupted(progress: &mut Progress, target: &Target<'_>) -> Failure {
    progress.clear();
    let message = format!("interrupted; the request {} goes on", target.name);
    Failure::new(Exit::Interrupted, message).remedy(again(target))
}

fn deleted(target: &Target<'_>) -> Failure {
    Failure::new(Exit::Ended, format!("{} was deleted", target.name))
}

/// A request that ended without what was waited for, or of which this version cannot tell how far it is.
pub fn ended(record: &Record) -> Failure {
    if let Some(why) = record.strange() {
        return Failure::error(why).remedy(OTHER_VERSION);
    }
    let message = format!("{} has ended: {}", record.name(), view::state(record));
    let why = record.message();
    Failure::new(Exit::Ended, if why.is_empty() { message } else { format!("{message}: {why}") })
}

fn too_late(target: &Target<'_>, last: Option<&Record>, timeout: SignedDuration) -> Failure {
    let where_it_is = last.map_or_else(
        || format!("{} could not be read", target.name),
        |record| format!("it is not over yet: {}", line(record, &Clock::system())),
    );
    Failure::new(Exit::Timeout, format!("after {timeout:#}, {where_it_is}")).remedy(again(target))
}

fn again(target: &Target<'_>) -> String {
    format!("to go on waiting: {} wait {} -n {}", program(), target.name, target.namespace)
}

/// Tells that a request is where it should be.
pub fn reached(record: &Record) {
    output::say(&line(record, &Clock::system()));
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use kube::Client;
    use kube::client::{AuthError, Body};
    use serde_json::json;
    use tower::BoxError;

    use super::*;
    use crate::plugin::call_error::ClusterName;
    use crate::plugin::calls::Cluster;
    use crate::plugin::samples::{
        SIGNALS, active, awaiting, clock, ended, queued, record, with_status,
    };

    #[test]
    fn each_phase_is_on_the_way_there_or_past_it() {
        use Goal::{Approval, Finished, Issued};
        use Step::{Ended, Going, Reached, Strange};
        for phase in Phase::ALL {
            let record = with_status(json!({ "phase": phase }));
            let expected = match phase {
                Phase::Pending => [Going, Going, Going],
                Phase::AwaitingApproval | Phase::Scheduled => [Going, Reached, Going],
                Phase::Active => [Reached, Reached, Going],
                Phase::Used => [Ended, Reached, Reached],
                _ => [Ended, Ended, Reached],
            };
            assert_eq!(
                [Issued, Approval, Finished].map(|goal| step(&record, goal)),
                expected,
                "{phase}"
            );
        }
        // What a newer version may write.
        let novel = with_status(json!({ "phase": "Novel" }));
        for goal in [Issued, Approval, Finished] {
            assert_eq!(step(&novel, goal), Strange);
        }
        let told = super::ended(&novel);
        assert!(told.exit == Exit::Error && told.message.ends_with("Novel"), "{told}");
    }

    #[test]
    fn a_pass_that_is_being_revoked_is_not_issued_and_one_without_its_secret_is() {
        let mut object = active().printed();
        object["status"]["conditions"] = json!([{
            "type": "Issued", "status": "False", "reason": "Revoking", "message": "",
            "lastTransitionTime": "2026-11-29T17:25:00Z",
        }]);
        assert_eq!(step(&record(object.clone()), Goal::Issued), Step::Going);
        object["status"]["conditions"][0]["reason"] = "SecretGone".into();
        assert_eq!(step(&record(object), Goal::Issued), Step::Reached);
    }

    #[test]
    fn the_line_has_phase_approvals_and_time_left() {
        assert_eq!(
            line(&awaiting(), &clock()),
            "alice-inc0012345: AwaitingApproval, 0/1 approvals, ends in 23h: 1 more person must approve"
        );
    }

    #[test]
    fn the_line_has_the_position_of_who_waits_for_a_turn() {
        for (before, position) in [
            (12, "12 requests go first"),
            (1, "1 request goes first"),
            (0, "this request is the next for which there is room"),
        ] {
            assert_eq!(
                line(&queued(before), &clock()),
                format!("alice-inc0012345: Approved, waits, {position}, ends in 23h")
            );
        }
    }

    /// Follows a request of a cluster for which a program gives no credentials. Returns the failure, and how often it was started.
    async fn without_credentials(name: &str, timeout: Option<SignedDuration>) -> (Failure, usize) {
        let starts = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&starts);
        let fails = tower::service_fn(move |_: http::Request<Body>| {
            counted.fetch_add(1, Ordering::Relaxed);
            let error: BoxError = AuthError::AuthExec("no browser".into()).into();
            std::future::ready(Err::<http::Response<Body>, _>(error))
        });
        let cluster = Cluster::new(Client::new(fails, "helpdesk"), ClusterName::default(), None);
        let session = Session::new(cluster, "helpdesk".into());
        let target = Target { namespace: "helpdesk", name, uid: None };
        let _alone = SIGNALS.lock().await;
        let mut signals = Signals::catch().unwrap();
        let end = follow(&session, &target, Goal::Issued, Limit::new(timeout), &mut signals).await;
        (end.unwrap_err(), starts.load(Ordering::Relaxed))
    }

    #[tokio::test(start_paused = true)]
    async fn a_program_that_gives_no_credentials_is_started_seldom() {
        let (failure, starts) = without_credentials("a", None).await;
        assert!(failure.message.contains("no browser"), "{failure}");
        assert!((2..=11).contains(&starts), "{starts}");
        let (failure, starts) = without_credentials("a", Some(SignedDuration::from_secs(5))).await;
        assert_eq!((failure.exit, starts), (Exit::Timeout, 2));
        // What cannot be sent is not tried.
        let (failure, starts) = without_credentials("", None).await;
        assert_eq!((failure.exit, starts), (Exit::Usage, 0));
    }

    #[test]
    fn an_end_says_why() {
        let failure = super::ended(&ended("Denied", "Denied"));
        assert_eq!(failure.message, "alice-inc0012345 has ended: Denied: this is why");
        assert_eq!(failure.exit, Exit::Ended);
    }
}

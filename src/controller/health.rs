//! Whether the process is alive and ready, over HTTP. The answers are plain text, and say what is missing.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use kube::runtime::watcher;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::connections::Connections;
use super::metrics::{Format, Metrics};
use super::preflight::DEFINITIONS_MISSING;
use super::pulse::Pulse;
use super::watches::{POLICIES, REQUESTS};
use crate::api::names::STOP_CONFIG_MAP;
use crate::cluster::ApiError;

/// How long a watch may fail before the process counts as not ready. A watch that did not fail for so long works again: it
/// tells nothing of that until something changes.
const WATCH_GRACE: Duration = Duration::from_secs(30);
/// How many pages of metrics are made at once, each on a thread of its own.
const PAGES_AT_ONCE: usize = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WatchState {
    Starting,
    Live,
    Failing {
        since: Instant,
        last: Instant,
    },
    /// The API server does not know the resource. It will not by itself, so there is no grace period.
    Undefined,
}

/// Whether requests that are created now may be fulfilled. Policies that are missing or changed do not count: that is told
/// elsewhere, and no restart helps.
#[derive(Clone, Copy, Debug, Default)]
enum Guarded {
    #[default]
    NotWatched,
    NotKnown,
    From(Instant),
}

/// What the process needs before it is ready.
#[derive(Clone, Debug, Default)]
pub struct Health {
    needs: Arc<Mutex<Needs>>,
    connections: Connections,
}

#[derive(Debug, Default)]
struct Needs {
    waiting_for: Option<String>,
    watches: BTreeMap<String, WatchState>,
    /// Since when the stop could not be read, and why.
    stop_unread: Option<(Instant, String)>,
    guarded: Guarded,
}

impl Health {
    /// The health of a process with these tenant connections.
    pub fn of(connections: Connections) -> Self {
        Self { connections, ..Self::default() }
    }

    /// Sets what the process waits for before it can start, if anything.
    pub fn waits_for(&self, what: Option<&str>) {
        self.lock().waiting_for = what.map(str::to_owned);
    }

    /// Adds a watch that must be live.
    pub fn expect(&self, watch: &str) {
        self.lock().watches.insert(watch.to_owned(), WatchState::Starting);
    }

    /// Records an event of a watch. An object of a list that is not complete yet does not make the watch live.
    pub fn seen<K>(&self, watch: &str, event: &watcher::Result<watcher::Event<K>>) {
        match event {
            Ok(watcher::Event::Init | watcher::Event::InitApply(_)) => {}
            Ok(_) => self.heard(watch, Ok(())),
            Err(error) => self.heard(watch, Err(error)),
        }
    }

    /// Records that a watch has listed all objects, or has failed.
    pub fn heard(&self, watch: &str, answer: Result<(), &watcher::Error>) {
        let mut state = self.lock();
        let state = state.watches.entry(watch.to_owned()).or_insert(WatchState::Starting);
        *state = match (answer, *state) {
            (Ok(()), _) => WatchState::Live,
            (Err(error), before) if is_undefined(watch, error) => {
                if before != WatchState::Undefined {
                    tracing::error!(watch, "{DEFINITIONS_MISSING}");
                }
                WatchState::Undefined
            }
            (Err(error), before) => {
                tracing::warn!(watch, %error, "a watch failed and is restarted");
                let now = Instant::now();
                match before {
                    // A watch that was never live gets no grace period.
                    WatchState::Starting => before,
                    WatchState::Failing { since, last } if last.elapsed() < WATCH_GRACE => {
                        WatchState::Failing { since, last: now }
                    }
                    WatchState::Live | WatchState::Failing { .. } | WatchState::Undefined => {
                        WatchState::Failing { since: now, last: now }
                    }
                }
            }
        };
    }

    /// Records a read of the stop. It is read all the time, so this also shows whether the API server answers at all: a watch
    /// whose connection went silent does not.
    pub fn read_stop(&self, outcome: Result<(), &ApiError>) {
        let mut state = self.lock();
        state.stop_unread = outcome.err().map(|error| {
            let since = state.stop_unread.take().map_or_else(Instant::now, |(since, _)| since);
            (since, error.to_string())
        });
    }

    /// Records that the admission policies must be looked at first.
    pub fn looks_at_guard(&self) {
        self.lock().guarded = Guarded::NotKnown;
    }

    /// Records that they were looked at, and how long requests that are created will still fail because they are too young.
    pub fn guarded_in(&self, wait: Duration) {
        self.lock().guarded = Guarded::From(Instant::now() + wait);
    }

    /// What is missing, if anything.
    pub fn missing(&self) -> Vec<String> {
        let state = self.lock();
        let mut missing: Vec<String> = state.waiting_for.iter().cloned().collect();
        if missing.is_empty() && state.watches.is_empty() {
            missing.push("the process is starting".into());
        }
        for (watch, state) in &state.watches {
            match state {
                WatchState::Live => {}
                WatchState::Undefined => {
                    missing.push(format!("{DEFINITIONS_MISSING} ({watch})"));
                }
                WatchState::Starting => {
                    missing.push(format!("the watch of {watch} has not listed all objects yet"));
                }
                WatchState::Failing { since, last }
                    if since.elapsed() < WATCH_GRACE || last.elapsed() >= WATCH_GRACE => {}
                WatchState::Failing { since, .. } => {
                    missing.push(format!(
                        "the watch of {watch} has been failing for {} s",
                        since.elapsed().as_secs()
                    ));
                }
            }
        }
        if let Some((since, why)) = &state.stop_unread
            && since.elapsed() >= WATCH_GRACE
        {
            missing.push(format!(
                "the ConfigMap {STOP_CONFIG_MAP} could not be read for {} s: {why}",
                since.elapsed().as_secs()
            ));
        }
        match state.guarded {
            Guarded::NotKnown => {
                missing.push("the admission policies have not been looked at yet".into());
            }
            Guarded::From(time) if Instant::now() < time => missing.push(
                "the admission policies were just created: a TapRequest that is created now fails as CreatedUnguarded"
                    .into(),
            ),
            Guarded::NotWatched | Guarded::From(_) => {}
        }
        missing
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Needs> {
        self.needs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a watch failed because the definition of its resource is gone.
fn is_undefined(watch: &str, error: &watcher::Error) -> bool {
    let code = match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status))
        | watcher::Error::WatchFailed(kube::Error::Api(status))
        | watcher::Error::WatchError(status) => status.code,
        _ => return false,
    };
    code == 404 && [REQUESTS, POLICIES].contains(&watch)
}

/// `/healthz`, `/readyz` and `/metrics`.
pub fn router(health: Health, metrics: Metrics, pulse: Pulse) -> Router {
    Router::new()
        .route("/healthz", get(alive).with_state(pulse))
        .route("/readyz", get(ready).with_state(health))
        .route(
            "/metrics",
            get(scrape).with_state((metrics, Arc::new(Semaphore::new(PAGES_AT_ONCE)))),
        )
}

async fn alive(State(pulse): State<Pulse>) -> impl IntoResponse {
    match pulse.hangs_for() {
        None => (StatusCode::OK, "ok\n".to_owned()),
        Some(silence) => {
            let text = format!("the work loop has not run for {} s\n", silence.as_secs());
            (StatusCode::INTERNAL_SERVER_ERROR, text)
        }
    }
}

async fn ready(State(health): State<Health>) -> impl IntoResponse {
    let missing = health.missing();
    let (status, mut text) = if missing.is_empty() {
        (StatusCode::OK, "ok\n".to_owned())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, String::new())
    };
    // A tenant that cannot be reached makes nothing unready: another replica would not reach it either.
    for line in missing.into_iter().chain(health.connections.problems()) {
        let _ = writeln!(text, "{line}");
    }
    (status, text)
}

async fn scrape(
    State((metrics, pages)): State<(Metrics, Arc<Semaphore>)>,
    headers: HeaderMap,
) -> impl IntoResponse {
    let plain = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
    // A page that was begun is made, even if nobody waits for it any more.
    let Ok(page) = pages.try_acquire_owned() else {
        return (StatusCode::SERVICE_UNAVAILABLE, plain, "others are being served\n".to_owned());
    };
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    let format = Format::preferred(accept);
    // On another thread: what is read may be locked by work that hangs, and this one keeps the lease.
    let text = tokio::task::spawn_blocking(move || {
        let _page = page;
        metrics.text(format)
    })
    .await;
    match text {
        Ok(text) => (StatusCode::OK, [(header::CONTENT_TYPE, format.content_type())], text),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, plain, format!("{error}\n")),
    }
}

#[cfg(test)]
mod tests {
    use tower::ServiceExt as _;

    use super::*;

    /// A page that nobody waits for any more is made all the same.
    #[tokio::test]
    async fn no_more_pages_are_made_at_once_than_there_is_room_for() {
        for (room, status) in [(1, StatusCode::OK), (0, StatusCode::SERVICE_UNAVAILABLE)] {
            let state = State((Metrics::default(), Arc::new(Semaphore::new(room))));
            let answer = scrape(state, HeaderMap::new()).await.into_response();
            assert_eq!(answer.status(), status);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_process_whose_work_loop_hangs_is_not_alive() {
        let pulse = Pulse::begin();
        let router = router(Health::default(), Metrics::default(), pulse);
        let probe = || {
            let request = http::Request::get("/healthz").body(axum::body::Body::empty()).unwrap();
            router.clone().oneshot(request)
        };
        assert_eq!(probe().await.unwrap().status(), StatusCode::OK);
        tokio::time::advance(Duration::from_secs(20)).await;
        assert_eq!(probe().await.unwrap().status(), StatusCode::INTERNAL_SERVER_ERROR);
    }

    async fn answer(router: Router, path: &str, accept: &str) -> (StatusCode, String, String) {
        let request = http::Request::get(path).header("accept", accept);
        let answer =
            router.oneshot(request.body(axum::body::Body::empty()).unwrap()).await.unwrap();
        let (status, content) = (answer.status(), answer.headers()[header::CONTENT_TYPE].clone());
        let body = axum::body::to_bytes(answer.into_body(), usize::MAX).await.unwrap();
        let body = String::from_utf8(body.to_vec()).unwrap();
        (status, content.to_str().unwrap().to_owned(), body)
    }

    #[tokio::test]
    async fn metrics_come_in_the_format_that_is_asked_for() {
        let router = router(Health::default(), Metrics::default(), Pulse::begin());
        for (accept, content, end) in [
            ("*/*", "text/plain; version=0.0.4", false),
            ("application/openmetrics-text", "application/openmetrics-text; version=1.0.0", true),
        ] {
            let (status, found, page) = answer(router.clone(), "/metrics", accept).await;
            assert_eq!(status, StatusCode::OK);
            assert!(found.starts_with(content), "{accept}: {found}");
            assert_eq!(page.ends_with("# EOF\n"), end, "{accept}");
            assert!(
                page.contains("\ntap_operator_requests_failed_total{reason=\"SelfService\"} 0\n")
            );
        }
    }

    #[tokio::test]
    async fn a_connection_that_does_not_work_is_told_and_makes_nothing_unready() {
        let connections = Connections::default();
        let health = Health::of(connections.clone());
        health.expect("Namespaces");
        health.seen::<()>("Namespaces", &Ok(watcher::Event::InitDone));
        let router = router(health, Metrics::default(), Pulse::begin());
        let ready = async || answer(router.clone(), "/readyz", "*/*").await;
        assert_eq!((ready().await.0, ready().await.2.as_str()), (StatusCode::OK, "ok\n"));
        connections.break_for_tests("contoso");
        let (status, _, text) = ready().await;
        assert_eq!(status, StatusCode::OK);
        assert!(text.starts_with("ok\nthe tenant connection contoso does not work: "), "{text}");
    }

    fn failed() -> watcher::Result<watcher::Event<()>> {
        Err(watcher::Error::NoResourceVersion)
    }

    #[tokio::test(start_paused = true)]
    async fn ready_once_every_watch_was_live_and_for_a_while_after_one_fails() {
        let health = Health::default();
        assert_eq!(health.missing(), ["the process is starting"]);
        health.expect("Namespaces");
        health.seen("Namespaces", &failed());
        assert_eq!(health.missing().len(), 1, "a watch that was never live gets no grace period");
        health.seen::<()>("Namespaces", &Ok(watcher::Event::Init));
        assert_eq!(health.missing().len(), 1);
        health.seen::<()>("Namespaces", &Ok(watcher::Event::InitDone));
        assert_eq!(health.missing(), Vec::<String>::new());

        health.seen("Namespaces", &failed());
        assert_eq!(health.missing(), Vec::<String>::new());
        tokio::time::advance(WATCH_GRACE.saturating_sub(Duration::from_secs(1))).await;
        health.seen("Namespaces", &failed());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(
            health.missing()[0].contains("has been failing for 30 s"),
            "{:?}",
            health.missing()
        );
        health.seen::<()>("Namespaces", &Ok(watcher::Event::InitDone));
        assert_eq!(health.missing(), Vec::<String>::new());
    }

    #[tokio::test(start_paused = true)]
    async fn a_watch_that_fails_no_more_works_though_nothing_changes() {
        let health = Health::default();
        health.expect("Namespaces");
        health.seen::<()>("Namespaces", &Ok(watcher::Event::InitDone));
        for _ in 0..9 {
            health.seen("Namespaces", &failed());
            tokio::time::advance(Duration::from_secs(5)).await;
        }
        assert_eq!(health.missing().len(), 1);
        tokio::time::advance(WATCH_GRACE.saturating_sub(Duration::from_secs(5))).await;
        assert_eq!(health.missing(), Vec::<String>::new());
        health.seen("Namespaces", &failed());
        assert_eq!(health.missing(), Vec::<String>::new(), "it has its grace period again");
    }

    #[tokio::test(start_paused = true)]
    async fn definitions_that_are_gone_are_told_at_once_and_like_at_the_start() {
        let gone = || {
            let status = kube::core::Status::failure("404 page not found", "").with_code(404);
            watcher::Error::WatchStartFailed(kube::Error::Api(Box::new(status)))
        };
        let health = Health::default();
        for watch in [REQUESTS, "Namespaces"] {
            health.heard(watch, Ok(()));
            health.heard(watch, Err(&gone()));
        }
        let missing = "the custom resource definitions are missing: install them with kubectl apply -k crds (TapRequests)";
        assert_eq!(health.missing(), [missing]);
        health.heard(REQUESTS, Ok(()));
        assert_eq!(health.missing(), Vec::<String>::new());
    }

    #[tokio::test(start_paused = true)]
    async fn an_api_server_that_gives_no_answer_makes_the_process_unready_after_a_while() {
        let health = Health::default();
        health.expect("Namespaces");
        health.seen::<()>("Namespaces", &Ok(watcher::Event::InitDone));
        let silent =
            ApiError::Unknown { call: "get stop ConfigMap", cause: "no answer within 5 s".into() };
        health.read_stop(Err(&silent));
        assert_eq!(health.missing(), Vec::<String>::new());
        tokio::time::advance(WATCH_GRACE).await;
        health.read_stop(Err(&silent));
        let missing = "the ConfigMap tap-operator-stop could not be read for 30 s: get stop ConfigMap: no answer within 5 s";
        assert_eq!(health.missing(), [missing]);
        health.read_stop(Ok(()));
        assert_eq!(health.missing(), Vec::<String>::new());
    }

    #[tokio::test(start_paused = true)]
    async fn not_ready_while_requests_that_are_created_would_fail() {
        let health = Health::default();
        health.expect("Namespaces");
        health.seen::<()>("Namespaces", &Ok(watcher::Event::InitDone));
        health.looks_at_guard();
        assert_eq!(health.missing(), ["the admission policies have not been looked at yet"]);
        health.guarded_in(Duration::from_secs(15));
        assert!(health.missing()[0].contains("CreatedUnguarded"), "{:?}", health.missing());
        tokio::time::advance(Duration::from_secs(15)).await;
        assert_eq!(health.missing(), Vec::<String>::new());
    }

    #[tokio::test(start_paused = true)]
    async fn a_watch_that_keeps_failing_makes_the_process_unready_after_a_while() {
        let health = Health::default();
        health.expect("Namespaces");
        health.seen::<()>("Namespaces", &Ok(watcher::Event::InitDone));
        assert_eq!(health.missing(), Vec::<String>::new());

        health.seen("Namespaces", &failed());
        tokio::time::advance(WATCH_GRACE.saturating_sub(Duration::from_secs(1))).await;
        // The beginning of another list is no success.
        health.seen::<()>("Namespaces", &Ok(watcher::Event::Init));
        health.seen("Namespaces", &failed());
        assert_eq!(health.missing(), Vec::<String>::new(), "a short outage does not count");
        tokio::time::advance(Duration::from_secs(1)).await;
        let missing = ["the watch of Namespaces has been failing for 30 s"];
        assert_eq!(health.missing(), missing);

        health.seen::<()>("Namespaces", &Ok(watcher::Event::InitDone));
        assert_eq!(health.missing(), Vec::<String>::new());
        tokio::time::advance(WATCH_GRACE * 2).await;
        assert_eq!(health.missing(), Vec::<String>::new());
    }
}

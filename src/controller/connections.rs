//! Whether each tenant connection works, as its calls show it: told in the log when it changes, in `/readyz` and in metrics.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use crate::entra::{Call, ErrorKind, GraphError};
use crate::graph::{ConnectionConfig, Report};

/// After so many failed calls in a row the log tells that Graph does not answer: a single one may fail anywhere.
const FAILURES_TOLD: u32 = 3;

/// What is known of the tenant connections. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Connections(Arc<Mutex<BTreeMap<String, Standing>>>);

/// What is known of one connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Why Entra gave no token when it was last asked for one; absent before the first time.
    pub sign_in: Option<Result<(), String>>,
    /// Why the last call got no answer of Graph; absent before the first call.
    pub graph: Option<Result<(), String>>,
    /// Since when `graph` says whether there are answers.
    pub since: Timestamp,
    /// How many calls in a row got no answer.
    failures: u32,
}

impl Connections {
    /// Takes note of what happened on a connection, at this local time.
    pub fn report(&self, connection: &ConnectionConfig, report: &Report<'_>, now: Timestamp) {
        let mut all = self.lock();
        let standing = all.entry(connection.name.clone()).or_default();
        match *report {
            Report::SignedIn(result) => standing.signed_in(connection, result),
            Report::Sent { error: Some(error), .. } | Report::NotSent { error, .. }
                if is_no_answer(error) =>
            {
                standing.failed(connection, error, now);
            }
            Report::Sent { call, .. } if call != crate::graph::GET_TOKEN => {
                standing.answered(connection, now);
            }
            Report::Sent { .. } | Report::NotSent { .. } | Report::Admitted { .. } => {}
        }
    }

    /// What is known of a connection; `None` before its first call.
    pub fn get(&self, connection: &str) -> Option<Standing> {
        self.lock().get(connection).cloned()
    }

    /// Why a connection does not work; `None` if it works, or before its first call.
    pub fn problem(&self, connection: &str) -> Option<String> {
        self.lock().get(connection)?.problem().map(str::to_owned)
    }

    /// A line for each connection that does not work.
    pub fn problems(&self) -> Vec<String> {
        let all = self.lock();
        let problem = |(name, standing): (&String, &Standing)| {
            let why = standing.problem()?;
            Some(format!("the tenant connection {name} does not work: {why}"))
        };
        all.iter().filter_map(problem).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Standing>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Standing {
    fn problem(&self) -> Option<&str> {
        let failed = [&self.sign_in, &self.graph].into_iter().flatten();
        failed.filter_map(|known| known.as_ref().err()).map(String::as_str).next()
    }

    fn signed_in(&mut self, connection: &ConnectionConfig, result: Result<(), &GraphError>) {
        let ConnectionConfig { name, tenant_id, client_id, .. } = connection;
        let known = result.map_err(ToString::to_string);
        match (&self.sign_in, &known, result) {
            (Some(before), after, _) if before == after => {}
            (_, Err(why), Err(error)) => tracing::error!(
                connection = name,
                tenant_id,
                client_id,
                code = error.code,
                "the operator cannot sign in: {why}"
            ),
            (Some(Err(_)), Ok(()), _) => {
                tracing::info!(connection = name, tenant_id, "the operator can sign in again");
            }
            _ => {}
        }
        self.sign_in = Some(known);
    }

    fn failed(&mut self, connection: &ConnectionConfig, error: &GraphError, now: Timestamp) {
        self.failures = self.failures.saturating_add(1);
        // Why there is no token is told already.
        if self.failures == FAILURES_TOLD && !matches!(error.kind, ErrorKind::SignIn(_)) {
            let ConnectionConfig { name, tenant_id, .. } = connection;
            tracing::warn!(connection = name, tenant_id, %error, "Graph does not answer");
        }
        self.set(Err(error.to_string()), now);
    }

    fn answered(&mut self, connection: &ConnectionConfig, now: Timestamp) {
        if self.failures >= FAILURES_TOLD {
            let ConnectionConfig { name, tenant_id, .. } = connection;
            tracing::info!(connection = name, tenant_id, "Graph answers again");
        }
        self.failures = 0;
        self.set(Ok(()), now);
    }

    fn set(&mut self, graph: Result<(), String>, now: Timestamp) {
        if self.graph.as_ref().map(Result::is_ok) != Some(graph.is_ok()) {
            self.since = now;
        }
        self.graph = Some(graph);
    }
}

/// Whether an error shows that the connection does not work. A refusal of Graph, even one for a missing permission, is an
/// answer, and the operator's own pacing says nothing of Graph. A sign-in that fails is told apart: the token before it may still
/// be good, and where there is none, the call that lacks it fails.
fn is_no_answer(error: &GraphError) -> bool {
    if error.call == Call::Token.name() {
        return false;
    }
    match error.kind {
        ErrorKind::Unavailable | ErrorKind::Unauthorized | ErrorKind::SignIn(_) => true,
        // Graph gives each request an id, and a proxy that blocks the call knows none.
        ErrorKind::Unexpected | ErrorKind::Forbidden => error.request_id.is_none(),
        ErrorKind::NotFound | ErrorKind::Throttled | ErrorKind::BadRequest => false,
    }
}

#[cfg(test)]
impl Connections {
    /// A connection of this name that cannot sign in.
    pub fn break_for_tests(&self, name: &str) {
        let standing = Standing { sign_in: Some(Err("no".into())), ..Standing::default() };
        self.lock().insert(name.into(), standing);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::entra::SignInErrorKind;
    use crate::graph::Credential;

    fn connection() -> ConnectionConfig {
        ConnectionConfig {
            name: "contoso".into(),
            tenant_id: "tenant".into(),
            client_id: "app".into(),
            cloud: crate::entra::Cloud::Global,
            credential: Credential::ManagedIdentity,
            login_url: "https://login.test".into(),
            graph_url: "https://graph.test".into(),
            ceilings: crate::api::Ceilings::default(),
            users: None,
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    /// An error of Graph's, or of one that answers in its place.
    fn error(kind: ErrorKind) -> GraphError {
        GraphError { request_id: Some("id".into()), ..not_of_graph(kind) }
    }

    fn not_of_graph(kind: ErrorKind) -> GraphError {
        GraphError::new(Call::User, kind, "why")
    }

    fn sent(error: Option<&GraphError>) -> Report<'_> {
        let (call, outcome, duration) = ("get_user", "ok", Duration::from_secs(1));
        Report::Sent { call, outcome, duration, error }
    }

    #[test]
    fn an_answer_of_any_kind_shows_that_a_connection_works() {
        let (connections, of) = (Connections::default(), connection());
        assert_eq!(connections.get("contoso"), None);
        for (second, kind, works) in [
            (1, None, true),
            (2, Some(ErrorKind::Forbidden), true),
            (3, Some(ErrorKind::Throttled), true),
            (4, Some(ErrorKind::NotFound), true),
            (5, Some(ErrorKind::Unavailable), false),
            (6, Some(ErrorKind::Unauthorized), false),
            (7, None, true),
        ] {
            let error = kind.map(error);
            connections.report(&of, &sent(error.as_ref()), at(second));
            let standing = connections.get("contoso").unwrap();
            assert_eq!(standing.graph.unwrap().is_ok(), works, "{kind:?}");
            let since = if second < 5 { 1 } else { 5 + i64::from(works) * 2 };
            assert_eq!(standing.since, at(since), "{kind:?}");
        }
        let waits = error(ErrorKind::Throttled);
        connections.report(&of, &Report::NotSent { cause: "pacing", error: &waits }, at(8));
        assert!(connections.problems().is_empty());
    }

    #[test]
    fn a_refused_sign_in_is_a_problem_until_there_is_a_token() {
        let (connections, of) = (Connections::default(), connection());
        let refused = error(ErrorKind::SignIn(SignInErrorKind::ExpiredSecret));
        connections.report(&of, &Report::SignedIn(Err(&refused)), at(1));
        // The token before it is still good.
        connections.report(&of, &sent(None), at(2));
        let problems = connections.problems();
        assert_eq!(problems.len(), 1);
        let expected = "the tenant connection contoso does not work: read the user: signing in to Entra failed: why; the client secret has expired";
        assert!(problems[0].starts_with(expected), "{problems:?}");
        let token = Report::Sent {
            call: "get_token",
            outcome: "ok",
            duration: Duration::ZERO,
            error: None,
        };
        connections.report(&of, &token, at(3));
        connections.report(&of, &Report::SignedIn(Ok(())), at(3));
        assert!(connections.problems().is_empty());
    }

    #[test]
    fn a_page_of_a_proxy_is_no_answer() {
        let (connections, of) = (Connections::default(), connection());
        for (second, error, works) in [
            (1, error(ErrorKind::Unexpected), true),
            (2, not_of_graph(ErrorKind::Unexpected), false),
            (3, error(ErrorKind::Forbidden), true),
            (4, not_of_graph(ErrorKind::Forbidden), false),
        ] {
            connections.report(&of, &sent(Some(&error)), at(second));
            let standing = connections.get("contoso").unwrap();
            assert_eq!(standing.graph.unwrap().is_ok(), works, "{error:?}");
        }
    }

    #[test]
    fn a_token_that_is_not_renewed_breaks_nothing_before_a_call_lacks_it() {
        let (connections, of) = (Connections::default(), connection());
        connections.report(&of, &sent(None), at(1));
        let kind = ErrorKind::SignIn(SignInErrorKind::NoFederatedCredential);
        let refused = GraphError::new(Call::Token, kind, "why");
        let renewal = Report::Sent {
            call: "get_token",
            outcome: "sign_in",
            duration: Duration::ZERO,
            error: Some(&refused),
        };
        connections.report(&of, &renewal, at(2));
        // Its credential cannot be read.
        connections.report(&of, &Report::NotSent { cause: "sign_in", error: &refused }, at(3));
        assert!(connections.problems().is_empty());
        let lacks = not_of_graph(kind);
        connections.report(&of, &Report::NotSent { cause: "sign_in", error: &lacks }, at(4));
        assert_eq!(connections.problems().len(), 1);
    }
}

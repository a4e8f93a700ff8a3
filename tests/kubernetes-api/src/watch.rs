//! Watches: streams of changes from a resource version on.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures::stream;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};
use tower::BoxError;

use crate::faults::WatchEnd;
use crate::request::ApiRequest;
use crate::resource::Resource;
use crate::selector::Selector;
use crate::shared::Shared;
use crate::state::State;
use crate::status::{self, Refusal};
use crate::store::{Change, ChangeKind};

/// How long a watch lasts whose client asks for no other time: the server's minimum.
const DEFAULT_TIMEOUT: Duration = Duration::from_mins(30);
/// How often a bookmark is sent.
const BOOKMARK_INTERVAL: Duration = Duration::from_mins(1);
/// How long before the end of a watch the last bookmark is sent.
const BOOKMARK_BEFORE_END: Duration = Duration::from_secs(2);

/// One open watch.
struct Watch {
    shared: Arc<Shared>,
    id: u64,
    request: ApiRequest,
    resource: Resource,
    selector: Selector,
    /// The resource version up to which everything is in `lines` or was sent.
    position: u64,
    lines: VecDeque<Bytes>,
    bookmarks: bool,
    next_bookmark: Instant,
    last_bookmark: Instant,
    deadline: Instant,
    ended: bool,
}

/// What a watch does when it has nothing to send.
enum Pause {
    Until(Option<Instant>),
    End,
    Break,
    Silence,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.shared.lock().watches.close(self.id);
    }
}

/// Begins a watch: the body of its answer.
pub fn start(
    shared: &Arc<Shared>,
    state: &mut State,
    request: &ApiRequest,
    resource: &Resource,
) -> Result<Body, Refusal> {
    let selector =
        Selector::parse(request.parameter("labelSelector"), request.parameter("fieldSelector"))?;
    let wanted = match request.parameter("resourceVersion") {
        "" => 0,
        version => version
            .parse()
            .map_err(|_| status::bad_request(&format!("invalid resource version: {version}")))?,
    };
    let timeout = match request.parameter("timeoutSeconds").parse() {
        Ok(seconds) if seconds > 0 => Duration::from_secs(seconds),
        _ => DEFAULT_TIMEOUT,
    };
    let now = Instant::now();
    let deadline = now + timeout;
    let mut watch = Watch {
        shared: Arc::clone(shared),
        id: state.watches.open(request.clone()),
        request: request.clone(),
        resource: resource.clone(),
        selector,
        position: wanted,
        lines: VecDeque::new(),
        bookmarks: request.parameter("allowWatchBookmarks") == "true",
        next_bookmark: now + BOOKMARK_INTERVAL,
        last_bookmark: deadline.checked_sub(BOOKMARK_BEFORE_END).unwrap_or(deadline),
        deadline,
        ended: false,
    };
    let initial = request.parameter("sendInitialEvents") == "true";
    if wanted == 0 || initial {
        watch.send_present(state);
        if initial && watch.bookmarks {
            watch.bookmark(&json!({"k8s.io/initial-events-end": "true"}));
        }
    } else if wanted < state.store.compacted() {
        watch.expire(state);
    }
    Ok(Body::from_stream(stream::unfold(watch, |mut watch| async {
        watch.next().await.map(|line| (line, watch))
    })))
}

impl Watch {
    async fn next(&mut self) -> Option<Result<Bytes, BoxError>> {
        loop {
            if let Some(line) = self.lines.pop_front() {
                return Some(Ok(line));
            }
            if self.ended {
                return None;
            }
            let shared = Arc::clone(&self.shared);
            let seen = shared.changes();
            let pause = self.advance(&shared.lock());
            if !self.lines.is_empty() {
                continue;
            }
            match pause {
                Pause::Until(Some(time)) => {
                    tokio::select! {
                        biased;
                        () = shared.more_changes_than(seen) => {}
                        () = sleep_until(time) => {}
                    }
                }
                Pause::Until(None) => {
                    shared.more_changes_than(seen).await;
                }
                Pause::End => return None,
                Pause::Break => {
                    self.ended = true;
                    return Some(Err("connection lost".into()));
                }
                Pause::Silence => std::future::pending().await,
            }
        }
    }

    /// Takes over what has become visible, and says what to wait for.
    fn advance(&mut self, state: &State) -> Pause {
        match state.watches.end_of(self.id) {
            Some(WatchEnd::Closed) => return Pause::End,
            Some(WatchEnd::ConnectionLost) => return Pause::Break,
            Some(WatchEnd::Silent) => return Pause::Silence,
            Some(WatchEnd::Expired) => {
                self.expire(state);
                return Pause::End;
            }
            None => {}
        }
        let now = Instant::now();
        let delay = state.faults.delay_of(&self.request);
        let mut visible_next = None;
        for change in state.store.since(self.position) {
            let visible = change.at.checked_add(delay);
            if visible.is_none_or(|visible| visible > now) {
                visible_next = visible;
                break;
            }
            self.position = change.revision;
            self.send_change(change);
        }
        if self.bookmarks && now >= self.next_bookmark.min(self.last_bookmark) {
            self.bookmark(&Value::Null);
            self.next_bookmark = now + BOOKMARK_INTERVAL;
            if now >= self.last_bookmark {
                self.last_bookmark = self.deadline;
                self.next_bookmark = self.deadline;
                self.bookmarks = false;
            }
        }
        if now >= self.deadline {
            self.ended = true;
            return Pause::End;
        }
        let mut until = self.deadline;
        if self.bookmarks {
            until = until.min(self.next_bookmark).min(self.last_bookmark);
        }
        Pause::Until(Some(visible_next.map_or(until, |visible| until.min(visible))))
    }

    /// Sends the objects that there are as if they had just been made.
    fn send_present(&mut self, state: &State) {
        let revision = state.cached_revision(&self.request);
        let storage = self.resource.storage();
        for object in state.store.at(&storage, self.request.namespace.as_deref(), revision).values()
        {
            if self.selector.matches(object) {
                self.send("ADDED", &self.resource.serve(object));
            }
        }
        self.position = revision;
    }

    /// Sends a change as those see it who only see the selected objects.
    fn send_change(&mut self, change: &Change) {
        let namespace = self.request.namespace.as_deref();
        if change.key.storage != self.resource.storage()
            || namespace.is_some_and(|namespace| namespace != change.key.namespace)
        {
            return;
        }
        let selected = |object: &Value| self.selector.matches(object);
        let before = change.previous.as_deref().is_some_and(selected);
        let after = change.kind != ChangeKind::Deleted && selected(&change.object);
        let (kind, object) = match (before, after) {
            (false, false) => return,
            (false, true) => ("ADDED", Value::clone(&change.object)),
            (true, true) => ("MODIFIED", Value::clone(&change.object)),
            (true, false) => {
                let mut last = change.previous.as_deref().cloned().unwrap_or_default();
                last["metadata"]["resourceVersion"] = change.revision.to_string().into();
                ("DELETED", last)
            }
        };
        self.send(kind, &self.resource.serve(&object));
    }

    fn bookmark(&mut self, annotations: &Value) {
        let mut metadata = json!({"resourceVersion": self.position.to_string()});
        if !annotations.is_null() {
            metadata["annotations"] = annotations.clone();
        }
        let object = json!({
            "apiVersion": self.resource.api_version(),
            "kind": self.resource.kind,
            "metadata": metadata,
        });
        self.send("BOOKMARK", &object);
    }

    /// Ends the watch as the server does when the history it needs is gone: in the stream, not by a status code.
    fn expire(&mut self, state: &State) {
        let message =
            format!("too old resource version: {} ({})", self.position, state.store.compacted());
        self.send("ERROR", &status::body(&status::expired(&message)));
        self.ended = true;
    }

    fn send(&mut self, kind: &str, object: &Value) {
        let mut line = json!({"type": kind, "object": object}).to_string();
        line.push('\n');
        self.lines.push_back(line.into());
    }
}

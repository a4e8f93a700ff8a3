//! Scripted faults: what goes wrong with which of the next requests.

use serde::{Deserialize, Serialize};

use crate::{operation::Operation, switches::RetryAfterForm};

/// What goes wrong, with which requests, and how often.
///
/// Faults stand in a queue. The first one that matches a request and is not used up happens to it, one to a request.
///
/// ```
/// use graph_simulator::{Fault, FaultKind, Operation};
/// let fault = Fault::on(Operation::PassCreate, FaultKind::AnswerLost).times(2);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Fault {
    /// Which requests; everything that is left out matches.
    #[serde(default)]
    pub matcher: Matcher,
    /// How many matching requests are let through first.
    #[serde(default)]
    pub skip: u32,
    /// How many requests it happens to. Default: 1.
    #[serde(default = "once")]
    pub times: u32,
    /// What happens.
    pub kind: FaultKind,
}

/// Which requests a fault is for: all that is given must hold.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Matcher {
    /// The operation.
    pub operation: Option<Operation>,
    /// The HTTP method, in capitals.
    pub method: Option<String>,
    /// A part of the path as sent, such as a user's id.
    pub path: Option<String>,
}

/// What happens to a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum FaultKind {
    /// It takes effect, then the connection is cut.
    AnswerLost,
    /// The connection is cut before it takes effect.
    ConnectionCut,
    /// It takes effect at once, the answer hangs until the gateway's time-out.
    AnswerHangs,
    /// It takes effect only after so many seconds, whether the client still waits or not; the answer is the gateway's time-out.
    LateCommit {
        /// Seconds until it takes effect.
        after_seconds: u64,
    },
    /// It takes effect at once and is answered after so many seconds.
    Slow {
        /// Seconds until the answer.
        seconds: u64,
    },
    /// It hangs without effect: for so many seconds, else until the gateway's time-out. Then 504.
    Hang {
        /// Seconds until the answer.
        #[serde(default)]
        seconds: Option<u64>,
    },
    /// 429 without effect.
    Throttled {
        /// Seconds to wait; without it there is no `Retry-After`.
        #[serde(default)]
        retry_after_seconds: Option<f64>,
        /// The header's form; without it the switch `retryAfter` decides.
        #[serde(default)]
        form: Option<RetryAfterForm>,
    },
    /// An error status with Graph's envelope, with or without effect.
    Status {
        /// The HTTP status.
        status: u16,
        /// Whether the request takes effect all the same.
        #[serde(default)]
        effect: bool,
        /// The error code in the body; default: one that goes with the status.
        #[serde(default)]
        code: Option<String>,
        /// Seconds for `Retry-After`.
        #[serde(default)]
        retry_after_seconds: Option<f64>,
    },
    /// An HTML page with this status (usually 502), with or without effect.
    Html {
        /// The HTTP status.
        status: u16,
        /// Whether the request takes effect all the same.
        #[serde(default)]
        effect: bool,
    },
    /// It takes effect and is answered with its status, but the body is not the JSON it should be.
    Garbled,
    /// It takes effect and is answered with its status, but the body ends one character too early. Of a pass that was
    /// made it holds the code all the same, which nobody can read out of it as an answer.
    Truncated,
    /// It takes effect, and something in between answers with an HTML page of this status that quotes the answer, the code
    /// of a pass included.
    Quoted {
        /// The HTTP status.
        status: u16,
    },
    /// 401, as if the token had expired just now.
    ExpiredToken,
    /// 401 with a claims challenge: continuous access evaluation does not take the token.
    ClaimsChallenge,
    /// Login refuses a sign-in with this number of Entra's, as it does now and then for a right one.
    SignInRefused {
        /// The number after `AADSTS`.
        number: u32,
    },
    /// It is answered as usual, but its `Date` is off by so many seconds.
    WrongDate {
        /// Seconds, negative for a date in the past.
        offset_seconds: i64,
    },
    /// A proxy answers in Graph's place, without effect: 502, a page, and a `Date` that is off by so many seconds. Like any
    /// answer that Graph did not write, it has no `request-id`.
    ProxyPage {
        /// Seconds, negative for a date in the past.
        offset_seconds: i64,
    },
}

impl Fault {
    /// A fault that happens once, to the next request for this operation.
    pub fn on(operation: Operation, kind: FaultKind) -> Self {
        let matcher = Matcher { operation: Some(operation), ..Matcher::default() };
        Self { matcher, skip: 0, times: 1, kind }
    }

    /// A fault that happens once, to the next request of any kind.
    pub fn on_any(kind: FaultKind) -> Self {
        Self { matcher: Matcher::default(), skip: 0, times: 1, kind }
    }

    /// The same, so many times.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = times;
        self
    }

    /// The same, after so many matching requests were let through.
    #[must_use]
    pub fn after(mut self, skip: u32) -> Self {
        self.skip = skip;
        self
    }

    /// The same, only for paths that contain this text.
    #[must_use]
    pub fn for_path(mut self, part: impl Into<String>) -> Self {
        self.matcher.path = Some(part.into());
        self
    }
}

impl Matcher {
    fn matches(&self, operation: Operation, method: &str, path: &str) -> bool {
        self.operation.is_none_or(|wanted| wanted == operation)
            && self.method.as_deref().is_none_or(|wanted| wanted == method)
            && self.path.as_deref().is_none_or(|part| path.contains(part))
    }
}

/// The faults that are still to come.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    queue: Vec<Fault>,
}

impl Faults {
    pub(crate) fn add(&mut self, fault: Fault) {
        self.queue.push(fault);
    }

    pub(crate) fn clear(&mut self) {
        self.queue.clear();
    }

    pub(crate) fn pending(&self) -> &[Fault] {
        &self.queue
    }

    /// What happens to this request.
    pub(crate) fn next(
        &mut self,
        operation: Operation,
        method: &str,
        path: &str,
    ) -> Option<FaultKind> {
        let mut happens = None;
        for fault in
            self.queue.iter_mut().filter(|fault| fault.matcher.matches(operation, method, path))
        {
            if fault.skip > 0 {
                fault.skip -= 1;
            } else if fault.times > 0 {
                fault.times -= 1;
                happens = Some(fault.kind.clone());
                break;
            }
        }
        self.queue.retain(|fault| fault.times > 0);
        happens
    }
}

fn once() -> u32 {
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_happen_in_order_to_what_they_match_and_are_used_up() {
        let mut faults = Faults::default();
        faults.add(Fault::on(Operation::PassCreate, FaultKind::AnswerLost).after(1));
        faults.add(Fault::on_any(FaultKind::ConnectionCut).for_path("alice").times(2));
        let mut next = |operation, path| faults.next(operation, "POST", path);
        assert_eq!(next(Operation::PassCreate, "/users/bob"), None);
        assert_eq!(next(Operation::PassCreate, "/users/alice"), Some(FaultKind::AnswerLost));
        assert_eq!(next(Operation::UserGet, "/users/bob"), None);
        assert_eq!(next(Operation::UserGet, "/users/alice"), Some(FaultKind::ConnectionCut));
        assert_eq!(next(Operation::PassCreate, "/users/alice"), Some(FaultKind::ConnectionCut));
        assert_eq!(next(Operation::PassCreate, "/users/alice"), None);
        assert!(faults.pending().is_empty());
    }

    #[test]
    fn the_json_form_is_short() {
        let fault: Fault = serde_json::from_str(
            r#"{"matcher": {"operation": "passCreate"}, "kind": {"lateCommit": {"afterSeconds": 40}}}"#,
        )
        .unwrap();
        assert_eq!(
            fault,
            Fault::on(Operation::PassCreate, FaultKind::LateCommit { after_seconds: 40 })
        );
        let fault: Fault = serde_json::from_str(r#"{"kind": "answerLost", "times": 3}"#).unwrap();
        assert_eq!(fault, Fault::on_any(FaultKind::AnswerLost).times(3));
    }
}

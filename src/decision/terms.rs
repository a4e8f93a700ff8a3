//! The terms on which a policy issues passes, parsed once for each generation of the policy.

use std::fmt;
use std::sync::Arc;

use jiff::SignedDuration;
use kube::core::ObjectMeta;
use regex::{Regex, RegexBuilder};

use super::quota::Bounds;
use crate::api::{Issuance, Lifetime, LifetimeError};

/// How long after its creation a request without a start time may still be issued if the policy does not say.
pub const DEFAULT_TIMEOUT: SignedDuration = SignedDuration::from_hours(24);
/// How long a request without a start time waits for what time may heal if the policy does not say.
pub const DEFAULT_PATIENCE: SignedDuration = SignedDuration::from_hours(1);
/// How long before its start a pass may be issued if the policy does not say.
const DEFAULT_LEAD_TIME: SignedDuration = SignedDuration::from_mins(5);

/// The largest compiled size of a pattern, in bytes. Four `\w`, with the letters of all scripts, fit into it. Without this
/// limit, a pattern of 256 characters with nested repetitions takes half a second to compile, and is then refused anyway.
const LARGEST_PATTERN: usize = 256 * 1024;

/// The terms of a policy.
#[derive(Clone, Debug)]
pub struct Terms {
    /// The lifetime of a pass if the request names none, and the longest that a request may name, in minutes; absent if
    /// they are not valid.
    pub lifetime: Option<(u32, u32)>,
    /// How long after its creation a request without a start time may still be issued.
    pub timeout: SignedDuration,
    /// How long after its creation a request without a start time waits for what time may heal.
    pub patience: SignedDuration,
    /// How long before its start a pass may be issued.
    pub lead_time: SignedDuration,
    /// How many different people must approve.
    pub approvals: usize,
    /// What a reason must match; absent if the policy names no pattern.
    pub pattern: Option<Pattern>,
    /// The bounds of the quota.
    pub bounds: Bounds,
}

/// A version of the spec of a policy. The uid belongs to it, because a policy that was deleted and created again can have
/// the same generation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PolicyVersion {
    /// The uid of the policy.
    pub uid: Option<String>,
    /// The generation of the policy.
    pub generation: Option<i64>,
}

impl PolicyVersion {
    /// The version of the policy with this metadata.
    pub fn of(metadata: &ObjectMeta) -> Self {
        Self { uid: metadata.uid.clone(), generation: metadata.generation }
    }
}

/// A regular expression, as text and compiled.
#[derive(Clone)]
pub struct Pattern {
    text: Arc<str>,
    compiled: Option<Regex>,
}

impl Terms {
    /// The terms of a policy that issues passes.
    pub fn of(issuance: &Issuance) -> Self {
        let approval = issuance.approval.as_ref();
        let duration = |text: Option<&Lifetime>| text.and_then(|text| text.duration().ok());
        let required = approval.and_then(|approval| approval.required).unwrap_or(1);
        let pattern = issuance.reason.as_ref().and_then(|reason| reason.pattern.as_deref());
        Self {
            lifetime: lifetime(issuance).ok(),
            timeout: duration(approval.and_then(|a| a.timeout.as_ref())).unwrap_or(DEFAULT_TIMEOUT),
            patience: duration(issuance.patience.as_ref()).unwrap_or(DEFAULT_PATIENCE),
            lead_time: duration(issuance.lead_time.as_ref()).unwrap_or(DEFAULT_LEAD_TIME),
            approvals: usize::try_from(required).unwrap_or(1),
            pattern: pattern.map(Pattern::new),
            bounds: Bounds::of(issuance),
        }
    }
}

impl Pattern {
    fn new(text: &str) -> Self {
        let compiled = RegexBuilder::new(text).size_limit(LARGEST_PATTERN).build().ok();
        Self { text: text.into(), compiled }
    }

    /// Whether a text matches; `None` if the pattern is not a valid regular expression, or is too large.
    pub fn matches(&self, text: &str) -> Option<bool> {
        self.compiled.as_ref().map(|compiled| compiled.is_match(text))
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.text, f)
    }
}

/// The lifetime that a request without one gets, and the longest that a request may name, in minutes.
fn lifetime(issuance: &Issuance) -> Result<(u32, u32), LifetimeError> {
    let read = |l: Option<&Lifetime>| l.map(Lifetime::minutes).transpose();
    let bounds = issuance.lifetime.as_ref();
    let default = read(bounds.and_then(|l| l.default.as_ref()))?;
    let maximum = read(bounds.and_then(|l| l.maximum.as_ref()))?;
    Ok(match (default, maximum) {
        (None, None) => (60, 60),
        (Some(default), None) => (default, default.max(60)),
        (None, Some(maximum)) => (maximum.min(60), maximum),
        (Some(default), Some(maximum)) => (default, maximum),
    })
}

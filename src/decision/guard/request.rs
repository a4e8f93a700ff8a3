//! What a policy says of a request itself: no tenant is asked.

use jiff::SignedDuration;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use regex::{Regex, RegexBuilder};

use super::memo::Memo;
use super::{Checked, Run, TENANT_AGAIN};
use crate::api::{
    Delivery, Issuance, Lifetime, OnExistingPass, ReplaceExistingPass, StartTimeRule, TapPolicy,
};
use crate::decision::Reason;
use crate::decision::admission::Guard;
use crate::decision::life::situation::{PolicyFound, Stop};
use crate::seal::{RecipientError, Recipients};

/// How far ahead a pass may start.
const START_AHEAD: SignedDuration = SignedDuration::from_hours(30 * 24);

/// More than requests that are looked at in the same moments.
const REQUESTS_AT_ONCE: usize = 64;
/// More than policies, in most clusters, that have a pattern.
const POLICIES_AT_ONCE: usize = 32;

/// What a pattern may take when it is compiled, in bytes. Four times `\w`, with all letters of all scripts, fit; without a
/// bound 256 characters of repetitions take half a second to compile, and are then refused all the same.
const LARGEST_PATTERN: usize = 256 * 1024;

impl<'a> Run<'a> {
    pub(super) fn policy(&mut self) -> Checked<'a, (&'a TapPolicy, &'a Issuance)> {
        let name = &self.s.request.spec.policy_ref.name;
        match self.s.policy {
            PolicyFound::Missing => self.wait(
                "Policy",
                Reason::PolicyNotFound,
                format!("TapPolicy {name} does not exist: create it, or make another request that names an existing one (kubectl get tappolicies)"),
                None,
            ),
            PolicyFound::Unreadable(why) => self.wait(
                "Policy",
                Reason::PolicyInvalid,
                format!("TapPolicy {name} cannot be read by this version of the operator: {why}"),
                None,
            ),
            PolicyFound::Found(policy) => match &policy.spec.issuance {
                None => self.fail(
                    "Policy",
                    Reason::NoIssuance,
                    format!("TapPolicy {name} issues no passes: name a policy with an issuance section"),
                ),
                Some(issuance) => {
                    self.pass("Policy", format!("TapPolicy {name}"))?;
                    Ok((policy, issuance))
                }
            },
        }
    }

    /// Without the admission policies nobody knows who asked, and who approved.
    pub(super) fn admission(&mut self) -> Checked<'a> {
        match self.s.guard {
            Guard::Overridden => self.pass("Admission", "not asked for: --allow-unguarded"),
            Guard::InForce(since) if self.s.request.created() < *since => self.fail(
                "Admission",
                Reason::CreatedUnguarded,
                format!("the request was created before {since:.0}, when the operator's admission policies came into force, so it cannot be told who made it: create it again"),
            ),
            Guard::InForce(_) => self.pass("Admission", "the admission policies are in force"),
            Guard::Unknown => self.wait(
                "Admission",
                Reason::AdmissionMissing,
                "it is not known yet whether the operator's admission policies are in force, and nothing is issued before",
                Some(TENANT_AGAIN),
            ),
            Guard::Broken(why) => self.wait(
                "Admission",
                Reason::AdmissionMissing,
                format!("the operator's admission policies are not in force as this version ships them, so nothing is issued: {why}. Apply them again (kubectl apply -k deploy, or your overlay); what was added by hand, take out by hand"),
                Some(TENANT_AGAIN),
            ),
        }
    }

    pub(super) fn brakes(&mut self, issuance: &Issuance) -> Checked<'a> {
        let name = &self.s.request.spec.policy_ref.name;
        if issuance.suspend == Some(true) {
            return self.wait(
                "Brakes",
                Reason::Suspended,
                format!(
                    "TapPolicy {name} is suspended: it goes on when its issuance.suspend is false"
                ),
                None,
            );
        }
        if self.s.stop != Stop::Off {
            return self.wait(
                "Brakes",
                Reason::Stopped,
                "all issuing is stopped by the ConfigMap tap-operator-stop in the operator's namespace: it goes on when that is deleted",
                Some(TENANT_AGAIN),
            );
        }
        self.pass("Brakes", "neither stopped nor suspended")
    }

    pub(super) fn namespace(&mut self, issuance: &Issuance) -> Checked<'a> {
        let name = self.s.request.metadata.namespace.as_deref().unwrap_or_default();
        let Some(namespace) = self.s.namespace else {
            return self.wait(
                "Namespace",
                Reason::NamespaceUnknown,
                format!("namespace {name} was not seen yet"),
                Some(SignedDuration::from_secs(2)),
            );
        };
        if namespace.metadata.deletion_timestamp.is_some() {
            return self.wait(
                "Namespace",
                Reason::NamespaceTerminating,
                format!("namespace {name} is being deleted, so no Secret can be created in it"),
                None,
            );
        }
        if admits_namespace(issuance, name, namespace) {
            return self.pass("Namespace", format!("the policy admits namespace {name}"));
        }
        self.fail(
            "Namespace",
            Reason::NamespaceNotAllowed,
            format!(
                "TapPolicy {} does not admit namespace {name}: see its issuance.namespaces",
                self.s.request.spec.policy_ref.name
            ),
        )
    }

    pub(super) fn reason(&mut self, issuance: &Issuance) -> Checked<'a> {
        let Some(rule) = &issuance.reason else { return self.pass("Reason", "none is needed") };
        let given = self.s.request.spec.reason.as_deref().unwrap_or_default();
        if given.is_empty() {
            return self.fail(
                "Reason",
                Reason::ReasonNotAccepted,
                "the policy demands a reason: make another request with spec.reason",
            );
        }
        let Some(pattern) = &rule.pattern else { return self.pass("Reason", "one is given") };
        match matches(pattern, given) {
            None => self.wait(
                "Reason",
                Reason::PolicyInvalid,
                format!("issuance.reason.pattern {pattern:?} of the policy is no regular expression, or one that takes too much to match: mend the policy"),
                None,
            ),
            Some(true) => self.pass("Reason", format!("it matches {pattern}")),
            Some(false) => self.fail(
                "Reason",
                Reason::ReasonNotAccepted,
                format!("the reason does not match {pattern}: make another request with one that does"),
            ),
        }
    }

    pub(super) fn start_time(&mut self, issuance: &Issuance) -> Checked<'a> {
        match &self.s.request.spec.start_time {
            None if issuance.start_time.unwrap_or_default() == StartTimeRule::Optional => {
                self.pass("StartTime", "it starts when it is issued")
            }
            None => self.fail(
                "StartTime",
                Reason::StartTimeRequired,
                "the policy demands a start time: make another request with spec.startTime",
            ),
            Some(start) if start.0 > self.s.request.created() + START_AHEAD => self.fail(
                "StartTime",
                Reason::StartTimeTooFar,
                "spec.startTime is more than 30 days after the request was made",
            ),
            Some(start) => self.pass("StartTime", format!("it starts at {:.0}", start.0)),
        }
    }

    pub(super) fn lifetime(&mut self, issuance: &Issuance) -> Checked<'a, (u32, bool)> {
        let spec = &self.s.request.spec;
        let Ok((default, maximum)) = lifetime_bounds(issuance) else {
            return self.wait(
                "Lifetime",
                Reason::PolicyInvalid,
                "issuance.lifetime of the policy cannot be read: mend the policy",
                None,
            );
        };
        let minutes = match spec.lifetime.as_ref().map(Lifetime::minutes).transpose() {
            Err(error) => {
                return self.fail(
                    "Lifetime",
                    Reason::InvalidSpec,
                    format!("spec.lifetime: {error}"),
                );
            }
            Ok(asked) => asked.unwrap_or(default),
        };
        if minutes > maximum {
            return self.fail(
                "Lifetime",
                Reason::LifetimeNotAllowed,
                format!(
                    "{} is longer than the {} that the policy allows (issuance.lifetime.maximum)",
                    Lifetime::from_minutes(minutes),
                    Lifetime::from_minutes(maximum)
                ),
            );
        }
        let one_time = spec.one_time_use.unwrap_or(true);
        if !one_time && issuance.require_one_time_use.unwrap_or(true) {
            return self.fail(
                "Lifetime",
                Reason::OneTimeUseRequired,
                "the policy allows only one-time passes: make another request without oneTimeUse: false",
            );
        }
        let kind = if one_time { "once" } else { "several times" };
        self.pass("Lifetime", format!("{}, usable {kind}", Lifetime::from_minutes(minutes)))?;
        Ok((minutes, one_time))
    }

    pub(super) fn delivery(&mut self, issuance: &Issuance) -> Checked<'a> {
        let sealed_only = issuance.delivery.unwrap_or_default() != Delivery::Any;
        match self.s.request.spec.recipients.as_deref().map(readable) {
            None if sealed_only => self.fail(
                "Delivery",
                Reason::RecipientsRequired,
                "the policy demands encrypted delivery (issuance.delivery): make another request with spec.recipients, the age or SSH public keys of those who are to read the code",
            ),
            None => self.pass("Delivery", "the code is delivered in the clear, into the Secret"),
            Some(Ok(recipients)) => {
                self.pass("Delivery", format!("the code is delivered encrypted to {recipients}"))
            }
            Some(Err(error)) => self.fail(
                "Delivery",
                Reason::RecipientInvalid,
                format!("{error}: make another request, with each public key as its owner has it, once"),
            ),
        }
    }

    pub(super) fn replacement(&mut self, issuance: &Issuance) -> Checked<'a> {
        let wanted = self.s.request.spec.on_existing_pass == Some(OnExistingPass::Replace);
        if wanted && issuance.replace_existing_pass != Some(ReplaceExistingPass::Allowed) {
            return self.fail(
                "Replacement",
                Reason::ReplaceNotAllowed,
                "the policy does not let a pass be replaced: make another request with onExistingPass Refuse or Wait",
            );
        }
        self.pass(
            "Replacement",
            if wanted { "the policy lets a pass be replaced" } else { "none is asked for" },
        )
    }
}

/// Whether a reason matches a pattern; `None` for one that cannot be used.
fn matches(pattern: &str, reason: &str) -> Option<bool> {
    static COMPILED: Memo<String, Option<Regex>> = Memo::of(POLICIES_AT_ONCE);
    static MATCHES: Memo<(String, String), Option<bool>> = Memo::of(REQUESTS_AT_ONCE);
    MATCHES.verdict((pattern.to_owned(), reason.to_owned()), |(pattern, reason)| {
        let compiled = COMPILED.verdict(pattern.clone(), |pattern| {
            RegexBuilder::new(pattern).size_limit(LARGEST_PATTERN).build().ok()
        });
        Some(compiled?.is_match(reason))
    })
}

/// What public keys are, in words, or why they cannot be used.
fn readable(keys: &[String]) -> Result<String, RecipientError> {
    static READ: Memo<Vec<String>, Result<String, RecipientError>> = Memo::of(REQUESTS_AT_ONCE);
    READ.verdict(keys.to_vec(), |keys| Recipients::read(keys).map(|read| read.to_string()))
}

/// The lifetime that a request without one gets, and the longest that one may ask for, in minutes.
pub fn lifetime_bounds(issuance: &Issuance) -> Result<(u32, u32), crate::api::LifetimeError> {
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

fn admits_namespace(issuance: &Issuance, name: &str, namespace: &Namespace) -> bool {
    let Some(allowed) = &issuance.namespaces else { return false };
    let by_name = allowed.names.as_ref().map(|names| names.iter().any(|n| n == name));
    let by_label = allowed.selector.as_ref().map(|selector| selects(selector, namespace));
    // Between fields all must agree; where none is given, nothing is admitted.
    match (by_name, by_label) {
        (None, None) => false,
        (name, label) => name.unwrap_or(true) && label.unwrap_or(true),
    }
}

fn selects(selector: &LabelSelector, namespace: &Namespace) -> bool {
    let empty = selector.match_labels.as_ref().is_none_or(std::collections::BTreeMap::is_empty)
        && selector.match_expressions.as_ref().is_none_or(Vec::is_empty);
    if empty {
        return false;
    }
    let labels = namespace.metadata.labels.clone().unwrap_or_default();
    kube::core::Selector::try_from(selector.clone())
        .is_ok_and(|s| kube::core::SelectorExt::matches(&s, &labels))
}

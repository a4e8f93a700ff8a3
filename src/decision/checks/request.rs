//! The checks of the request itself against its policy. They need no call to the tenant.

use jiff::SignedDuration;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use super::memo::Memo;
use super::{Checked, Run, TENANT_AGAIN, Verdict};
use crate::api::{
    Delivery, Issuance, Lifetime, OnExistingPass, ReplaceExistingPass, StartTimeRule, TapPolicy,
};
use crate::decision::Reason;
use crate::decision::admission::Guard;
use crate::decision::situation::{Labels, PolicyFound, Stop};
use crate::decision::step::Question;
use crate::decision::terms::{Pattern, Terms};
use crate::seal::{RecipientError, Recipients};

/// How long to wait before the labels of a namespace are read again that could not be read.
const LABELS_AGAIN: SignedDuration = SignedDuration::from_secs(5);

/// How many verdicts are cached: as many as requests are reconciled at once.
const REQUESTS_AT_ONCE: usize = 64;

impl<'a> Run<'a> {
    pub(super) fn policy(&mut self) -> Checked<'a, (&'a TapPolicy, &'a Issuance, &'a Terms)> {
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
                format!("TapPolicy {name} cannot be read by this version of the operator: {why}; correct the policy or upgrade the operator"),
                None,
            ),
            PolicyFound::Found(policy) => match (&policy.spec.issuance, self.s.terms) {
                (None, _) | (_, None) => self.fail(
                    "Policy",
                    Reason::NoIssuance,
                    format!("TapPolicy {name} issues no passes: make another request that names a policy with an issuance section"),
                ),
                (Some(issuance), Some(terms)) => {
                    self.pass("Policy", format!("TapPolicy {name}"))?;
                    Ok((policy, issuance, terms))
                }
            },
        }
    }

    /// Without the admission policies, the requester and the approvers are not certain.
    pub(super) fn admission(&mut self) -> Checked<'a> {
        match self.s.guard {
            Guard::Overridden => self.pass("Admission", "not checked, because of --allow-unguarded"),
            Guard::InForce(since) if self.s.request.created() < *since => self.fail(
                "Admission",
                Reason::CreatedUnguarded,
                format!("the request was created before the operator's admission policies were in force ({since:.0}), so it is not certain who created it: create it again"),
            ),
            Guard::InForce(_) => self.pass("Admission", "the admission policies are in force"),
            Guard::Unknown => self.wait(
                "Admission",
                Reason::AdmissionMissing,
                "it is not known yet whether the operator's admission policies are in force; nothing is issued until it is",
                Some(TENANT_AGAIN),
            ),
            Guard::Broken(why) => self.wait(
                "Admission",
                Reason::AdmissionMissing,
                format!("the operator's admission policies are not in force as this version ships them, so nothing is issued: {why}. Apply them again (kubectl apply -k deploy, or your overlay, or helm upgrade, with Helm 4 --force-conflicts), and remove by hand what was added by hand"),
                Some(TENANT_AGAIN),
            ),
        }
    }

    pub(super) fn brakes(&mut self, issuance: &Issuance) -> Checked<'a> {
        let name = &self.s.request.spec.policy_ref.name;
        if issuance.suspend == Some(true) {
            return self.wait(
                "Stop",
                Reason::Suspended,
                format!(
                    "TapPolicy {name} is suspended: the request goes on once issuance.suspend is false"
                ),
                None,
            );
        }
        if self.s.stop != Stop::Off {
            return self.wait(
                "Stop",
                Reason::Stopped,
                "the ConfigMap tap-operator-stop in the operator's namespace stops all issuing: the request goes on once it is deleted",
                Some(TENANT_AGAIN),
            );
        }
        self.pass("Stop", "neither stopped nor suspended")
    }

    pub(super) fn namespace(&mut self, issuance: &Issuance) -> Checked<'a> {
        let name = self.s.request.metadata.namespace.as_deref().unwrap_or_default();
        let Some(namespace) = self.s.namespace else {
            return self.wait(
                "Namespace",
                Reason::NamespaceUnknown,
                format!("the operator has not seen namespace {name} yet"),
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
        let admitted = match admits(issuance, name) {
            Admits::Always => true,
            Admits::Never => false,
            Admits::With(selector) => self.has_labels(selector, namespace)?,
        };
        if admitted {
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

    /// Whether the namespace has the labels. Labels that are missing are read once more before the request fails for them: that
    /// is final, and what the watch has told of them may be older than the request.
    fn has_labels(&mut self, selector: &LabelSelector, namespace: &Namespace) -> Checked<'a, bool> {
        let known = namespace.metadata.labels.clone().unwrap_or_default();
        match &self.s.reads.labels {
            _ if matched(selector, &known) => Ok(true),
            Some(Ok(read)) => Ok(matched(selector, read)),
            Some(Err(why)) => {
                let why = format!("the labels of the namespace cannot be read: {why}");
                self.wait("Namespace", Reason::NamespaceUnknown, why, Some(LABELS_AGAIN))
            }
            // Labels that were read from files are what they will be.
            None if self.s.request.metadata.uid.is_none() => Ok(false),
            None => Err(Verdict::Ask(vec![Question::Labels])),
        }
    }

    pub(super) fn reason(&mut self, issuance: &Issuance, terms: &Terms) -> Checked<'a> {
        let Some(rule) = &issuance.reason else {
            return self.pass("Reason", "the policy asks for no reason");
        };
        let hint = rule.hint.as_ref().map_or(String::new(), |hint| format!(" ({hint})"));
        let given = self.s.request.spec.reason.as_deref().unwrap_or_default();
        if given.is_empty() {
            return self.fail(
                "Reason",
                Reason::ReasonNotAccepted,
                format!(
                    "the policy requires a reason{hint}: make another request with spec.reason"
                ),
            );
        }
        let Some(pattern) = &terms.pattern else { return self.pass("Reason", "a reason is given") };
        match matches(pattern, given) {
            None => self.wait(
                "Reason",
                Reason::PolicyInvalid,
                format!("issuance.reason.pattern {pattern:?} of the policy is not a valid regular expression, or is too large: correct the policy"),
                None,
            ),
            Some(true) => self.pass("Reason", format!("the reason matches {pattern}")),
            Some(false) => self.fail(
                "Reason",
                Reason::ReasonNotAccepted,
                format!("the reason does not match {pattern}{hint}: make another request with a reason that does"),
            ),
        }
    }

    pub(super) fn start_time(&mut self, issuance: &Issuance) -> Checked<'a> {
        match &self.s.request.spec.start_time {
            None if issuance.start_time.unwrap_or_default() == StartTimeRule::Optional => {
                self.pass("StartTime", "the pass starts when it is issued")
            }
            None => self.fail(
                "StartTime",
                Reason::StartTimeRequired,
                "the policy requires a start time: make another request with spec.startTime",
            ),
            Some(start) => self.pass("StartTime", format!("the pass starts at {:.0}", start.0)),
        }
    }

    pub(super) fn lifetime(
        &mut self,
        issuance: &Issuance,
        terms: &Terms,
    ) -> Checked<'a, (u32, bool)> {
        let spec = &self.s.request.spec;
        let Some((default, maximum)) = terms.lifetime else {
            return self.wait(
                "Lifetime",
                Reason::PolicyInvalid,
                "issuance.lifetime of the policy is not valid: correct the policy",
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
            // What people were asked to approve stays, whatever the default is now.
            Ok(asked) => asked.or(self.approved_lifetime()).unwrap_or(default),
        };
        if minutes > maximum {
            return self.fail(
                "Lifetime",
                Reason::LifetimeNotAllowed,
                format!(
                    "the lifetime {} is longer than the {} that the policy allows (issuance.lifetime.maximum): make another request with a shorter one",
                    Lifetime::from_minutes(minutes),
                    Lifetime::from_minutes(maximum)
                ),
            );
        }
        let one_time = spec.one_time_use.unwrap_or(true);
        if !one_time && issuance.requires_one_time_use() {
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

    /// The lifetime that people are or were asked to approve, in minutes.
    fn approved_lifetime(&self) -> Option<u32> {
        let resolved = self.s.request.status.as_ref()?.resolved.as_ref()?;
        resolved.lifetime.minutes().ok()
    }

    pub(super) fn delivery(&mut self, issuance: &Issuance) -> Checked<'a> {
        let sealed_only = issuance.delivery.unwrap_or_default() != Delivery::Any;
        match self.s.request.spec.recipients.as_deref().map(readable) {
            None if sealed_only => self.fail(
                "Delivery",
                Reason::RecipientsRequired,
                "the policy requires encrypted delivery (issuance.delivery): make another request with spec.recipients, the age or SSH public keys of the people who are to read the code",
            ),
            None => self.pass("Delivery", "the code is delivered in the Secret, unencrypted"),
            Some(Ok(recipients)) => {
                self.pass("Delivery", format!("the code is delivered encrypted to {recipients}"))
            }
            Some(Err(error)) => self.fail(
                "Delivery",
                Reason::RecipientInvalid,
                format!("{error}: make another request that lists each public key once, exactly as its owner has it"),
            ),
        }
    }

    pub(super) fn replacement(&mut self, issuance: &Issuance) -> Checked<'a> {
        let wanted = self.s.request.spec.on_existing_pass == Some(OnExistingPass::Replace);
        if wanted && issuance.replace_existing_pass != Some(ReplaceExistingPass::Allowed) {
            return self.fail(
                "Replacement",
                Reason::ReplaceNotAllowed,
                "the policy does not allow replacing a pass: make another request with onExistingPass Refuse or Wait",
            );
        }
        self.pass(
            "Replacement",
            if wanted {
                "the policy allows replacing a pass"
            } else {
                "the request does not replace a pass"
            },
        )
    }
}

/// Whether a reason matches a pattern; `None` if the pattern cannot be used.
fn matches(pattern: &Pattern, reason: &str) -> Option<bool> {
    static MATCHES: Memo<(String, String), Option<bool>> = Memo::of(REQUESTS_AT_ONCE);
    MATCHES.verdict((pattern.to_string(), reason.to_owned()), |_| pattern.matches(reason))
}

/// A description of public keys, or why they cannot be used.
fn readable(keys: &[String]) -> Result<String, RecipientError> {
    static READ: Memo<Vec<String>, Result<String, RecipientError>> = Memo::of(REQUESTS_AT_ONCE);
    READ.verdict(keys.to_vec(), |keys| Recipients::read(keys).map(|read| read.to_string()))
}

/// How a policy admits a namespace. Each field that is present must admit it. Without any field none is admitted.
enum Admits<'a> {
    Always,
    Never,
    /// If its labels match.
    With(&'a LabelSelector),
}

fn admits<'a>(issuance: &'a Issuance, namespace: &str) -> Admits<'a> {
    let Some(allowed) = &issuance.namespaces else { return Admits::Never };
    let is_named = allowed.names.as_ref().map(|names| names.iter().any(|name| name == namespace));
    match (is_named, &allowed.selector) {
        (Some(false), _) | (None, None) => Admits::Never,
        (Some(true), None) => Admits::Always,
        (_, Some(selector)) if is_empty(selector) => Admits::Never,
        (_, Some(selector)) => Admits::With(selector),
    }
}

/// Whether a selector has no condition. Such a one selects nothing.
pub fn is_empty(selector: &LabelSelector) -> bool {
    selector.match_labels.as_ref().is_none_or(std::collections::BTreeMap::is_empty)
        && selector.match_expressions.as_ref().is_none_or(Vec::is_empty)
}

fn matched(selector: &LabelSelector, labels: &Labels) -> bool {
    kube::core::Selector::try_from(selector.clone())
        .is_ok_and(|selector| kube::core::SelectorExt::matches(&selector, labels))
}

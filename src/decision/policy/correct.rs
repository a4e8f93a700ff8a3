//! What to do about differences between a policy and its tenant.

use jiff::SignedDuration;

use super::draft::Draft;
use super::{PolicySituation, PolicyStep, interval};
use crate::api::{ConditionType, Enforcement};
use crate::decision::Reason;
use crate::decision::clock::later;
use crate::decision::method::Difference;
use crate::decision::situation::Stop;
use crate::decision::step::Rest;
use crate::entra::{ErrorKind, MethodConfiguration};

/// How long to wait before the tenant is read again if it does not show a correction yet.
const AGAIN: SignedDuration = SignedDuration::from_secs(15);

/// The next thing to do once the tenant was read. `found` is what differs, `correctable` the part of it that a PATCH can
/// correct: display names of groups are only reported.
pub(super) fn next(
    s: &PolicySituation,
    draft: Draft,
    observed: &MethodConfiguration,
    correctable: &Difference,
    found: &Difference,
) -> PolicyStep {
    let rest = Rest::For(interval(s.policy));
    if s.policy.spec.method.is_none() {
        let nothing = "this policy manages nothing in the tenant";
        let message = if found.drift.is_empty() {
            nothing.to_owned()
        } else {
            format!("{}; {nothing}", found.sentence())
        };
        let draft = match draft.finding(ConditionType::Issuing).cloned() {
            None => draft.ready(true, Reason::NothingManaged, &message),
            // Somebody wants it so for now.
            Some((_, reason @ (Reason::Suspended | Reason::Stopped), why)) => {
                draft.ready(true, reason, &why)
            }
            Some(("False", reason, why)) => draft.ready(false, reason, &why).stalled(),
            Some((can, reason, why)) => draft.ready(can == "True", reason, &why),
        };
        return draft.synced("True", Reason::NothingManaged, &message).or_rest(rest);
    }
    if !s.rivals.is_empty() {
        let message = format!(
            "{} also manages the method of this tenant, so none of them writes: remove spec.method from all but one",
            s.rivals.join(", ")
        );
        return draft
            .ready(false, Reason::Conflict, &message)
            .synced("False", Reason::Conflict, &message)
            .stalled()
            .or_rest(rest);
    }
    if correctable.drift.is_empty() {
        return in_sync(draft, found).or_rest(rest);
    }
    let sentence = correctable.sentence();
    if s.policy.spec.enforcement.unwrap_or_default() != Enforcement::Enforce {
        let message = format!("{sentence} (enforcement is Observe: nothing is written)");
        return draft
            .ready(true, Reason::Drifted, &message)
            .synced("False", Reason::Drifted, &message)
            .or_rest(rest);
    }
    if s.stop.stop != Stop::Off {
        let message =
            format!("{sentence}; nothing is written while the ConfigMap tap-operator-stop exists");
        return draft
            .ready(false, Reason::Stopped, &message)
            .synced("False", Reason::Stopped, &message)
            .or_rest(rest);
    }
    let correction = s.correction.filter(|c| c.generation == s.policy.metadata.generation);
    let refused = correction.is_some_and(|c| c.refused);
    let sent = correction.filter(|c| !c.refused && c.patch == correctable.patch);
    match &s.reads.patched {
        Some(Err(error)) if error.kind != ErrorKind::BadRequest => {
            let message = format!("the difference could not be corrected: {error}");
            draft
                .ready(false, Reason::of(error), &message)
                .synced("False", Reason::Drifted, &sentence)
                .after(error)
        }
        Some(Err(error)) => {
            let message = format!("the tenant refuses the values: {error}; change the policy");
            not_taken(draft, &sentence, &message).or_rest(rest)
        }
        _ if refused => {
            not_taken(draft, &sentence, "the tenant refused the values: change the policy")
                .or_rest(rest)
        }
        // A read may lag behind a correction (inferred).
        _ if sent.is_some_and(|c| s.now < later(c.at, s.settle)) => {
            let message =
                format!("{sentence}; it was corrected, and the tenant does not show it yet");
            draft
                .ready(false, Reason::Drifted, &message)
                .synced("False", Reason::Drifted, &sentence)
                .reconciling()
                .or_rest(Rest::For(AGAIN))
        }
        _ if sent.is_some_and(|c| s.now < later(c.at, s.settle + interval(s.policy))) => {
            let message = format!("after the correction the tenant still differs: {sentence}");
            not_taken(draft, &sentence, &message).or_rest(rest)
        }
        // A correction was sent in this reconcile, and now something else differs.
        Some(Ok(())) => draft
            .ready(false, Reason::Drifted, &sentence)
            .synced("False", Reason::Drifted, &sentence)
            .reconciling()
            .or_rest(Rest::For(AGAIN)),
        None if s.policy.status.as_ref().is_none_or(|status| status.adopted.is_none()) => {
            // The method as it was found is recorded before the first write.
            let message = format!("correcting: {sentence}");
            draft
                .adopting(observed)
                .ready(false, Reason::Drifted, &message)
                .synced("False", Reason::Drifted, &sentence)
                .reconciling()
                .or_rest(rest)
        }
        None => PolicyStep::Correct {
            difference: Box::new(correctable.clone()),
            found: found.drift.clone(),
        },
    }
}

fn in_sync<'a>(draft: Draft<'a>, found: &Difference) -> Draft<'a> {
    let message = if found.drift.is_empty() {
        "the tenant is as the policy says".to_owned()
    } else {
        format!("{}; the tenant's method itself is as the policy says", found.sentence())
    };
    draft.ready(true, Reason::InSync, &message).synced("True", Reason::InSync, &message)
}

fn not_taken<'a>(draft: Draft<'a>, sentence: &str, message: &str) -> Draft<'a> {
    draft
        .ready(false, Reason::NotTaken, message)
        .synced("False", Reason::NotTaken, sentence)
        .stalled()
}

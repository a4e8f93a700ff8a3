//! What people write to the cluster: custom resources, and single fields of them.

use serde_json::{Value, json};
use tap_operator::api::names::{FINALIZER, INTENT_ANNOTATION};
use tap_operator::api::{Lifetime, TapPolicy, TapRequest};
use tap_operator::decision::intent;
use tap_operator::decision::terms::Terms;
use tap_operator::seal::Recipients;

use super::decide;

/// A `TapPolicy`: decisions about its tenant, and about a request that names it.
pub fn policy(input: &[u8]) {
    let Ok(policy) = serde_json::from_slice::<TapPolicy>(input) else { return };
    decide::policy(&policy, input.len());
    decide::request(usual_request(json!({})), &policy, input.len());
}

/// A `TapRequest` with any field that anybody could have written.
pub fn request(input: &[u8]) {
    let Ok(request) = serde_json::from_slice::<TapRequest>(input) else { return };
    decide::request(request, &usual_policy(json!({})), input.len());
}

/// A `TapRequest` and the `TapPolicy` that it names, as the API server accepted them: reads the request, and makes all decisions
/// about it.
pub fn under(policy: &TapPolicy, terms: Option<&Terms>, request: &[u8]) {
    let request: TapRequest = serde_json::from_slice(request).expect("it is a request");
    decide::request_under(request, policy, terms, 1 << 20, decide::answer);
}

/// Reads a `TapPolicy` that the API server accepted, and makes all decisions about it.
pub fn accepted(policy: &[u8]) {
    let policy: TapPolicy = serde_json::from_slice(policy).expect("it is a policy");
    decide::policy(&policy, 1 << 20);
}

/// Encrypts a code to the recipients of a request.
pub fn encryption(request: &[u8]) {
    let request: TapRequest = serde_json::from_slice(request).expect("it is a request");
    let recipients = Recipients::read(&request.spec.recipients.unwrap_or_default());
    let recipients = recipients.expect("the keys can be used");
    recipients.seal("the code").expect("a code can be encrypted");
}

/// The intent annotation, on a request with a finalizer.
pub fn intent(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let metadata = json!({ "annotations": { INTENT_ANNOTATION: text }, "finalizers": [FINALIZER] });
    let request = usual_request(json!({ "metadata": metadata }));
    let _ = intent::is_unresolved_for(&request, "tenant", decide::USER_ID);
    decide::request(request, &usual_policy(json!({})), input.len());
}

/// Public keys, one on each line, and encryption to them.
pub fn recipients(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let keys: Vec<String> = text.lines().map(str::to_owned).collect();
    match Recipients::read(&keys) {
        Ok(recipients) => {
            let sealed = recipients.seal("the code").expect("keys that were read can be used");
            assert!(sealed.starts_with(b"-----BEGIN AGE ENCRYPTED FILE-----"), "in the clear");
        }
        Err(error) => assert!(error.to_string().len() < 400, "{error}"),
    }
    let spec = json!({ "recipients": keys });
    decide::request(usual_request(json!({ "spec": spec })), &usual_policy(json!({})), input.len());
}

/// The `reason.pattern` of a policy on the first line, and the reason of a request on the others.
pub fn reason_pattern(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let (pattern, reason) = text.split_once('\n').unwrap_or((text, "INC0012345"));
    // The schema refuses longer ones.
    let pattern: String = pattern.chars().take(256).collect();
    let reason: String = reason.chars().take(512).collect();
    let policy = usual_policy(json!({ "reason": { "pattern": pattern } }));
    decide::request(usual_request(json!({ "spec": { "reason": reason } })), &policy, input.len());
}

/// A duration.
pub fn lifetime(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let lifetime: Lifetime = serde_json::from_value(json!(text)).expect("any text is kept");
    if let Ok(minutes) = lifetime.minutes() {
        assert_eq!(Lifetime::from_minutes(minutes).minutes(), Ok(minutes));
        assert!(lifetime.duration().is_ok());
    }
    let request = usual_request(json!({ "spec": { "lifetime": text } }));
    let policy = usual_policy(json!({
        "lifetime": { "maximum": text }, "leadTime": text, "approval": { "required": 0, "timeout": text },
    }));
    decide::request(request, &policy, input.len());
}

/// A usual request, changed by a merge patch.
pub fn usual_request(change: Value) -> TapRequest {
    let mut request = json!({
        "apiVersion": "tap-operator.io/v1alpha1", "kind": "TapRequest",
        "metadata": {
            "name": "lost-phone", "namespace": "helpdesk", "uid": "uid-1", "resourceVersion": "1", "generation": 1,
            "creationTimestamp": "2027-01-15T08:00:00Z",
        },
        "spec": { "policyRef": { "name": "contoso" }, "user": "alice@contoso.com", "requestedBy": "helen@contoso.com" },
    });
    merge(&mut request, change);
    serde_json::from_value(request).expect("it is a request")
}

/// A policy that admits the usual request, changed by a merge patch of its `issuance`.
pub fn usual_policy(issuance: Value) -> TapPolicy {
    let mut spec = json!({
        "namespaces": { "names": ["helpdesk"] }, "users": { "domains": ["contoso.com"] },
        "approval": { "required": 0 },
    });
    merge(&mut spec, issuance);
    let policy = json!({
        "apiVersion": "tap-operator.io/v1alpha1", "kind": "TapPolicy", "metadata": { "name": "contoso", "generation": 1 },
        "spec": { "tenant": "default", "issuance": spec },
    });
    serde_json::from_value(policy).expect("it is a policy")
}

fn merge(to: &mut Value, patch: Value) {
    match (to, patch) {
        (Value::Object(to), Value::Object(patch)) => {
            for (key, value) in patch {
                merge(to.entry(key).or_insert(Value::Null), value);
            }
        }
        (to, patch) => *to = patch,
    }
}

//! How many bytes the operator keeps of each request that it knows from a list: the memory of an operator with thousands of requests follows from
//! it. Counted by the allocator, so it is the same on each machine.

use std::alloc::System;
use std::time::Duration;

use cap::Cap;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tap_operator::api::TapRequest;
use tap_operator::api::names::{FINALIZER, INTENT_ANNOTATION};
use tap_operator::decision::census::{Census, Standing};
use tap_operator::decision::clock::Now;
use tap_operator::decision::evidence::{Ended, Inquiries};
use tap_operator::decision::ids::Uid;
use tap_operator::decision::requests::{Moment, Observed, Requests, Seen};
use tap_operator::decision::situation::{Connection, Settings};
use tap_operator::entra::Cloud;

/// How many requests are counted.
const REQUESTS: usize = 5_000;
/// The most that may be kept of one with a live pass, and of one that ended lately, in bytes.
const LIVE: usize = 1_150;
const FINISHED: usize = 620;

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

fn uid(of: u128, number: usize) -> String {
    // Spread, as those of the API server are.
    uuid::Uuid::from_u128(
        (of + number as u128).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835),
    )
    .to_string()
}

fn request(number: usize, live: bool) -> TapRequest {
    let (own, user, pass, attempt) =
        (uid(1, number), uid(2 << 32, number), uid(3 << 32, number), uid(4 << 32, number));
    let intent = json!({
        "uid": own, "attempt": attempt, "number": 1, "holder": "tap-operator_1", "tenantId": uid(5 << 32, 0),
        "cloud": Cloud::Global, "connection": "default", "userId": user, "userPrincipalName": "user@contoso.com",
        "lifetimeMinutes": 480, "oneTimeUse": true, "latestExpiry": "2027-01-16T08:00:00Z", "listed": [],
        "listedAt": "2027-01-15T08:00:00Z", "stage": { "name": if live { "issuing" } else { "closed" } },
    });
    let mut request: TapRequest = serde_json::from_value(json!({
        "apiVersion": "tap-operator.io/v1alpha1", "kind": "TapRequest",
        "metadata": {
            "name": format!("request-{number}"), "namespace": "helpdesk", "uid": own,
            "resourceVersion": (1_000_000 + number).to_string(), "generation": 1,
            "creationTimestamp": "2027-01-15T08:00:00Z",
            "finalizers": if live { json!([FINALIZER]) } else { json!([]) },
            "annotations": { INTENT_ANNOTATION: intent.to_string() },
        },
        "spec": {
            "policyRef": { "name": "helpdesk" }, "user": "user@contoso.com", "requestedBy": "rita@contoso.com",
        },
    }))
    .expect("a request");
    request.status = serde_json::from_value(json!({
        "phase": if live { "Active" } else { "Used" },
        "finishedAt": (!live).then_some("2027-01-15T08:30:00Z"),
        "secretName": live.then(|| format!("request-{number}")),
        "resolved": {
            "tenantId": uid(5 << 32, 0), "userId": user, "userPrincipalName": "user@contoso.com",
            "lifetime": "8h", "oneTimeUse": true,
        },
        "pass": {
            "id": pass, "clientRequestId": attempt,
            "startTime": "2027-01-15T08:00:00Z", "expirationTime": "2027-01-15T16:00:00Z",
        },
    }))
    .expect("a status");
    request
}

/// What is kept, in bytes, of each of so many requests.
fn kept(live: bool) -> usize {
    let connection = Connection {
        name: "default".into(),
        tenant_id: uid(5 << 32, 0),
        client_id: "app".into(),
        cloud: Cloud::Global,
        users: None,
        ceilings: std::sync::Arc::default(),
    };
    let settings = Settings {
        settle: SignedDuration::from_secs(150),
        use_check: SignedDuration::from_secs(60),
    };
    let graph =
        |_: Option<&str>| Now::exactly("2027-01-15T09:00:00Z".parse::<Timestamp>().unwrap());
    let moment = || Moment { at: Duration::ZERO, graph: &graph };
    let mut requests = Requests::new(settings, [connection].into());
    let (mut census, mut inquiries) = (Census::default(), Inquiries::default());
    let before = ALLOCATOR.allocated();
    requests.apply(Seen::ListBegins, moment());
    for number in 0..REQUESTS {
        let request = request(number, live);
        let uid: Uid = request.metadata.uid.as_deref().unwrap_or_default().into();
        requests.apply(Seen::Listed(uid.clone(), Observed::of(&request)), moment());
        census.enter(&uid, Standing::of(&request));
        if let Some(ended) = Ended::of(&request) {
            inquiries.see(&uid, &ended, graph(None).earliest);
        }
    }
    requests.apply(Seen::ListEnds, moment());
    let kept = ALLOCATOR.allocated() - before;
    let some: Uid = uid(1, 7).as_str().into();
    let observed = requests.observed(&some).expect("it is there");
    assert_eq!(observed.recorded.as_ref().is_some_and(|r| r.attempt.is_some()), live);
    kept / REQUESTS
}

#[test]
fn little_is_kept_of_each_request() {
    for (live, most) in [(true, LIVE), (false, FINISHED)] {
        let kept = kept(live);
        assert!(
            kept <= most,
            "{kept} bytes are kept of each request, live: {live}, at most {most}"
        );
    }
}

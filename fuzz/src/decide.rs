//! The pure core, asked until it comes to rest: what it looks at is answered as in a quiet tenant, and what it writes is what
//! it sees next.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Namespace;
use tap_operator::api::names::INTENT_ANNOTATION;
use tap_operator::api::{TapPolicy, TapRequest};
use tap_operator::decision::admission::Guard;
use tap_operator::decision::clock::Now;
use tap_operator::decision::life;
use tap_operator::decision::life::situation::{
    Brakes, Connection, Eligibility, Listing, Memory, Place, PolicyFound, Reads, SecretFound,
    Settings, Situation, Slot, Stop, Turn,
};
use tap_operator::decision::life::step::{Action, Look, Step};
use tap_operator::decision::policy::{PolicyReads, PolicySituation, PolicyStep};
use tap_operator::graph::{Cloud, GraphTarget, MethodConfiguration, MethodState, TapMethod, User};

/// Object id of the user who is found.
pub const USER_ID: &str = "11111111-0000-4000-8000-000000000001";

/// No decision needs so many steps.
const MOST_STEPS: usize = 50;
/// A status may repeat what its object says, in several places, and has as much to say of its own.
const REPEATED: usize = 8;
const OWN_WORDS: usize = 16 * 1024;

/// A minute after the usual request was made.
const NOW: Timestamp = Timestamp::constant(1_800_000_060, 0);

fn connection() -> Connection {
    Connection {
        name: "default".into(),
        tenant_id: "tenant".into(),
        client_id: "app".into(),
        cloud: Cloud::Global,
        users: None,
    }
}

fn method() -> MethodConfiguration {
    MethodConfiguration {
        state: MethodState::Enabled,
        default_lifetime_minutes: Some(60),
        minimum_lifetime_minutes: Some(10),
        maximum_lifetime_minutes: Some(480),
        default_length: Some(8),
        one_time_required: Some(false),
        include: vec![GraphTarget {
            id: "all_users".into(),
            target_type: "group".into(),
            is_registration_required: None,
        }],
        exclude: vec![],
    }
}

fn is_in_bounds(status: &impl serde::Serialize, input: usize) {
    let written = serde_json::to_string(status).expect("a status can be written");
    let most = OWN_WORDS + REPEATED * input;
    assert!(written.len() <= most, "a status of {} bytes from {input}", written.len());
}

/// What is done about a request, up to the POST or to rest; the number of steps.
pub fn request(mut request: TapRequest, policy: &TapPolicy, input: usize) -> usize {
    let (connection, namespace, guard) = (connection(), Namespace::default(), Guard::Overridden);
    let settings = Settings {
        settle: SignedDuration::from_secs(150),
        use_check: SignedDuration::from_secs(60),
    };
    let (mut reads, memory) = (Reads::default(), Memory::default());
    for steps in 1..=MOST_STEPS {
        let step = life::next(&Situation {
            request: &request,
            now: Now::exactly(NOW),
            settings: &settings,
            policy: PolicyFound::Found(policy),
            namespace: Some(&namespace),
            connection: Some(&connection),
            stop: Stop::Off,
            guard: &guard,
            holder: "fuzz",
            lease_is_fresh: true,
            new_attempt: "attempt",
            superseded_by: None,
            reads: &reads,
            memory: &memory,
        });
        match step {
            Step::Look(look) => answer(&look, &mut reads),
            Step::Act(Action::WriteStatus(status)) => {
                is_in_bounds(&status, input);
                request.status = Some(*status);
            }
            Step::Act(Action::Release(intent)) => {
                request.metadata.finalizers = None;
                if let (Some(intent), Some(all)) = (intent, &mut request.metadata.annotations) {
                    all.insert(INTENT_ANNOTATION.to_owned(), intent.to_annotation());
                }
            }
            Step::Act(Action::RecordIntent(intent, _)) => {
                let written = intent.to_annotation();
                assert!(written.len() <= OWN_WORDS + REPEATED * input, "{} bytes", written.len());
                return steps;
            }
            // It rests, or what follows is the tenant's or the API server's to answer.
            Step::Rest(_) | Step::Act(_) => return steps,
        }
    }
    panic!("it goes in circles: {}", serde_json::to_string(&request).unwrap_or_default());
}

fn answer(look: &Look, reads: &mut Reads) {
    match look {
        Look::Method => reads.method = Some(Ok(method())),
        Look::User => {
            reads.user = Some(Ok(User {
                id: USER_ID.into(),
                user_principal_name: "alice@contoso.com".into(),
                display_name: None,
                account_enabled: Some(true),
                user_type: Some("Member".into()),
                identities: Vec::new(),
                external_user_state: None,
            }));
        }
        Look::Groups { ids, .. } => reads.groups = Some(Ok(ids.clone())),
        Look::Roles { .. } => reads.roles = Some(Ok(Vec::new())),
        Look::Eligibility { .. } => reads.eligibility = Some(Ok(Eligibility::None)),
        Look::Slot(_) => reads.slot = Some(Slot::Ours),
        Look::Turn { .. } => reads.turn = Some(Turn::Ours),
        Look::Passes { .. } => {
            let (passes, known) = (Vec::new(), HashMap::new());
            reads.passes = Some(Ok(Listing { passes, date: NOW, known, unlisted: None }));
            reads.passes_asked_at = Some(NOW);
            reads.listed_since = true;
        }
        Look::Pass { pass_id, .. } => {
            reads.pass = Some(Ok(TapMethod {
                id: pass_id.clone(),
                created: None,
                start: None,
                lifetime_minutes: None,
                one_time: None,
                usable: None,
                reason: None,
            }));
        }
        Look::Place => reads.place = Some(Place::Free),
        Look::Secret => {
            reads.secret = Some(SecretFound::Absent);
            reads.listed_since = false;
        }
        Look::Brakes => {
            let (stop, suspended) = (Stop::Off, false);
            reads.brakes = Some(Brakes { stop, suspended, policy_generation: None });
        }
    }
}

/// What is done about the tenant of a policy; the number of steps.
pub fn policy(policy: &TapPolicy, input: usize) -> usize {
    let (mut policy, connection) = (policy.clone(), connection());
    let mut reads = PolicyReads::default();
    for steps in 1..=MOST_STEPS {
        let step = tap_operator::decision::policy::next(&PolicySituation {
            policy: &policy,
            now: NOW,
            connection: Some(&connection),
            rivals: &[],
            enforced: false,
            stop: Stop::Off,
            settle: jiff::SignedDuration::from_secs(150),
            correction: None,
            reads: &reads,
        });
        match step {
            PolicyStep::Rest(_) => return steps,
            PolicyStep::ReadPermissions => reads.permissions = Some(Ok(Vec::new())),
            PolicyStep::ReadMethod => reads.method = Some(Ok(method())),
            PolicyStep::ReadNames(ids) => {
                reads.names = Some(Ok(ids.into_iter().map(|id| (id, None)).collect()));
            }
            PolicyStep::WriteStatus(status) => {
                is_in_bounds(&status, input);
                policy.status = Some(*status);
            }
            PolicyStep::Correct(difference) => {
                assert!(difference.sentence().len() <= OWN_WORDS + REPEATED * input, "too long");
                return steps;
            }
        }
    }
    panic!("it goes in circles: {}", serde_json::to_string(&policy).unwrap_or_default());
}

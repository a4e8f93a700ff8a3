//! The pure core, asked until it comes to rest: what it looks at is answered as in a quiet tenant, and what it writes is what
//! it sees next.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Namespace;
use tap_operator::api::names::{FINALIZER, INTENT_ANNOTATION};
use tap_operator::api::{TapPolicy, TapRequest};
use tap_operator::decision::admission::Guard;
use tap_operator::decision::clock::Now;
use tap_operator::decision::ids::Uid;
use tap_operator::decision::intent::Intent;
use tap_operator::decision::outcome::{Outcome, Posted, SecretCreation};
use tap_operator::decision::permissions::Uses;
use tap_operator::decision::policy::{PolicyQuestion, PolicyReads, PolicySituation, PolicyStep};
use tap_operator::decision::requests::{Moment, Observed, Requests, Seen};
use tap_operator::decision::situation::{
    Brakes, Connection, Eligibility, GroupState, Labels, PolicyFound, SecretDryRun, SecretFound,
    Settings, SignInRules, SignInSeen, Stop, Surroundings,
};
use tap_operator::decision::step::{Action, Question, Step};
use tap_operator::decision::stop::StopOrder;
use tap_operator::decision::terms::{PolicyVersion, Terms};
use tap_operator::entra::{
    AccessPolicy, AuthenticationStrength, Cloud, GraphTarget, Listed, ListedRoles,
    MethodConfiguration, MethodState, Namesakes, TapMethod, User,
};

/// Object id of the user who is found.
pub const USER_ID: &str = "11111111-0000-4000-8000-000000000001";

/// No decision needs so many steps.
const MOST_STEPS: usize = 50;
/// A status may repeat what its object says, in several places, and has as much to say of its own.
const REPEATED: usize = 8;
const OWN_WORDS: usize = 16 * 1024;

/// A minute after the usual request was made.
pub const NOW: Timestamp = Timestamp::constant(1_800_000_060, 0);

pub fn connection() -> Connection {
    Connection {
        name: "default".into(),
        tenant_id: "tenant".into(),
        client_id: "app".into(),
        cloud: Cloud::Global,
        users: None,
        ceilings: std::sync::Arc::default(),
    }
}

pub fn method() -> MethodConfiguration {
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

/// Checks that what is written or told is not much longer than what it is made of.
pub fn is_in_bounds(told: &impl serde::Serialize, input: usize) {
    let written = serde_json::to_string(told).expect("it can be written");
    let most = OWN_WORDS + REPEATED * input;
    assert!(written.len() <= most, "{} bytes from {input}: {written:.200}", written.len());
}

const SETTINGS: Settings =
    Settings { settle: SignedDuration::from_secs(150), use_check: SignedDuration::from_secs(60) };

/// What is done about a request in a quiet tenant, until it comes to rest; the number of steps.
pub fn request(request: TapRequest, policy: &TapPolicy, input: usize) -> usize {
    request_in(request, policy, input, answer)
}

/// The same in a tenant that answers otherwise.
pub fn request_in(
    request: TapRequest,
    policy: &TapPolicy,
    input: usize,
    answer: impl Fn(Question) -> Outcome,
) -> usize {
    request_under(request, policy, terms(policy).as_ref(), input, answer)
}

/// The terms of a policy. The operator makes them once for each version of it.
pub fn terms(policy: &TapPolicy) -> Option<Terms> {
    policy.spec.issuance.as_ref().map(Terms::of)
}

/// The same with the terms of the policy at hand.
pub fn request_under(
    mut request: TapRequest,
    policy: &TapPolicy,
    terms: Option<&Terms>,
    input: usize,
    answer: impl Fn(Question) -> Outcome,
) -> usize {
    // No object is without one.
    let uid = request.metadata.uid.get_or_insert_with(|| "uid-1".into()).as_str().into();
    let mut requests = Requests::new(SETTINGS, [connection()].into());
    requests.catch_up(moment());
    let fresh = requests.clone();
    let unreadable = Observed::unreadable(&request.metadata, "fuzz");
    for observed in [unreadable, Observed::of(&request)] {
        requests.apply(Seen::Applied(Uid::clone(&uid), observed), moment());
    }
    requests.begin(&uid);
    let mut knows_a_pass = false;
    let steps = to_rest(&mut requests, &uid, (policy, terms), answer, |action| {
        knows_a_pass |= matches!(action, Some(Action::Post(_) | Action::DeletePass { .. }));
        perform(action, &mut request, input)
    });
    // Nothing is kept of it once it is gone, but which pass was made or deleted. What was read of the tenant is for others.
    requests.apply(Seen::Deleted(uid), moment());
    requests.wake_waiting("nobody waits for it", moment());
    assert!(knows_a_pass || requests == fresh, "{requests:?}");
    steps
}

/// Answers steps until there is nothing to do; how many there were.
fn to_rest(
    requests: &mut Requests,
    uid: &Uid,
    (policy, terms): (&TapPolicy, Option<&Terms>),
    answer: impl Fn(Question) -> Outcome,
    mut perform: impl FnMut(Option<Action>) -> Outcome,
) -> usize {
    let (connection, namespace, guard) = (connection(), Namespace::default(), Guard::Overridden);
    let around = Surroundings {
        now: Now::exactly(NOW),
        settings: &SETTINGS,
        policy: PolicyFound::Found(policy),
        terms,
        namespace: Some(&namespace),
        connection: Some(&connection),
        stop: Stop::Off,
        guard: &guard,
        holder: "fuzz",
        lease_is_fresh: true,
        new_attempt: "attempt",
    };
    for steps in 1..=MOST_STEPS {
        match requests.next(uid, &around, moment()) {
            Step::Read => requests.learn(uid, perform(None), moment()),
            Step::Ask(questions) => {
                for question in questions {
                    requests.learn(uid, answer(question), moment());
                }
            }
            Step::Act(action) => {
                let outcome = perform(Some(action));
                requests.learn(uid, outcome, moment());
            }
            Step::Rest(rest) => {
                requests.rest(uid, rest, moment(), |_, _| Duration::from_secs(1));
                return steps;
            }
            Step::Gone { .. } => {
                requests.gone(uid, moment());
                return steps;
            }
        }
    }
    panic!("it goes in circles: {requests:?}");
}

/// Does to a request what the API server would, and to the tenant what Graph would; or reads it.
fn perform(action: Option<Action>, request: &mut TapRequest, input: usize) -> Outcome {
    let written = |request: &TapRequest| Outcome::Written(Arc::new(request.clone()));
    match action {
        None => Outcome::Request(Some(Arc::new(request.clone()))),
        Some(Action::WriteStatus(status)) => {
            is_in_bounds(&status, input);
            request.status = Some(*status);
            written(request)
        }
        Some(Action::RecordIntent(intent, _)) => {
            let text = annotate(request, &intent);
            assert!(text <= OWN_WORDS + REPEATED * input, "{text} bytes");
            request.metadata.finalizers.get_or_insert_default().push(FINALIZER.to_owned());
            written(request)
        }
        Some(Action::Release(intent)) => {
            request.metadata.finalizers = None;
            if let Some(intent) = intent {
                annotate(request, &intent);
            }
            written(request)
        }
        Some(Action::Post(intent)) => {
            let made = TapMethod {
                id: "33333333-0000-4000-8000-000000000001".into(),
                created: Some(NOW),
                start: intent.start,
                lifetime_minutes: Some(intent.lifetime_minutes),
                one_time: Some(intent.one_time_use),
                usable: None,
                reason: None,
            };
            Outcome::Posted(Posted::Made(Box::new(made), NOW))
        }
        Some(Action::CreateSecret) => {
            Outcome::SecretCreated(SecretCreation::Yes("secret-1".into()))
        }
        Some(Action::DeleteSecret(_)) => Outcome::SecretDeleted(Ok(true)),
        Some(Action::DeletePass { .. }) => Outcome::PassDeleted(Ok(())),
        Some(Action::DeleteRequest) => Outcome::RequestDeleted,
    }
}

fn annotate(request: &mut TapRequest, intent: &Intent) -> usize {
    let text = intent.to_annotation();
    let length = text.len();
    let annotations = request.metadata.annotations.get_or_insert_default();
    annotations.insert(INTENT_ANNOTATION.to_owned(), text);
    length
}

/// A minute after the usual request was made, in every tenant.
fn moment() -> Moment<'static> {
    Moment { at: Duration::from_secs(60), graph: &|_| Now::exactly(NOW) }
}

/// What a quiet tenant answers.
pub fn answer(question: Question) -> Outcome {
    match question {
        Question::Method => Outcome::Method(Ok(method())),
        Question::User { .. } => Outcome::User(Ok(User {
            id: USER_ID.into(),
            user_principal_name: "alice@contoso.com".into(),
            display_name: None,
            account_enabled: Some(true),
            user_type: Some("Member".into()),
            identities: Vec::new(),
            mail_addresses: Vec::new(),
            created: None,
            external_user_state: None,
            is_management_restricted: false,
        })),
        Question::People { names } => {
            let found = names.into_iter().map(|(name, _)| (name, Namesakes::default()));
            Outcome::People(Ok(found.collect()))
        }
        Question::Groups { ids, .. } => Outcome::Groups(Ok(ids)),
        Question::GroupStates { ids } => {
            let seen = ids.into_iter().map(|id| (id, GroupState::Seen));
            Outcome::GroupStates(Ok(seen.collect()))
        }
        Question::UserByMail { .. } => Outcome::UserByMail(Ok(None)),
        Question::SignInMethods { .. } => Outcome::SignInMethods(Ok(Vec::new())),
        Question::Roles { .. } => Outcome::Roles(Ok(Vec::new())),
        Question::Eligibility { .. } => Outcome::Eligibility(Ok(Eligibility::None)),
        Question::ListedRoles { .. } => Outcome::ListedRoles(Ok(ListedRoles::default())),
        Question::SignInRules { .. } => Outcome::SignInRules(Ok(SignInRules::WhatIf)),
        Question::SignIn { .. } => Outcome::SignIn(Ok(SignInSeen::NotOffered)),
        Question::Passes { user, .. } => {
            Outcome::Passes(user, Ok(Listed { passes: Vec::new(), date: NOW }))
        }
        Question::SecretDryRun => Outcome::SecretDryRun(SecretDryRun::Accepted),
        Question::Secret => Outcome::Secret { found: SecretFound::Absent, unfenced_for: None },
        Question::Permission { .. } => Outcome::Permitted(Ok(true)),
        Question::Labels => Outcome::Labels(Ok(Labels::new())),
        Question::Brakes => Outcome::Brakes(Brakes {
            stop: Stop::Off,
            suspended: false,
            policy: Some(PolicyVersion { uid: None, generation: Some(1) }),
        }),
    }
}

/// What is done about the tenant of a policy, of which little is seen; the number of steps.
pub fn policy(policy: &TapPolicy, input: usize) -> usize {
    policy_seeing(policy, input, &[], &Arc::default(), &[])
}

/// The same with an app that holds these permissions, and sees these Conditional Access policies and strengths.
pub fn policy_seeing(
    policy: &TapPolicy,
    input: usize,
    held: &[&str],
    access_policies: &Arc<[AccessPolicy]>,
    strengths: &[AuthenticationStrength],
) -> usize {
    let (mut policy, connection) = (policy.clone(), connection());
    let terms = terms(&policy);
    let mut reads = PolicyReads::default();
    for steps in 1..=MOST_STEPS {
        let step = tap_operator::decision::policy::next(&PolicySituation {
            policy: &policy,
            terms: terms.as_ref(),
            now: NOW,
            connection: Some(&connection),
            rivals: &[],
            uses: Uses::default(),
            stop: &StopOrder::OFF,
            settle: jiff::SignedDuration::from_secs(150),
            correction: None,
            sign_ins_given: true,
            what_if_offered: true,
            logs_refused: None,
            reads: &reads,
        });
        match step {
            PolicyStep::Rest(_) => return steps,
            PolicyStep::Ask(PolicyQuestion::Permissions) => {
                reads.permissions = Some(Ok(held.iter().map(ToString::to_string).collect()));
            }
            PolicyStep::Ask(PolicyQuestion::Method) => reads.method = Some(Ok(method())),
            PolicyStep::Ask(PolicyQuestion::Groups(_)) => reads.groups = Some(Ok(Vec::new())),
            PolicyStep::Ask(PolicyQuestion::AccessPolicies) => {
                reads.access_policies = Some(Ok(Arc::clone(access_policies)));
            }
            PolicyStep::Ask(PolicyQuestion::Strengths) => {
                reads.strengths = Some(Ok(strengths.to_vec()));
            }
            PolicyStep::WriteStatus(status) => {
                is_in_bounds(&status, input);
                policy.status = Some(*status);
            }
            PolicyStep::Correct { difference, .. } => {
                assert!(difference.sentence().len() <= OWN_WORDS + REPEATED * input, "too long");
                return steps;
            }
        }
    }
    panic!("it goes in circles: {}", serde_json::to_string(&policy).unwrap_or_default());
}

//! All that does not change in any scenario, and how the facts of the model read in the words of the product.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use tap_operator::api::{TapPolicy, TapRequest, yaml};
use tap_operator::decision::admission::Guard;
use tap_operator::decision::clock::Now;
use tap_operator::decision::ids::{Uid, UserKey};
use tap_operator::decision::outcome::Outcome;
use tap_operator::decision::requests::Requests;
use tap_operator::decision::situation::{
    Brakes, Connection, PolicyFound, Settings, SignInRules, Stop, Surroundings,
};
use tap_operator::decision::step::Question;
use tap_operator::decision::terms::{PolicyVersion, Terms};
use tap_operator::entra::{
    Cloud, ErrorKind, GraphError, GraphTarget, MethodConfiguration, MethodState, TapMethod,
    UsabilityReason, User,
};

use super::clock::{LIFETIME_MINUTES, SETTLE, TIMEOUT, Tick, USE_CHECK, length, time};
use super::tenant::{PassNo, ProcessNo, RequestNo, Seen};

/// The name of the tenant connection.
const CONNECTION: &str = "default";
const POLICY: &str = "contoso";
pub const TENANT: &str = "tenant";
const USER: &str = "11111111-0000-4000-8000-000000000001";
/// No scenario has more requests.
const REQUESTS: RequestNo = 2;

/// Why a call to Graph failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Failure {
    NotFound,
    /// It was refused, and had no effect.
    Refused,
    NoAnswer,
}

/// All that does not change.
pub struct World {
    settings: Settings,
    policy: TapPolicy,
    terms: Terms,
    namespace: Namespace,
    connection: Connection,
    guard: Guard,
    uids: Vec<Uid>,
}

impl Default for World {
    fn default() -> Self {
        let policy = format!(
            "{{apiVersion: tap-operator.io/v1alpha1, kind: TapPolicy, metadata: {{name: {POLICY}, generation: 1}}, \
             spec: {{tenant: {CONNECTION}, issuance: {{namespaces: {{names: [helpdesk]}}, users: {{domains: [contoso.com]}}, \
             directoryRoleHolders: Allow, lifetime: {{default: {LIFETIME_MINUTES}m}}, \
             approval: {{required: 0, timeout: {TIMEOUT}}}, replaceExistingPass: Allowed}}}}}}"
        );
        let policy: TapPolicy = yaml::read(&policy).expect("a policy");
        let issuance = policy.spec.issuance.as_ref().expect("it issues passes");
        Self {
            terms: Terms::of(issuance),
            settings: Settings { settle: length(SETTLE), use_check: length(USE_CHECK) },
            policy,
            namespace: Namespace::default(),
            connection: Connection {
                name: CONNECTION.into(),
                tenant_id: TENANT.into(),
                client_id: "app".into(),
                cloud: Cloud::Global,
                users: None,
                ceilings: std::sync::Arc::default(),
            },
            guard: Guard::Overridden,
            uids: (0..REQUESTS).map(|number| Uid::from(&*format!("uid-{number}"))).collect(),
        }
    }
}

impl World {
    /// A state machine that has seen the policy, and no request yet.
    pub fn machine(&self, now: Tick) -> Requests {
        let mut requests = Requests::new(self.settings, [self.connection.clone()].into());
        at(now, |moment| requests.set_policy(POLICY, Some(self.terms.bounds), moment));
        requests
    }

    pub fn uid(&self, request: RequestNo) -> &Uid {
        &self.uids[usize::from(request)]
    }

    /// What surrounds a request, for one process and its next attempt.
    pub fn surroundings<'a>(
        &'a self,
        now: Tick,
        holder: &'a str,
        lease_is_fresh: bool,
        new_attempt: &'a str,
    ) -> Surroundings<'a> {
        Surroundings {
            now: Now::exactly(time(now)),
            settings: &self.settings,
            policy: PolicyFound::Found(&self.policy),
            terms: Some(&self.terms),
            namespace: Some(&self.namespace),
            connection: Some(&self.connection),
            stop: Stop::Off,
            guard: &self.guard,
            holder,
            lease_is_fresh,
            new_attempt,
        }
    }

    /// A request that was just created.
    pub fn request(&self, number: RequestNo, on_existing_pass: &str) -> TapRequest {
        let (name, uid) = (request_name(number), self.uid(number));
        let request = format!(
            "{{apiVersion: tap-operator.io/v1alpha1, kind: TapRequest, metadata: {{name: {name}, namespace: helpdesk, \
             uid: {uid}, generation: 1}}, spec: {{policyRef: {{name: {POLICY}}}, user: alice@contoso.com, \
             onExistingPass: {on_existing_pass}}}}}"
        );
        let mut request: TapRequest = yaml::read(&request).expect("a request");
        request.metadata.creation_timestamp = Some(Time(time(0)));
        request
    }

    /// The answer to a question that nothing can come between.
    pub fn answer_at_once(question: &Question, is_enabled: bool) -> Option<Outcome> {
        match question {
            Question::Method => Some(Outcome::Method(Ok(method()))),
            Question::User { .. } => Some(Outcome::User(Ok(user(is_enabled)))),
            Question::UserByMail { .. }
            | Question::People { .. }
            | Question::Groups { .. }
            | Question::GroupStates { .. }
            | Question::SignInMethods { .. }
            | Question::Roles { .. }
            | Question::Eligibility { .. }
            | Question::ListedRoles { .. } => {
                panic!(
                    "the policy asks for neither groups nor roles, no names are mapped, and no user is missing"
                )
            }
            Question::Labels => panic!("the policy admits the namespace by its name"),
            Question::Permission { .. } => Some(Outcome::Permitted(Ok(true))),
            // The app may not see Conditional Access.
            Question::SignInRules { .. } => Some(Outcome::SignInRules(Ok(SignInRules::NotSeen))),
            Question::SignIn { .. } => panic!("nothing of Conditional Access is seen"),
            Question::Passes { .. }
            | Question::SecretDryRun
            | Question::Secret
            | Question::Brakes => None,
        }
    }

    /// Stop and suspension: there is neither. What cannot be read counts as a stop.
    pub fn brakes(&self, answered: bool) -> Brakes {
        if answered {
            let policy = Some(PolicyVersion::of(&self.policy.metadata));
            Brakes { stop: Stop::Off, suspended: false, policy }
        } else {
            Brakes { stop: Stop::On, suspended: false, policy: None }
        }
    }
}

/// Does something at a moment, by the local clock and by Graph's.
pub fn at<T>(now: Tick, does: impl FnOnce(tap_operator::decision::requests::Moment) -> T) -> T {
    let graph = |_: Option<&str>| Now::exactly(time(now));
    does(tap_operator::decision::requests::Moment { at: super::clock::local(now), graph: &graph })
}

/// The user of all requests.
pub fn user_key() -> UserKey {
    UserKey::new(TENANT, USER)
}

/// Names of what is numbered, for the objects.
pub fn pass_name(number: PassNo) -> String {
    format!("pass-{number}")
}
pub fn attempt_name(number: u8) -> String {
    format!("attempt-{number}")
}
pub fn secret_uid(number: u8) -> String {
    format!("secret-{number}")
}
pub fn process_name(number: ProcessNo) -> String {
    format!("process-{number}")
}
fn request_name(number: RequestNo) -> String {
    format!("request-{number}")
}

/// The number in such a name.
pub fn number(name: &str) -> Option<u8> {
    name.rsplit_once('-')?.1.parse().ok()
}

/// How Graph tells of a pass.
pub fn tap_method(seen: Seen) -> TapMethod {
    let created: Timestamp = time(seen.created);
    let reason = match (seen.used, seen.expired) {
        (true, _) => UsabilityReason::OneTimeUsed,
        (false, true) => UsabilityReason::Expired,
        (false, false) => UsabilityReason::EnabledByPolicy,
    };
    TapMethod {
        id: pass_name(seen.pass),
        created: Some(created),
        start: Some(created),
        lifetime_minutes: Some(LIFETIME_MINUTES),
        one_time: Some(true),
        usable: Some(!seen.used && !seen.expired),
        reason: Some(reason),
    }
}

/// A failed call to Graph.
pub fn error(failure: Failure) -> GraphError {
    let kind = match failure {
        Failure::NotFound => ErrorKind::NotFound,
        Failure::Refused => ErrorKind::Throttled,
        Failure::NoAnswer => ErrorKind::Unavailable,
    };
    GraphError {
        call: "call",
        kind,
        status: None,
        code: String::new(),
        message: String::new(),
        request_id: None,
        client_request_id: None,
        retry_after: None,
    }
}

fn method() -> MethodConfiguration {
    MethodConfiguration {
        state: MethodState::Enabled,
        default_lifetime_minutes: Some(60),
        minimum_lifetime_minutes: Some(1),
        maximum_lifetime_minutes: Some(480),
        default_length: Some(8),
        one_time_required: Some(false),
        include: vec![GraphTarget {
            id: "all_users".into(),
            target_type: "group".into(),
            is_registration_required: None,
        }],
        exclude: Vec::new(),
    }
}

fn user(is_enabled: bool) -> User {
    User {
        id: USER.into(),
        user_principal_name: "alice@contoso.com".into(),
        display_name: None,
        account_enabled: Some(is_enabled),
        user_type: Some("Member".into()),
        identities: Vec::new(),
        mail_addresses: Vec::new(),
        created: None,
        external_user_state: None,
        is_management_restricted: false,
    }
}

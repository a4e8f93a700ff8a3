//! From a view of the model to the situation that the core decides on.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use tap_operator::api::{TapPolicy, TapRequest, yaml};
use tap_operator::decision::admission::Guard;
use tap_operator::decision::clock::Now;
use tap_operator::decision::life;
use tap_operator::decision::life::situation::{
    self, Brakes, Connection, PolicyFound, Settings, Situation, Stop,
};
use tap_operator::decision::life::step::Step;
use tap_operator::graph::{
    Cloud, ErrorKind, GraphError, GraphTarget, MethodConfiguration, MethodState, TapMethod,
    UsabilityReason, User,
};

use super::clock::{LIFETIME, LIFETIME_MINUTES, SETTLE, TIMEOUT, length, time};
use super::objects::{ObjectId, Objects, attempt_name, pass_name, request_name};
use super::replica::{
    Cause, Failure, Known, Memory, Reads, Secret, Seen, Sent, Told, Turn, View, Written,
};
use super::tenant::RequestNo;

/// How often an active pass is looked at, in ticks.
const USE_CHECK: u8 = 2;

/// All that does not change, and the objects.
pub struct Mind {
    pub objects: Objects,
    settings: Settings,
    policy: TapPolicy,
    namespace: Namespace,
    connection: Connection,
    guard: Guard,
}

impl Default for Mind {
    fn default() -> Self {
        let policy = format!(
            "{{apiVersion: tap-operator.io/v1alpha1, kind: TapPolicy, metadata: {{name: contoso}}, spec: {{tenant: default, \
             issuance: {{namespaces: {{names: [helpdesk]}}, users: {{domains: [contoso.com]}}, directoryRoleHolders: Allow, \
             lifetime: {{default: {LIFETIME_MINUTES}m}}, approval: {{required: 0, timeout: {TIMEOUT}}}, \
             replaceExistingPass: Allowed}}}}}}"
        );
        Self {
            objects: Objects::default(),
            settings: Settings { settle: length(SETTLE), use_check: length(USE_CHECK) },
            policy: yaml::read(&policy).expect("a policy"),
            namespace: Namespace::default(),
            connection: Connection {
                name: "default".into(),
                tenant_id: "tenant".into(),
                client_id: "app".into(),
                cloud: Cloud::Global,
                users: None,
            },
            guard: Guard::Overridden,
        }
    }
}

impl Mind {
    /// A request that was just created.
    pub fn request(&mut self, number: RequestNo, on_existing_pass: &str) -> ObjectId {
        let name = request_name(number);
        let request = format!(
            "{{apiVersion: tap-operator.io/v1alpha1, kind: TapRequest, metadata: {{name: {name}, namespace: helpdesk, \
             uid: uid-{number}, generation: 1}}, spec: {{policyRef: {{name: contoso}}, user: alice@contoso.com, \
             onExistingPass: {on_existing_pass}}}}}"
        );
        let mut request: TapRequest = yaml::read(&request).expect("a request");
        request.metadata.creation_timestamp = Some(Time(time(0)));
        self.objects.keep(request)
    }

    /// What the core decides.
    pub fn decide(&self, view: &View) -> Step {
        let object = self.objects.object(view.request);
        let reads = self.reads(&view.reads);
        let memory = self.memory(&view.memory);
        let new_attempt = attempt_name(view.next_attempt);
        let holder = format!("process-{}", view.process);
        let superseded_by = view.superseded_by.map(full_name);
        life::next(&Situation {
            request: &object.request,
            now: Now::exactly(time(view.now)),
            settings: &self.settings,
            policy: PolicyFound::Found(&self.policy),
            namespace: Some(&self.namespace),
            connection: Some(&self.connection),
            stop: Stop::Off,
            guard: &self.guard,
            holder: &holder,
            lease_is_fresh: view.lease_is_fresh,
            new_attempt: &new_attempt,
            superseded_by: superseded_by.as_deref(),
            reads: &reads,
            memory: &memory,
        })
    }

    fn reads(&self, reads: &Reads) -> situation::Reads {
        situation::Reads {
            method: Some(Ok(method())),
            user: Some(Ok(user())),
            groups: Some(Ok(Vec::new())),
            roles: Some(Ok(Vec::new())),
            eligibility: Some(Ok(situation::Eligibility::None)),
            slot: Some(situation::Slot::Ours),
            turn: reads.turn.map(|turn| match turn {
                Turn::Ours => situation::Turn::Ours,
                Turn::Busy => situation::Turn::Busy,
                Turn::Of(other) => situation::Turn::Of(full_name(other)),
            }),
            passes: reads.passes.map(|passes| {
                let [listed, not_yet] = passes.map_err(error)?;
                let known = listed.iter().filter_map(|listed| {
                    let known = match listed.known? {
                        Known::Recorded(other) => situation::Known::Recorded(full_name(other)),
                        Known::Gone => situation::Known::Gone,
                    };
                    Some((pass_name(listed.seen.pass), known))
                });
                Ok(situation::Listing {
                    passes: listed.iter().map(|listed| tap_method(listed.seen)).collect(),
                    date: time(reads.passes_date),
                    known: known.collect(),
                    unlisted: not_yet.and_then(|unlisted| match unlisted.known? {
                        Known::Recorded(other) => Some(situation::Unlisted {
                            request: full_name(other),
                            pass_id: pass_name(unlisted.seen.pass),
                        }),
                        Known::Gone => None,
                    }),
                })
            }),
            passes_asked_at: reads.passes_asked_at.map(time),
            pass: reads.pass.map(|seen| seen.map(tap_method).map_err(error)),
            place: reads
                .place_is_free
                .map(|free| if free { situation::Place::Free } else { situation::Place::Taken }),
            secret: reads.secret.map(|secret| match secret {
                Secret::Absent => situation::SecretFound::Absent,
                Secret::Ours(uid) => situation::SecretFound::Ours(secret_uid(uid)),
                Secret::Deleted => situation::SecretFound::Deleted,
                Secret::Unclear => situation::SecretFound::Unclear("no answer".into()),
            }),
            listed_since: reads.listed_since,
            brakes: Some(Brakes {
                stop: Stop::Off,
                suspended: false,
                policy_generation: self.policy.metadata.generation,
            }),
            deleted: reads.deleted.map(|deleted| deleted.map_err(error)),
        }
    }

    fn memory(&self, memory: &Memory) -> situation::Memory {
        let attempt = memory.attempt.as_ref().map(|attempt| {
            let kept = self.objects.intent(attempt.intent);
            let (intent, grounds) = (*kept).clone();
            let progress = match &attempt.progress {
                Sent::Armed => situation::Progress::Armed,
                Sent::Unknown => situation::Progress::Sent,
                Sent::Void => situation::Progress::Void,
                Sent::Held { pass, created, secret } => {
                    situation::Progress::Held(situation::Held {
                        pass_id: pass_name(*pass),
                        start: time(*created),
                        expires: time(created + LIFETIME),
                        one_time: true,
                        secret: match secret {
                            Written::NotYet => situation::SecretWritten::NotYet,
                            Written::Created(uid) => {
                                situation::SecretWritten::Created(secret_uid(*uid))
                            }
                            Written::Refused => situation::SecretWritten::Refused,
                            Written::Unknown => situation::SecretWritten::Unknown,
                            Written::Removed => situation::SecretWritten::Removed,
                        },
                    })
                }
            };
            situation::Attempt { intent, grounds, progress }
        });
        situation::Memory {
            attempt,
            pass_missing: memory.pass_missing.map(told),
            user_missing: None,
            existing: memory.existing.map(|(pass, seen)| (pass_name(pass), told(seen))),
            looked_at: memory.looked_at.map(time),
            setback: memory.setback.map(|setback| situation::Setback {
                since: time(setback.since),
                last: time(setback.last),
                cause: match setback.cause {
                    Cause::Refused => situation::Cause::Graph(failure(ErrorKind::Throttled)),
                    Cause::Secret => situation::Cause::Secret("no answer".into()),
                    Cause::HeldBack => situation::Cause::HeldBack,
                },
            }),
        }
    }
}

fn told(told: Told) -> situation::Told {
    let first = situation::Told::again(None, time(told.first), time(told.first));
    situation::Told::again(Some(first), time(told.last), time(told.last))
}

fn full_name(request: RequestNo) -> String {
    format!("helpdesk/{}", request_name(request))
}

fn secret_uid(number: u8) -> String {
    format!("secret-{number}")
}

fn error(failed: Failure) -> GraphError {
    failure(match failed {
        Failure::NotFound => ErrorKind::NotFound,
        Failure::NoAnswer => ErrorKind::Unavailable,
    })
}

fn failure(kind: ErrorKind) -> GraphError {
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

fn tap_method(seen: Seen) -> TapMethod {
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

fn user() -> User {
    User {
        id: "11111111-0000-4000-8000-000000000001".into(),
        user_principal_name: "alice@contoso.com".into(),
        display_name: None,
        account_enabled: Some(true),
        user_type: Some("Member".into()),
        identities: Vec::new(),
        external_user_state: None,
    }
}

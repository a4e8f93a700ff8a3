//! The life of a request, decided step by step by a small interpreter: it answers each look as the test has it, notes
//! each action, and does to the request what the API server would.

mod absence;
mod between;
mod order;
mod quota;
mod reasons;
mod recovery;
mod trouble;

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use serde_json::json;

use super::next;
use super::situation::{
    Attempt, Brakes, Cause, Connection, Eligibility, Grounds, Held, Known, Listing, Memory, Place,
    PolicyFound, Progress, Reads, SecretFound, SecretWritten, Setback, Settings, Situation, Slot,
    Stop, Told, Turn, Unlisted,
};
use super::step::{Action, Look, Rest, Step};
use crate::api::names::{FINALIZER, INTENT_ANNOTATION};
use crate::api::{Phase, TapPolicy, TapRequest, yaml};
use crate::decision::admission::Guard;
use crate::decision::clock::Now;
use crate::decision::intent::{Intent, Stage, has_finalizer};
use crate::decision::quota::{Bound, Reached};
use crate::graph::{
    Cloud, DirectoryRole, EligibleRole, ErrorKind, GraphError, GraphTarget, MethodConfiguration,
    MethodState, TapMethod, UsabilityReason, User, UserNameForm, UserNames,
};

const USER_ID: &str = "11111111-0000-4000-8000-000000000001";

const FULL: Reached = Reached { bound: Bound::Namespace, live: 20, allowed: 20 };

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

fn error(kind: ErrorKind) -> GraphError {
    GraphError {
        call: "test",
        kind,
        status: None,
        code: String::new(),
        message: String::new(),
        request_id: None,
        client_request_id: None,
        retry_after: None,
    }
}

/// A request in its world, driven by the core.
struct Life {
    now: Timestamp,
    /// How much later it may be at Graph.
    uncertain_by: SignedDuration,
    request: TapRequest,
    policy: Option<TapPolicy>,
    /// Why this version cannot read the policy, where it cannot.
    unreadable: Option<&'static str>,
    namespace: Option<Namespace>,
    connection: Option<Connection>,
    guard: Guard,
    /// What the guard is from the moment on in which the intent is written.
    guard_at_post: Option<Guard>,
    /// What others do as soon as this was done.
    meanwhile: (&'static str, fn(&mut Life)),
    /// What happens just before passes are listed.
    before_a_list: fn(&mut Life),
    stop: Stop,
    brakes: Brakes,
    lease_is_fresh: bool,
    /// How long the process stands still after each look at passes.
    stands_still_after_a_look: SignedDuration,
    /// Whether the lease is lost while the Secret is being created.
    lease_lost_with_the_secret: bool,
    method: Result<MethodConfiguration, GraphError>,
    user: Result<User, GraphError>,
    member_of: Result<(), GraphError>,
    eligibility: Result<Eligibility, GraphError>,
    roles: Vec<DirectoryRole>,
    slot: Slot,
    passes: Result<Vec<TapMethod>, GraphError>,
    /// How long a list takes.
    list_takes: SignedDuration,
    seen: Result<TapMethod, GraphError>,
    turn: Turn,
    place: Place,
    secret: SecretFound,
    post: fn(&Intent, Timestamp) -> Posted,
    delete_pass: Result<(), GraphError>,
    /// What becomes of a Secret that is created.
    create_secret: SecretWritten,
    /// Why Secrets cannot be deleted.
    stuck_secret: Option<&'static str>,
    /// What is known of the listed passes.
    known: HashMap<String, Known>,
    unlisted: Option<Unlisted>,
    holder: &'static str,
    memory: Memory,
    done: Vec<String>,
    attempts: u32,
}

enum Posted {
    Made(TapMethod),
    Lost,
    Refused,
}

fn made(intent: &Intent, now: Timestamp) -> Posted {
    Posted::Made(pass("ours", now, intent.lifetime_minutes, intent.one_time_use))
}

fn pass(id: &str, start: Timestamp, minutes: u32, one_time: bool) -> TapMethod {
    TapMethod {
        id: id.into(),
        created: Some(start),
        start: Some(start),
        lifetime_minutes: Some(minutes),
        one_time: Some(one_time),
        usable: Some(true),
        reason: Some(UsabilityReason::EnabledByPolicy),
    }
}

/// As the shell remembers it: only Graph's word that there is no such thing counts.
fn note_missing<T>(told: &mut Option<Told>, read: &Result<T, GraphError>, now: Timestamp) {
    match read {
        Ok(_) => *told = None,
        Err(error) if error.is_not_found() => *told = Some(Told::again(*told, now, now)),
        Err(_) => {}
    }
}

impl Life {
    fn new() -> Self {
        let request = yaml::read(
            "{apiVersion: tap-operator.io/v1alpha1, kind: TapRequest, metadata: {name: lost-phone, namespace: helpdesk, \
             uid: uid-1, resourceVersion: '1', generation: 1}, spec: {policyRef: {name: contoso}, user: alice@contoso.com, lifetime: 1h}}",
        );
        let mut request: TapRequest = request.unwrap();
        request.metadata.creation_timestamp = Some(Time(at(0)));
        let policy = yaml::read(
            "{apiVersion: tap-operator.io/v1alpha1, kind: TapPolicy, metadata: {name: contoso}, spec: {tenant: default, issuance: \
             {namespaces: {names: [helpdesk]}, users: {domains: [contoso.com]}, lifetime: {maximum: 8h}, directoryRoleHolders: Allow, \
             approval: {required: 0}}}}",
        );
        let user = User {
            id: USER_ID.into(),
            user_principal_name: "alice@contoso.com".into(),
            display_name: None,
            account_enabled: Some(true),
            user_type: Some("Member".into()),
            identities: Vec::new(),
            external_user_state: None,
        };
        let everybody = GraphTarget {
            id: "all_users".into(),
            target_type: "group".into(),
            is_registration_required: None,
        };
        Self {
            now: at(10),
            uncertain_by: SignedDuration::ZERO,
            request,
            policy: Some(policy.unwrap()),
            unreadable: None,
            namespace: Some(Namespace::default()),
            connection: Some(Connection {
                name: "default".into(),
                tenant_id: "tenant".into(),
                client_id: "app".into(),
                cloud: Cloud::Global,
                users: Some(UserNames {
                    prefix: String::new(),
                    form: UserNameForm::UserPrincipalName,
                }),
            }),
            guard: Guard::InForce(at(0)),
            guard_at_post: None,
            meanwhile: ("", |_| {}),
            before_a_list: |_| {},
            stop: Stop::Off,
            brakes: Brakes { stop: Stop::Off, suspended: false, policy_generation: None },
            lease_is_fresh: true,
            stands_still_after_a_look: SignedDuration::ZERO,
            lease_lost_with_the_secret: false,
            method: Ok(MethodConfiguration {
                state: MethodState::Enabled,
                default_lifetime_minutes: Some(60),
                minimum_lifetime_minutes: Some(60),
                maximum_lifetime_minutes: Some(480),
                default_length: Some(8),
                one_time_required: Some(false),
                include: vec![everybody],
                exclude: vec![],
            }),
            user: Ok(user),
            member_of: Ok(()),
            eligibility: Ok(Eligibility::None),
            roles: vec![],
            slot: Slot::Ours,
            passes: Ok(vec![]),
            list_takes: SignedDuration::ZERO,
            seen: Ok(pass("ours", at(10), 60, true)),
            turn: Turn::Ours,
            place: Place::Free,
            secret: SecretFound::Absent,
            post: made,
            delete_pass: Ok(()),
            create_secret: SecretWritten::Created("s1".into()),
            stuck_secret: None,
            known: HashMap::new(),
            unlisted: None,
            holder: "a",
            memory: Memory::default(),
            done: Vec::new(),
            attempts: 0,
        }
    }

    /// Runs one pass and answers with the rest that it ends in.
    fn pass(&mut self) -> Rest {
        let settings = Settings {
            settle: SignedDuration::from_secs(150),
            use_check: SignedDuration::from_secs(60),
        };
        let mut reads = Reads::default();
        for _ in 0..50 {
            self.attempts += 1;
            let new_attempt = format!("attempt-{}", self.attempts);
            let request = self.request.clone();
            let step = next(&Situation {
                request: &request,
                now: Now { earliest: self.now, latest: self.now + self.uncertain_by },
                settings: &settings,
                policy: match (self.unreadable, &self.policy) {
                    (Some(why), _) => PolicyFound::Unreadable(why),
                    (None, Some(policy)) => PolicyFound::Found(policy),
                    (None, None) => PolicyFound::Missing,
                },
                namespace: self.namespace.as_ref(),
                connection: self.connection.as_ref(),
                stop: self.stop,
                guard: &self.guard,
                holder: self.holder,
                lease_is_fresh: self.lease_is_fresh,
                new_attempt: &new_attempt,
                superseded_by: None,
                reads: &reads,
                memory: &self.memory,
            });
            match step {
                Step::Look(look) => self.look(&look, &mut reads),
                Step::Act(action) => {
                    self.act(action, &mut reads);
                    let (when, happens) = self.meanwhile;
                    if self.done.last().is_some_and(|done| done == when) {
                        happens(self);
                    }
                }
                Step::Rest(rest) => return rest,
            }
        }
        panic!("it goes in circles: {:?}", self.done);
    }

    fn look(&mut self, look: &Look, reads: &mut Reads) {
        match look {
            Look::Method => reads.method = Some(self.method.clone()),
            Look::User => {
                note_missing(&mut self.memory.user_missing, &self.user, self.now);
                reads.user = Some(self.user.clone());
            }
            Look::Groups { .. } => reads.groups = Some(self.member_of.clone().map(|()| vec![])),
            Look::Roles { .. } => {
                reads.roles = Some(self.member_of.clone().map(|()| self.roles.clone()));
            }
            Look::Eligibility { .. } => reads.eligibility = Some(self.eligibility.clone()),
            Look::Slot(_) => reads.slot = Some(self.slot),
            Look::Turn { .. } => reads.turn = Some(self.turn.clone()),
            Look::Passes { .. } => {
                (self.before_a_list)(self);
                let listing = self.passes.clone().map(|passes| Listing {
                    passes,
                    date: self.now,
                    known: self.known.clone(),
                    unlisted: self.unlisted.clone(),
                });
                if let Ok(found) = &listing
                    && let Some(existing) = super::existing_pass(found)
                {
                    let before = self.memory.existing.take().filter(|(id, _)| *id == existing.id);
                    let told = Told::again(before.map(|(_, told)| told), self.now, self.now);
                    self.memory.existing = Some((existing.id.clone(), told));
                }
                reads.passes = Some(listing);
                reads.passes_asked_at = Some(self.now);
                reads.listed_since = true;
                self.now += self.list_takes;
            }
            Look::Pass { .. } => {
                note_missing(&mut self.memory.pass_missing, &self.seen, self.now);
                self.memory.looked_at = Some(self.now);
                reads.pass = Some(self.seen.clone());
            }
            Look::Place => reads.place = Some(self.place.clone()),
            Look::Secret => {
                reads.secret = Some(self.secret.clone());
                reads.listed_since = false;
            }
            Look::Brakes => reads.brakes = Some(self.brakes),
        }
        if matches!(look, Look::Passes { .. } | Look::Pass { .. }) {
            self.now += self.stands_still_after_a_look;
        }
    }

    // One arm for each action, side by side with what the API server and Graph would do.
    #[allow(clippy::too_many_lines)]
    fn act(&mut self, action: Action, reads: &mut Reads) {
        match action {
            Action::WriteStatus(status) => {
                self.done.push(format!("status {}", status.phase));
                if status.phase == Phase::Active {
                    self.memory.attempt = None;
                    self.memory.looked_at = Some(self.now);
                }
                self.request.status = Some(*status);
            }
            Action::RecordIntent(intent, grounds) => {
                let issuing = intent.stage == Stage::Issuing;
                self.done.push(if issuing { "intent" } else { "raise" }.into());
                self.guard = self.guard_at_post.take().unwrap_or_else(|| self.guard.clone());
                self.annotate(&intent);
                self.request.metadata.finalizers = Some(vec![FINALIZER.into()]);
                self.memory.attempt = issuing.then_some(Attempt {
                    intent: *intent,
                    grounds,
                    progress: Progress::Armed,
                });
                *reads = Reads {
                    method: reads.method.take(),
                    user: reads.user.take(),
                    ..Reads::default()
                };
            }
            Action::Release(intent) => {
                self.done.push("release".into());
                if let Some(intent) = intent {
                    assert!(!intent.is_open(), "the finalizer goes only with a closed intent");
                    self.annotate(&intent);
                }
                self.request.metadata.finalizers = None;
                if matches!(
                    self.memory.attempt.take(),
                    Some(Attempt { progress: Progress::Armed, .. })
                ) {
                    self.set_back(Cause::HeldBack);
                }
                *reads = Reads::default();
            }
            Action::Post(intent) => {
                self.done.push("post".into());
                let attempt = self.memory.attempt.as_mut().unwrap();
                attempt.progress = match (self.post)(&intent, self.now) {
                    Posted::Made(made) => Progress::Held(Held {
                        pass_id: made.id,
                        start: made.start.unwrap(),
                        expires: made.start.unwrap() + SignedDuration::from_mins(60),
                        one_time: made.one_time.unwrap(),
                        secret: SecretWritten::NotYet,
                    }),
                    Posted::Lost => Progress::Sent,
                    Posted::Refused => Progress::Void,
                };
                if matches!(attempt.progress, Progress::Void) {
                    self.set_back(Cause::Graph(error(ErrorKind::BadRequest)));
                }
                reads.passes = None;
            }
            Action::CreateSecret => {
                self.done.push("secret".into());
                self.lease_is_fresh &= !self.lease_lost_with_the_secret;
                let Some(Attempt { progress: Progress::Held(held), .. }) = &mut self.memory.attempt
                else {
                    panic!()
                };
                held.secret = self.create_secret.clone();
                match &self.create_secret {
                    SecretWritten::Created(uid) => self.secret = SecretFound::Ours(uid.clone()),
                    _ => self.set_back(Cause::Secret("no".into())),
                }
            }
            Action::DeleteSecret(uid) => {
                assert_eq!(
                    self.secret,
                    SecretFound::Ours(uid),
                    "only our own Secret is deleted, by its uid"
                );
                if let Some(why) = self.stuck_secret {
                    reads.secret = Some(SecretFound::Unclear(why.into()));
                    return;
                }
                self.done.push("delete secret".into());
                self.secret = SecretFound::Absent;
                self.place = Place::Free;
                reads.secret = Some(SecretFound::Deleted);
                reads.place = None;
                if let Some(Attempt { progress: Progress::Held(held), .. }) =
                    &mut self.memory.attempt
                {
                    held.secret = SecretWritten::Removed;
                }
            }
            Action::DeletePass { pass_id, .. } => {
                self.done.push(format!("delete pass {pass_id}"));
                if let (Ok(passes), Ok(())) = (&mut self.passes, &self.delete_pass) {
                    passes.retain(|pass| pass.id != pass_id);
                }
                reads.deleted = Some(self.delete_pass.clone());
            }
            Action::Forget => {
                self.done.push("forget".into());
                self.memory.attempt = None;
                *reads = Reads::default();
            }
            Action::DeleteRequest => {
                self.done.push("delete request".into());
                self.request.metadata.deletion_timestamp = Some(Time(self.now));
            }
        }
    }

    fn set_back(&mut self, cause: Cause) {
        self.memory.setback = Some(Setback::after(self.memory.setback.take(), self.now, cause));
    }

    fn annotate(&mut self, intent: &Intent) {
        let annotations = self.request.metadata.annotations.get_or_insert_default();
        annotations.insert(INTENT_ANNOTATION.into(), intent.to_annotation());
    }

    /// This process ends, and another takes over.
    fn crash(&mut self) {
        self.memory = Memory::default();
        self.holder = "b";
        self.done.clear();
    }

    fn decide(&mut self, by: &str, decision: &str) {
        let mut status =
            serde_json::to_value(self.request.status.clone().unwrap_or_default()).unwrap();
        status["decisions"].as_array_mut().unwrap().push(json!({ "by": by, "decision": decision }));
        self.request.status = Some(serde_json::from_value(status).unwrap());
    }

    fn edit_spec(&mut self, edit: &str) {
        let mut spec = serde_json::to_value(&self.request.spec).unwrap();
        json_patch::merge(&mut spec, &yaml::read(edit).unwrap());
        self.request.spec = serde_json::from_value(spec).unwrap();
    }

    fn edit_policy(&mut self, edit: &str) {
        let policy = self.policy.as_mut().unwrap();
        let mut issuance = serde_json::to_value(&policy.spec.issuance).unwrap();
        json_patch::merge(&mut issuance, &yaml::read(edit).unwrap());
        policy.spec.issuance = serde_json::from_value(issuance).unwrap();
    }

    /// The request was understood before, as for another user.
    fn resolved_as(&mut self, user_id: &str) {
        let resolved = json!({
            "tenantId": "tenant", "userId": user_id, "userPrincipalName": "alice@contoso.com",
            "lifetime": "1h", "oneTimeUse": true,
        });
        let status = json!({"phase": "Pending", "decisions": [], "resolved": resolved});
        self.request.status = Some(serde_json::from_value(status).unwrap());
    }

    fn active() -> Self {
        let mut life = Self::new();
        life.pass();
        life.done.clear();
        life
    }

    fn ready(&self) -> &Condition {
        let conditions = &self.request.status.as_ref().unwrap().conditions;
        conditions.iter().find(|c| c.type_ == "Ready").unwrap()
    }

    fn reason(&self) -> &str {
        &self.ready().reason
    }

    #[track_caller]
    fn expect(&self, phase: Phase, reason: &str, done: &[&str]) {
        assert_eq!((self.request.phase(), self.reason()), (phase, reason), "{:?}", self.done);
        assert_eq!(self.done, done);
    }
}

#[test]
fn a_pass_is_issued_in_three_writes_and_one_post() {
    let mut life = Life::new();
    let rest = life.pass();
    life.expect(Phase::Active, "Issued", &["intent", "post", "secret", "status Active"]);
    assert_eq!(rest, Rest::Until(at(70)));
    assert_eq!(life.pass(), rest, "and then nothing is written");
    assert_eq!(life.done.len(), 4);
}

#[test]
fn a_secret_that_an_attempt_left_behind_makes_room() {
    let mut life = Life::new();
    (life.place, life.secret) = (Place::Taken, SecretFound::Ours("late".into()));
    life.pass();
    let done = ["delete secret", "intent", "post", "secret", "status Active"];
    life.expect(Phase::Active, "Issued", &done);
}

#[test]
fn who_waits_for_a_moment_says_nothing_and_who_waits_longer_says_for_whom() {
    let mut life = Life::new();
    life.turn = Turn::Busy;
    assert_eq!(life.pass(), Rest::For(SignedDuration::from_secs(2)));
    assert_eq!(life.done, Vec::<String>::new());
    life.turn = Turn::Of("helpdesk/first".into());
    life.pass();
    life.expect(Phase::Pending, "AnotherRequest", &["status Pending"]);
}

#[test]
fn what_a_lost_attempt_replaced_is_remembered() {
    let mut life = Life::new();
    life.edit_policy("{replaceExistingPass: Allowed}");
    life.edit_spec("{onExistingPass: Replace}");
    life.passes = Ok(vec![pass("theirs", at(0), 60, true)]);
    life.post = |_, _| Posted::Lost;
    life.pass();
    // The lost POST replaced it, and is found.
    life.passes = Ok(vec![pass("ours", at(10), 60, true)]);
    life.post = |intent, now| {
        assert_eq!(intent.replaces.as_ref().map(|r| r.pass_id.as_str()), Some("theirs"));
        made(intent, now)
    };
    life.pass();
    assert_eq!((life.request.phase(), life.reason()), (Phase::Active, "Issued"), "{:?}", life.done);
}

#[test]
fn the_longer_attempts_fail_the_longer_the_pauses() {
    let mut life = Life::new();
    life.create_secret = SecretWritten::Refused;
    let mut posts = Vec::new();
    for second in 0..600 {
        life.now = at(second);
        life.done.clear();
        life.pass();
        if life.done.contains(&"post".to_owned()) {
            posts.push(second);
        }
    }
    assert_eq!(posts, [0, 10, 20, 40, 80, 160, 280, 400, 520]);
    life.create_secret = SecretWritten::Created("s1".into());
    life.now = at(640);
    life.pass();
    assert_eq!((life.request.phase(), life.reason()), (Phase::Active, "Issued"));
}

#[test]
fn a_pass_expires_never_early() {
    let mut life = Life::active();
    life.uncertain_by = SignedDuration::from_secs(30);
    life.now = at(10 + 3600 - 1);
    life.memory.looked_at = Some(life.now);
    assert_eq!(life.pass(), Rest::Until(at(10 + 3600)));
    life.now = at(10 + 3600);
    life.pass();
    life.expect(Phase::Expired, "PassExpired", &["delete secret", "status Expired", "release"]);
}

#[test]
fn an_expiry_is_never_cut_to_an_earlier_second() {
    let mut life = Life::new();
    life.now = at(10) + SignedDuration::from_millis(1);
    life.pass();
    let pass = life.request.status.as_ref().unwrap().pass.as_ref().unwrap();
    assert_eq!(pass.expiration_time.0, at(10 + 3600 + 1));
}

#[test]
fn a_used_pass_loses_its_secret_and_is_left_to_expire() {
    let mut life = Life::active();
    life.now = at(70);
    life.seen = Ok(TapMethod {
        reason: Some(UsabilityReason::OneTimeUsed),
        ..pass("ours", at(10), 60, true)
    });
    life.pass();
    life.expect(Phase::Used, "PassUsed", &["delete secret", "status Used", "release"]);
}

#[test]
fn a_revoked_pass_goes_secret_first_then_pass_then_status_then_finalizer() {
    for decision in ["Revoke", "Deny"] {
        let mut life = Life::active();
        life.decide("helen", decision);
        life.pass();
        let reason = if decision == "Deny" { "DeniedAfterIssue" } else { "Revoked" };
        life.expect(
            Phase::Revoked,
            reason,
            &["delete secret", "delete pass ours", "status Revoked", "release"],
        );
    }
}

#[test]
fn the_stop_revokes_what_is_active_only_when_it_says_so() {
    let mut life = Life::active();
    life.stop = Stop::On;
    life.pass();
    assert_eq!(life.request.phase(), Phase::Active);
    life.stop = Stop::RevokeActive;
    life.pass();
    life.expect(
        Phase::Revoked,
        "StopRevokesActive",
        &["delete secret", "delete pass ours", "status Revoked", "release"],
    );
}

#[test]
fn while_graph_is_down_a_revocation_waits_and_ends_when_the_pass_expires() {
    let mut life = Life::active();
    life.decide("helen", "Revoke");
    life.delete_pass = Err(error(ErrorKind::Unavailable));
    let rest = life.pass();
    assert!(matches!(rest, Rest::BackoffUntil(..)), "{rest:?}");
    life.expect(Phase::Active, "Revoking", &["delete secret", "delete pass ours", "status Active"]);
    assert_eq!(life.request.status.as_ref().unwrap().secret_name, None);
    life.now = at(3610);
    life.done.clear();
    life.pass();
    life.expect(Phase::Expired, "ExpiredWhileRevoking", &["status Expired", "release"]);
}

#[test]
fn a_404_to_a_delete_counts_only_for_a_settled_pass() {
    let mut life = Life::active();
    life.decide("helen", "Revoke");
    life.delete_pass = Err(error(ErrorKind::NotFound));
    life.now = at(20);
    life.pass();
    assert_eq!(life.request.phase(), Phase::Active);
    life.now = at(10 + 30 + 150);
    life.pass();
    assert_eq!(life.request.phase(), Phase::Revoked);
}

#[test]
fn a_pass_that_is_missing_is_removed_only_when_it_stays_missing() {
    let mut life = Life::active();
    life.seen = Err(error(ErrorKind::NotFound));
    life.now = at(100);
    life.pass();
    life.expect(Phase::Active, "Issued", &[]);
    life.now = at(100 + 150);
    life.pass();
    life.expect(Phase::Revoked, "PassRemoved", &["delete secret", "status Revoked", "release"]);
}

#[test]
fn a_failed_read_is_not_absence() {
    let mut life = Life::active();
    life.seen = Err(error(ErrorKind::Unavailable));
    for minute in 1..50 {
        life.now = at(60 * minute + 30);
        life.memory.pass_missing = None;
        life.pass();
    }
    life.expect(Phase::Active, "Issued", &[]);
}

#[test]
fn after_a_lost_answer_the_pass_is_found_deleted_and_asked_for_again() {
    let mut life = Life::new();
    life.post = |_, _| Posted::Lost;
    life.pass();
    assert_eq!(life.done, ["intent", "post", "raise", "status Pending"]);
    assert_eq!(life.reason(), "Resolving");
    life.done.clear();
    life.now = at(30);
    life.passes = Ok(vec![pass("lost", at(11), 60, true)]);
    life.post = made;
    life.delete_pass = Ok(());
    life.pass();
    assert_eq!(life.done[..2], ["delete pass lost", "release"]);
    // The list showed the pass that was just deleted: with an empty one the next attempt goes out.
    life.passes = Ok(vec![]);
    life.pass();
    assert_eq!(life.request.phase(), Phase::Active);
    assert_eq!(life.done.iter().filter(|d| *d == "post").count(), 1);
}

#[test]
fn a_crash_after_the_post_is_resolved_without_a_human() {
    let mut life = Life::new();
    life.post = |_, _| Posted::Lost;
    life.pass();
    life.crash();
    life.post = made;
    life.pass();
    assert_eq!(life.done, ["raise"], "recovery begins with a write of its own, and posts nothing");
    life.now = at(10 + 149);
    life.pass();
    assert_eq!(life.done, ["raise"], "not before the settle time has passed");
    life.now = at(10 + 151);
    life.pass();
    assert_eq!(life.done[1..], ["release", "intent", "post", "secret", "status Active"]);
}

#[test]
fn a_clock_that_was_ahead_when_recovery_began_does_not_make_it_longer() {
    let mut life = Life::new();
    life.post = |_, _| Posted::Lost;
    life.pass();
    life.post = made;
    // Before Graph has told the time, its clock may be as far ahead as this.
    let mut intent = Intent::of(&life.request).unwrap();
    intent.stage = Stage::Resolving { since: at(310), no_secret: false };
    life.annotate(&intent);
    life.done.clear();
    life.now = at(20);
    life.pass();
    life.now = at(20 + 149);
    life.pass();
    assert!(!life.done.contains(&"release".into()), "too early: {:?}", life.done);
    life.now = at(20 + 151);
    life.pass();
    assert_eq!(life.done[0], "raise");
    assert_eq!(life.request.phase(), Phase::Active, "{:?}", life.done);
}

#[test]
fn a_pass_that_was_just_made_counts_though_it_is_not_listed() {
    for (wish, done) in [("Wait", vec!["status Pending"]), ("Refuse", vec!["status Pending"])] {
        let mut life = Life::new();
        life.edit_spec(&format!("{{onExistingPass: {wish}}}"));
        let (request, pass_id) = ("helpdesk/other".into(), "theirs".into());
        life.unlisted = Some(Unlisted { request, pass_id });
        life.pass();
        life.expect(Phase::Pending, "ExistingPass", &done);
        life.unlisted = None;
        life.pass();
        assert_eq!(life.request.phase(), Phase::Active, "{wish}");
    }
}

#[test]
fn a_crash_between_secret_and_status_takes_both_back_first() {
    let mut life = Life::active();
    // The status was not written.
    life.request.status = None;
    life.crash();
    life.passes = Ok(vec![pass("ours", at(10), 60, true)]);
    life.pass();
    assert_eq!(life.done[..4], ["raise", "delete secret", "delete pass ours", "release"]);
}

#[test]
fn recovery_leaves_foreign_passes_alone() {
    let foreign = [
        ("listed before", pass("old", at(10), 60, true)),
        ("another lifetime", pass("x", at(11), 90, true)),
        ("created too early", pass("x", at(-100), 60, true)),
        ("created too late", pass("x", at(500), 60, true)),
        ("another kind", pass("x", at(11), 60, false)),
    ];
    for (what, pass) in foreign {
        let mut life = Life::new();
        life.edit_spec("{onExistingPass: Wait}");
        life.post = |_, _| Posted::Lost;
        life.pass();
        let mut intent = Intent::of(&life.request).unwrap();
        intent.listed.push("old".into());
        life.annotate(&intent);
        life.crash();
        life.passes = Ok(vec![pass]);
        life.now = at(20);
        life.pass();
        life.now = at(300);
        life.pass();
        assert!(!life.done.iter().any(|d| d.starts_with("delete pass")), "{what}: {:?}", life.done);
    }
}

#[test]
fn a_lost_pass_that_was_used_ends_the_request() {
    let mut life = Life::new();
    life.post = |_, _| Posted::Lost;
    life.pass();
    life.done.clear();
    life.passes = Ok(vec![TapMethod {
        reason: Some(UsabilityReason::OneTimeUsed),
        ..pass("lost", at(11), 60, true)
    }]);
    life.pass();
    life.expect(Phase::Used, "PassUsed", &["status Used", "release"]);
}

#[test]
fn when_the_secret_fails_the_pass_is_taken_back_and_asked_for_again_later() {
    let mut life = Life::new();
    life.create_secret = SecretWritten::Refused;
    life.pass();
    life.expect(
        Phase::Pending,
        "SecretRefused",
        &["intent", "post", "secret", "delete pass ours", "release", "status Pending"],
    );
    let failed = Intent::of(&life.request).unwrap().attempt;
    life.create_secret = SecretWritten::Created("s1".into());
    life.done.clear();
    life.now = at(21);
    life.pass();
    life.expect(Phase::Active, "Issued", &["intent", "post", "secret", "status Active"]);
    assert_ne!(Intent::of(&life.request).unwrap().attempt, failed, "each has an id of its own");
}

#[test]
fn a_refused_pass_fails_only_when_it_keeps_being_refused() {
    let mut life = Life::new();
    life.post = |_, _| Posted::Refused;
    for second in (10..170).step_by(10) {
        life.now = at(second);
        life.pass();
        assert_eq!((life.request.phase(), life.reason()), (Phase::Pending, "RefusedByTenant"));
    }
    life.now = at(170);
    life.done.clear();
    life.pass();
    life.expect(Phase::Failed, "RefusedByTenant", &["intent", "post", "release", "status Failed"]);
}

#[test]
fn a_refusal_long_after_another_failure_counts_anew() {
    let mut life = Life::new();
    life.brakes.stop = Stop::On;
    life.pass();
    life.brakes.stop = Stop::Off;
    life.post = |_, _| Posted::Refused;
    life.now = at(3600);
    life.pass();
    assert_eq!((life.request.phase(), life.reason()), (Phase::Pending, "RefusedByTenant"));
}

#[test]
fn a_pass_of_another_kind_than_asked_for_is_deleted() {
    let mut life = Life::new();
    life.edit_policy("{requireOneTimeUse: false}");
    life.edit_spec("{oneTimeUse: false}");
    life.post = |i, now| Posted::Made(pass("ours", now, i.lifetime_minutes, true));
    life.pass();
    life.expect(
        Phase::Failed,
        "FlagCoerced",
        &["intent", "post", "delete pass ours", "status Failed", "release"],
    );
}

#[test]
fn who_lost_the_lease_posts_nothing() {
    let mut life = Life::new();
    life.lease_is_fresh = false;
    life.pass();
    assert_eq!(life.done, Vec::<String>::new());
}

/// By then pass and Secret may be those of the next attempt, made by the process that has the lease.
#[test]
fn who_lost_the_lease_in_the_middle_of_a_recovery_takes_nothing_back() {
    let mut life = Life::new();
    life.post = |_, _| Posted::Lost;
    life.pass();
    life.lease_is_fresh = false;
    life.passes = Ok(vec![pass("of the next attempt", at(11), 60, true)]);
    life.secret = SecretFound::Ours("of the next attempt".into());
    life.done.clear();
    life.pass();
    assert_eq!(life.done, Vec::<String>::new());

    // Nor does it take anything over.
    life.crash();
    life.pass();
    assert_eq!(life.done, Vec::<String>::new());

    life.lease_is_fresh = true;
    life.pass();
    assert_eq!(life.done[..2], ["raise", "delete secret"]);
}

#[test]
fn who_lost_the_lease_deletes_its_pass_and_no_secret_that_it_did_not_create() {
    let mut life = Life::new();
    life.create_secret = SecretWritten::Refused;
    life.lease_lost_with_the_secret = true;
    life.secret = SecretFound::Ours("of the next attempt".into());
    life.pass();
    assert_eq!(life.done, ["intent", "post", "secret", "delete pass ours"]);
}

#[test]
fn a_stop_between_intent_and_post_closes_the_intent() {
    let mut life = Life::new();
    life.brakes.stop = Stop::On;
    life.pass();
    assert_eq!(life.done, ["intent", "release", "status Pending"]);
    assert_eq!(life.reason(), "HeldBack");
}

#[test]
fn nothing_is_issued_while_the_admission_policies_are_not_known_to_be_in_force() {
    for (guard, word) in [
        (Guard::Unknown, "not known yet"),
        (Guard::Broken("the policy x is missing".into()), "the policy x is missing"),
    ] {
        let mut life = Life::new();
        life.guard = guard.clone();
        life.pass();
        life.expect(Phase::Pending, "AdmissionMissing", &["status Pending"]);
        assert!(life.ready().message.contains(word), "{}", life.ready().message);

        // Nor is what was about to be.
        let mut life = Life::new();
        life.guard_at_post = Some(guard);
        life.pass();
        life.expect(Phase::Pending, "AdmissionMissing", &["intent", "release", "status Pending"]);
        life.guard = Guard::InForce(at(0));
        life.now = at(30);
        life.pass();
        assert_eq!(life.request.phase(), Phase::Active, "it goes on by itself");
    }
}

#[test]
fn a_request_older_than_the_admission_policies_fails_unless_it_has_a_pass() {
    for (since, phase) in [(0, Phase::Active), (1, Phase::Failed)] {
        let mut life = Life::new();
        life.guard = Guard::InForce(at(since));
        life.pass();
        assert_eq!(life.request.phase(), phase);
    }
    let mut life = Life::new();
    life.guard = Guard::InForce(at(1));
    life.pass();
    life.expect(Phase::Failed, "CreatedUnguarded", &["status Failed"]);

    let mut life = Life::new();
    life.pass();
    life.done.clear();
    life.guard = Guard::InForce(at(20));
    life.now = at(90);
    life.pass();
    life.expect(Phase::Active, "Issued", &[]);

    let mut life = Life::new();
    life.guard = Guard::Overridden;
    life.pass();
    assert_eq!(life.request.phase(), Phase::Active);
}

#[test]
fn what_was_decided_before_the_issue_ends_the_request_without_a_pass() {
    for (decision, phase, reason) in
        [("Deny", Phase::Denied, "Denied"), ("Revoke", Phase::Revoked, "Revoked")]
    {
        let mut life = Life::new();
        life.decide("helen", decision);
        life.pass();
        assert_eq!((life.request.phase(), life.reason()), (phase, reason));
        assert_eq!(life.done.len(), 1);
    }
}

#[test]
fn approvals_are_waited_for_and_count_each_person_once_and_never_the_requester() {
    let mut life = Life::new();
    life.edit_policy("{approval: {required: 2}}");
    life.edit_spec("{requestedBy: rita}");
    assert_eq!(life.pass(), Rest::Until(at(24 * 3600)));
    life.expect(Phase::AwaitingApproval, "AwaitingApproval", &["status AwaitingApproval"]);
    assert!(
        life.request.status.as_ref().unwrap().resolved.is_some(),
        "fixed before anybody is asked"
    );
    life.decide("rita", "Approve");
    life.decide("paul", "Approve");
    life.decide("paul", "Approve");
    life.pass();
    assert_eq!(life.request.status.as_ref().unwrap().approvals.as_deref(), Some("1/2"));
    life.decide("quinn", "Approve");
    life.pass();
    assert_eq!(life.request.phase(), Phase::Active);
    let status = life.request.status.as_ref().unwrap();
    assert_eq!(status.approvals.as_deref(), Some("2/2"));
    let approved = status.conditions.iter().find(|c| c.type_ == "Approved").unwrap();
    assert_eq!((approved.status.as_str(), approved.reason.as_str()), ("True", "Approved"));
}

#[test]
fn nobody_asks_for_themselves_and_the_user_does_not_count_as_approver() {
    let mut life = Life::new();
    life.edit_spec("{requestedBy: Alice@contoso.com}");
    life.pass();
    life.expect(Phase::Failed, "SelfService", &["status Failed"]);

    let mut life = Life::new();
    life.edit_policy("{approval: {required: 1}}");
    life.edit_spec("{requestedBy: rita@contoso.com}");
    life.decide("alice@contoso.com", "Approve");
    life.pass();
    assert_eq!(life.request.status.as_ref().unwrap().approvals.as_deref(), Some("0/1"));
}

#[test]
fn who_could_activate_a_role_is_refused_and_what_is_not_seen_is_said() {
    let check = |life: &Life| {
        let checks = life.request.status.clone().unwrap().checks;
        checks.into_iter().find(|c| c.name == "DirectoryRoles").unwrap().message.unwrap()
    };
    let denies = |eligibility| {
        let mut life = Life::new();
        life.edit_policy("{directoryRoleHolders: Deny}");
        life.eligibility = eligibility;
        life.pass();
        life
    };
    let role = |definition_id: Option<&str>, group: Option<&str>| {
        Ok(Eligibility::Of(EligibleRole {
            definition_id: definition_id.map(Into::into),
            through_group: group.map(Into::into),
        }))
    };
    let issued = ["intent", "post", "secret", "status Active"];
    let failed = ["status Failed"];

    let life = denies(Ok(Eligibility::None));
    life.expect(Phase::Active, "Issued", &issued);
    assert_eq!(check(&life), "the user holds none, and could activate none");

    let life = denies(Ok(Eligibility::NotSeen));
    life.expect(Phase::Active, "Issued", &issued);
    assert!(check(&life).contains("not seen: grant the operator RoleEligibilitySchedule.Read"));

    let life = denies(role(Some("62e90394"), Some("admins")));
    life.expect(Phase::Failed, "DirectoryRoleHolder", &failed);
    assert!(check(&life).contains("(role definition 62e90394, through group admins)"));

    let life = denies(role(None, None));
    life.expect(Phase::Failed, "DirectoryRoleHolder", &failed);
    assert!(check(&life).contains("that cannot be read"));

    let life = denies(Err(error(ErrorKind::Unavailable)));
    life.expect(Phase::Pending, "TenantUnreachable", &["status Pending"]);
}

#[test]
fn what_needs_a_human_stalls_and_what_ends_by_itself_reconciles() {
    type Change = fn(&mut Life, GraphError);
    let places: [Change; 2] =
        [|life, error| life.method = Err(error), |life, error| life.passes = Err(error)];
    for (kind, expected) in
        [(ErrorKind::Forbidden, "Stalled"), (ErrorKind::Unavailable, "Reconciling")]
    {
        for place in places {
            let mut life = Life::new();
            place(&mut life, error(kind));
            life.pass();
            let conditions = &life.request.status.as_ref().unwrap().conditions;
            let both = ["Stalled", "Reconciling"];
            let found: Vec<&str> = conditions
                .iter()
                .map(|c| c.type_.as_str())
                .filter(|type_| both.contains(type_))
                .collect();
            assert_eq!(found, [expected], "{kind:?}");
        }
    }
}

#[test]
fn a_request_that_was_not_issued_in_time_expires() {
    let mut life = Life::new();
    life.policy = None;
    life.now = at(24 * 3600 - 1);
    life.pass();
    assert_eq!((life.request.phase(), life.reason()), (Phase::Pending, "PolicyNotFound"));
    life.now = at(24 * 3600);
    life.pass();
    assert_eq!((life.request.phase(), life.reason()), (Phase::Expired, "NotIssuedInTime"));
}

#[test]
fn each_check_fails_or_waits_with_its_own_reason_and_posts_nothing() {
    type Change = fn(&mut Life);
    let cases: &[(Change, Phase, &str)] = &[
        (|l| l.policy.as_mut().unwrap().spec.issuance = None, Phase::Failed, "NoIssuance"),
        (|l| l.stop = Stop::On, Phase::Pending, "Stopped"),
        (|l| l.edit_policy("{suspend: true}"), Phase::Pending, "Suspended"),
        (|l| l.edit_policy("{namespaces: {names: [other]}}"), Phase::Failed, "NamespaceNotAllowed"),
        (|l| l.edit_policy("{namespaces: null}"), Phase::Failed, "NamespaceNotAllowed"),
        (
            |l| l.edit_policy("{namespaces: {names: null, selector: {}}}"),
            Phase::Failed,
            "NamespaceNotAllowed",
        ),
        (|l| l.edit_policy("{reason: {}}"), Phase::Failed, "ReasonNotAccepted"),
        (|l| l.edit_policy("{startTime: Required}"), Phase::Failed, "StartTimeRequired"),
        (|l| l.edit_spec("{lifetime: 9h}"), Phase::Failed, "LifetimeNotAllowed"),
        (|l| l.edit_spec("{lifetime: 30m}"), Phase::Failed, "LifetimeOutOfRange"),
        (|l| l.edit_spec("{oneTimeUse: false}"), Phase::Failed, "OneTimeUseRequired"),
        (|l| l.edit_spec("{recipients: [age1x]}"), Phase::Failed, "RecipientInvalid"),
        (|l| l.edit_policy("{delivery: Sealed}"), Phase::Failed, "RecipientsRequired"),
        (|l| l.edit_policy("{delivery: Folded}"), Phase::Failed, "RecipientsRequired"),
        (|l| l.edit_spec("{onExistingPass: Replace}"), Phase::Failed, "ReplaceNotAllowed"),
        (
            |l| l.method.as_mut().unwrap().state = MethodState::Disabled,
            Phase::Pending,
            "MethodDisabled",
        ),
        (|l| l.method = Err(error(ErrorKind::Throttled)), Phase::Pending, "Throttled"),
        (|l| l.method = Err(error(ErrorKind::Unavailable)), Phase::Pending, "TenantUnreachable"),
        (|l| l.method = Err(error(ErrorKind::Forbidden)), Phase::Pending, "PermissionMissing"),
        (|l| l.user = Err(error(ErrorKind::NotFound)), Phase::Pending, "UserNotFound"),
        (|l| l.user = Err(error(ErrorKind::Unavailable)), Phase::Pending, "TenantUnreachable"),
        (|l| l.user.as_mut().unwrap().account_enabled = Some(false), Phase::Failed, "UserDisabled"),
        (|l| l.edit_policy("{users: {domains: [fabrikam.com]}}"), Phase::Failed, "UserNotAllowed"),
        (|l| l.edit_policy("{users: null}"), Phase::Failed, "UserNotAllowed"),
        (|l| l.method.as_mut().unwrap().include.clear(), Phase::Failed, "UserNotInScope"),
        (
            |l| (l.place, l.secret) = (Place::Taken, SecretFound::Foreign),
            Phase::Failed,
            "SecretNameTaken",
        ),
        (
            |l| {
                l.edit_policy("{directoryRoleHolders: null}");
                l.roles =
                    vec![DirectoryRole { id: "r".into(), display_name: None, template_id: None }];
            },
            Phase::Failed,
            "DirectoryRoleHolder",
        ),
        (|l| l.slot = Slot::Taken(FULL), Phase::Pending, "QuotaReached"),
        (|l| l.slot = Slot::Contested(FULL), Phase::Pending, "QuotaReached"),
        (|l| l.passes = Ok(vec![pass("x", at(0), 60, true)]), Phase::Pending, "ExistingPass"),
    ];
    for (change, phase, reason) in cases {
        let mut life = Life::new();
        change(&mut life);
        life.pass();
        assert_eq!((life.request.phase(), life.reason()), (*phase, *reason));
        assert!(!life.done.contains(&"intent".to_owned()), "{reason}: {:?}", life.done);
        life.done.clear();
        life.now += SignedDuration::from_secs(1);
        life.pass();
        assert_eq!(life.done, Vec::<String>::new(), "{reason}: quiet when nothing changes");
    }
}

#[test]
fn a_request_with_recipients_is_issued_where_delivery_is_sealed() {
    for policy in ["{delivery: Sealed}", "{delivery: Any}", "{}"] {
        let mut life = Life::new();
        life.edit_policy(policy);
        let key = age::x25519::Identity::generate().to_public();
        life.edit_spec(&format!("{{recipients: [{key}]}}"));
        life.pass();
        assert_eq!((life.request.phase(), life.reason()), (Phase::Active, "Issued"), "{policy}");
        let status = life.request.status.as_ref().unwrap();
        let check = status.checks.iter().find(|check| check.name == "Delivery").unwrap();
        let says = check.message.as_deref().unwrap();
        assert_eq!(says, "the code is delivered encrypted to 1 recipient (age)");
        assert!(status.conditions[0].message.contains("encrypted to spec.recipients"));
    }
}

#[test]
fn a_user_who_stays_missing_fails_the_request_after_ten_minutes() {
    let mut life = Life::new();
    life.user = Err(error(ErrorKind::NotFound));
    life.pass();
    life.now = at(599);
    life.pass();
    assert_eq!(life.request.phase(), Phase::Pending);
    life.now = at(601);
    life.pass();
    assert_eq!((life.request.phase(), life.reason()), (Phase::Failed, "UserNotFound"));
}

#[test]
fn a_foreign_pass_must_be_seen_twice_before_a_request_fails() {
    let mut life = Life::new();
    life.passes = Ok(vec![pass("theirs", at(0), 60, true)]);
    life.pass();
    assert_eq!(life.request.phase(), Phase::Pending);
    life.now = at(10 + 150);
    life.pass();
    assert_eq!((life.request.phase(), life.reason()), (Phase::Failed, "ExistingPass"));
}

/// A pass that starts later is one, whatever `isUsable` says; one that was used or is over is none.
#[test]
fn a_pass_that_cannot_be_used_yet_is_in_the_way_and_one_that_is_over_is_not() {
    let later = pass("theirs", at(7200), 60, true);
    let not_yet = UsabilityReason::NotYetValid;
    for (usable, reason) in [(Some(false), Some(not_yet)), (Some(false), None), (None, None)] {
        let mut life = Life::new();
        life.passes = Ok(vec![TapMethod { usable, reason, ..later.clone() }]);
        life.pass();
        life.expect(Phase::Pending, "ExistingPass", &["status Pending"]);
    }
    let over = TapMethod { reason: None, ..pass("theirs", at(10 - 3600), 60, true) };
    let used =
        TapMethod { reason: Some(UsabilityReason::OneTimeUsed), ..pass("theirs", at(0), 60, true) };
    let deleted = pass("deleted", at(0), 60, true);
    for none in [over, used, deleted] {
        let mut life = Life::new();
        life.known = HashMap::from([("deleted".to_owned(), Known::Gone)]);
        life.passes = Ok(vec![none]);
        life.pass();
        assert_eq!((life.request.phase(), life.reason()), (Phase::Active, "Issued"));
    }
}

#[test]
fn a_replacement_names_what_it_replaces() {
    let mut life = Life::new();
    life.edit_policy("{replaceExistingPass: Allowed}");
    life.edit_spec("{onExistingPass: Replace}");
    life.passes = Ok(vec![pass("theirs", at(0), 60, true)]);
    life.pass();
    assert_eq!(life.request.phase(), Phase::Active);
    assert_eq!(Intent::of(&life.request).unwrap().replaces.unwrap().pass_id, "theirs");
}

#[test]
fn a_start_time_schedules_the_issue() {
    let mut life = Life::new();
    life.edit_spec(&format!("{{startTime: '{}'}}", at(7200)));
    assert_eq!(life.pass(), Rest::Until(at(7200 - 300)));
    life.expect(Phase::Scheduled, "Scheduled", &["status Scheduled"]);
    life.now = at(7200 - 300);
    life.post = |i, _| Posted::Made(pass("ours", i.start.unwrap(), i.lifetime_minutes, true));
    life.pass();
    assert_eq!(life.request.phase(), Phase::Active);
    assert_eq!(
        life.request.status.as_ref().unwrap().pass.as_ref().unwrap().expiration_time.0,
        at(7200 + 3600)
    );
}

#[test]
fn a_pass_that_is_issued_late_starts_when_it_is_made() {
    let mut life = Life::new();
    life.edit_spec(&format!("{{startTime: '{}'}}", at(0)));
    life.pass();
    assert_eq!(life.request.phase(), Phase::Active);
    assert_eq!(Intent::of(&life.request).unwrap().start, None);
}

#[test]
fn a_final_phase_is_final_and_only_the_finalizer_is_left_to_take_off() {
    for phase in [Phase::Used, Phase::Expired, Phase::Revoked, Phase::Denied, Phase::Failed] {
        let mut life = Life::active();
        life.request.status.as_mut().unwrap().phase = phase;
        life.pass();
        assert_eq!(life.done, ["release"]);
        life.done.clear();
        assert_eq!(life.pass(), Rest::ForChange);
        assert_eq!(life.done, Vec::<String>::new());
    }
}

#[test]
fn a_restored_copy_issues_nothing() {
    let mut life = Life::active();
    life.request.metadata.uid = Some("uid-2".into());
    life.request.status = None;
    life.crash();
    life.pass();
    life.expect(Phase::Failed, "Restored", &["release", "status Failed"]);
}

#[test]
fn a_request_released_by_hand_issues_nothing_more() {
    let mut life = Life::active();
    life.request.metadata.finalizers = None;
    life.pass();
    life.expect(Phase::Failed, "Released", &["delete secret", "status Failed"]);
}

#[test]
fn deletion_ends_even_when_the_tenant_is_gone() {
    let mut life = Life::active();
    life.request.metadata.deletion_timestamp = Some(Time(at(20)));
    life.delete_pass = Err(error(ErrorKind::Unavailable));
    life.policy = None;
    life.pass();
    assert!(life.request.metadata.finalizers.is_some(), "a live pass may exist");
    life.now = at(3610);
    life.pass();
    assert_eq!(life.request.metadata.finalizers, None);
}

#[test]
fn a_finished_request_goes_when_its_time_to_live_is_over() {
    let mut life = Life::new();
    life.edit_spec(&format!("{{startTime: '{}', ttlAfterFinished: 24h}}", at(0)));
    life.pass();
    life.decide("helen", "Revoke");
    life.pass();
    life.done.clear();
    assert_eq!(
        life.pass(),
        Rest::Until(at(3600 + 24 * 3600)),
        "counted from the later of its end and startTime + lifetime"
    );
    life.now = at(3600 + 24 * 3600);
    life.done.clear();
    life.pass();
    assert_eq!(life.done, ["delete request"]);
}

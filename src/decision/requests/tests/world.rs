//! A small world around the state machine: an API server with a few requests, a tenant, a watch, and time. One request is
//! what a test is about; the world answers for the others in the same way.
//!
//! The world keeps what is in the cluster and in the tenant, and what goes wrong there. What is known of requests, and
//! what follows from it, is the machine's.

mod answers;
mod run;

use std::collections::{BTreeMap, BTreeSet};

use super::*;

/// A request in its world, driven by the state machine.
pub(super) struct Life {
    pub now: Timestamp,
    /// How much later it may be at Graph.
    pub uncertain_by: SignedDuration,
    /// The request, as the API server has it.
    pub request: TapRequest,
    /// Other requests.
    pub others: BTreeMap<Uid, TapRequest>,
    /// Those that are gone.
    pub gone: BTreeSet<Uid>,
    pub policy: Option<TapPolicy>,
    /// Why this version cannot read the policy, where it cannot.
    pub unreadable: Option<&'static str>,
    pub namespace: Option<Namespace>,
    /// The answer to a read of its labels.
    pub labels: Result<Labels, String>,
    pub connection: Option<Connection>,
    /// All tenant connections of the next process.
    pub connections: Vec<Connection>,
    pub guard: Guard,
    /// What the guard is from the moment on in which the intent is written.
    pub guard_at_post: Option<Guard>,
    /// What others do as soon as this was done.
    pub meanwhile: (&'static str, fn(&mut Life)),
    /// What happens just before passes are listed.
    pub before_a_list: fn(&mut Life),
    /// The write whose answer is lost: it takes effect, and this process does not learn of it.
    pub answer_lost: Option<&'static str>,
    pub stop: Stop,
    pub brakes: Brakes,
    /// Whether the app has the permission to create passes.
    pub permitted: Result<bool, GraphError>,
    /// What the API server refuses to write of requests.
    pub refused: Option<Written>,
    pub lease_is_fresh: bool,
    /// How long the process stands still after each list of passes, and before and after what came of each look.
    pub stands_still_after_a_look: SignedDuration,
    /// Whether the lease is lost while the Secret is being created.
    pub lease_lost_with_the_secret: bool,
    pub method: Result<MethodConfiguration, GraphError>,
    pub user: Result<User, GraphError>,
    /// By which key the user was last read.
    pub user_read_by: String,
    /// Who has the name of a missing user as a mail address.
    pub user_by_mail: Result<Option<String>, GraphError>,
    /// Whom names mean in the tenant, of those who are not there under their own name.
    pub people: BTreeMap<String, Namesakes>,
    /// Whether people can be looked up.
    pub people_read: Result<(), GraphError>,
    pub member_of: Result<(), GraphError>,
    /// The sign-in methods that the user has.
    pub sign_in_methods: Result<Vec<String>, GraphError>,
    /// The groups that the user is in.
    pub groups: Vec<String>,
    /// What can be told of groups, of which it is not who their members are.
    pub group_states: GroupStates,
    /// Whether groups can be read.
    pub groups_read: Result<(), GraphError>,
    pub eligibility: Result<Eligibility, GraphError>,
    pub listed_roles: Result<ListedRoles, GraphError>,
    /// What the app may see of Conditional Access.
    pub sign_in_rules: Result<SignInRules, GraphError>,
    /// What policies depend on about the user.
    pub sign_in: Result<SignInSeen, GraphError>,
    pub roles: Vec<DirectoryRole>,
    pub passes: Result<Vec<TapMethod>, GraphError>,
    /// How often the method was read.
    pub method_reads: usize,
    /// How often something was asked of Graph, whatever was asked at the same time.
    pub waits: usize,
    /// How often passes were listed.
    pub lists: usize,
    /// How long a list takes.
    pub list_takes: SignedDuration,
    /// The recorded pass, when it is looked at.
    pub seen: Result<TapMethod, GraphError>,
    /// Why the API server refuses the Secret in the dry run.
    pub secret_refused: Option<&'static str>,
    pub secret: SecretFound,
    /// For how long the admission policy on Secrets has not been in force, if it is not.
    pub unfenced_for: Option<Duration>,
    pub post: fn(&Intent, Timestamp) -> Posted,
    pub delete_pass: Result<(), GraphError>,
    /// What becomes of a Secret that is created.
    pub create_secret: SecretCreation,
    /// Why Secrets cannot be deleted.
    pub stuck_secret: Option<&'static str>,
    pub holder: &'static str,
    /// The state machine of this process.
    pub requests: Requests,
    /// What was done for the request.
    pub done: Vec<String>,
    /// Whether its pass was being asked for when it was released and deleted; absent while it is there.
    pub left: Option<bool>,
    /// How much the machine looked up, changed and visited each time that it was asked or told something.
    pub costs: Vec<u64>,
    /// The requests as the API server last numbered them.
    versions: BTreeMap<Uid, TapRequest>,
    last_version: u64,
    /// The policy's bounds and the stop, as the machine was told of them.
    told: (Option<Bounds>, Stop),
    /// Those whose reconcile rests, with an answer of Graph in its hands.
    resting: BTreeSet<Uid>,
    /// Those with what they are to do next, which was not done yet.
    pub waiting: BTreeMap<Uid, Step>,
    attempts: u32,
}

impl Life {
    pub fn new() -> Self {
        let policy = yaml::read(
            "{apiVersion: tap-operator.io/v1alpha1, kind: TapPolicy, metadata: {name: contoso}, spec: {tenant: default, issuance: \
             {namespaces: {names: [helpdesk]}, users: {domains: [contoso.com]}, lifetime: {maximum: 8h}, directoryRoleHolders: Allow, \
             unmappedPeople: Allow, approval: {required: 0}}}}",
        );
        let user = User {
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
        };
        let everybody = GraphTarget {
            id: "all_users".into(),
            target_type: "group".into(),
            is_registration_required: None,
        };
        Self {
            now: at(10),
            uncertain_by: SignedDuration::ZERO,
            request: request("lost-phone", UID),
            others: BTreeMap::new(),
            gone: BTreeSet::new(),
            policy: Some(policy.unwrap()),
            unreadable: None,
            namespace: Some(Namespace::default()),
            labels: Ok(Labels::new()),
            connection: Some(connection("default", "tenant")),
            connections: vec![connection("default", "tenant")],
            guard: Guard::InForce(at(0)),
            guard_at_post: None,
            meanwhile: ("", |_| {}),
            before_a_list: |_| {},
            answer_lost: None,
            stop: Stop::Off,
            permitted: Ok(true),
            refused: None,
            brakes: Brakes { stop: Stop::Off, suspended: false, policy: Some(NO_VERSION) },
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
            user_read_by: String::new(),
            user_by_mail: Ok(None),
            people: BTreeMap::new(),
            people_read: Ok(()),
            member_of: Ok(()),
            sign_in_methods: Ok(vec![]),
            groups: vec![],
            group_states: BTreeMap::new(),
            groups_read: Ok(()),
            eligibility: Ok(Eligibility::None),
            listed_roles: Ok(ListedRoles::default()),
            sign_in_rules: Ok(SignInRules::NotSeen),
            sign_in: Ok(SignInSeen::NotYet),
            roles: vec![],
            passes: Ok(vec![]),
            method_reads: 0,
            waits: 0,
            lists: 0,
            list_takes: SignedDuration::ZERO,
            seen: Ok(pass("ours", at(10), 60, true)),
            secret_refused: None,
            secret: SecretFound::Absent,
            unfenced_for: None,
            post: made,
            delete_pass: Ok(()),
            create_secret: SecretCreation::Yes("s1".into()),
            stuck_secret: None,
            holder: "a",
            requests: machine(&[connection("default", "tenant")]),
            done: Vec::new(),
            left: None,
            costs: Vec::new(),
            versions: BTreeMap::new(),
            last_version: 0,
            told: (None, Stop::Off),
            resting: BTreeSet::new(),
            waiting: BTreeMap::new(),
            attempts: 0,
        }
        .caught_up()
    }

    fn caught_up(mut self) -> Self {
        self.with_moment(Requests::catch_up);
        self
    }

    /// One in which only others are.
    pub fn alone() -> Self {
        let mut life = Self::new();
        life.gone.insert(life.uid());
        life
    }

    /// One whose pass was issued.
    pub fn active() -> Self {
        let mut life = Self::new();
        life.reconcile();
        life.done.clear();
        life
    }

    pub fn uid(&self) -> Uid {
        self.request.metadata.uid.as_deref().unwrap_or_default().into()
    }

    pub fn object_mut(&mut self, uid: &Uid) -> &mut TapRequest {
        if *uid == self.uid() {
            return &mut self.request;
        }
        self.others.get_mut(uid).expect("there is such a request")
    }

    /// This process ends, and another takes over.
    pub fn crash(&mut self) {
        (self.requests, self.told) = (machine(&self.connections), (None, Stop::Off));
        self.resting.clear();
        self.waiting.clear();
        self.holder = "b";
        self.done.clear();
        self.list();
        self.with_moment(Requests::catch_up);
    }

    // ---- what people and others do ----

    pub fn decide(&mut self, by: &str, decision: &str) {
        let mut status =
            serde_json::to_value(self.request.status.clone().unwrap_or_default()).unwrap();
        status["decisions"].as_array_mut().unwrap().push(json!({ "by": by, "decision": decision }));
        self.request.status = Some(serde_json::from_value(status).unwrap());
    }

    pub fn edit_spec(&mut self, edit: &str) {
        let mut spec = serde_json::to_value(&self.request.spec).unwrap();
        json_patch::merge(&mut spec, &yaml::read(edit).unwrap());
        self.request.spec = serde_json::from_value(spec).unwrap();
    }

    pub fn edit_policy(&mut self, edit: &str) {
        let policy = self.policy.as_mut().unwrap();
        let mut issuance = serde_json::to_value(&policy.spec.issuance).unwrap();
        json_patch::merge(&mut issuance, &yaml::read(edit).unwrap());
        policy.spec.issuance = serde_json::from_value(issuance).unwrap();
    }

    /// What the operator's configuration sets above all policies of the tenant.
    pub fn set_ceilings(&mut self, ceilings: &str) {
        let ceilings = yaml::read(ceilings).unwrap();
        self.connection.as_mut().unwrap().ceilings = Arc::new(ceilings);
    }

    pub fn annotate(&mut self, intent: &Intent) {
        annotate(&mut self.request, intent);
    }

    /// The request was understood before, as for another user.
    pub fn resolved_as(&mut self, user_id: &str) {
        let resolved = json!({
            "tenantId": "tenant", "userId": user_id, "userPrincipalName": "alice@contoso.com",
            "lifetime": "1h", "oneTimeUse": true,
        });
        let status = json!({"phase": "Pending", "decisions": [], "resolved": resolved});
        self.request.status = Some(serde_json::from_value(status).unwrap());
    }

    /// There is another request, which a process that is gone has worked on.
    pub fn beside(&mut self, other: TapRequest) {
        self.others.insert(other.metadata.uid.as_deref().unwrap().into(), other);
    }

    /// The quota of the policy allows so many passes, and as many other requests have one.
    pub fn fill_the_quota(&mut self, places: usize) {
        self.edit_policy(&format!("{{quota: {{activePerNamespace: {places}}}}}"));
        for place in 0..places {
            self.beside(holder(&format!("holder-{place}")));
        }
    }

    /// The quota of the policy allows one pass, and another request is about to take its place.
    pub fn contest_the_quota(&mut self) {
        self.edit_policy("{quota: {activePerNamespace: 1}}");
        let mut first = request("first", "first");
        let approve =
            json!({"phase": "Pending", "decisions": [{"by": "paul", "decision": "Approve"}]});
        first.status = Some(serde_json::from_value(approve).unwrap());
        self.beside(first);
        let user = self.user.clone();
        self.user.as_mut().unwrap().id = "22222222-0000-4000-8000-000000000002".into();
        self.reconcile_up_to_the_list(&"first".into());
        self.user = user;
    }

    /// Another request gets a pass and is revoked, by this process, and is gone.
    pub fn make_and_take_back(&mut self, name: &str) {
        let uid = Uid::from(name);
        self.beside(request(name, name));
        self.show();
        self.reconcile_only(&uid);
        assert_eq!(self.others[&uid].phase(), Phase::Active);
        self.revoke(name);
        self.reconcile_only(&uid);
        assert_eq!(self.others[&uid].phase(), Phase::Revoked);
        self.gone.insert(uid);
        self.show();
        self.done.clear();
    }

    /// Somebody revokes another request.
    pub fn revoke(&mut self, name: &str) {
        let revoke = serde_json::from_value(json!({"by": "helen", "decision": "Revoke"})).unwrap();
        self.others.get_mut(name).unwrap().status.as_mut().unwrap().decisions = vec![revoke];
    }

    /// One of those who fill the quota ends.
    pub fn a_place_is_free_again(&mut self) {
        let holder = self.others.get_mut("holder-0").expect("it is filled");
        holder.status.as_mut().unwrap().phase = Phase::Expired;
        holder.metadata.finalizers = None;
    }

    // ---- what is to be seen of the request ----

    pub fn ready(&self) -> &Condition {
        let conditions = &self.request.status.as_ref().unwrap().conditions;
        conditions.iter().find(|c| c.type_ == "Ready").unwrap()
    }

    pub fn reason(&self) -> &str {
        &self.ready().reason
    }

    #[track_caller]
    pub fn expect(&self, phase: Phase, reason: &str, done: &[&str]) {
        assert_eq!((self.request.phase(), self.reason()), (phase, reason), "{:?}", self.done);
        assert_eq!(self.done, done);
    }
}

//! The simulator as a value: what tests and `/_sim` do with it, beside sending requests.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    audit::{AuditEvent, By},
    directory::Directory,
    faults::Fault,
    ledger::{Balance, LedgerEntry},
    operation::Operation,
    passes::Actor,
    policy::{ODATA_TYPE, PolicyValues},
    requests::{Exchange, Observer, RequestRecord},
    rules::{
        conditional_access::Way,
        sign_in::{Session, SignIn, SignInError},
    },
    state::State,
    switches::Switches,
    tenant::{
        App, FederatedCredential, Group, GroupEligibility, RoleAssignment, RoleEligibility, Tenant,
        User,
    },
    wire::Refusal,
};

/// A tenant. Clones are the same tenant.
#[derive(Clone)]
pub struct Simulator {
    state: Arc<Mutex<State>>,
    observers: Arc<Mutex<Vec<Observer>>>,
}

/// Why something could not be done under `/_sim` or by its method here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// There is no such user, group, role, app or pass.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// The tenant refuses it, as Graph would with this status.
    #[error("refused with status {status}: {message}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The message.
        message: String,
    },
}

impl From<Refusal> for ControlError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused { status: refusal.status(), message: refusal.message().to_owned() }
    }
}

impl fmt::Debug for Simulator {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Simulator").finish_non_exhaustive()
    }
}

impl Simulator {
    /// A tenant whose clock begins at the time that it is now.
    pub fn new(tenant: Tenant) -> Self {
        Self::starting_at(tenant, Timestamp::now())
    }

    /// A tenant whose clock begins at a given time.
    pub fn starting_at(tenant: Tenant, start: Timestamp) -> Self {
        Self { state: Arc::new(Mutex::new(State::new(tenant, start))), observers: Arc::default() }
    }

    /// A panicking test must not hide behind the panics of those that wait for the lock.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn observers(&self) -> Vec<Observer> {
        self.observers.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Calls `observer` with every exchange from now on; the items of a batch count singly, before the batch.
    ///
    /// It is called before the answer leaves. A request whose client gave up, or that is still waiting, is none yet.
    pub fn observe(&self, observer: impl Fn(&Exchange) + Send + Sync + 'static) {
        self.observers.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::new(observer));
    }

    /// Keeps every exchange from now on.
    pub fn record(&self) -> Recorder {
        let recorder = Recorder::default();
        let kept = recorder.kept.clone();
        self.observe(move |exchange| {
            kept.lock().unwrap_or_else(PoisonError::into_inner).push(exchange.clone());
        });
        recorder
    }
}

/// The exchanges since [`Simulator::record`].
#[derive(Debug, Clone, Default)]
pub struct Recorder {
    kept: Arc<Mutex<Vec<Exchange>>>,
}

impl Recorder {
    /// All of them, oldest first.
    pub fn exchanges(&self) -> Vec<Exchange> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// All of them, and forgets them.
    pub fn take(&self) -> Vec<Exchange> {
        std::mem::take(&mut self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Time, switches and faults.
impl Simulator {
    /// The time in the tenant.
    pub fn now(&self) -> Timestamp {
        self.lock().now()
    }

    /// Moves the tenant's clock, also back. Nothing that waits (a hang, a slow answer) is moved with it.
    pub fn step_clock(&self, by: SignedDuration) {
        self.lock().clock.step(by);
    }

    /// Makes ids and codes of passes the same each time, from now on.
    pub fn seed(&self, seed: u64) {
        self.lock().random = rand::SeedableRng::seed_from_u64(seed);
    }

    /// The switches as they are.
    pub fn switches(&self) -> Switches {
        self.lock().switches.clone()
    }

    /// Changes switches.
    pub fn switch(&self, change: impl FnOnce(&mut Switches)) {
        change(&mut self.lock().switches);
    }

    /// Queues a fault behind those that are still to come.
    pub fn inject(&self, fault: Fault) {
        self.lock().faults.add(fault);
    }

    /// The faults that are still to come.
    pub fn faults(&self) -> Vec<Fault> {
        self.lock().faults.pending().to_vec()
    }

    /// Drops the faults that are still to come.
    pub fn clear_faults(&self) {
        self.lock().faults.clear();
    }

    /// Cuts every connection to login and Graph without effect, until it is lifted.
    pub fn set_unreachable(&self, unreachable: bool) {
        self.lock().unreachable = unreachable;
    }
}

/// What no client of Graph can see.
impl Simulator {
    /// Signs a user in with a code, as the sign-in page does. Names are compared in any case; an object id does, too.
    pub fn sign_in(&self, user_principal_name: &str, code: &str) -> Result<SignIn, SignInError> {
        self.sign_in_by(user_principal_name, code, &Way::default())
    }

    /// The same for another purpose, from elsewhere, or with another device. [`sign_in`](Self::sign_in) opens the page for
    /// security info in a browser of a device that nobody manages.
    pub fn sign_in_by(
        &self,
        user_principal_name: &str,
        code: &str,
        way: &Way,
    ) -> Result<SignIn, SignInError> {
        self.lock().sign_in(user_principal_name, code, way)
    }

    /// A session that began with a pass, as it is now.
    pub fn session(&self, id: Uuid) -> Option<Session> {
        self.lock().session(id)
    }

    /// Whether a session still lasts; an unknown one does not.
    pub fn session_alive(&self, id: Uuid) -> bool {
        self.session(id).is_some_and(|session| session.alive)
    }

    /// Every pass there ever was, oldest first.
    pub fn ledger(&self) -> Vec<LedgerEntry> {
        let state = self.lock();
        let now = state.now();
        state.passes.all().iter().map(|pass| LedgerEntry::of(pass, now)).collect()
    }

    /// The ledger in numbers.
    pub fn balance(&self) -> Balance {
        let state = self.lock();
        Balance::of(&state.passes, state.now())
    }

    /// A pass's code: for a search for places where it must not be.
    pub fn code(&self, pass: Uuid) -> Option<String> {
        self.lock().passes.get(pass).map(|pass| pass.code.clone())
    }

    /// The log of requests to login and Graph, oldest first; the newest 100,000.
    pub fn requests(&self) -> Vec<RequestRecord> {
        self.lock().requests.all().cloned().collect()
    }

    /// The logged requests for one operation.
    pub fn requests_for(&self, operation: Operation) -> Vec<RequestRecord> {
        self.lock().requests.all().filter(|record| record.operation == operation).cloned().collect()
    }

    /// Empties the log of requests; their numbers go on.
    pub fn clear_requests(&self) {
        self.lock().requests.clear();
    }
}

/// What people do in the portal.
impl Simulator {
    /// Makes a pass, with the body of Graph's POST, and returns its id; [`code`](Self::code) tells the code.
    pub fn portal_create_pass(&self, user: &str, body: &Value) -> Result<Uuid, ControlError> {
        Ok(self.lock().create_pass(user, body, Actor::Portal, None)?)
    }

    /// Deletes a pass.
    pub fn portal_delete_pass(&self, user: &str, pass: Uuid) -> Result<(), ControlError> {
        Ok(self.lock().delete_pass(user, &pass.to_string(), Actor::Portal, None)?)
    }

    /// Registers a method for a user, as the user does on the page of their security info; `kind` is the type that Graph gives
    /// it, such as `fido2`.
    pub fn register_method(&self, user: &str, kind: &str) -> Result<(), ControlError> {
        let mut state = self.lock();
        let now = state.now();
        let found = state.directory.current().user(user).cloned();
        let found = found.ok_or(ControlError::NotFound("user"))?;
        let event = AuditEvent::MethodRegistered(kind.to_owned());
        state.audit.record(now, event, By::TheUser, Some(&found), None);
        drop(state);
        self.edit_user(user, |user| user.methods.push(kind.to_owned()))
    }

    /// The policy's values.
    pub fn policy(&self) -> PolicyValues {
        self.lock().policy.current().clone()
    }

    /// Sets the policy's values, unchecked.
    pub fn set_policy(&self, values: PolicyValues) {
        self.lock().set_policy(values);
    }

    /// Changes the policy with the fields of Graph's PATCH (without `@odata.type`), checked as there.
    pub fn portal_patch_policy(&self, fields: &Value) -> Result<(), ControlError> {
        let mut body = fields.clone();
        if let Some(body) = body.as_object_mut() {
            body.insert("@odata.type".into(), json!(ODATA_TYPE));
        }
        Ok(self.lock().change_policy(&body, Actor::Portal, None)?)
    }

    /// All users.
    pub fn users(&self) -> Vec<User> {
        self.lock().directory.current().users.clone()
    }

    /// Adds a user, made now.
    pub fn add_user(&self, mut user: User) {
        user.created_date_time = Some(self.now());
        self.edit_directory(|directory| directory.users.push(user));
    }

    /// Changes a user: disables it, renames it.
    pub fn edit_user(
        &self,
        user: &str,
        change: impl FnOnce(&mut User),
    ) -> Result<(), ControlError> {
        let edited = self.edit_directory(|directory| directory.user_mut(user).map(change));
        edited.ok_or(ControlError::NotFound("user"))
    }

    /// Deletes a user, its pass and its memberships.
    pub fn delete_user(&self, user: &str) -> Result<(), ControlError> {
        let mut state = self.lock();
        let id = state.directory.current().user(user).ok_or(ControlError::NotFound("user"))?.id;
        state.drop_passes_of(id, &Actor::Portal);
        state.edit_directory(|directory| directory.remove_user(id));
        Ok(())
    }

    /// All groups.
    pub fn groups(&self) -> Vec<Group> {
        self.lock().directory.current().groups.clone()
    }

    /// Adds a group.
    pub fn add_group(&self, group: Group) {
        self.edit_directory(|directory| directory.groups.push(group));
    }

    /// Deletes a group.
    pub fn delete_group(&self, group: Uuid) {
        self.edit_directory(|directory| directory.groups.retain(|known| known.id != group));
    }

    /// Adds a user or group to a group or a directory role.
    pub fn add_member(&self, to: Uuid, member: Uuid) -> Result<(), ControlError> {
        self.edit_members(to, |members| {
            if !members.contains(&member) {
                members.push(member);
            }
        })
    }

    /// Removes a user or group from a group or a directory role.
    pub fn remove_member(&self, from: Uuid, member: Uuid) -> Result<(), ControlError> {
        self.edit_members(from, |members| members.retain(|known| *known != member))
    }

    /// Assigns a role, of any scope, without a `directoryRole` that shows it.
    pub fn assign_role(&self, assignment: RoleAssignment) {
        self.edit_directory(|directory| directory.assignments.push(assignment));
    }

    /// Lets a user or group activate the membership or ownership of a group.
    pub fn make_eligible_for_group(&self, eligibility: GroupEligibility) {
        self.edit_directory(|directory| directory.group_eligibilities.push(eligibility));
    }

    /// Lets a user or group activate a directory role (Privileged Identity Management).
    pub fn make_eligible(&self, eligibility: RoleEligibility) {
        self.edit_directory(|directory| directory.eligibilities.push(eligibility));
    }

    /// The Conditional Access policies, as Graph returns them.
    pub fn access_policies(&self) -> Vec<Value> {
        self.lock().conditional_access.whole_policies()
    }

    /// Sets the Conditional Access policies, in Graph's form. What one leaves out is null or empty.
    pub fn set_access_policies(&self, policies: Vec<Value>) {
        self.lock().conditional_access.policies = policies;
    }

    /// Adds an authentication strength, in Graph's form.
    pub fn add_strength(&self, strength: Value) {
        self.lock().conditional_access.custom_strengths.push(strength);
    }

    /// All apps.
    pub fn apps(&self) -> Vec<App> {
        self.lock().apps.clone()
    }

    /// Adds an app.
    pub fn add_app(&self, app: App) {
        self.lock().apps.push(app);
    }

    /// Changes an app: its permissions (seen in its next token), credentials, whether it may sign in.
    pub fn edit_app(
        &self,
        client_id: Uuid,
        change: impl FnOnce(&mut App),
    ) -> Result<(), ControlError> {
        let mut state = self.lock();
        let app = state.apps.iter_mut().find(|app| app.client_id == client_id);
        app.map(change).ok_or(ControlError::NotFound("app"))
    }

    /// Gives an app a federated credential, made now.
    pub fn add_federated_credential(
        &self,
        client_id: Uuid,
        mut credential: FederatedCredential,
    ) -> Result<(), ControlError> {
        credential.created_date_time = Some(self.now());
        self.edit_app(client_id, |app| app.federated_credentials.push(credential))
    }

    /// Registers the JSON Web Key Set of a token issuer, such as a Kubernetes API server.
    pub fn register_issuer(&self, issuer: &str, jwks: Value) {
        self.lock().issuers.insert(issuer.to_owned(), jwks);
    }

    /// Makes every token that was issued until now invalid: Graph answers 401.
    pub fn expire_tokens(&self) {
        self.lock().tokens.clear();
    }

    fn edit_members(
        &self,
        of: Uuid,
        change: impl FnOnce(&mut Vec<Uuid>),
    ) -> Result<(), ControlError> {
        let edited = self.edit_directory(|directory| {
            let groups = directory.groups.iter_mut().map(|group| (group.id, &mut group.members));
            let roles = directory.roles.iter_mut().map(|role| (role.id, &mut role.members));
            groups.chain(roles).find(|(id, _)| *id == of).map(|(_, members)| change(members))
        });
        edited.ok_or(ControlError::NotFound("group or role"))
    }

    fn edit_directory<R>(&self, change: impl FnOnce(&mut Directory) -> R) -> R {
        self.lock().edit_directory(change)
    }
}

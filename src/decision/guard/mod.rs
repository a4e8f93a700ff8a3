//! Who may have a pass: the checks of a request, in their order, each with its own reason.
//!
//! A check passes, waits (not now, perhaps later), fails for good, or needs something to be read first. The first that
//! does not pass decides; its sentence says what would make it pass.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use regex::Regex;

use super::Reason;
use super::life::situation::{PolicyFound, Situation, Stop};
use super::life::step::Look;
use crate::api::{
    Check, CheckResult, DecisionKind, Delivery, DirectoryRoleHolders, Issuance, Lifetime,
    OnExistingPass, ReplaceExistingPass, Resolved, StartTimeRule, TapPolicy, Users,
};
use crate::graph::{EntraName, GraphError, MethodConfiguration, MethodState, User, UserKind};

/// How far ahead a pass may start.
pub const START_AHEAD: SignedDuration = SignedDuration::from_hours(30 * 24);
/// The deadline of a request without a start time where no policy says another.
pub const DEFAULT_TIMEOUT: SignedDuration = SignedDuration::from_hours(24);
/// How long after its creation a request waits for its user to appear.
const USER_WAIT: SignedDuration = SignedDuration::from_mins(10);
/// How long to wait before a tenant that stood in the way is read again.
const TENANT_AGAIN: SignedDuration = SignedDuration::from_secs(60);
/// How long to wait before a user who was not there is looked up again.
const USER_AGAIN: SignedDuration = SignedDuration::from_secs(20);
/// The target that stands for everybody (documented).
const ALL_USERS: &str = "all_users";

/// How the checks came out.
#[derive(Clone, Debug)]
pub struct Findings<'a> {
    /// Each check that was made, in order.
    pub checks: Vec<Check>,
    /// When the request ends if it is not issued by then; absent until a policy was seen and none was fixed.
    pub deadline: Timestamp,
    /// What the request means; absent until the user was found.
    pub resolved: Option<Resolved>,
    /// How many approvals there are, and how many are needed; absent until a policy was seen.
    pub approvals: Option<(usize, usize)>,
    /// What decides.
    pub verdict: Verdict<'a>,
}

/// What the checks decide.
#[derive(Clone, Debug)]
pub enum Verdict<'a> {
    /// Nothing stands against the pass.
    Issue,
    /// Something must be known first.
    Look(Look),
    /// Approvals are missing.
    AwaitApproval(String),
    /// The start is not near; it is at this time.
    Schedule(Timestamp),
    /// Not now; look again after so long, or when something changes.
    Wait(Reason, String, Option<SignedDuration>),
    /// The tenant could not be asked.
    Unknown(&'a GraphError),
    /// Never.
    Fail(Reason, String),
    /// The deadline is over.
    TooLate,
}

/// Runs the checks.
pub fn check<'a>(s: &Situation<'a>) -> Findings<'a> {
    let mut run =
        Run { s: *s, checks: Vec::new(), deadline: deadline(s), resolved: None, approvals: None };
    let verdict = run.all().unwrap_or_else(|verdict| verdict);
    Findings {
        checks: run.checks,
        deadline: run.deadline,
        resolved: run.resolved,
        approvals: run.approvals,
        verdict,
    }
}

/// The lifetime that a request without one gets, and the longest that one may ask for, in minutes.
pub fn lifetime_bounds(issuance: &Issuance) -> Result<(u32, u32), crate::api::LifetimeError> {
    let read = |l: Option<&Lifetime>| l.map(Lifetime::minutes).transpose();
    let bounds = issuance.lifetime.as_ref();
    let default = read(bounds.and_then(|l| l.default.as_ref()))?;
    let maximum = read(bounds.and_then(|l| l.maximum.as_ref()))?;
    Ok(match (default, maximum) {
        (None, None) => (60, 60),
        (Some(default), None) => (default, default.max(60)),
        (None, Some(maximum)) => (maximum.min(60), maximum),
        (Some(default), Some(maximum)) => (default, maximum),
    })
}

/// Whether a Kubernetes user name is that of a user; `None` where it cannot be told.
fn is_person(s: &Situation, kubernetes_name: &str, user: &User) -> Option<bool> {
    let name = s.connection?.users.as_ref()?.entra(kubernetes_name)?;
    Some(match name {
        EntraName::UserPrincipalName(upn) => upn.eq_ignore_ascii_case(&user.user_principal_name),
        EntraName::ObjectId(id) => id.eq_ignore_ascii_case(&user.id),
    })
}

/// The different people who approved, without requester and user.
fn approvers<'a>(s: &Situation<'a>, user: &User) -> Vec<&'a str> {
    let requester = s.request.spec.requested_by.as_deref();
    let mut people: Vec<&str> = s
        .request
        .decisions()
        .iter()
        .filter(|d| d.decision == DecisionKind::Approve && Some(d.by.as_str()) != requester)
        .filter(|d| is_person(s, &d.by, user) != Some(true))
        .map(|d| d.by.as_str())
        .collect();
    people.sort_unstable();
    people.dedup();
    people
}

/// When a request ends if it is not issued by then: as it was fixed, or as its policy has it now.
fn deadline(s: &Situation) -> Timestamp {
    if let Some(fixed) = s.request.status.as_ref().and_then(|status| status.deadline.as_ref()) {
        return fixed.0;
    }
    let issuance = match s.policy {
        PolicyFound::Found(policy) => policy.spec.issuance.as_ref(),
        PolicyFound::Missing | PolicyFound::Unreadable(_) => None,
    };
    let created = s.request.created();
    if let Some(start) = &s.request.spec.start_time {
        let asked = s.request.spec.lifetime.as_ref().and_then(|l| l.minutes().ok());
        let minutes = asked
            .or_else(|| issuance.and_then(|i| lifetime_bounds(i).ok()).map(|(default, _)| default));
        start.0 + SignedDuration::from_mins(i64::from(minutes.unwrap_or(60)))
    } else {
        let timeout = issuance.and_then(|i| i.approval.as_ref()).and_then(|a| a.timeout.as_ref());
        created + timeout.and_then(|t| t.duration().ok()).unwrap_or(DEFAULT_TIMEOUT)
    }
}

struct Run<'a> {
    s: Situation<'a>,
    checks: Vec<Check>,
    deadline: Timestamp,
    resolved: Option<Resolved>,
    approvals: Option<(usize, usize)>,
}

type Checked<'a, T = ()> = Result<T, Verdict<'a>>;

impl<'a> Run<'a> {
    fn all(&mut self) -> Checked<'a, Verdict<'a>> {
        if self.s.now.earliest >= self.deadline {
            self.note("Deadline", CheckResult::Failed, format!("it ended at {:.0}", self.deadline));
            return Err(Verdict::TooLate);
        }
        self.note("Deadline", CheckResult::Passed, format!("to be issued by {:.0}", self.deadline));
        let (policy, issuance) = self.policy()?;
        self.brakes(issuance)?;
        self.namespace(issuance)?;
        self.reason(issuance)?;
        self.start_time(issuance)?;
        let (lifetime, one_time) = self.lifetime(issuance)?;
        self.delivery(issuance)?;
        self.replacement(issuance)?;
        self.quota(issuance)?;
        let tenant_id = self.connection(policy)?;
        // Early, before people are asked; and, as every pass over a request reads anew, binding before the issue.
        let method = self.method(lifetime, one_time)?;
        let user = self.user()?;
        self.resolve(tenant_id, user, lifetime, one_time)?;
        self.membership(issuance, method, user)?;
        self.roles(issuance, user)?;
        self.approval(issuance, user)?;
        self.start_is_near(issuance)?;
        Ok(Verdict::Issue)
    }

    fn note(&mut self, name: &str, result: CheckResult, message: impl Into<String>) {
        self.checks.push(Check { name: name.into(), result, message: Some(message.into()) });
    }

    // Like the other outcomes, so that a check ends in one of them.
    #[allow(clippy::unnecessary_wraps)]
    fn pass(&mut self, name: &str, message: impl Into<String>) -> Checked<'a> {
        self.note(name, CheckResult::Passed, message);
        Ok(())
    }

    fn wait<T>(
        &mut self,
        name: &str,
        reason: Reason,
        message: impl Into<String>,
        again: Option<SignedDuration>,
    ) -> Checked<'a, T> {
        let message = message.into();
        self.note(name, CheckResult::Waiting, message.clone());
        Err(Verdict::Wait(reason, message, again))
    }

    fn fail<T>(
        &mut self,
        name: &str,
        reason: Reason,
        message: impl Into<String>,
    ) -> Checked<'a, T> {
        let message = message.into();
        self.note(name, CheckResult::Failed, message.clone());
        Err(Verdict::Fail(reason, message))
    }

    fn unknown<T>(&mut self, name: &str, error: &'a GraphError) -> Checked<'a, T> {
        self.note(name, CheckResult::Unknown, "the tenant could not be asked");
        Err(Verdict::Unknown(error))
    }

    fn policy(&mut self) -> Checked<'a, (&'a TapPolicy, &'a Issuance)> {
        let name = &self.s.request.spec.policy_ref.name;
        match self.s.policy {
            PolicyFound::Missing => self.wait(
                "Policy",
                Reason::PolicyNotFound,
                format!("TapPolicy {name} does not exist: create it, or make another request that names an existing one (kubectl get tappolicies)"),
                None,
            ),
            PolicyFound::Unreadable(why) => self.wait(
                "Policy",
                Reason::PolicyInvalid,
                format!("TapPolicy {name} cannot be read by this version of the operator: {why}"),
                None,
            ),
            PolicyFound::Found(policy) => match &policy.spec.issuance {
                None => self.fail(
                    "Policy",
                    Reason::NoIssuance,
                    format!("TapPolicy {name} issues no passes: name a policy with an issuance section"),
                ),
                Some(issuance) => {
                    self.pass("Policy", format!("TapPolicy {name}"))?;
                    Ok((policy, issuance))
                }
            },
        }
    }

    fn brakes(&mut self, issuance: &Issuance) -> Checked<'a> {
        let name = &self.s.request.spec.policy_ref.name;
        if !self.s.guarded {
            return self.wait(
                "Brakes",
                Reason::AdmissionMissing,
                "the operator's admission policies are not in force, so nothing is issued: apply them again (kubectl apply -k deploy)",
                Some(TENANT_AGAIN),
            );
        }
        if self.s.stop != Stop::Off {
            return self.wait(
                "Brakes",
                Reason::Stopped,
                "all issuing is stopped by the ConfigMap tap-operator-stop in the operator's namespace: it goes on when that is deleted",
                Some(TENANT_AGAIN),
            );
        }
        if issuance.suspend == Some(true) {
            return self.wait(
                "Brakes",
                Reason::Suspended,
                format!(
                    "TapPolicy {name} is suspended: it goes on when its issuance.suspend is false"
                ),
                None,
            );
        }
        self.pass("Brakes", "neither stopped nor suspended")
    }

    fn namespace(&mut self, issuance: &Issuance) -> Checked<'a> {
        let name = self.s.request.metadata.namespace.as_deref().unwrap_or_default();
        let Some(namespace) = self.s.namespace else {
            return self.wait(
                "Namespace",
                Reason::NamespaceUnknown,
                format!("namespace {name} was not seen yet"),
                Some(SignedDuration::from_secs(2)),
            );
        };
        if namespace.metadata.deletion_timestamp.is_some() {
            return self.wait(
                "Namespace",
                Reason::NamespaceTerminating,
                format!("namespace {name} is being deleted, so no Secret can be created in it"),
                None,
            );
        }
        if admits_namespace(issuance, name, namespace) {
            return self.pass("Namespace", format!("the policy admits namespace {name}"));
        }
        self.fail(
            "Namespace",
            Reason::NamespaceNotAllowed,
            format!(
                "TapPolicy {} does not admit namespace {name}: see its issuance.namespaces",
                self.s.request.spec.policy_ref.name
            ),
        )
    }

    fn reason(&mut self, issuance: &Issuance) -> Checked<'a> {
        let Some(rule) = &issuance.reason else { return self.pass("Reason", "none is needed") };
        let given = self.s.request.spec.reason.as_deref().unwrap_or_default();
        if given.is_empty() {
            return self.fail(
                "Reason",
                Reason::ReasonNotAccepted,
                "the policy demands a reason: make another request with spec.reason",
            );
        }
        let Some(pattern) = &rule.pattern else { return self.pass("Reason", "one is given") };
        match Regex::new(pattern) {
            Err(_) => self.wait(
                "Reason",
                Reason::PolicyInvalid,
                format!("issuance.reason.pattern {pattern:?} of the policy is no regular expression: mend the policy"),
                None,
            ),
            Ok(regex) if regex.is_match(given) => self.pass("Reason", format!("it matches {pattern}")),
            Ok(_) => self.fail(
                "Reason",
                Reason::ReasonNotAccepted,
                format!("the reason does not match {pattern}: make another request with one that does"),
            ),
        }
    }

    fn start_time(&mut self, issuance: &Issuance) -> Checked<'a> {
        match &self.s.request.spec.start_time {
            None if issuance.start_time.unwrap_or_default() == StartTimeRule::Optional => {
                self.pass("StartTime", "it starts when it is issued")
            }
            None => self.fail(
                "StartTime",
                Reason::StartTimeRequired,
                "the policy demands a start time: make another request with spec.startTime",
            ),
            Some(start) if start.0 > self.s.request.created() + START_AHEAD => self.fail(
                "StartTime",
                Reason::StartTimeTooFar,
                "spec.startTime is more than 30 days after the request was made",
            ),
            Some(start) => self.pass("StartTime", format!("it starts at {:.0}", start.0)),
        }
    }

    fn lifetime(&mut self, issuance: &Issuance) -> Checked<'a, (u32, bool)> {
        let spec = &self.s.request.spec;
        let Ok((default, maximum)) = lifetime_bounds(issuance) else {
            return self.wait(
                "Lifetime",
                Reason::PolicyInvalid,
                "issuance.lifetime of the policy cannot be read: mend the policy",
                None,
            );
        };
        let minutes = match spec.lifetime.as_ref().map(Lifetime::minutes).transpose() {
            Err(error) => {
                return self.fail(
                    "Lifetime",
                    Reason::InvalidSpec,
                    format!("spec.lifetime: {error}"),
                );
            }
            Ok(asked) => asked.unwrap_or(default),
        };
        if minutes > maximum {
            return self.fail(
                "Lifetime",
                Reason::LifetimeNotAllowed,
                format!(
                    "{} is longer than the {} that the policy allows (issuance.lifetime.maximum)",
                    Lifetime::from_minutes(minutes),
                    Lifetime::from_minutes(maximum)
                ),
            );
        }
        let one_time = spec.one_time_use.unwrap_or(true);
        if !one_time && issuance.require_one_time_use.unwrap_or(true) {
            return self.fail(
                "Lifetime",
                Reason::OneTimeUseRequired,
                "the policy allows only one-time passes: make another request without oneTimeUse: false",
            );
        }
        let kind = if one_time { "once" } else { "several times" };
        self.pass("Lifetime", format!("{}, usable {kind}", Lifetime::from_minutes(minutes)))?;
        Ok((minutes, one_time))
    }

    fn delivery(&mut self, issuance: &Issuance) -> Checked<'a> {
        if self.s.request.spec.recipients.is_some() {
            return self.fail(
                "Delivery",
                Reason::NotSupported,
                "spec.recipients: encrypted delivery is not supported by this version: make another request without recipients",
            );
        }
        if issuance.delivery.unwrap_or_default() != Delivery::Any {
            return self.fail(
                "Delivery",
                Reason::NotSupported,
                "the policy demands encrypted delivery (issuance.delivery), which this version does not support",
            );
        }
        self.pass("Delivery", "the code is delivered in the clear, into the Secret")
    }

    fn replacement(&mut self, issuance: &Issuance) -> Checked<'a> {
        let wanted = self.s.request.spec.on_existing_pass == Some(OnExistingPass::Replace);
        if wanted && issuance.replace_existing_pass != Some(ReplaceExistingPass::Allowed) {
            return self.fail(
                "Replacement",
                Reason::ReplaceNotAllowed,
                "the policy does not let a pass be replaced: make another request with onExistingPass Refuse or Wait",
            );
        }
        self.pass(
            "Replacement",
            if wanted { "the policy lets a pass be replaced" } else { "none is asked for" },
        )
    }

    fn quota(&mut self, issuance: &Issuance) -> Checked<'a> {
        if issuance.quota.is_some() {
            return self.fail(
                "Quota",
                Reason::NotSupported,
                "the policy has a quota, which this version does not support",
            );
        }
        Ok(())
    }

    fn connection(&mut self, policy: &TapPolicy) -> Checked<'a, &'a str> {
        match self.s.connection {
            Some(connection) => Ok(&connection.tenant_id),
            None => self.wait(
                "Tenant",
                Reason::TenantNotConfigured,
                format!(
                    "the operator has no tenant connection named {:?}: add it to its configuration",
                    policy.spec.tenant
                ),
                None,
            ),
        }
    }

    fn method(&mut self, lifetime: u32, one_time: bool) -> Checked<'a, &'a MethodConfiguration> {
        let method = match &self.s.reads.method {
            None => return Err(Verdict::Look(Look::Method)),
            Some(Err(error)) => return self.unknown("Method", error),
            Some(Ok(method)) => method,
        };
        if method.state != MethodState::Enabled {
            return self.wait(
                "Method",
                Reason::MethodDisabled,
                "the Temporary Access Pass method is disabled in the tenant: enable it there, or with method.state of a TapPolicy",
                Some(TENANT_AGAIN),
            );
        }
        let minimum = method.minimum_lifetime_minutes.unwrap_or(0);
        let maximum = method.maximum_lifetime_minutes.unwrap_or(u32::MAX);
        if !(minimum..=maximum).contains(&lifetime) {
            return self.fail(
                "Method",
                Reason::LifetimeOutOfRange,
                format!(
                    "the tenant allows lifetimes from {} to {}, and {} is asked for",
                    Lifetime::from_minutes(minimum),
                    Lifetime::from_minutes(maximum),
                    Lifetime::from_minutes(lifetime)
                ),
            );
        }
        if method.one_time_required == Some(true) && !one_time {
            return self.fail(
                "Method",
                Reason::OneTimeUseRequired,
                "the tenant allows only one-time passes: make another request without oneTimeUse: false",
            );
        }
        self.pass("Method", "enabled in the tenant, and the lifetime is within its range")?;
        Ok(method)
    }

    fn user(&mut self) -> Checked<'a, &'a User> {
        let name = &self.s.request.spec.user;
        let user = match &self.s.reads.user {
            None => return Err(Verdict::Look(Look::User)),
            Some(Err(error)) if error.is_not_found() => return self.user_missing(),
            Some(Err(error)) => return self.unknown("User", error),
            Some(Ok(user)) => user,
        };
        match user.account_enabled {
            Some(true) => {}
            Some(false) => {
                return self.fail(
                    "User",
                    Reason::UserDisabled,
                    format!(
                        "the account of {name} is disabled: enable it, then make another request"
                    ),
                );
            }
            None => {
                return self.wait(
                    "User",
                    Reason::PermissionMissing,
                    "Graph does not tell whether the account is enabled: grant the operator User.Read.All",
                    Some(TENANT_AGAIN),
                );
            }
        }
        match user.kind() {
            UserKind::Member | UserKind::InternalGuest => {}
            UserKind::ExternalGuest => {
                return self.fail("User", Reason::ExternalGuest, format!("{name} is an external guest, who signs in at home: Entra gives no pass to external guests"));
            }
            UserKind::Unknown => {
                return self.wait(
                    "User",
                    Reason::PermissionMissing,
                    "Graph does not tell whether the user is a member or a guest: grant the operator User.Read.All",
                    Some(TENANT_AGAIN),
                );
            }
        }
        self.pass("User", format!("{} exists and is enabled", user.user_principal_name))?;
        self.requester(user)?;
        Ok(user)
    }

    /// Nobody asks for themselves.
    fn requester(&mut self, user: &User) -> Checked<'a> {
        let who = self.s.request.spec.requested_by.as_deref().unwrap_or_default();
        match is_person(&self.s, who, user) {
            Some(true) => self.fail(
                "Requester",
                Reason::SelfService,
                "requester and user are the same person, and nobody gets a pass by asking for it: somebody else must ask",
            ),
            Some(false) => self.pass("Requester", "requester and user are different people"),
            None => {
                self.note(
                    "Requester",
                    CheckResult::Unknown,
                    "it cannot be told whether requester and user are the same person: the tenant connection does not map this Kubernetes user name",
                );
                Ok(())
            }
        }
    }

    fn user_missing<T>(&mut self) -> Checked<'a, T> {
        let name = &self.s.request.spec.user;
        let now = self.s.now.earliest;
        let waited_enough = now >= self.s.request.created() + USER_WAIT;
        let seen_twice = self
            .s
            .memory
            .user_missing_since
            .is_some_and(|since| now >= since + self.s.settings.settle);
        if waited_enough && seen_twice {
            return self.fail("User", Reason::UserNotFound, format!("there is no user {name} in the tenant: check the name, then make another request"));
        }
        self.wait(
            "User",
            Reason::UserNotFound,
            format!("there is no user {name} in the tenant yet; it is looked up again until 10 minutes after the request was made"),
            Some(USER_AGAIN),
        )
    }

    fn resolve(
        &mut self,
        tenant_id: &str,
        user: &User,
        lifetime: u32,
        one_time: bool,
    ) -> Checked<'a> {
        let resolved = Resolved {
            tenant_id: tenant_id.into(),
            user_id: user.id.clone(),
            user_principal_name: user.user_principal_name.clone(),
            lifetime: Lifetime::from_minutes(lifetime),
            one_time_use: one_time,
        };
        let fixed = self.s.request.status.as_ref().and_then(|status| status.resolved.as_ref());
        // The name may change between approval and issue; whom it means may not.
        let same = fixed.is_none_or(|f| {
            (&f.tenant_id, &f.user_id, &f.lifetime, f.one_time_use)
                == (
                    &resolved.tenant_id,
                    &resolved.user_id,
                    &resolved.lifetime,
                    resolved.one_time_use,
                )
        });
        if !same {
            return self.fail(
                "Resolved",
                Reason::ResolvedChanged,
                "tenant, user, lifetime or one-time use are no longer what they were when people were asked: make another request",
            );
        }
        self.resolved = Some(resolved);
        Ok(())
    }

    fn membership(
        &mut self,
        issuance: &Issuance,
        method: &MethodConfiguration,
        user: &User,
    ) -> Checked<'a> {
        let users = issuance.users.as_ref();
        let asked = groups_to_ask(users, method);
        let member_of: &[String] = match &self.s.reads.groups {
            _ if asked.is_empty() => &[],
            None => {
                return Err(Verdict::Look(Look::Groups { user_id: user.id.clone(), ids: asked }));
            }
            Some(Err(error)) => return self.unknown("Users", error),
            Some(Ok(groups)) => groups,
        };
        let is_in = |id: &str| member_of.iter().any(|m| m.eq_ignore_ascii_case(id));
        let policy = &self.s.request.spec.policy_ref.name;
        if let Some(group) =
            users.iter().flat_map(|u| u.exclude_groups.iter().flatten()).find(|g| is_in(&g.group))
        {
            let message = format!(
                "TapPolicy {policy} excludes the members of group {}",
                label(&group.group, group.display_name.as_deref())
            );
            return self.fail("Users", Reason::UserNotAllowed, message);
        }
        if !admits_user(users, user, is_in) {
            let message = format!(
                "TapPolicy {policy} does not admit {}: see its issuance.users",
                user.user_principal_name
            );
            return self.fail("Users", Reason::UserNotAllowed, message);
        }
        self.pass("Users", "the policy admits the user")?;

        let targets = |t: &crate::graph::GraphTarget| {
            t.id == ALL_USERS || t.id.eq_ignore_ascii_case(&user.id) || is_in(&t.id)
        };
        if method.exclude.iter().any(targets) {
            return self.fail(
                "Scope",
                Reason::UserNotInScope,
                "the tenant's method excludes the user, who could not sign in with a pass",
            );
        }
        if !method.include.iter().any(targets) {
            return self.fail(
                "Scope",
                Reason::UserNotInScope,
                "the tenant's method does not include the user, who could not sign in with a pass",
            );
        }
        self.pass("Scope", "the tenant's method includes the user")
    }

    fn roles(&mut self, issuance: &Issuance, user: &User) -> Checked<'a> {
        if issuance.directory_role_holders == Some(DirectoryRoleHolders::Allow) {
            return self.pass("DirectoryRoles", "the policy admits users who hold directory roles");
        }
        let roles = match &self.s.reads.roles {
            None => return Err(Verdict::Look(Look::Roles { user_id: user.id.clone() })),
            Some(Err(error)) => return self.unknown("DirectoryRoles", error),
            Some(Ok(roles)) => roles,
        };
        match roles.first() {
            None => self.pass("DirectoryRoles", "the user holds none"),
            Some(role) => {
                let name = role.display_name.as_deref().unwrap_or("one that cannot be read");
                let message = format!(
                    "the user holds a directory role ({name}), and the policy gives no pass to such users"
                );
                self.fail("DirectoryRoles", Reason::DirectoryRoleHolder, message)
            }
        }
    }

    fn approval(&mut self, issuance: &Issuance, user: &User) -> Checked<'a> {
        let required = issuance.approval.as_ref().and_then(|a| a.required).unwrap_or(1);
        let required = usize::try_from(required).unwrap_or(1);
        let people = approvers(&self.s, user);
        self.approvals = Some((people.len(), required));
        if people.len() >= required {
            let who = if required == 0 {
                "none is needed".into()
            } else {
                format!("by {}", people.join(", "))
            };
            return self.pass("Approval", who);
        }
        let message = format!(
            "{} of {required} approvals: somebody with the verb approve on TapPolicy {} appends a decision to status.decisions",
            people.len(),
            self.s.request.spec.policy_ref.name
        );
        self.note("Approval", CheckResult::Waiting, message.clone());
        Err(Verdict::AwaitApproval(message))
    }

    fn start_is_near(&mut self, issuance: &Issuance) -> Checked<'a> {
        let Some(start) = self.s.request.spec.start_time.as_ref().map(|t| t.0) else {
            return Ok(());
        };
        let lead = issuance.lead_time.as_ref().and_then(|l| l.duration().ok());
        let from = start - lead.unwrap_or(SignedDuration::from_mins(5));
        if self.s.now.earliest >= from {
            return Ok(());
        }
        Err(Verdict::Schedule(from))
    }
}

fn admits_namespace(issuance: &Issuance, name: &str, namespace: &Namespace) -> bool {
    let Some(allowed) = &issuance.namespaces else { return false };
    let by_name = allowed.names.as_ref().map(|names| names.iter().any(|n| n == name));
    let by_label = allowed.selector.as_ref().map(|selector| selects(selector, namespace));
    // Between fields all must agree; where none is given, nothing is admitted.
    match (by_name, by_label) {
        (None, None) => false,
        (name, label) => name.unwrap_or(true) && label.unwrap_or(true),
    }
}

fn selects(selector: &LabelSelector, namespace: &Namespace) -> bool {
    let empty = selector.match_labels.as_ref().is_none_or(std::collections::BTreeMap::is_empty)
        && selector.match_expressions.as_ref().is_none_or(Vec::is_empty);
    if empty {
        return false;
    }
    let labels = namespace.metadata.labels.clone().unwrap_or_default();
    kube::core::Selector::try_from(selector.clone())
        .is_ok_and(|s| kube::core::SelectorExt::matches(&s, &labels))
}

/// The groups about which membership decides: those of the policy, and those of the tenant's method.
fn groups_to_ask(users: Option<&Users>, method: &MethodConfiguration) -> Vec<String> {
    let of_policy = users
        .into_iter()
        .flat_map(|u| u.groups.iter().flatten().chain(u.exclude_groups.iter().flatten()));
    let of_method = method
        .include
        .iter()
        .chain(&method.exclude)
        .filter(|t| t.id != ALL_USERS && t.target_type != "user");
    let mut ids: Vec<String> = of_policy
        .map(|g| g.group.to_lowercase())
        .chain(of_method.map(|t| t.id.to_lowercase()))
        .collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

fn admits_user(users: Option<&Users>, user: &User, is_in: impl Fn(&str) -> bool) -> bool {
    let Some(users) = users else { return false };
    let domain = user.user_principal_name.rsplit_once('@').map_or("", |(_, domain)| domain);
    let by_domain =
        users.domains.as_ref().map(|d| d.iter().any(|d| d.eq_ignore_ascii_case(domain)));
    let by_group = users.groups.as_ref().map(|g| g.iter().any(|g| is_in(&g.group)));
    match (by_domain, by_group) {
        (None, None) => false,
        (domain, group) => domain.unwrap_or(true) && group.unwrap_or(true),
    }
}

fn label(id: &str, name: Option<&str>) -> String {
    name.map_or_else(|| id.to_owned(), |name| format!("{name} ({id})"))
}

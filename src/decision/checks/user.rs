//! Who the user is, and whether the policy and the tenant admit them.

use jiff::SignedDuration;

use super::{Checked, Run, TENANT_AGAIN, Verdict};
use crate::api::{CheckResult, DirectoryRoleHolders, Issuance, Lifetime, Resolved, Users};
use crate::decision::Reason;
use crate::decision::permissions::{Need, with_id};
use crate::decision::situation::{Eligibility, Situation};
use crate::decision::step::Look;
use crate::entra::{EntraName, MethodConfiguration, User, UserKind};

/// How long to wait before looking up a missing user again.
const USER_AGAIN: SignedDuration = SignedDuration::from_secs(20);
/// The target that means all users (documented).
const ALL_USERS: &str = "all_users";

impl<'a> Run<'a> {
    /// A user of another domain is refused at once, before anybody waits for them.
    pub(super) fn domain(&mut self, issuance: &Issuance) -> Checked<'a> {
        let domains = issuance.users.as_ref().and_then(|users| users.domains.as_ref());
        let (Some(domains), name) = (domains, &self.s.request.spec.user) else { return Ok(()) };
        if !name.contains('@') || is_of_one_of(name, domains) {
            return Ok(());
        }
        let policy = &self.s.request.spec.policy_ref.name;
        let message = format!(
            "TapPolicy {policy} admits only users of {}, not {name}: see its issuance.users",
            domains.join(", ")
        );
        self.fail("Users", Reason::UserNotAllowed, message)
    }

    pub(super) fn user(&mut self) -> Checked<'a, &'a User> {
        let name = &self.s.request.spec.user;
        let user = match &self.s.reads.user {
            None => return Err(Verdict::Ask(vec![Look::User])),
            Some(Err(error)) if error.is_not_found() => return self.user_missing(),
            Some(Err(error)) => return self.unknown("User", error),
            Some(Ok(user)) => user,
        };
        let Some(is_enabled) = user.account_enabled else {
            return self.wait(
                "User",
                Reason::PermissionMissing,
                "Graph does not say whether the account is enabled: grant the operator User.Read.All",
                Some(TENANT_AGAIN),
            );
        };
        match user.kind() {
            UserKind::Member | UserKind::InternalGuest => {}
            UserKind::ExternalGuest => {
                return self.fail("User", Reason::ExternalGuest, format!("{name} is an external guest, who signs in to their home tenant: Entra gives external guests no passes"));
            }
            UserKind::Unknown => {
                return self.wait(
                    "User",
                    Reason::PermissionMissing,
                    "Graph does not say whether the user is a member or a guest: grant the operator User.Read.All",
                    Some(TENANT_AGAIN),
                );
            }
        }
        if user.is_management_restricted {
            return self.fail("User", Reason::UserRestricted, format!("{name} is in a restricted management administrative unit, in which applications cannot create passes: ask an administrator of that unit for a pass"));
        }
        if is_enabled {
            self.pass("User", format!("{} exists and is enabled", user.user_principal_name))?;
        } else {
            self.not_yet(
                "User",
                Reason::UserDisabled,
                format!("the account of {name} is disabled: the pass is issued once it is enabled"),
                format!("the account of {name} is disabled: enable it, then make another request"),
            )?;
        }
        self.requester(user)?;
        Ok(user)
    }

    /// Nobody may ask for a pass for themselves.
    pub(super) fn requester(&mut self, user: &User) -> Checked<'a> {
        let who = self.s.request.spec.requested_by.as_deref().unwrap_or_default();
        match is_person(&self.s, who, user) {
            Some(true) => self.fail(
                "Requester",
                Reason::SelfService,
                "you cannot ask for a pass for yourself: somebody else must ask",
            ),
            Some(false) => {
                self.pass("Requester", "the requester and the user are different people")
            }
            None => {
                self.note(
                    "Requester",
                    CheckResult::Unknown,
                    "the operator cannot tell whether the requester and the user are the same person: the tenant connection does not map the requester's Kubernetes user name",
                );
                Ok(())
            }
        }
    }

    pub(super) fn user_missing<T>(&mut self) -> Checked<'a, T> {
        let name = &self.s.request.spec.user;
        let missing = self.s.memory.user_missing;
        let seen_twice = missing.is_some_and(|told| told.is_certain(self.s.settings.settle));
        let resolved = self.s.request.status.as_ref().and_then(|status| status.resolved.as_ref());
        if resolved.is_some() && seen_twice {
            let message = format!(
                "the user {name} does not exist any more: if the user was created again, make another request"
            );
            return self.fail("User", Reason::UserNotFound, message);
        }
        if !seen_twice && self.s.now.earliest >= self.patient_until() {
            let message = format!(
                "there is no user {name} in the tenant; the operator looks once more before the request fails"
            );
            return self.wait("User", Reason::UserNotFound, message, Some(USER_AGAIN));
        }
        let until = self.patient_until();
        let yet = format!(
            "there is no user {name} in the tenant yet: check the name; the operator looks again until {until:.0}, for it may be created or synchronized by then"
        );
        let never = format!(
            "there is no user {name} in the tenant: check the name, then make another request"
        );
        self.not_there_yet("User", Reason::UserNotFound, yet, never)
    }

    /// The user was found, but a look-up by their id was answered with 404, because Graph's indexes lag (documented).
    fn user_lags<T>(&mut self, check: &str, user: &User) -> Checked<'a, T> {
        let name = &user.user_principal_name;
        self.wait(
            check,
            Reason::UserNotFound,
            format!("Graph knows the user {name}, but not their memberships yet; the operator looks again: new users take a while to appear everywhere"),
            Some(USER_AGAIN),
        )
    }

    pub(super) fn resolve(
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
        let changed = fixed.map(|fixed| changed(fixed, &resolved)).unwrap_or_default();
        if !changed.is_empty() {
            let message = format!(
                "this is no longer what people were asked to approve ({}): make another request",
                changed.join(", ")
            );
            return self.fail("Resolved", Reason::ResolvedChanged, message);
        }
        self.resolved = Some(resolved);
        Ok(())
    }

    /// Asks for everything about the user at once.
    pub(super) fn ask_about(
        &self,
        issuance: &Issuance,
        method: &MethodConfiguration,
        user: &User,
    ) -> Checked<'a> {
        let reads = self.s.reads;
        let groups = groups_to_ask(issuance.users.as_ref(), method);
        let asks_roles = issuance.directory_role_holders != Some(DirectoryRoleHolders::Allow);
        Self::ask([
            (reads.groups.is_none() && !groups.is_empty()).then(|| look_for_groups(user, groups)),
            (reads.roles.is_none() && asks_roles).then(|| look_for_roles(user)),
            (reads.eligibility.is_none() && asks_roles).then(|| look_for_eligibility(user)),
        ])
    }

    pub(super) fn membership(
        &mut self,
        issuance: &Issuance,
        method: &MethodConfiguration,
        user: &User,
    ) -> Checked<'a> {
        let users = issuance.users.as_ref();
        let asked = groups_to_ask(users, method);
        let member_of: &[String] = match &self.s.reads.groups {
            _ if asked.is_empty() => &[],
            None => return Err(Verdict::Ask(vec![look_for_groups(user, asked)])),
            Some(Err(error)) if error.is_not_found() => return self.user_lags("Users", user),
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
        let name = &user.user_principal_name;
        match admits_user(users, user, is_in) {
            Admission::Admitted => self.pass("Users", "the policy admits the user")?,
            Admission::NotInAGroup => self.not_yet(
                "Users",
                Reason::UserNotAllowed,
                format!("{name} is in none of the groups that TapPolicy {policy} admits: the pass is issued once the user is in one of them (issuance.users.groups)"),
                format!("{name} is in none of the groups that TapPolicy {policy} admits: see its issuance.users"),
            )?,
            Admission::Refused => {
                let message = format!("TapPolicy {policy} does not admit {name}: see its issuance.users");
                return self.fail("Users", Reason::UserNotAllowed, message);
            }
        }

        let targets = |t: &crate::entra::GraphTarget| {
            t.id == ALL_USERS || t.id.eq_ignore_ascii_case(&user.id) || is_in(&t.id)
        };
        if method.exclude.iter().any(targets) {
            return self.fail(
                "Scope",
                Reason::UserNotInScope,
                "the tenant's Temporary Access Pass method excludes the user, who could not sign in with a pass",
            );
        }
        if !method.include.iter().any(targets) {
            let outside = "the tenant's Temporary Access Pass method does not include the user, who could not sign in with a pass";
            return self.not_yet(
                "Scope",
                Reason::UserNotInScope,
                format!(
                    "{outside}: the pass is issued once the user is in one of the method's groups"
                ),
                outside,
            );
        }
        self.pass("Scope", "the tenant's Temporary Access Pass method includes the user")
    }

    pub(super) fn roles(&mut self, issuance: &Issuance, user: &User) -> Checked<'a> {
        if issuance.directory_role_holders == Some(DirectoryRoleHolders::Allow) {
            return self.pass("DirectoryRoles", "the policy admits users who hold directory roles");
        }
        let roles = match &self.s.reads.roles {
            None => return Err(Verdict::Ask(vec![look_for_roles(user)])),
            Some(Err(error)) if error.is_not_found() => {
                return self.user_lags("DirectoryRoles", user);
            }
            Some(Err(error)) => return self.unknown("DirectoryRoles", error),
            Some(Ok(roles)) => roles,
        };
        if let Some(role) = roles.first() {
            let name = role.display_name.as_deref().unwrap_or("its name cannot be read");
            let message = format!(
                "the user holds a directory role ({name}), and the policy gives such users no passes (issuance.directoryRoleHolders)"
            );
            return self.fail("DirectoryRoles", Reason::DirectoryRoleHolder, message);
        }
        self.eligibility(user)
    }

    /// A user who could activate a role counts like one who holds it.
    fn eligibility(&mut self, user: &User) -> Checked<'a> {
        let role = match &self.s.reads.eligibility {
            None => return Err(Verdict::Ask(vec![look_for_eligibility(user)])),
            Some(Err(error)) => return self.unknown("DirectoryRoles", error),
            Some(Ok(Eligibility::None)) => {
                return self.pass(
                    "DirectoryRoles",
                    "the user holds no directory role, and could activate none",
                );
            }
            Some(Ok(Eligibility::NotSeen)) => {
                let message = format!(
                    "the user holds no directory role; roles that the user could activate are not seen: grant the operator {}",
                    with_id(Need::EligibleRoles.least())
                );
                return self.pass("DirectoryRoles", message);
            }
            Some(Ok(Eligibility::Of(role))) => role,
        };
        let which = role.definition_id.as_deref().unwrap_or("that cannot be read");
        let how = match &role.through_group {
            None => String::new(),
            Some(group) => format!(", through group {group}"),
        };
        let message = format!(
            "the user could activate a directory role (role definition {which}{how}), and the policy gives such users no passes (issuance.directoryRoleHolders)"
        );
        self.fail("DirectoryRoles", Reason::DirectoryRoleHolder, message)
    }
}

fn look_for_groups(user: &User, ids: Vec<String>) -> Look {
    Look::Groups { user_id: user.id.clone(), ids }
}

fn look_for_roles(user: &User) -> Look {
    Look::Roles { user_id: user.id.clone() }
}

fn look_for_eligibility(user: &User) -> Look {
    Look::Eligibility { user_id: user.id.clone() }
}

/// Whether a Kubernetes user name belongs to a user; `None` if the connection does not map it.
pub(super) fn is_person(s: &Situation, kubernetes_name: &str, user: &User) -> Option<bool> {
    let name = s.connection?.users.as_ref()?.entra(kubernetes_name)?;
    Some(match name {
        EntraName::UserPrincipalName(upn) => upn.eq_ignore_ascii_case(&user.user_principal_name),
        EntraName::ObjectId(id) => id.eq_ignore_ascii_case(&user.id),
    })
}

/// The groups on whose membership the checks depend: those of the policy and those of the tenant's method.
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

/// Whether a user principal name is of one of these domains.
fn is_of_one_of(name: &str, domains: &[String]) -> bool {
    let domain = name.rsplit_once('@').map_or("", |(_, domain)| domain);
    domains.iter().any(|admitted| admitted.eq_ignore_ascii_case(domain))
}

/// Whether a policy admits a user.
enum Admission {
    Admitted,
    /// The user may be in one of its groups later.
    NotInAGroup,
    Refused,
}

fn admits_user(users: Option<&Users>, user: &User, is_in: impl Fn(&str) -> bool) -> Admission {
    let Some(users) = users else { return Admission::Refused };
    let name = &user.user_principal_name;
    let by_domain = users.domains.as_ref().map(|domains| is_of_one_of(name, domains));
    let by_group = users.groups.as_ref().map(|g| g.iter().any(|g| is_in(&g.group)));
    match (by_domain, by_group) {
        (None, None) | (Some(false), _) => Admission::Refused,
        (_, Some(false)) => Admission::NotInAGroup,
        (_, Some(true) | None) => Admission::Admitted,
    }
}

fn label(id: &str, name: Option<&str>) -> String {
    name.map_or_else(|| id.to_owned(), |name| format!("{name} ({id})"))
}

/// The parts of a request that changed since people were asked to approve it. The user principal name may change, but the
/// user may not.
fn changed(fixed: &Resolved, now: &Resolved) -> Vec<String> {
    let one_time = |resolved: &Resolved| resolved.one_time_use.to_string();
    [
        ("tenantId", fixed.tenant_id.clone(), now.tenant_id.clone()),
        ("userId", fixed.user_id.clone(), now.user_id.clone()),
        ("lifetime", fixed.lifetime.to_string(), now.lifetime.to_string()),
        ("oneTimeUse", one_time(fixed), one_time(now)),
    ]
    .into_iter()
    .filter(|(_, was, is)| was != is)
    .map(|(field, was, is)| format!("{field} was {was} and is now {is}"))
    .collect()
}

//! Whether the policy, the ceilings and the tenant's method admit the user, by domain and by group.
//!
//! An exclusion that cannot be judged is no "no": of a group that hides its members, and of one that does not exist.

use super::user::USER_AGAIN;
use super::{Checked, Run, TENANT_AGAIN, Verdict};
use crate::api::{Ceilings, Issuance, Users};
use crate::decision::Reason;
use crate::decision::permissions::{Need, with_id};
use crate::decision::situation::{Connection, GroupState, GroupStates};
use crate::decision::step::Question;
use crate::entra::{ALL_USERS, GraphTarget, MethodConfiguration, User};

/// The groups of a user, as far as they can be told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Memberships<'a> {
    member_of: &'a [String],
    /// Absent if no group was asked about.
    states: Option<&'a GroupStates>,
}

impl Memberships<'_> {
    pub(super) fn include(&self, id: &str) -> bool {
        self.member_of.iter().any(|m| m.eq_ignore_ascii_case(id))
    }

    /// Why it cannot be told that the user is not in a group.
    pub(super) fn doubt(&self, id: &str) -> Option<GroupState> {
        let state = self.states?.get(&id.to_ascii_lowercase()).copied();
        let state = state.unwrap_or(GroupState::Gone);
        (state != GroupState::Seen && !self.include(id)).then_some(state)
    }

    fn is_hidden(&self, id: &str) -> bool {
        self.doubt(id) == Some(GroupState::Hidden)
    }
}

impl<'a> Run<'a> {
    pub(super) fn memberships(
        &mut self,
        issuance: &Issuance,
        connection: &Connection,
        method: &MethodConfiguration,
        user: &User,
    ) -> Checked<'a, Memberships<'a>> {
        let asked = groups_to_ask(issuance.users.as_ref(), &connection.ceilings, method);
        if asked.is_empty() {
            return Ok(Memberships { member_of: &[], states: None });
        }
        let (Some(groups), Some(states)) =
            (&self.s.reads.facts.groups, &self.s.reads.facts.group_states)
        else {
            return Err(Verdict::Ask(vec![
                ask_for_groups(user, asked.clone()),
                Question::GroupStates { ids: asked },
            ]));
        };
        match (groups, states) {
            (Err(error), _) if error.is_not_found() => self.user_lags("PolicyUsers", user),
            (Err(error), _) | (_, Err(error)) => self.unknown("PolicyUsers", error),
            (Ok(member_of), Ok(states)) => Ok(Memberships { member_of, states: Some(states) }),
        }
    }

    pub(super) fn admitted(
        &mut self,
        issuance: &Issuance,
        user: &User,
        groups: Memberships,
    ) -> Checked<'a> {
        let users = issuance.users.as_ref();
        let policy = &self.s.request.spec.policy_ref.name;
        for group in users.iter().flat_map(|u| u.exclude_groups.iter().flatten()) {
            let label = label(&group.group, group.display_name.as_deref());
            if groups.include(&group.group) {
                let message = format!("TapPolicy {policy} excludes the members of group {label}");
                return self.fail("PolicyUsers", Reason::UserNotAllowed, message);
            }
            self.certain("PolicyUsers", groups.doubt(&group.group), || {
                format!("TapPolicy {policy} excludes the members of group {label}")
            })?;
        }
        let name = &user.user_principal_name;
        match admits_user(users, user, |id| groups.include(id)) {
            Admission::Admitted => return self.pass("PolicyUsers", "the policy admits the user"),
            Admission::Refused => {
                let message =
                    format!("TapPolicy {policy} does not admit {name}: see its issuance.users");
                return self.fail("PolicyUsers", Reason::UserNotAllowed, message);
            }
            Admission::NotInAGroup => {}
        }
        let admitting = users.iter().flat_map(|u| u.groups.iter().flatten());
        for group in admitting.filter(|group| groups.is_hidden(&group.group)) {
            let label = label(&group.group, group.display_name.as_deref());
            self.certain("PolicyUsers", Some(GroupState::Hidden), || {
                format!("TapPolicy {policy} admits the members of group {label}")
            })?;
        }
        self.not_yet(
            "PolicyUsers",
            Reason::UserNotAllowed,
            format!("{name} is in none of the groups that TapPolicy {policy} admits: the pass is issued once the user is in one of them (issuance.users.groups)"),
            format!("{name} is in none of the groups that TapPolicy {policy} admits: see its issuance.users"),
        )
    }

    pub(super) fn in_scope(
        &mut self,
        method: &MethodConfiguration,
        user: &User,
        groups: Memberships,
    ) -> Checked<'a> {
        let targets = |t: &GraphTarget| {
            t.id == ALL_USERS || t.id.eq_ignore_ascii_case(&user.id) || groups.include(&t.id)
        };
        if method.exclude.iter().any(targets) {
            return self.fail(
                "MethodTargets",
                Reason::UserNotInScope,
                "the tenant's Temporary Access Pass method excludes the user, who could not sign in with a pass",
            );
        }
        // The tenant itself decides about groups that do not exist.
        let included = method.include.iter().any(targets);
        let doubtful = method.exclude.iter().chain(method.include.iter().filter(|_| !included));
        for target in doubtful.filter(|target| groups.is_hidden(&target.id)) {
            self.certain("MethodTargets", Some(GroupState::Hidden), || {
                format!("the tenant's Temporary Access Pass method names group {}", target.id)
            })?;
        }
        if !included {
            let outside = "the tenant's Temporary Access Pass method does not include the user, who could not sign in with a pass";
            return self.not_yet(
                "MethodTargets",
                Reason::UserNotInScope,
                format!(
                    "{outside}: the pass is issued once the user is in one of the method's groups"
                ),
                outside,
            );
        }
        self.pass("MethodTargets", "the tenant's Temporary Access Pass method includes the user")
    }

    /// Waits while it cannot be told whether the user is in a group. `because` says why that matters.
    pub(super) fn certain(
        &mut self,
        check: &str,
        doubt: Option<GroupState>,
        because: impl FnOnce() -> String,
    ) -> Checked<'a> {
        let (reason, what) = match doubt {
            None | Some(GroupState::Seen) => return Ok(()),
            Some(GroupState::Gone) => {
                let what = "which does not exist, so it cannot be told who was meant: correct the group's object id, or take the group out";
                (Reason::GroupNotFound, what.to_owned())
            }
            Some(GroupState::Hidden) => {
                let what = format!(
                    "which hides its members, so it cannot be told whether the user is one: grant the operator {}",
                    with_id(Need::HiddenMembers.least())
                );
                (Reason::GroupHidden, what)
            }
        };
        let message = format!("{}, {what}", because());
        self.wait(check, reason, message, Some(TENANT_AGAIN))
    }

    /// The user was found, but a look-up by their id was answered with 404, because Graph's indexes lag (documented).
    pub(super) fn user_lags<T>(&mut self, check: &str, user: &User) -> Checked<'a, T> {
        let name = &user.user_principal_name;
        self.wait(
            check,
            Reason::UserNotFound,
            format!("Graph knows the user {name}, but not their memberships yet; the operator looks again: new users take a while to appear everywhere"),
            Some(USER_AGAIN),
        )
    }
}

pub(super) fn ask_for_groups(user: &User, ids: Vec<String>) -> Question {
    Question::Groups { user_id: user.id.clone(), ids }
}

/// The groups on whose membership the checks depend: those of the policy, of the ceilings and of the tenant's method.
pub fn groups_to_ask(
    users: Option<&Users>,
    ceilings: &Ceilings,
    method: &MethodConfiguration,
) -> Vec<String> {
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
        .chain(ceilings.exclude_groups.iter().cloned())
        .collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// The domain of a user principal name; empty if it has none.
pub(super) fn domain_of(name: &str) -> &str {
    name.rsplit_once('@').map_or("", |(_, domain)| domain)
}

/// Whether a user principal name is of one of these domains.
pub fn is_of_one_of(name: &str, domains: &[String]) -> bool {
    let domain = domain_of(name);
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

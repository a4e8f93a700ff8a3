//! Whether the user holds a directory role, or could activate one, and what that means for a pass.

use std::collections::BTreeSet;

use super::ceilings::completeness_is_required;
use super::{Checked, Run, TENANT_AGAIN, Verdict};
use crate::api::{Ceilings, DirectoryRoleHolders, Issuance};
use crate::decision::Reason;
use crate::decision::permissions::gap_in_words;
use crate::decision::situation::{Connection, Eligibility};
use crate::decision::step::Question;
use crate::entra::{RoleGap, RoleHolding, User};

/// What a directory role of the user means for a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RoleRule {
    /// Nothing, so the roles are not read.
    Nothing,
    /// At least so many people must approve.
    Approvals(usize),
    /// The policy gives none.
    DeniedByPolicy,
    /// A ceiling forbids it.
    DeniedByCeiling,
}

impl RoleRule {
    pub(super) fn of(issuance: &Issuance, ceilings: &Ceilings) -> Self {
        if issuance.directory_role_holders != Some(DirectoryRoleHolders::Allow) {
            return Self::DeniedByPolicy;
        }
        match (ceilings.directory_role_holders, ceilings.directory_role_holder_approvals) {
            (Some(_), _) => Self::DeniedByCeiling,
            (None, Some(approvals)) => Self::Approvals(approvals),
            (None, None) => Self::Nothing,
        }
    }
}

/// Whether it matters for a pass which directory roles its user holds or could activate.
pub fn reads_roles(issuance: &Issuance, ceilings: &Ceilings) -> bool {
    RoleRule::of(issuance, ceilings) != RoleRule::Nothing
}

impl<'a> Run<'a> {
    /// How many people must approve, at least, because of a role of the user.
    pub(super) fn roles(
        &mut self,
        issuance: &Issuance,
        connection: &Connection,
        user: &User,
    ) -> Checked<'a, usize> {
        let rule = RoleRule::of(issuance, &connection.ceilings);
        if rule == RoleRule::Nothing {
            let message = "the policy admits users who hold directory roles";
            return self.pass("DirectoryRoles", message).map(|()| 0);
        }
        let complete = completeness_is_required(issuance, &connection.ceilings);
        let Some(role) = self.role(user, complete)? else { return Ok(0) };
        match rule {
            RoleRule::DeniedByPolicy | RoleRule::Nothing => {
                let message = format!(
                    "the user {role}, and the policy gives such users no passes (issuance.directoryRoleHolders)"
                );
                self.fail("DirectoryRoles", Reason::DirectoryRoleHolder, message)
            }
            RoleRule::DeniedByCeiling => self.exceeds(
                "directoryRoleHolders",
                format!("the user {role}, and such users get no pass through this operator"),
            ),
            RoleRule::Approvals(approvals) => {
                let message = format!(
                    "the user {role}: at least {approvals} people must approve (ceilings.directoryRoleHolderApprovals of the operator's configuration)"
                );
                self.pass("DirectoryRoles", message).map(|()| approvals)
            }
        }
    }

    /// A role that the user holds or could activate, as the end of a sentence. What is asked about this user is fresh; the
    /// tenant's lists add what those questions do not show.
    fn role(&mut self, user: &User, complete: bool) -> Checked<'a, Option<String>> {
        let reads = self.s.reads;
        let roles = match &reads.facts.roles {
            None => return Err(Verdict::Ask(vec![ask_for_roles(user)])),
            Some(Err(error)) if error.is_not_found() => {
                return self.user_lags("DirectoryRoles", user);
            }
            Some(Err(error)) => return self.unknown("DirectoryRoles", error),
            Some(Ok(roles)) => roles,
        };
        if let Some(role) = roles.first() {
            let name = role.display_name.as_deref().unwrap_or("its name cannot be read");
            return Ok(Some(format!("holds a directory role ({name})")));
        }
        let eligibility = match &reads.facts.eligibility {
            None => return Err(Verdict::Ask(vec![ask_for_eligibility(user)])),
            Some(Err(error)) => return self.unknown("DirectoryRoles", error),
            Some(Ok(eligibility)) => eligibility,
        };
        // A user who could activate a role counts like one who holds it.
        if let Eligibility::Of(role) = eligibility {
            let which = role.definition_id.as_deref().unwrap_or("that cannot be read");
            let how = through(role.through_group.as_deref());
            let sentence =
                format!("could activate a directory role (role definition {which}{how})");
            return Ok(Some(sentence));
        }
        let listed = match &reads.facts.listed_roles {
            None => return Err(Verdict::Ask(vec![ask_for_listed_roles(user)])),
            Some(Err(error)) if error.is_not_found() => {
                return self.user_lags("DirectoryRoles", user);
            }
            Some(Err(error)) => return self.unknown("DirectoryRoles", error),
            Some(Ok(listed)) => listed,
        };
        if let Some((holding, group)) = &listed.found {
            return Ok(Some(in_words(holding, group.as_deref())));
        }
        let mut gaps = listed.gaps.clone();
        if *eligibility == Eligibility::NotSeen {
            gaps.insert(RoleGap::Eligibilities);
        }
        self.no_role(&gaps, complete).map(|()| None)
    }

    fn no_role(&mut self, gaps: &BTreeSet<RoleGap>, complete: bool) -> Checked<'a> {
        if gaps.is_empty() {
            let message = "the user holds no directory role, and could activate none";
            return self.pass("DirectoryRoles", message);
        }
        let gaps: Vec<String> = gaps.iter().map(|gap| gap_in_words(*gap)).collect();
        let message = format!(
            "no directory role of the user is seen; the operator cannot see {}",
            gaps.join("; nor ")
        );
        if complete {
            let message = format!("{message}; the policy or a ceiling demands complete checks");
            return self.wait(
                "DirectoryRoles",
                Reason::ChecksIncomplete,
                message,
                Some(TENANT_AGAIN),
            );
        }
        self.pass("DirectoryRoles", message)
    }
}

/// How somebody holds a role that the tenant's lists show, as the end of a sentence.
fn in_words(holding: &RoleHolding, group: Option<&str>) -> String {
    let RoleHolding { row, eligible, through_eligible_group } = holding;
    let which = row.definition_id.as_deref().unwrap_or("that cannot be read");
    let scope = match row.scope.as_deref() {
        None | Some("/") => String::new(),
        Some(scope) => format!(", for {scope}"),
    };
    let verb = if *eligible { "could activate" } else { "holds" };
    let how = through(group);
    let join = through_eligible_group.as_ref();
    let join = join.map(|group| format!(", by joining group {group}")).unwrap_or_default();
    format!("{verb} a directory role (role definition {which}{scope}{how}{join})")
}

fn through(group: Option<&str>) -> String {
    group.map(|group| format!(", through group {group}")).unwrap_or_default()
}

pub(super) fn ask_for_listed_roles(user: &User) -> Question {
    Question::ListedRoles { user_id: user.id.clone() }
}

pub(super) fn ask_for_roles(user: &User) -> Question {
    Question::Roles { user_id: user.id.clone() }
}

pub(super) fn ask_for_eligibility(user: &User) -> Question {
    Question::Eligibility { user_id: user.id.clone() }
}

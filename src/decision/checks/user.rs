//! Who the user is, and whether the policy and the tenant admit them.

use jiff::SignedDuration;

use super::membership::{ask_for_groups, groups_to_ask, is_of_one_of};
use super::newcomer::{ask_for_methods, asks_for_methods};
use super::roles::{ask_for_eligibility, ask_for_listed_roles, ask_for_roles, reads_roles};
use super::{Checked, Run, TENANT_AGAIN, Verdict};
use crate::api::{Issuance, Lifetime, Resolved};
use crate::decision::Reason;
use crate::decision::situation::Connection;
use crate::decision::step::Question;
use crate::entra::{MethodConfiguration, User, UserKind, folded};

/// How long to wait before looking up a missing user again.
pub(super) const USER_AGAIN: SignedDuration = SignedDuration::from_secs(20);

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
        self.fail("PolicyUsers", Reason::UserNotAllowed, message)
    }

    /// Once it is fixed for whom the pass is, the user is read by object id: a sign-in name changes when a person is renamed,
    /// and may then be given to somebody else.
    pub(super) fn ask_for_user(&self, tenant_id: &str) -> Question {
        let fixed = self.fixed().filter(|fixed| fixed.tenant_id == tenant_id);
        let key = fixed.map_or(&self.s.request.spec.user, |fixed| &fixed.user_id);
        Question::User { key: key.clone() }
    }

    /// Where no user has the name: whether it is the mail address of one.
    fn ask_by_mail(&self) -> Option<Question> {
        let name = &self.s.request.spec.user;
        let asks =
            self.fixed().is_none() && self.s.reads.facts.meant.is_none() && name.contains('@');
        asks.then(|| Question::UserByMail { address: name.clone() })
    }

    fn fixed(&self) -> Option<&'a Resolved> {
        self.s.request.status.as_ref()?.resolved.as_ref()
    }

    pub(super) fn user(&mut self, tenant_id: &str) -> Checked<'a, &'a User> {
        let name = &self.s.request.spec.user;
        let user = match &self.s.reads.facts.user {
            None => return Err(Verdict::Ask(vec![self.ask_for_user(tenant_id)])),
            Some(Err(error)) if error.is_not_found() => {
                Self::ask([self.ask_by_mail()])?;
                return self.user_missing();
            }
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
            UserKind::ExternalMember => {
                return self.fail("User", Reason::ExternalMember, format!("{name} is a member whose credentials are in another tenant, where they sign in: Entra gives such members no passes; ask for a pass there"));
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
        let name = &user.user_principal_name;
        if !is_enabled {
            self.not_yet(
                "User",
                Reason::UserDisabled,
                format!("the account of {name} is disabled: the pass is issued once it is enabled"),
                format!("the account of {name} is disabled: enable it, then make another request"),
            )?;
            return Ok(user);
        }
        let before =
            self.fixed().filter(|fixed| folded(&fixed.user_principal_name) != folded(name));
        let before = before.map(|fixed| format!(" (renamed since: {})", fixed.user_principal_name));
        let message = format!("{name} exists and is enabled{}", before.unwrap_or_default());
        self.pass("User", message)?;
        Ok(user)
    }

    pub(super) fn user_missing<T>(&mut self) -> Checked<'a, T> {
        let name = &self.s.request.spec.user;
        let missing = self.s.memory.user_missing;
        let seen_twice = missing.is_some_and(|told| told.is_certain(self.s.settings.settle));
        if self.fixed().is_some() && seen_twice {
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
        let meant = self.s.reads.facts.meant.as_ref().and_then(Option::as_ref);
        let check = meant.map_or_else(
            || "check the name".to_owned(),
            |meant| format!("did you mean {meant}, whose mail address this is?"),
        );
        let yet = format!(
            "there is no user {name} in the tenant yet: {check}; the operator looks again until {until:.0}, for it may be created or synchronized by then"
        );
        let never = match meant {
            Some(_) => format!(
                "there is no user {name} in the tenant: {check} Make another request with that name"
            ),
            None => {
                format!("there is no user {name} in the tenant: {check}, then make another request")
            }
        };
        self.not_there_yet("User", Reason::UserNotFound, yet, never)
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
        let fixed = self.fixed();
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

    /// Everything that is still to be known of the user, to be asked for at once.
    pub(super) fn questions_about(
        &self,
        issuance: &Issuance,
        connection: &Connection,
        method: &MethodConfiguration,
        user: &User,
    ) -> Vec<Question> {
        let reads = self.s.reads;
        let groups = groups_to_ask(issuance.users.as_ref(), &connection.ceilings, method);
        let asks_roles = reads_roles(issuance, &connection.ceilings);
        let questions = [
            (reads.facts.groups.is_none() && !groups.is_empty())
                .then(|| ask_for_groups(user, groups.clone())),
            (reads.facts.group_states.is_none() && !groups.is_empty())
                .then(|| Question::GroupStates { ids: groups.clone() }),
            (reads.facts.sign_in_methods.is_none() && asks_for_methods(issuance))
                .then(|| ask_for_methods(user)),
            (reads.facts.roles.is_none() && asks_roles).then(|| ask_for_roles(user)),
            (reads.facts.eligibility.is_none() && asks_roles).then(|| ask_for_eligibility(user)),
            (reads.facts.listed_roles.is_none() && asks_roles).then(|| ask_for_listed_roles(user)),
        ];
        questions.into_iter().flatten().collect()
    }
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

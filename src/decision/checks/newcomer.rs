//! Whether the user is as new as the policy wants: so that a policy without approvals can serve new colleagues and nobody
//! else.

use super::{Checked, Run, TENANT_AGAIN, Verdict};
use crate::api::Issuance;
use crate::decision::Reason;
use crate::decision::clock::later;
use crate::decision::step::Question;
use crate::entra::User;

impl<'a> Run<'a> {
    pub(super) fn newcomer(&mut self, issuance: &Issuance, user: &User) -> Checked<'a> {
        self.created_lately(issuance, user)?;
        self.without_methods(issuance, user)
    }

    fn created_lately(&mut self, issuance: &Issuance, user: &User) -> Checked<'a> {
        let users = issuance.users.as_ref();
        let Some(within) = users.and_then(|users| users.created_within.as_ref()) else {
            return Ok(());
        };
        let Ok(length) = within.duration() else {
            let message =
                "issuance.users.createdWithin of the policy is not valid: correct the policy";
            return self.wait("Created", Reason::PolicyInvalid, message, None);
        };
        let Some(created) = user.created else {
            let message =
                "Graph does not say when the account was created: grant the operator User.Read.All";
            return self.wait("Created", Reason::PermissionMissing, message, Some(TENANT_AGAIN));
        };
        if self.s.now.latest > later(created, length) {
            let message = format!(
                "the account was created at {created:.0}, and the policy gives passes only within {within} (issuance.users.createdWithin): use another policy"
            );
            return self.fail("Created", Reason::UserNotAllowed, message);
        }
        self.pass(
            "Created",
            format!("the account was created at {created:.0}, less than {within} ago"),
        )
    }

    fn without_methods(&mut self, issuance: &Issuance, user: &User) -> Checked<'a> {
        if !asks_for_methods(issuance) {
            return Ok(());
        }
        let methods = match &self.s.reads.facts.sign_in_methods {
            None => return Err(Verdict::Ask(vec![ask_for_methods(user)])),
            Some(Err(error)) if error.is_not_found() => {
                return self.user_lags("SignInMethods", user);
            }
            Some(Err(error)) => return self.unknown("SignInMethods", error),
            Some(Ok(methods)) => methods,
        };
        if methods.is_empty() {
            return self.pass("SignInMethods", "the user has no sign-in method but a password");
        }
        let message = format!(
            "the user has sign-in methods ({}), and the policy gives passes only to users without (issuance.users.onlyWithoutSignInMethods): use another policy",
            methods.join(", ")
        );
        self.fail("SignInMethods", Reason::UserHasMethods, message)
    }
}

/// Whether it matters for a pass which sign-in methods its user has.
pub fn asks_for_methods(issuance: &Issuance) -> bool {
    issuance.users.as_ref().is_some_and(|users| users.only_without_sign_in_methods == Some(true))
}

pub(super) fn ask_for_methods(user: &User) -> Question {
    Question::SignInMethods { user_id: user.id.clone() }
}

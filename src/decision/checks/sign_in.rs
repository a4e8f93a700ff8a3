//! Whether the user could sign in with the pass, by the tenant's Conditional Access policies. An administrator can change them
//! at any time, so a pass is refused for that only if the policy says so (`issuance.unusablePass`), and the request waits.

use super::ceilings::completeness_is_required;
use super::{Checked, Run, TENANT_AGAIN, may_be_issued_next};
use crate::api::{CheckResult, Issuance, UnusablePass};
use crate::decision::Reason;
use crate::decision::permissions::{Need, with_id};
use crate::decision::sign_in::{self, Person, Who};
use crate::decision::situation::{Connection, SignInRules, SignInSeen, SignInTargets};
use crate::decision::step::{Question, SignInAsks, SignInWait};
use crate::entra::{AccessPolicy, GraphError, PassKind, User, UserKind};

const NAME: &str = "SignIn";
const NOT_READ: &str = "the tenant's Conditional Access policies could not be read, so it is not known whether the user can sign in with the pass";

/// Whether a pass is refused that could not be used.
pub fn refuses_unusable(issuance: &Issuance) -> bool {
    issuance.unusable_pass.unwrap_or_default() != UnusablePass::Warn
}

impl<'a> Run<'a> {
    /// What is asked about Conditional Access before the user is known.
    pub(super) fn ask_for_sign_in_rules(&self, issuance: &Issuance) -> Option<Question> {
        let unknown = self.s.reads.facts.sign_in_rules.is_none();
        unknown.then(|| Question::SignInRules { wait: self.wait_for_sign_in(issuance) })
    }

    /// What is asked about the user for it.
    pub(super) fn ask_for_sign_in(
        &self,
        issuance: &Issuance,
        user: &User,
        kind: PassKind,
    ) -> Option<Question> {
        let facts = &self.s.reads.facts;
        if facts.sign_in.is_some() {
            return None;
        }
        let asks = match facts.sign_in_rules.as_ref()?.as_ref().ok()? {
            SignInRules::Policies(policies) => {
                let (groups, roles) = sign_in::asks(policies, kind);
                if groups.is_empty() && !roles {
                    return None;
                }
                SignInAsks::Targets { groups: groups.into_iter().collect(), roles }
            }
            SignInRules::WhatIf => SignInAsks::WhatIf,
            SignInRules::NotSeen | SignInRules::NotYet => return None,
        };
        let wait = self.wait_for_sign_in(issuance);
        Some(Question::SignIn { user_id: user.id.clone(), asks, wait })
    }

    fn wait_for_sign_in(&self, issuance: &Issuance) -> SignInWait {
        let is_next = |terms| may_be_issued_next(self.s.request, terms);
        if refuses_unusable(issuance) {
            SignInWait::UntilAnswered
        } else if self.s.terms.is_some_and(is_next) {
            SignInWait::Hardly
        } else {
            SignInWait::Seconds
        }
    }

    pub(super) fn sign_in(
        &mut self,
        issuance: &Issuance,
        connection: &Connection,
        user: &User,
        kind: PassKind,
    ) -> Checked<'a> {
        let (policies, person) = match self.policies_for(user) {
            Ok(found) => found,
            Err(Unjudged::Failed(error)) if refuses_unusable(issuance) => {
                return self.unknown(NAME, error);
            }
            Err(Unjudged::Failed(_) | Unjudged::NotYet) => {
                // A pass is issued nevertheless, because nothing says that it could not be used.
                self.note(NAME, CheckResult::Unknown, NOT_READ);
                return Ok(());
            }
            Err(Unjudged::NotSeen) if !refuses_unusable(issuance) => return Ok(()),
            Err(Unjudged::NotSeen) => {
                return self.unseen(
                    issuance,
                    connection,
                    "the operator cannot see Conditional Access",
                );
            }
            Err(Unjudged::NotOffered) => {
                let why = "this cloud does not tell which Conditional Access policies a user meets";
                return self.unseen(issuance, connection, why);
            }
            Err(Unjudged::NotLicensed) => {
                let why = "the tenant does not tell which Conditional Access policies a user meets, because it has no Microsoft Entra ID P1";
                return self.unseen(issuance, connection, why);
            }
        };
        let who = person.as_ref().map_or(Who::Concerned, Who::User);
        let verdict = sign_in::verdict(policies, kind, who);
        if let Some(prevented) = verdict.prevented() {
            if !refuses_unusable(issuance) {
                self.note(NAME, CheckResult::Warned, prevented);
                return Ok(());
            }
            let never = format!(
                "{prevented}; then make another request (the policy refuses unusable passes: issuance.unusablePass)"
            );
            let yet = format!("{prevented}; the pass is issued once that is so");
            return self.not_yet(NAME, Reason::PassUnusable, yet, never);
        }
        if let Some(open) = verdict.open() {
            self.note(NAME, CheckResult::Unknown, open);
            return Ok(());
        }
        let message = format!(
            "the tenant's Conditional Access policies let the user register security info with the pass{}",
            verdict.remarks()
        );
        self.pass(NAME, message)
    }

    /// The policies by which the sign-in of the user is judged, and the user; nobody where all of them concern the user.
    fn policies_for(
        &self,
        user: &User,
    ) -> Result<(&'a [AccessPolicy], Option<Person>), Unjudged<'a>> {
        let facts = &self.s.reads.facts;
        let rules = match &facts.sign_in_rules {
            None => return Err(Unjudged::NotSeen),
            Some(Err(error)) => return Err(Unjudged::Failed(error)),
            Some(Ok(rules)) => rules,
        };
        let seen = match &facts.sign_in {
            None => None,
            Some(Err(error)) => return Err(Unjudged::Failed(error)),
            Some(Ok(seen)) => Some(seen),
        };
        let person = |targets: Option<&SignInTargets>| Person {
            id: user.id.to_ascii_lowercase(),
            is_guest: user.kind() == UserKind::InternalGuest,
            targets: targets.cloned().unwrap_or_default(),
        };
        match (rules, seen) {
            (SignInRules::NotSeen, _) => Err(Unjudged::NotSeen),
            (_, Some(SignInSeen::NotOffered)) => Err(Unjudged::NotOffered),
            (_, Some(SignInSeen::NotLicensed)) => Err(Unjudged::NotLicensed),
            (SignInRules::Policies(all), None) => Ok((&**all, Some(person(None)))),
            (SignInRules::Policies(all), Some(SignInSeen::Targets(targets))) => {
                Ok((&**all, Some(person(Some(targets)))))
            }
            (SignInRules::WhatIf, Some(SignInSeen::Applying(policies))) => Ok((&**policies, None)),
            (SignInRules::NotYet | SignInRules::WhatIf | SignInRules::Policies(_), _) => {
                Err(Unjudged::NotYet)
            }
        }
    }

    /// The policies cannot be seen, which matters to a policy that refuses unusable passes.
    fn unseen(&mut self, issuance: &Issuance, connection: &Connection, why: &str) -> Checked<'a> {
        let message = format!(
            "{why}, so it is not known whether the user can sign in with the pass: grant {}",
            with_id(Need::AccessPolicies.least())
        );
        if refuses_unusable(issuance) && completeness_is_required(issuance, &connection.ceilings) {
            let message = format!("{message}; the policy or a ceiling demands complete checks");
            return self.wait(NAME, Reason::ChecksIncomplete, message, Some(TENANT_AGAIN));
        }
        self.note(NAME, CheckResult::Unknown, message);
        Ok(())
    }
}

/// Why the sign-in of a user cannot be judged.
enum Unjudged<'a> {
    /// The app may see neither the policies nor which of them a user meets.
    NotSeen,
    /// The cloud does not say which policies a user meets.
    NotOffered,
    /// The tenant has no licence to ask which policies a user meets.
    NotLicensed,
    /// They were not read in time.
    NotYet,
    /// They could not be read.
    Failed(&'a GraphError),
}

//! Who is who: whether two Kubernetes user names, or such a name and the user of the pass, mean one person.
//!
//! Sameness only refuses here: nobody asks for themselves, approves their own request, or approves twice. So two are one
//! person if any name or id of theirs agrees, with names [`folded`]. They are two only if it is certain of both who they are in
//! the tenant. Where sameness grants something, as the right to revoke does, the admission policies compare exactly.
//!
//! A person is looked up when their name is first seen, which the status records, and again before the issue: names are given
//! to others, and one person has several.

use std::fmt;
use std::sync::LazyLock;

use jiff::SignedDuration;

use super::ceilings::completeness_is_required;
use super::{Checked, Run};
use crate::api::{CheckResult, DecisionKind, Issuance, PersonFound, TapRequest, UnmappedPeople};
use crate::decision::Reason;
use crate::decision::situation::{Connection, People, Situation};
use crate::decision::step::Question;
use crate::entra::{Behind, EntraName, Namesakes, User, UserNames, folded};

/// How long to wait before looking somebody up again who was not found.
const PEOPLE_AGAIN: SignedDuration = SignedDuration::from_secs(60);

/// What a connection without a mapping makes of names.
static NO_NAMES: LazyLock<UserNames> = LazyLock::new(UserNames::default);

/// How Kubernetes user names map to users of the tenant.
pub(super) fn names_of(connection: Option<&Connection>) -> &UserNames {
    connection.and_then(|connection| connection.users.as_ref()).unwrap_or(&NO_NAMES)
}

/// Whether people of whom it cannot be told who they are in the tenant may neither ask nor approve.
pub fn denies_unmapped_people(issuance: &Issuance, connection: Option<&Connection>) -> bool {
    let maps_names = connection.is_some_and(|connection| connection.users.is_some());
    if connection.is_some_and(|connection| connection.ceilings.unmapped_people.is_some()) {
        return true;
    }
    issuance.unmapped_people.map_or(maps_names, |people| people != UnmappedPeople::Allow)
}

/// Whether two are one person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Same {
    /// They are.
    Yes,
    /// They are not.
    No,
    /// It cannot be told.
    Unknown,
}

/// Why it is not certain who somebody is in the tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doubt {
    /// The tenant connection reads no such names.
    Unmapped,
    /// Nobody in the tenant has the name.
    NotFound,
    /// Several have it.
    Several,
    /// It meant somebody else when it was first seen.
    Changed,
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unmapped => "the tenant connection reads no such Kubernetes user names",
            Self::NotFound => "no user of the tenant has that name",
            Self::Several => "several users of the tenant have that name",
            Self::Changed => "the name meant another user of the tenant before",
        })
    }
}

/// Somebody, by all that says who they are.
#[derive(Clone, Debug)]
pub(super) struct Person {
    /// What they are called, folded: user names of the cluster, sign-in names, mail addresses.
    names: Vec<String>,
    /// The object ids that may be theirs, in lower case.
    ids: Vec<String>,
    /// Why it is not certain who they are, where it is not.
    doubt: Option<Doubt>,
}

impl Person {
    /// Whoever has this user name in the cluster.
    pub(super) fn named(kubernetes_name: &str, s: &Situation) -> Self {
        let raw = folded(kubernetes_name);
        let entra = match names_of(s.connection).behind(kubernetes_name) {
            Behind::User(entra) => entra,
            Behind::ServiceAccount => return Self { names: vec![raw], ids: vec![], doubt: None },
            Behind::Unmapped => {
                return Self { names: vec![raw], ids: vec![], doubt: Some(Doubt::Unmapped) };
            }
        };
        let found = s.reads.facts.people.as_ref().and_then(|people| people.as_ref().ok());
        let found = found.and_then(|people| people.get(kubernetes_name));
        let recorded = recorded(s.request).iter().find(|person| person.name == kubernetes_name);
        let (mut names, mut ids) = (vec![raw], Vec::new());
        match entra {
            EntraName::UserPrincipalName(name) => names.push(folded(&name)),
            EntraName::ObjectId(id) => ids.push(id),
        }
        let now = found.map(|found| (&found.user_id, &found.others));
        let before = recorded.map(|person| (&person.user_id, &person.others));
        for (id, others) in now.into_iter().chain(before) {
            ids.extend(id.iter().chain(others).map(|id| id.to_ascii_lowercase()));
        }
        Self { names, ids, doubt: doubt(found, recorded) }
    }

    /// The user for whom the pass is, under the names that they have and had.
    pub(super) fn user(user: &User, request: &TapRequest) -> Self {
        let resolved = request.status.as_ref().and_then(|status| status.resolved.as_ref());
        let before = resolved.filter(|r| r.user_id.eq_ignore_ascii_case(&user.id));
        let before = before.map(|resolved| &resolved.user_principal_name);
        let names = [&user.user_principal_name, &request.spec.user];
        let names = names.into_iter().chain(before).chain(&user.mail_addresses);
        let names = names.map(|name| folded(name)).collect();
        Self { names, ids: vec![user.id.to_ascii_lowercase()], doubt: None }
    }

    /// Why it is not certain who they are in the tenant, where it is not.
    pub(super) fn doubt(&self) -> Option<Doubt> {
        self.doubt
    }

    /// Whether the two are one person.
    pub(super) fn is(&self, other: &Self) -> Same {
        let share =
            |ours: &[String], theirs: &[String]| ours.iter().any(|one| theirs.contains(one));
        if share(&self.names, &other.names) || share(&self.ids, &other.ids) {
            Same::Yes
        } else if self.doubt.is_none() && other.doubt.is_none() {
            Same::No
        } else {
            Same::Unknown
        }
    }
}

fn doubt(now: Option<&Namesakes>, before: Option<&PersonFound>) -> Option<Doubt> {
    let now = now?;
    match (&now.user_id, before) {
        (None, _) if now.others.is_empty() => Some(Doubt::NotFound),
        (None, _) => Some(Doubt::Several),
        (Some(id), Some(PersonFound { user_id: Some(before), .. })) if id != before => {
            Some(Doubt::Changed)
        }
        (Some(_), _) => None,
    }
}

fn recorded(request: &TapRequest) -> &[PersonFound] {
    request.status.as_ref().map_or(&[], |status| &status.people)
}

/// The Kubernetes user names of requester and approvers.
fn everybody(request: &TapRequest) -> impl Iterator<Item = &str> {
    let approvals = request.decisions().iter().filter(|d| d.decision == DecisionKind::Approve);
    request.spec.requested_by.as_deref().into_iter().chain(approvals.map(|d| d.by.as_str()))
}

impl<'a> Run<'a> {
    /// Asks for all people whose names mean users of the tenant, if any of them was not looked up for this decision.
    pub(super) fn ask_for_people(&self) -> Option<Question> {
        let users = names_of(self.s.connection);
        let mapped = everybody(self.s.request).filter_map(|name| match users.behind(name) {
            Behind::User(entra) => Some((name.to_owned(), entra)),
            Behind::ServiceAccount | Behind::Unmapped => None,
        });
        let mut names: Vec<(String, EntraName)> = mapped.collect();
        names.sort_unstable_by(|one, other| one.0.cmp(&other.0));
        names.dedup();
        let is_known = |people: &People| names.iter().all(|(name, _)| people.contains_key(name));
        let is_read = match &self.s.reads.facts.people {
            None => names.is_empty(),
            Some(Ok(people)) => is_known(people),
            Some(Err(_)) => true,
        };
        (!is_read).then_some(Question::People { names })
    }

    /// Notes whom people were found to be, for the status. One who was not found is looked for again.
    pub(super) fn note_people(&mut self) {
        let Some(Ok(people)) = &self.s.reads.facts.people else { return };
        let found = people.iter().filter(|(_, found)| **found != Namesakes::default());
        self.people = found
            .map(|(name, found)| PersonFound {
                name: name.clone(),
                user_id: found.user_id.clone(),
                others: found.others.clone(),
            })
            .collect();
    }

    /// Nobody may ask for a pass for themselves.
    pub(super) fn requester(&mut self, issuance: &Issuance, user: &User) -> Checked<'a> {
        if let Some(Err(error)) = &self.s.reads.facts.people {
            return self.unknown("NotForSelf", error);
        }
        let who = self.s.request.spec.requested_by.as_deref().unwrap_or_default();
        let requester = Person::named(who, &self.s);
        match requester.is(&Person::user(user, self.s.request)) {
            Same::Yes => self.fail(
                "NotForSelf",
                Reason::SelfService,
                "you cannot ask for a pass for yourself: somebody else must ask",
            ),
            Same::No => self.pass("NotForSelf", "the requester and the user are different people"),
            Same::Unknown => {
                let doubt = requester.doubt().unwrap_or(Doubt::Unmapped);
                self.unknown_requester(issuance, who, doubt)
            }
        }
    }

    fn unknown_requester(&mut self, issuance: &Issuance, who: &str, doubt: Doubt) -> Checked<'a> {
        let ceilings = self.s.connection.map(|connection| &*connection.ceilings);
        let complete =
            ceilings.is_some_and(|ceilings| completeness_is_required(issuance, ceilings));
        if !denies_unmapped_people(issuance, self.s.connection) {
            if complete {
                let message = format!(
                    "it cannot be told whether the requester and the user are the same person: {doubt}; the policy or a ceiling demands complete checks"
                );
                return self.wait(
                    "NotForSelf",
                    Reason::ChecksIncomplete,
                    message,
                    Some(PEOPLE_AGAIN),
                );
            }
            let message = format!(
                "the operator cannot tell whether the requester and the user are the same person: {doubt}"
            );
            self.note("NotForSelf", CheckResult::Unknown, message);
            return Ok(());
        }
        let message = format!(
            "it is not certain who {who} is in the tenant: {doubt}; the policy lets no such people ask (issuance.unmappedPeople)"
        );
        match doubt {
            Doubt::Unmapped => self.fail(
                "NotForSelf",
                Reason::RequesterNotMapped,
                format!("{message}: ask by another way of signing in to the cluster"),
            ),
            // The tenant may lag, or be put in order.
            Doubt::NotFound | Doubt::Several | Doubt::Changed => {
                self.wait("NotForSelf", Reason::RequesterNotFound, message, Some(PEOPLE_AGAIN))
            }
        }
    }
}

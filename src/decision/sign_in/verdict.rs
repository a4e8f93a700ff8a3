//! All Conditional Access policies together, for one user.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::blocking::{self, Place, Who, blocks};
use super::{Answer, words};
use crate::entra::{AccessPolicy, AccessPolicyState, Circumstance, PassKind};

/// What a user with a pass can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict<'a> {
    /// The policies that would block the pass on the page for security info, and those of which that is not known.
    pub page: Blocked<'a>,
    /// The same where Entra interrupts a sign-in.
    pub interruption: Blocked<'a>,
    /// The same at all other resources.
    pub elsewhere: Blocked<'a>,
    /// The policies that would block the pass on the page once they are enforced: they are in report-only mode.
    pub once_enforced: Vec<&'a AccessPolicy>,
    kind: PassKind,
}

/// The policies that block a sign-in, for certain or perhaps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Blocked<'a> {
    /// They block it.
    pub by: Vec<&'a AccessPolicy>,
    /// They may block it. That depends on these circumstances.
    pub perhaps: Vec<(&'a AccessPolicy, BTreeSet<Circumstance>)>,
}

impl Blocked<'_> {
    /// Whether nothing blocks it.
    pub fn is_free(&self) -> bool {
        self.by.is_empty() && self.perhaps.is_empty()
    }
}

/// Judges all policies for a user.
pub fn verdict<'a>(policies: &'a [AccessPolicy], kind: PassKind, who: Who) -> Verdict<'a> {
    let enforced = |policy: &&AccessPolicy| policy.state == AccessPolicyState::Enforced;
    let concerned = |policy: &AccessPolicy| {
        let concerned = match who {
            Who::Concerned => Answer::Yes,
            Who::User(person) => blocking::concerns(policy, person),
        };
        concerned.and(Answer::on_all(&policy.conditions))
    };
    let superseding = policies.iter().filter(enforced);
    let superseding = superseding.filter(|one| blocking::has_strength_for_registering(one));
    let superseded = superseding.map(concerned).fold(Answer::No, Answer::or);
    let at = |place| {
        let mut blocked = Blocked::default();
        for policy in policies {
            let state = match policy.state {
                AccessPolicyState::Enforced => Answer::Yes,
                AccessPolicyState::Other => Answer::on(Circumstance::Unknown),
                AccessPolicyState::ReportOnly | AccessPolicyState::Disabled => Answer::No,
            };
            match state.and(blocks(policy, kind, place, who, &superseded)) {
                Answer::Yes => blocked.by.push(policy),
                Answer::DependsOn(on) => blocked.perhaps.push((policy, on)),
                Answer::No => {}
            }
        }
        blocked
    };
    let reported = policies.iter().filter(|p| p.state == AccessPolicyState::ReportOnly);
    let would =
        |policy: &&AccessPolicy| blocks(policy, kind, Place::Page, who, &Answer::No) == Answer::Yes;
    Verdict {
        page: at(Place::Page),
        interruption: at(Place::Interruption),
        elsewhere: at(Place::Elsewhere),
        once_enforced: reported.filter(would).collect(),
        kind,
    }
}

/// The groups, and whether the directory roles, of a user on which it depends whether such a pass can be used.
pub fn asks(policies: &[AccessPolicy], kind: PassKind) -> (BTreeSet<String>, bool) {
    let matters = |policy: &&AccessPolicy| {
        let places = [Place::Page, Place::Interruption, Place::Elsewhere];
        let may_block = places
            .iter()
            .any(|place| blocks(policy, kind, *place, Who::Concerned, &Answer::No) != Answer::No);
        let is_off = policy.state == AccessPolicyState::Disabled;
        !is_off && (may_block || blocking::has_strength_for_registering(policy))
    };
    let mut groups = BTreeSet::new();
    let mut roles = false;
    for policy in policies.iter().filter(matters) {
        for targets in [&policy.include, &policy.exclude] {
            groups.extend(targets.groups.iter().cloned());
            roles |= !targets.roles.is_empty();
        }
    }
    (groups, roles)
}

impl Verdict<'_> {
    /// What prevents the user from opening the page for security info, as a sentence; `None` if nothing does for certain.
    pub fn prevented(&self) -> Option<String> {
        if self.page.by.is_empty() {
            return None;
        }
        let kind = self.kind.name();
        let why = words::each(&self.page.by, |policy| words::why(policy, self.kind));
        let way = if self.interruption.is_free() {
            "; the user can register only where Entra asks for it while they sign in to something else, and not on that page"
        } else {
            ""
        };
        Some(format!(
            "the user could not sign in with a {kind} pass to register security info: {why}{way}; ask an administrator of Conditional Access to let passes through, or to exclude the user for that time"
        ))
    }

    /// On what it depends whether the user can, as a sentence; `None` if it depends on nothing.
    pub fn open(&self) -> Option<String> {
        let perhaps = &self.page.perhaps;
        let on: BTreeSet<Circumstance> =
            perhaps.iter().flat_map(|(_, on)| on.iter().copied()).collect();
        let policies: Vec<&AccessPolicy> = perhaps.iter().map(|(policy, _)| *policy).collect();
        (!policies.is_empty()).then(|| {
            format!(
                "whether the user can sign in with the pass to register security info depends on {}: {}",
                words::and(on.into_iter().map(|one| one.name().to_owned()).collect()),
                words::each(&policies, words::named)
            )
        })
    }

    /// What else somebody should know of a pass that opens the page, as the end of a sentence.
    pub fn remarks(&self) -> String {
        let mut remarks = String::new();
        if !self.elsewhere.by.is_empty() {
            let why = words::each(&self.elsewhere.by, |policy| words::why(policy, self.kind));
            let _ = write!(remarks, "; it is good for nothing else: {why}");
        }
        if !self.once_enforced.is_empty() {
            let why = words::each(&self.once_enforced, |policy| words::why(policy, self.kind));
            let _ = write!(
                remarks,
                "; a policy in report-only mode would block it once enforced: {why}"
            );
        }
        remarks
    }
}

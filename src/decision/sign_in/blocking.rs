//! Whether one Conditional Access policy would block a sign-in with a pass.

use super::Answer;
use crate::decision::situation::SignInTargets;
use crate::entra::{
    AccessPolicy, AccessTargets, AuthenticationStrength, Circumstance, Control, PassKind,
};

/// The applications behind the page for security info: `AADReporting`, the credential configuration endpoint, the access panel,
/// My Profile, My Signins, and Azure AD Graph. People exclude all of them to open the page to passes (reported).
const BEHIND_THE_PAGE: [&str; 6] = [
    "1b912ec3-a9dd-4c4d-a53e-76aa7adb28d7",
    "ea890292-c8c8-4433-b5ea-b09d0668e1a6",
    "0000000c-0000-0000-c000-000000000000",
    "8c59ead7-d703-4a27-9e55-c96a0054c8d2",
    "19db86c3-b2b9-44cc-b339-36da233a3be2",
    "00000002-0000-0000-c000-000000000000",
];

/// What somebody signs in for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The page on which security info is registered.
    Page,
    /// Registering where Entra interrupts another sign-in for it.
    Interruption,
    /// All other resources.
    Elsewhere,
}

/// Who signs in.
#[derive(Clone, Copy, Debug)]
pub enum Who<'a> {
    /// Somebody whom the policy concerns.
    Concerned,
    /// This user.
    User(&'a Person),
}

/// A user, as far as Conditional Access policies can name one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Person {
    /// Object id, in lower case.
    pub id: String,
    /// Whether the user is a guest.
    pub is_guest: bool,
    /// What is known of the user's groups and roles.
    pub targets: SignInTargets,
}

/// Whether a policy, were it enforced, would block somebody who signs in with nothing but such a pass. `superseded` says whether
/// strengths that are demanded of all resources give way to others here.
pub fn blocks(
    policy: &AccessPolicy,
    kind: PassKind,
    place: Place,
    who: Who,
    superseded: &Answer,
) -> Answer {
    let concerns = match who {
        Who::Concerned => Answer::Yes,
        Who::User(person) => concerns(policy, person),
    };
    let gives_way = place == Place::Interruption && !policy.resources.registration;
    let superseded = if gives_way { superseded.clone() } else { Answer::No };
    Answer::from(policy.in_browsers)
        .and(reaches(policy, place))
        .and(concerns)
        .and(Answer::on_all(&policy.conditions))
        .and(!is_met(policy, kind, &superseded))
}

/// Whether a policy concerns this user.
pub(super) fn concerns(policy: &AccessPolicy, person: &Person) -> Answer {
    names(&policy.include, person).and(!names(&policy.exclude, person))
}

fn names(targets: &AccessTargets, person: &Person) -> Answer {
    let known = &person.targets;
    let is_member = targets.groups.iter().any(|group| known.member_of.contains(group));
    let by_group = if is_member {
        Answer::Yes
    } else if targets.groups.iter().any(|group| known.unseen_groups.contains(group)) {
        Answer::on(Circumstance::Groups)
    } else {
        Answer::No
    };
    let by_role = match &known.roles {
        _ if targets.roles.is_empty() => Answer::No,
        Some(roles) => targets.roles.iter().any(|role| roles.contains(role)).into(),
        None => Answer::on(Circumstance::Roles),
    };
    let as_guest = targets.internal_guests && person.is_guest;
    Answer::from(targets.everybody || targets.users.contains(&person.id) || as_guest)
        .or(by_group)
        .or(by_role)
}

/// Whether a policy is about such a sign-in.
fn reaches(policy: &AccessPolicy, place: Place) -> Answer {
    let resources = &policy.resources;
    let filter = || {
        if resources.filtered { Answer::on(Circumstance::Application) } else { Answer::Yes }
    };
    match place {
        Place::Interruption => Answer::from(resources.registration || resources.all),
        Place::Elsewhere => Answer::from(resources.all).and(filter()),
        Place::Page => {
            let reached = |app: &str| {
                let included = resources.all || resources.applications.contains(app);
                included && !resources.excluded.contains(app)
            };
            let page = Answer::from(BEHIND_THE_PAGE.into_iter().any(reached)).and(filter());
            Answer::from(resources.registration).or(page)
        }
    }
}

/// Whether a sign-in with such a pass meets what a policy demands.
fn is_met(policy: &AccessPolicy, kind: PassKind, superseded: &Answer) -> Answer {
    let grant = &policy.grant;
    if grant.controls.contains(&Control::Block) {
        return Answer::No;
    }
    let mut met = grant.controls.iter().map(|control| match control {
        Control::Block => Answer::No,
        Control::Mfa | Control::Terms => Answer::Yes,
        Control::Strength(strength) => admits(strength, kind).or(superseded.clone()),
        Control::DependsOn(circumstance) => Answer::on(*circumstance),
    });
    let Some(first) = met.next() else { return Answer::Yes };
    met.fold(first, |one, other| if grant.one_is_enough { one.or(other) } else { one.and(other) })
}

/// Whether such a pass alone meets a strength.
pub(super) fn admits(strength: &AuthenticationStrength, kind: PassKind) -> Answer {
    match &strength.admits {
        Some(kinds) => kinds.contains(&kind).into(),
        None => Answer::on(Circumstance::Strength),
    }
}

/// Whether a policy demands a strength of registering security info, which then replaces those of all resources where Entra
/// interrupts a sign-in.
pub(super) fn has_strength_for_registering(policy: &AccessPolicy) -> bool {
    let is_strength = |control: &Control| matches!(control, Control::Strength(_));
    policy.resources.registration && policy.grant.controls.iter().any(is_strength)
}

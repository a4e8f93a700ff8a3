//! Conditional Access: what a tenant demands of a sign-in, as far as it matters for passes.

use std::collections::BTreeSet;
use std::sync::Arc;

/// The two kinds of passes. Authentication strengths tell them apart (documented).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PassKind {
    /// It works once (`temporaryAccessPassOneTime`).
    OneTime,
    /// It works until it expires (`temporaryAccessPassMultiUse`).
    MultiUse,
}

impl PassKind {
    /// The kind of a pass that works once, or not.
    pub fn of(one_time: bool) -> Self {
        if one_time { Self::OneTime } else { Self::MultiUse }
    }

    /// Its name in sentences.
    pub fn name(self) -> &'static str {
        match self {
            Self::OneTime => "one-time",
            Self::MultiUse => "multi-use",
        }
    }
}

/// What a tenant answers to the question which policies a user meets (What If).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum WhatIf {
    /// These, and those of which it depends on what is not known.
    Meets(Arc<[AccessPolicy]>),
    /// The cloud does not offer the question in this version of Graph (some do not, as reported).
    NotOffered,
    /// The tenant has no licence for it: Entra ID P1 (reported).
    NotLicensed,
}

/// An authentication strength: combinations of methods, of which a sign-in must have one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AuthenticationStrength {
    /// Its id. Those of the built-in ones are the same in every tenant (documented).
    pub id: String,
    /// Its display name.
    pub display_name: String,
    /// The kinds of passes that are enough by themselves; `None` if Graph did not return its combinations.
    pub admits: Option<BTreeSet<PassKind>>,
}

/// Whether a Conditional Access policy is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AccessPolicyState {
    /// `enabled`
    Enforced,
    /// `enabledForReportingButNotEnforced`: it blocks nobody, and the sign-in log says what it would have done.
    ReportOnly,
    /// `disabled`
    Disabled,
    /// A state that this version does not know.
    Other,
}

/// A Conditional Access policy. Ids are in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AccessPolicy {
    /// Object id.
    pub id: String,
    /// Display name.
    pub display_name: String,
    /// Whether it is in force.
    pub state: AccessPolicyState,
    /// Whom it concerns.
    pub include: AccessTargets,
    /// Whom it does not concern, even if included.
    pub exclude: AccessTargets,
    /// For what it concerns them.
    pub resources: AccessResources,
    /// Whether it concerns ordinary sign-ins in a browser: not only those of other applications, or by a device code.
    pub in_browsers: bool,
    /// What else decides whether it concerns a sign-in.
    pub conditions: BTreeSet<Circumstance>,
    /// What it demands.
    pub grant: Grant,
}

/// Users, by all the ways in which a Conditional Access policy names them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct AccessTargets {
    /// Everybody.
    pub everybody: bool,
    /// Object ids of users.
    pub users: BTreeSet<String>,
    /// Object ids of groups, with the members of groups in them.
    pub groups: BTreeSet<String>,
    /// Template ids of directory roles. Only a role that is active counts.
    pub roles: BTreeSet<String>,
    /// Guests whose account is in this tenant.
    pub internal_guests: bool,
}

impl AccessTargets {
    /// Whether it names nobody who can have a pass: people of other tenants have none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The resources and actions that a Conditional Access policy concerns.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct AccessResources {
    /// Every application, except the excluded ones.
    pub all: bool,
    /// Ids of applications.
    pub applications: BTreeSet<String>,
    /// Ids of applications that it does not concern.
    pub excluded: BTreeSet<String>,
    /// Registering security info (`urn:user:registersecurityinfo`).
    pub registration: bool,
    /// Whether a filter for applications narrows them, too.
    pub filtered: bool,
}

/// What a Conditional Access policy demands of a sign-in. One without controls demands nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Grant {
    /// Whether one of the controls is enough.
    pub one_is_enough: bool,
    /// The controls.
    pub controls: Vec<Control>,
}

/// One demand.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Control {
    /// `block`
    Block,
    /// `mfa`: the same as the built-in strength "Multifactor authentication", which both kinds of passes meet (documented).
    Mfa,
    /// An authentication strength.
    Strength(AuthenticationStrength),
    /// Terms of use, which every user can accept.
    Terms,
    /// A demand that no pass meets, and none prevents.
    DependsOn(Circumstance),
}

/// Something on which a sign-in depends and that is not known before it is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Circumstance {
    /// Where the user is.
    Location,
    /// The operating system of the device.
    Platform,
    /// Which device it is, and whether it is managed.
    Device,
    /// The application that signs in.
    Application,
    /// The risk that Entra sees in the user or the sign-in.
    Risk,
    /// Whether the user can change a password.
    PasswordChange,
    /// The groups of the user, as far as they cannot be seen.
    Groups,
    /// The directory roles of the user, where they cannot be seen.
    Roles,
    /// Which methods an authentication strength admits, where Graph does not say.
    Strength,
    /// Something that this version does not know.
    Unknown,
}

impl Circumstance {
    /// Its name in sentences that begin with "depends on".
    pub fn name(self) -> &'static str {
        match self {
            Self::Location => "the location",
            Self::Platform => "the operating system",
            Self::Device => "the device",
            Self::Application => "the application",
            Self::Risk => "the risk that Entra sees",
            Self::PasswordChange => "a change of the password",
            Self::Groups => "groups whose members cannot be seen",
            Self::Roles => "directory roles that cannot be seen",
            Self::Strength => "an authentication strength that cannot be read",
            Self::Unknown => "something that this version does not know",
        }
    }
}

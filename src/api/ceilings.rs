//! Ceilings: what no `TapPolicy` may exceed. They are part of the operator's configuration, not a resource, so that whoever
//! writes policies cannot lift them.

use serde::{Deserialize, Serialize};

use super::Lifetime;

/// What no policy of a tenant may exceed. A field that is left out sets no ceiling. The fields have the names that they have
/// in a `TapPolicy`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Ceilings {
    /// Object ids of users who never get a pass.
    pub exclude_users: Vec<String>,
    /// Object ids of groups whose members, direct or through other groups, never get a pass.
    pub exclude_groups: Vec<String>,
    /// Domains of sign-in names; users of others get no pass.
    pub domains: Option<Vec<String>>,
    /// Namespaces; requests from others get no pass.
    pub namespaces: Option<Vec<String>>,
    /// The longest lifetime of a pass. 10m to 720h.
    pub lifetime: Option<Lifetime>,
    /// How many different people must approve, at least. 0 to 5.
    pub approvals: Option<usize>,
    /// Deny: users who hold or could activate a directory role never get a pass.
    pub directory_role_holders: Option<Denied>,
    /// How many different people must approve a pass for a user who holds or could activate a directory role, at least. 0 to 5.
    pub directory_role_holder_approvals: Option<usize>,
    /// Sealed: only requests with recipients get a pass.
    pub delivery: Option<SealedOnly>,
    /// Forbidden: no request may replace a pass.
    pub replace_existing_pass: Option<NoReplacing>,
    /// Deny: people of whom it cannot be told who they are in the tenant may neither ask nor approve.
    pub unmapped_people: Option<Denied>,
    /// Required: nothing is issued while a check of who may get a pass cannot be made completely.
    pub complete_checks: Option<CompleteOnly>,
}

/// The one value of a ceiling that can only deny.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Denied {
    /// It is denied.
    Deny,
}

/// The one value of the ceiling on delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SealedOnly {
    /// Codes are delivered encrypted.
    Sealed,
}

/// The one value of the ceiling on checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum CompleteOnly {
    /// Requests wait until every check can be made.
    Required,
}

/// The one value of the ceiling on replacing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum NoReplacing {
    /// No pass is replaced.
    Forbidden,
}

impl Ceilings {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The longest lifetime, in minutes.
    pub fn longest(&self) -> Option<u32> {
        self.lifetime.as_ref().and_then(|lifetime| lifetime.minutes().ok())
    }

    /// The strictest of both, field by field.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        Self {
            exclude_users: union(&self.exclude_users, &other.exclude_users),
            exclude_groups: union(&self.exclude_groups, &other.exclude_groups),
            domains: both(self.domains.clone(), other.domains.clone(), |a, b| common(&a, &b)),
            namespaces: both(self.namespaces.clone(), other.namespaces.clone(), |a, b| {
                common(&a, &b)
            }),
            lifetime: both(self.longest(), other.longest(), u32::min).map(Lifetime::from_minutes),
            approvals: self.approvals.max(other.approvals),
            directory_role_holders: self.directory_role_holders.or(other.directory_role_holders),
            directory_role_holder_approvals: self
                .directory_role_holder_approvals
                .max(other.directory_role_holder_approvals),
            delivery: self.delivery.or(other.delivery),
            replace_existing_pass: self.replace_existing_pass.or(other.replace_existing_pass),
            unmapped_people: self.unmapped_people.or(other.unmapped_people),
            complete_checks: self.complete_checks.or(other.complete_checks),
        }
    }
}

fn union(one: &[String], other: &[String]) -> Vec<String> {
    let mut all = [one, other].concat();
    all.sort_unstable();
    all.dedup();
    all
}

fn common(one: &[String], other: &[String]) -> Vec<String> {
    one.iter().filter(|item| other.contains(item)).cloned().collect()
}

/// What one of them says, or the stricter where both say something.
fn both<T>(one: Option<T>, other: Option<T>, stricter: impl Fn(T, T) -> T) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(stricter(one, other)),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::yaml;

    fn ceilings(text: &str) -> Ceilings {
        yaml::read(text).unwrap()
    }

    #[test]
    fn the_strictest_of_two_counts_field_by_field() {
        let one = ceilings(
            "{excludeGroups: [g], domains: [contoso.com, fabrikam.com], namespaces: [a, b], lifetime: 8h, \
             approvals: 1, delivery: Sealed, directoryRoleHolderApprovals: 2}",
        );
        let other = ceilings(
            "{excludeUsers: [u], excludeGroups: [g, h], domains: [contoso.com], lifetime: 90m, approvals: 2, \
             directoryRoleHolders: Deny, replaceExistingPass: Forbidden, unmappedPeople: Deny, completeChecks: Required}",
        );
        let both = ceilings(
            "{excludeUsers: [u], excludeGroups: [g, h], domains: [contoso.com], namespaces: [a, b], lifetime: 1h30m, \
             approvals: 2, directoryRoleHolders: Deny, directoryRoleHolderApprovals: 2, delivery: Sealed, \
             replaceExistingPass: Forbidden, unmappedPeople: Deny, completeChecks: Required}",
        );
        assert_eq!(one.and(&other), both);
        assert_eq!(other.and(&one), both);
        assert_eq!(both.and(&Ceilings::default()), both);
        let nowhere = ceilings("{namespaces: [c]}");
        assert_eq!(one.and(&nowhere).namespaces, Some(vec![]), "no namespace is in both");
        assert!(Ceilings::default().and(&Ceilings::default()).is_empty());
    }
}

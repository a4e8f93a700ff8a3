//! Users, groups and roles, and who belongs to what.

use uuid::Uuid;

use crate::tenant::{
    DirectoryRole, Group, GroupEligibility, RoleAssignment, RoleEligibility, User,
};

/// The objects of the tenant's directory.
#[derive(Debug, Clone, Default)]
pub(crate) struct Directory {
    pub(crate) users: Vec<User>,
    pub(crate) groups: Vec<Group>,
    pub(crate) roles: Vec<DirectoryRole>,
    pub(crate) assignments: Vec<RoleAssignment>,
    pub(crate) eligibilities: Vec<RoleEligibility>,
    pub(crate) group_eligibilities: Vec<GroupEligibility>,
}

impl Directory {
    /// By object id or user principal name, as Graph finds users; not by mail or alias.
    pub(crate) fn user(&self, key: &str) -> Option<&User> {
        match Uuid::parse_str(key) {
            Ok(id) => self.users.iter().find(|user| user.id == id),
            Err(_) => {
                self.users.iter().find(|user| user.user_principal_name.eq_ignore_ascii_case(key))
            }
        }
    }

    pub(crate) fn user_mut(&mut self, key: &str) -> Option<&mut User> {
        let id = self.user(key)?.id;
        self.users.iter_mut().find(|user| user.id == id)
    }

    pub(crate) fn group(&self, id: Uuid) -> Option<&Group> {
        self.groups.iter().find(|group| group.id == id)
    }

    /// Whether any object has this id.
    pub(crate) fn knows(&self, id: Uuid) -> bool {
        self.group(id).is_some() || self.users.iter().any(|user| user.id == id)
    }

    /// The groups that a principal is in, directly or through other groups.
    pub(crate) fn groups_of(&self, principal: Uuid) -> Vec<&Group> {
        let mut found: Vec<&Group> = Vec::new();
        let mut open = vec![principal];
        while let Some(member) = open.pop() {
            for group in self.groups.iter().filter(|group| group.members.contains(&member)) {
                if !found.iter().any(|known| known.id == group.id) {
                    found.push(group);
                    open.push(group.id);
                }
            }
        }
        found
    }

    pub(crate) fn group_ids_of(&self, principal: Uuid) -> Vec<Uuid> {
        self.groups_of(principal).iter().map(|group| group.id).collect()
    }

    /// The activated roles that a principal holds for the whole tenant, directly or, if so, through groups.
    pub(crate) fn roles_of(&self, principal: Uuid, through_groups: bool) -> Vec<&DirectoryRole> {
        let groups = if through_groups { self.group_ids_of(principal) } else { Vec::new() };
        let holds = |role: &&DirectoryRole| {
            role.members.iter().any(|member| *member == principal || groups.contains(member))
        };
        self.roles.iter().filter(holds).collect()
    }

    /// Removes a user, its memberships included.
    pub(crate) fn remove_user(&mut self, id: Uuid) {
        self.users.retain(|user| user.id != id);
        for members in self.groups.iter_mut().map(|group| &mut group.members) {
            members.retain(|member| *member != id);
        }
        for members in self.roles.iter_mut().map(|role| &mut role.members) {
            members.retain(|member| *member != id);
        }
        self.assignments.retain(|assigned| assigned.principal_id != id);
        self.eligibilities.retain(|eligible| eligible.principal_id != id);
        self.group_eligibilities.retain(|eligible| eligible.principal_id != id);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tenant::{
        ALICE, CAROL, GLOBAL_ADMINISTRATORS, GRACE, HEIDI, HELPDESK_ADMINISTRATORS, PILOT_GROUP,
        STAFF_GROUP, Tenant,
    };
    use super::*;

    fn contoso() -> Directory {
        let Tenant { users, groups, directory_roles: roles, .. } = Tenant::contoso();
        Directory { users, groups, roles, ..Directory::default() }
    }

    #[test]
    fn membership_is_transitive_and_survives_a_cycle() {
        let mut directory = contoso();
        assert_eq!(directory.group_ids_of(ALICE), [PILOT_GROUP, STAFF_GROUP]);
        assert_eq!(directory.group_ids_of(CAROL), [STAFF_GROUP]);
        directory.groups[0].members.push(STAFF_GROUP);
        assert_eq!(directory.group_ids_of(CAROL), [STAFF_GROUP, PILOT_GROUP]);
    }

    #[test]
    fn roles_are_held_directly_or_through_groups() {
        let directory = contoso();
        let roles =
            |user| directory.roles_of(user, true).iter().map(|role| role.id).collect::<Vec<_>>();
        assert_eq!(roles(GRACE), [GLOBAL_ADMINISTRATORS]);
        assert_eq!(roles(HEIDI), [HELPDESK_ADMINISTRATORS]);
        assert!(roles(ALICE).is_empty());
    }

    #[test]
    fn users_are_found_by_id_and_name_in_any_case() {
        let directory = contoso();
        assert_eq!(directory.user("ALICE@contoso.com").unwrap().id, ALICE);
        assert_eq!(directory.user(&ALICE.to_string().to_uppercase()).unwrap().id, ALICE);
        assert!(directory.user("alice").is_none());
    }
}

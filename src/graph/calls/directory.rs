//! Users, groups and directory roles.

use super::path::{keyed, literal};
use crate::entra::{Call, DirectoryRole, EligibleRole, GraphError, User};
use crate::graph::client::Client;
use crate::graph::exchange::Priority;
use crate::graph::wire;

/// The most groups that one check may name (documented).
const GROUPS_PER_CHECK: usize = 20;

impl Client {
    /// Reads a user by object id or sign-in name.
    pub async fn user(&self, id_or_upn: &str, priority: Priority) -> Result<User, GraphError> {
        let path = format!("{}?$select={}", keyed("users", id_or_upn), wire::USER_FIELDS);
        let request = self.request(Call::User, priority, path);
        Ok(self.exchange.read::<wire::UserAnswer>(&request).await?.into())
    }

    /// Returns those of `group_ids` of which the user is a member, directly or through other groups. They are spelled as
    /// in `group_ids`.
    ///
    /// A group that does not exist has no members.
    pub async fn member_groups(
        &self,
        user_id: &str,
        group_ids: &[String],
        priority: Priority,
    ) -> Result<Vec<String>, GraphError> {
        let path = format!("{}/checkMemberGroups", keyed("users", user_id));
        let mut member_of = Vec::new();
        for group_ids in group_ids.chunks(GROUPS_PER_CHECK) {
            let request = self
                .request(Call::MemberGroups, priority, path.clone())
                .with_body(&wire::MemberGroupsBody { group_ids })?;
            let page: wire::Page<String> = self.exchange.read(&request).await?;
            let is_in =
                |asked: &&String| page.value.iter().any(|id| id.eq_ignore_ascii_case(asked));
            member_of.extend(group_ids.iter().filter(is_in).cloned());
        }
        Ok(member_of)
    }

    /// Lists the directory roles that the user holds now, directly or through groups. Roles that the user could only
    /// activate are not included: see [`eligible_role`](Self::eligible_role).
    pub async fn directory_roles(
        &self,
        user_id: &str,
        priority: Priority,
    ) -> Result<Vec<DirectoryRole>, GraphError> {
        let path = format!(
            "{}/transitiveMemberOf/microsoft.graph.directoryRole?$count=true&$select=id,displayName,roleTemplateId",
            keyed("users", user_id)
        );
        let request = self.request(Call::DirectoryRoles, priority, path).advanced();
        let (roles, _) = self.exchange.pages::<wire::RoleAnswer>(request).await?;
        Ok(roles.into_iter().map(Into::into).collect())
    }

    /// Returns a directory role that the user could activate, directly or as a member of an eligible group. Returns `None`
    /// if there is none, as in a tenant without Privileged Identity Management.
    ///
    /// Graph looks up eligibility by principal only (documented). So this makes one call for the user, one for the user's
    /// groups, and one for each of those groups that may hold roles, until a role is found. A tenant can have at most 500
    /// such groups (documented), and few users are in more than a few of them.
    pub async fn eligible_role(
        &self,
        user_id: &str,
        priority: Priority,
    ) -> Result<Option<EligibleRole>, GraphError> {
        let (own, groups) = tokio::try_join!(
            self.eligible(user_id, priority),
            self.groups_that_may_hold_roles(user_id, priority)
        )?;
        if own.is_some() {
            return Ok(own);
        }
        for group in groups {
            if let Some(role) = self.eligible(&group, priority).await? {
                return Ok(Some(EligibleRole { through_group: Some(group), ..role }));
            }
        }
        Ok(None)
    }

    /// Returns a role for which this principal itself is eligible.
    async fn eligible(
        &self,
        principal_id: &str,
        priority: Priority,
    ) -> Result<Option<EligibleRole>, GraphError> {
        let path = format!(
            "/roleManagement/directory/roleEligibilityScheduleInstances?$filter=principalId%20eq%20{}",
            literal(principal_id)
        );
        let request = self.request(Call::EligibleRoles, priority, path);
        match self.exchange.pages::<wire::EligibleRoleAnswer>(request).await {
            Ok((roles, _)) => Ok(roles.into_iter().next().map(|role| EligibleRole {
                definition_id: role.role_definition_id,
                through_group: None,
            })),
            // Reported: without the licence there is no Privileged Identity Management, so nothing can be activated.
            Err(error) if error.code.eq_ignore_ascii_case("AadPremiumLicenseRequired") => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn groups_that_may_hold_roles(
        &self,
        user_id: &str,
        priority: Priority,
    ) -> Result<Vec<String>, GraphError> {
        let path = format!(
            "{}/transitiveMemberOf/microsoft.graph.group?$count=true&$select=id,isAssignableToRole&$top=999",
            keyed("users", user_id)
        );
        let request = self.request(Call::RoleGroups, priority, path).advanced();
        let (groups, _) = self.exchange.pages::<wire::RoleGroupAnswer>(request).await?;
        let may_hold =
            groups.into_iter().filter(|group| group.is_assignable_to_role != Some(false));
        Ok(may_hold.map(|group| group.id).collect())
    }

    /// Reads the display name of a group. Returns `None` if the group does not exist.
    pub async fn group_name(
        &self,
        group_id: &str,
        priority: Priority,
    ) -> Result<Option<String>, GraphError> {
        let path = format!("{}?$select=id,displayName", keyed("groups", group_id));
        let request = self.request(Call::GroupName, priority, path);
        match self.exchange.read::<wire::GroupAnswer>(&request).await {
            Ok(group) => Ok(Some(group.display_name)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }
}

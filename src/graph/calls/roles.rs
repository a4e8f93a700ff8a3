//! Directory roles: of one user, and of everybody.

use std::collections::BTreeSet;
use std::collections::btree_map::Entry;

use futures::stream::{self, StreamExt as _};

use super::AT_ONCE;
use super::path::{keyed, literal};
use crate::entra::{
    Call, DirectoryRole, EligibleRole, GraphError, RoleGap, RoleHolders, RoleHolding, RoleRow,
};
use crate::graph::client::Client;
use crate::graph::exchange::{Priority, Request, unexpected};
use crate::graph::wire;

/// The most groups that are asked who could join them. A tenant has at most 500 groups that may hold roles (documented).
const MOST_GROUPS: usize = 1000;

impl RoleHolders {
    /// Adds what a list shows, or that it cannot be seen.
    fn enter(&mut self, gap: RoleGap, rows: Option<Vec<RoleRow>>, eligible: bool) {
        let Some(rows) = rows else {
            self.gaps.insert(gap);
            return;
        };
        for row in rows {
            let id = row.principal_id.to_ascii_lowercase();
            let holding = RoleHolding { row, eligible, through_eligible_group: None };
            self.holders.entry(id).or_insert(holding);
        }
    }

    /// Adds those who could join a group that holds a role, and returns those who were not known.
    fn enter_those_who_could_join(
        &mut self,
        group: &str,
        could_join: BTreeSet<String>,
    ) -> Vec<String> {
        let row = self.holders.get(group).map(|holding| holding.row.clone());
        let row = row.unwrap_or_else(|| RoleRow {
            principal_id: group.to_owned(),
            definition_id: None,
            scope: None,
        });
        let mut new = Vec::new();
        for id in could_join {
            let id = id.to_ascii_lowercase();
            if let Entry::Vacant(unknown) = self.holders.entry(id.clone()) {
                let through_eligible_group = Some(group.to_owned());
                let row = row.clone();
                unknown.insert(RoleHolding { row, eligible: true, through_eligible_group });
                new.push(id);
            }
        }
        new
    }
}

impl Client {
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
            Err(error) if is_unlicensed(&error) => Ok(None),
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

    /// Lists all role assignments of the tenant: of every scope, custom roles included. A group's is not repeated for its
    /// members (documented).
    pub async fn role_assignments(&self, priority: Priority) -> Result<Vec<RoleRow>, GraphError> {
        // Reported to be taken. Of the other list that is not known.
        self.role_rows(Call::RoleAssignments, "roleAssignments", "&$top=999", priority).await
    }

    /// Lists all eligibilities for roles of the tenant: of every scope, also those that begin later. There are none in a tenant
    /// without Privileged Identity Management.
    pub async fn role_eligibilities(&self, priority: Priority) -> Result<Vec<RoleRow>, GraphError> {
        let list = "roleEligibilitySchedules";
        match self.role_rows(Call::RoleEligibilities, list, "", priority).await {
            Err(error) if is_unlicensed(&error) => Ok(Vec::new()),
            listed => listed,
        }
    }

    async fn role_rows(
        &self,
        call: Call,
        list: &str,
        size: &str,
        priority: Priority,
    ) -> Result<Vec<RoleRow>, GraphError> {
        let path = format!(
            "/roleManagement/directory/{list}?$select=principalId,roleDefinitionId,directoryScopeId{size}"
        );
        let request = self.request(call, priority, path);
        let (rows, _) = self.exchange.pages::<wire::RoleRowAnswer>(request).await?;
        Ok(rows.into_iter().map(RoleRow::from).collect())
    }

    /// Lists everybody who holds a role or could activate one, except as a member of a group. `gaps` are those that the app's
    /// permissions leave; more are added where Graph refuses.
    ///
    /// This takes one list each of assignments, eligibilities and groups that may hold roles, and one call for each group that
    /// holds a role or could, 16 of them at once.
    pub async fn role_holders(
        &self,
        gaps: BTreeSet<RoleGap>,
        priority: Priority,
    ) -> Result<RoleHolders, GraphError> {
        let sees = |gap| !gaps.contains(&gap);
        let assignments = async {
            if !sees(RoleGap::Assignments) {
                return Ok(None);
            }
            permitted(self.role_assignments(priority).await)
        };
        let eligibilities = async {
            if !sees(RoleGap::Eligibilities) {
                return Ok(None);
            }
            permitted(self.role_eligibilities(priority).await)
        };
        let groups = async {
            if !sees(RoleGap::Members) {
                return Ok(None);
            }
            permitted(self.role_groups(priority).await)
        };
        let (assignments, eligibilities, groups) =
            tokio::try_join!(assignments, eligibilities, groups)?;
        let mut found = RoleHolders { gaps, ..RoleHolders::default() };
        found.enter(RoleGap::Assignments, assignments, false);
        found.enter(RoleGap::Eligibilities, eligibilities, true);
        let Some(groups) = groups else {
            found.gaps.insert(RoleGap::Members);
            return Ok(found);
        };
        let groups = groups.into_iter().map(|id| id.to_ascii_lowercase());
        found.groups = groups.filter(|id| found.holders.contains_key(id)).collect();
        self.who_could_join(&mut found, priority).await?;
        Ok(found)
    }

    /// Adds those who could become members or owners of the groups that hold roles, and of groups that could, and so on.
    async fn who_could_join(
        &self,
        found: &mut RoleHolders,
        priority: Priority,
    ) -> Result<(), GraphError> {
        let mut open: Vec<String> = found.groups.iter().cloned().collect();
        let mut asked = 0;
        while !open.is_empty() && !found.gaps.contains(&RoleGap::GroupEligibilities) {
            asked += open.len();
            if asked > MOST_GROUPS {
                let what = "there are too many groups whose members could activate a role";
                return Err(unexpected(Call::GroupEligibilities, what));
            }
            let asks: Vec<_> = open
                .into_iter()
                .map(async |group| (self.group_eligibilities(&group, priority).await, group))
                .collect();
            let mut answers = stream::iter(asks).buffered(AT_ONCE);
            let mut new = Vec::new();
            while let Some((could_join, group)) = answers.next().await {
                let Some(could_join) = permitted(could_join)? else {
                    found.gaps.insert(RoleGap::GroupEligibilities);
                    return Ok(());
                };
                new.extend(found.enter_those_who_could_join(&group, could_join));
            }
            open = Vec::new();
            // Which of them are groups.
            for member in self.groups(&new, priority).await? {
                if member.hides_members {
                    found.gaps.insert(RoleGap::HiddenMembers);
                }
                let id = member.id.to_ascii_lowercase();
                found.groups.insert(id.clone());
                open.push(id);
            }
        }
        Ok(())
    }

    /// Lists the object ids of the groups that may hold roles. A tenant has at most 500 of them (documented).
    pub async fn role_groups(&self, priority: Priority) -> Result<Vec<String>, GraphError> {
        let path = "/groups?$filter=isAssignableToRole%20eq%20true&$select=id&$top=999";
        let request = self.request(Call::Groups, priority, path.to_owned());
        let (groups, _) = self.exchange.pages::<wire::RoleGroupAnswer>(request).await?;
        Ok(groups.into_iter().map(|group| group.id).collect())
    }

    /// Lists the object ids of those who could become members or owners of a group (Privileged Identity Management for Groups):
    /// users, and groups all of whose members could.
    pub async fn group_eligibilities(
        &self,
        group_id: &str,
        priority: Priority,
    ) -> Result<BTreeSet<String>, GraphError> {
        let path = format!(
            "/identityGovernance/privilegedAccess/group/eligibilitySchedules?$filter=groupId%20eq%20{}",
            literal(group_id)
        );
        let request: Request<'_> = self.request(Call::GroupEligibilities, priority, path);
        match self.exchange.pages::<wire::GroupEligibilityAnswer>(request).await {
            Ok((rows, _)) => Ok(rows.into_iter().map(|row| row.principal_id).collect()),
            Err(error) if is_unlicensed(&error) => Ok(BTreeSet::new()),
            Err(error) => Err(error),
        }
    }
}

/// What was read; `None` if the app may not read it.
fn permitted<T>(read: Result<T, GraphError>) -> Result<Option<T>, GraphError> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(error) if error.is_for_lack_of_permission() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Without the licence there is no Privileged Identity Management, so nothing can be activated. Graph says so by its code, or
/// in its text (both reported).
fn is_unlicensed(error: &GraphError) -> bool {
    const CODE: &str = "AadPremiumLicenseRequired";
    error.code.eq_ignore_ascii_case(CODE) || error.message.contains(CODE)
}

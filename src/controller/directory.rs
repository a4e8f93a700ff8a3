//! What requests share of what was read of a tenant's directory: the same for all of them, and too much to read for each.

use std::sync::Arc;
use std::time::Duration;

use super::shared::{Shared, SharedBy};
use crate::decision::permissions::{Need, role_gaps};
use crate::decision::situation::{GroupState, GroupStates};
use crate::entra::{GraphError, Group, ListedRoles, RoleHolders};
use crate::graph::{Client, Priority};

/// How old may be what is shared, from the time when it came. A pass is requested within 30 seconds after a request asked, so
/// what it rests on came at most a minute before. What is read one call after the other is older than that by as long as its
/// read took: some seconds, and half a minute in a tenant with 1,000 groups that hold roles.
const AGE: Duration = Duration::from_secs(30);

/// What was read of the directory through one tenant connection.
#[derive(Default)]
pub struct Directory {
    /// Groups that were asked for together, by their object ids; without those that do not exist.
    groups: SharedBy<Vec<String>, Arc<[Group]>>,
    /// The tenant's lists of roles.
    role_holders: Shared<Arc<RoleHolders>>,
}

impl Directory {
    /// What the tenant's lists of roles say of a user.
    pub async fn listed_roles(
        &self,
        client: &Client,
        user_id: &str,
    ) -> Result<ListedRoles, GraphError> {
        let listed = self.role_holders(client.clone()).await?;
        let gaps = listed.gaps.clone();
        let own = listed.holders.get(&user_id.to_ascii_lowercase());
        if let Some(holding) = own {
            return Ok(ListedRoles { found: Some((holding.clone(), None)), gaps });
        }
        if listed.groups.is_empty() {
            return Ok(ListedRoles { found: None, gaps });
        }
        let groups: Vec<String> = listed.groups.iter().cloned().collect();
        let member_of = client.member_groups(user_id, &groups, Priority::Issue).await?;
        let of_group = member_of.into_iter().find_map(|group| {
            let holding = listed.holders.get(&group)?.clone();
            Some((holding, Some(group)))
        });
        Ok(ListedRoles { found: of_group, gaps })
    }

    async fn role_holders(&self, client: Client) -> Result<Arc<RoleHolders>, GraphError> {
        let read = async move {
            let gaps = role_gaps(&client.token_roles().await?);
            client.role_holders(gaps, Priority::Issue).await.map(Arc::new)
        };
        self.role_holders.get(AGE, read).await
    }

    /// What can be told of these groups.
    pub async fn group_states(
        &self,
        client: &Client,
        ids: &[String],
    ) -> Result<GroupStates, GraphError> {
        let found = self.groups(client.clone(), ids.to_vec()).await?;
        let mut states = GroupStates::new();
        let mut sees_hidden = None;
        for id in ids {
            let group = found.iter().find(|group| group.id.eq_ignore_ascii_case(id));
            let state = match group {
                None => GroupState::Gone,
                Some(group) if !group.hides_members => GroupState::Seen,
                Some(_) => {
                    let held = match &sees_hidden {
                        None => Need::HiddenMembers.is_covered_by(&client.token_roles().await?),
                        Some(held) => *held,
                    };
                    sees_hidden = Some(held);
                    if held { GroupState::Seen } else { GroupState::Hidden }
                }
            };
            states.insert(id.clone(), state);
        }
        Ok(states)
    }

    async fn groups(
        &self,
        client: Client,
        mut ids: Vec<String>,
    ) -> Result<Arc<[Group]>, GraphError> {
        ids.sort_unstable();
        let shared = self.groups.about(ids.clone());
        let read = async move { client.groups(&ids, Priority::Issue).await.map(Arc::from) };
        shared.get(AGE, read).await
    }
}

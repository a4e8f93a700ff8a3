//! What requests share of what was read of a tenant's directory: the same for all of them, and too much to read for each.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::decision::permissions::{Need, role_gaps};
use crate::decision::situation::{GroupState, GroupStates};
use crate::entra::{GraphError, Group, ListedRoles, RoleHolders};
use crate::graph::{Client, Priority};

/// How old may be what is shared. A pass is requested within 30 seconds after a request asked, so it is at most a minute old
/// then.
const AGE: Duration = Duration::from_secs(30);

/// What was read of the directory through one tenant connection.
#[derive(Default)]
pub struct Directory {
    /// Groups by their object ids in lower case, and when they were asked for; `None` for one that does not exist.
    groups: Mutex<BTreeMap<String, (Instant, Option<Group>)>>,
    /// The tenant's lists of roles, and when they were asked for.
    role_holders: Mutex<Option<(Instant, Arc<RoleHolders>)>>,
}

impl Directory {
    /// What the tenant's lists of roles say of a user.
    pub async fn listed_roles(
        &self,
        client: &Client,
        user_id: &str,
    ) -> Result<ListedRoles, GraphError> {
        let listed = self.role_holders(client).await?;
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

    /// The lists. Those who ask meanwhile wait, and share the answer.
    async fn role_holders(&self, client: &Client) -> Result<Arc<RoleHolders>, GraphError> {
        let mut kept = self.role_holders.lock().await;
        let asked_at = Instant::now();
        if let Some((read, holders)) = &*kept
            && asked_at.duration_since(*read) < AGE
        {
            return Ok(Arc::clone(holders));
        }
        let gaps = role_gaps(&client.token_roles().await?);
        let holders = Arc::new(client.role_holders(gaps, Priority::Issue).await?);
        *kept = Some((asked_at, Arc::clone(&holders)));
        Ok(holders)
    }

    /// What can be told of these groups. Those who ask meanwhile wait, and share the answer.
    pub async fn group_states(
        &self,
        client: &Client,
        ids: &[String],
    ) -> Result<GroupStates, GraphError> {
        let mut groups = self.groups.lock().await;
        let asked_at = Instant::now();
        groups.retain(|_, (read, _)| asked_at.duration_since(*read) < AGE);
        let unknown =
            ids.iter().filter(|id| !groups.contains_key(*id)).cloned().collect::<Vec<_>>();
        if !unknown.is_empty() {
            let found = client.groups(&unknown, Priority::Issue).await?;
            for id in unknown {
                let group = found.iter().find(|group| group.id.eq_ignore_ascii_case(&id));
                groups.insert(id, (asked_at, group.cloned()));
            }
        }
        let found = ids.iter().filter_map(|id| Some((id, &groups.get(id)?.1)));
        let mut states = GroupStates::new();
        let mut sees_hidden = None;
        for (id, group) in found {
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
}

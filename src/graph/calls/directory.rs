//! Users and groups.

use super::all;
use super::path::{keyed, literal};
use crate::entra::{Call, EntraName, GraphError, Group, Namesakes, User, folded};
use crate::graph::client::Client;
use crate::graph::exchange::{Priority, Request};
use crate::graph::wire;

/// The most groups that one check may name (documented).
const GROUPS_PER_CHECK: usize = 20;
/// The most values of one `in` (documented: 15 expressions in a filter).
const IDS_PER_FILTER: usize = 15;

impl Client {
    /// Reads a user by object id or sign-in name.
    pub async fn user(&self, id_or_upn: &str, priority: Priority) -> Result<User, GraphError> {
        let path = format!("{}?$select={}", keyed("users", id_or_upn), wire::USER_FIELDS);
        let request = self.request(Call::User, priority, path);
        Ok(self.exchange.read::<wire::UserAnswer>(&request).await?.into())
    }

    /// Finds the users whom a name may mean: by sign-in name and mail addresses, or by object id.
    ///
    /// Mail addresses are not unique.
    pub async fn namesakes(
        &self,
        name: &EntraName,
        priority: Priority,
    ) -> Result<Namesakes, GraphError> {
        let upn = match name {
            EntraName::ObjectId(id) => {
                let path = format!("{}?$select={}", keyed("users", id), wire::NAMESAKE_FIELDS);
                let request = self.request(Call::FindUsers, priority, path);
                return match self.exchange.read::<wire::NamesakeAnswer>(&request).await {
                    Ok(found) => Ok(Namesakes { user_id: Some(found.id), others: Vec::new() }),
                    Err(error) if error.is_not_found() => Ok(Namesakes::default()),
                    Err(error) => Err(error),
                };
            }
            EntraName::UserPrincipalName(upn) => upn,
        };
        let found = self.users_named(upn, priority).await?;
        let is_named =
            |user: &&wire::NamesakeAnswer| folded(&user.user_principal_name) == folded(upn);
        let user_id = match (found.iter().find(is_named), &found[..]) {
            (Some(user), _) => Some(user.id.clone()),
            (None, [only]) => Some(only.id.clone()),
            (None, _) => None,
        };
        let others = found.into_iter().map(|user| user.id);
        let others = others.filter(|id| user_id.as_ref() != Some(id)).collect();
        Ok(Namesakes { user_id, others })
    }

    /// The sign-in name of the only user who has this as a mail address.
    pub async fn user_by_mail(
        &self,
        address: &str,
        priority: Priority,
    ) -> Result<Option<String>, GraphError> {
        let mut found = self.users_named(address, priority).await?;
        Ok(found.pop().filter(|_| found.is_empty()).map(|user| user.user_principal_name))
    }

    /// The users who have this as sign-in name or mail address.
    ///
    /// Whether Graph compares addresses with regard to case is not documented, so each is asked for as it is written and in
    /// lower case, and as a primary and another address (reported: clients ask for both).
    async fn users_named(
        &self,
        upn: &str,
        priority: Priority,
    ) -> Result<Vec<wire::NamesakeAnswer>, GraphError> {
        let mut spellings = vec![upn.to_owned(), upn.to_lowercase()];
        spellings.dedup();
        let by_address = spellings.iter().flat_map(|address| {
            let has = |kind: &str| {
                format!("proxyAddresses/any(p:p eq {})", literal(&format!("{kind}:{address}")))
            };
            [format!("mail eq {}", literal(address)), has("smtp"), has("SMTP")]
        });
        let by_name = [format!("userPrincipalName eq {}", literal(upn))];
        let filter: Vec<String> = by_name.into_iter().chain(by_address).collect();
        let filter = filter.join(" or ").replace(' ', "%20");
        let path = format!("/users?$filter={filter}&$select={}&$top=20", wire::NAMESAKE_FIELDS);
        let request = self.request(Call::FindUsers, priority, path);
        let (found, _) = self.exchange.pages::<wire::NamesakeAnswer>(request).await?;
        Ok(found)
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
        let requests = group_ids.chunks(GROUPS_PER_CHECK).map(|group_ids| {
            self.request(Call::MemberGroups, priority, path.clone())
                .with_body(&wire::MemberGroupsBody { group_ids })
        });
        let requests = requests.collect::<Result<Vec<Request<'_>>, GraphError>>()?;
        let reads = requests.iter().map(|request| self.exchange.read(request));
        let pages: Vec<wire::Page<String>> = all(reads.collect()).await?;
        let found: Vec<String> = pages.into_iter().flat_map(|page| page.value).collect();
        let is_in = |asked: &&String| found.iter().any(|id| id.eq_ignore_ascii_case(asked));
        Ok(group_ids.iter().filter(is_in).cloned().collect())
    }

    /// Reads these groups. Those that do not exist are missing from the answer.
    pub async fn groups(
        &self,
        group_ids: &[String],
        priority: Priority,
    ) -> Result<Vec<Group>, GraphError> {
        let reads = group_ids.chunks(IDS_PER_FILTER).map(|group_ids| {
            let ids: Vec<String> = group_ids.iter().map(|id| literal(id)).collect();
            let path = format!(
                "/groups?$filter=id%20in%20({})&$select=id,displayName,visibility",
                ids.join(",")
            );
            let request = self.request(Call::Groups, priority, path);
            self.exchange.pages::<wire::GroupAnswer>(request)
        });
        let found = all(reads.collect()).await?;
        Ok(found.into_iter().flat_map(|(groups, _)| groups).map(Group::from).collect())
    }
}

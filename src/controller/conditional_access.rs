//! What requests and policies share of a tenant's Conditional Access. It is read seldom, for its limit is one call in a second
//! for the whole tenant, and a request that does not depend on it never waits for it long.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::timeout;

use super::directory::Directory;
use super::shared::{OLD, Shared, SharedBy};
use crate::decision::permissions::Need;
use crate::decision::situation::{GroupState, SignInRules, SignInSeen, SignInTargets};
use crate::decision::step::{SignInAsks, SignInWait};
use crate::entra::{AccessPolicy, GraphError, WhatIf};
use crate::graph::{Client, Priority};

/// How old may be what a pass is refused for, from the time when it came. What only warns may be as old as anything.
const FRESH: Duration = Duration::from_secs(30);
/// How long a request waits for what only warns, if its pass may be issued next. The read goes on, for those who ask later.
const HARDLY: Duration = Duration::from_millis(500);
/// The same if people are asked first.
const SECONDS: Duration = Duration::from_secs(5);

type Policies = Arc<[AccessPolicy]>;

/// What was read of Conditional Access through one tenant connection.
#[derive(Default)]
pub struct ConditionalAccess {
    policies: Shared<Policies>,
    /// Whether the tenant said that it does not tell which policies a user meets.
    lacks_what_if: Arc<AtomicBool>,
    /// Which policies users meet, by their object ids in lower case.
    users: SharedBy<String, WhatIf>,
}

impl ConditionalAccess {
    /// What can be seen of the policies.
    pub async fn rules(
        &self,
        client: &Client,
        wait: SignInWait,
    ) -> Result<SignInRules, GraphError> {
        let held = client.token_roles().await?;
        if Need::AccessPolicies.is_covered_by(&held) {
            let read = self.read_policies(client.clone(), age(wait));
            let read = patiently(wait, read).await;
            return read.map_or(Ok(SignInRules::NotYet), |read| read.map(SignInRules::Policies));
        }
        let asks = Need::WhatIf.is_covered_by(&held);
        Ok(if asks { SignInRules::WhatIf } else { SignInRules::NotSeen })
    }

    /// All policies.
    pub async fn policies(&self, client: &Client) -> Result<Policies, GraphError> {
        self.read_policies(client.clone(), FRESH).await
    }

    async fn read_policies(&self, client: Client, age: Duration) -> Result<Policies, GraphError> {
        let read = async move { client.access_policies(Priority::Read).await.map(Arc::from) };
        self.policies.get(age, read).await
    }

    /// What policies depend on about a user.
    pub async fn of_user(
        &self,
        directory: &Directory,
        client: &Client,
        user_id: &str,
        asks: &SignInAsks,
        wait: SignInWait,
    ) -> Result<SignInSeen, GraphError> {
        match asks {
            SignInAsks::Targets { groups, roles } => {
                let targets = targets(directory, client, user_id, groups, *roles).await;
                targets.map(SignInSeen::Targets)
            }
            SignInAsks::WhatIf => self.what_if(client, user_id, wait).await,
        }
    }

    async fn what_if(
        &self,
        client: &Client,
        user_id: &str,
        wait: SignInWait,
    ) -> Result<SignInSeen, GraphError> {
        let (client, user) = (client.clone(), user_id.to_owned());
        let (shared, lacks) =
            (self.users.about(user_id.to_ascii_lowercase()), Arc::clone(&self.lacks_what_if));
        let read = async move {
            let found = client.what_if(&user, Priority::Read).await?;
            lacks.store(!matches!(found, WhatIf::Meets(_)), Ordering::Relaxed);
            Ok(found)
        };
        let answer = patiently(wait, shared.get(age(wait), read)).await;
        answer.map_or(Ok(SignInSeen::NotYet), |found| {
            Ok(match found? {
                WhatIf::NotOffered => SignInSeen::NotOffered,
                WhatIf::NotLicensed => SignInSeen::NotLicensed,
                WhatIf::Meets(policies) => SignInSeen::Applying(policies),
            })
        })
    }

    /// Whether the tenant tells which policies a user meets, as far as is known.
    pub fn offers_what_if(&self) -> bool {
        !self.lacks_what_if.load(Ordering::Relaxed)
    }
}

/// Waits for an answer as long as a request does. Whoever has waited long enough goes without one.
async fn patiently<T>(wait: SignInWait, answer: impl Future<Output = T>) -> Option<T> {
    match wait {
        SignInWait::UntilAnswered => Some(answer.await),
        SignInWait::Seconds => timeout(SECONDS, answer).await.ok(),
        SignInWait::Hardly => timeout(HARDLY, answer).await.ok(),
    }
}

/// How old may be the answer that a request takes that waits so long.
fn age(wait: SignInWait) -> Duration {
    match wait {
        SignInWait::UntilAnswered => FRESH,
        SignInWait::Seconds | SignInWait::Hardly => OLD,
    }
}

/// The groups and roles of a user, of those that policies name.
async fn targets(
    directory: &Directory,
    client: &Client,
    user_id: &str,
    groups: &[String],
    roles: bool,
) -> Result<SignInTargets, GraphError> {
    let mut found = SignInTargets::default();
    if !groups.is_empty() {
        let member_of = client.member_groups(user_id, groups, Priority::Issue).await?;
        found.member_of = member_of.into_iter().map(|id| id.to_ascii_lowercase()).collect();
        let states = directory.group_states(client, groups).await?;
        let hidden = states.into_iter().filter(|(_, state)| *state == GroupState::Hidden);
        found.unseen_groups = hidden.map(|(id, _)| id.to_ascii_lowercase()).collect();
    }
    if roles {
        let held = client.directory_roles(user_id, Priority::Issue).await?;
        // A role whose template cannot be read may be any of them.
        let templates: Option<BTreeSet<String>> =
            held.into_iter().map(|role| Some(role.template_id?.to_ascii_lowercase())).collect();
        found.roles = templates;
    }
    Ok(found)
}

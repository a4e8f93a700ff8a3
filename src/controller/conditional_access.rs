//! What requests and policies share of a tenant's Conditional Access. It is read seldom, for its limit is one call in a second
//! for the whole tenant, and a request that does not depend on it never waits for it long.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::{Instant, timeout};

use super::directory::Directory;
use crate::decision::permissions::Need;
use crate::decision::situation::{GroupState, SignInRules, SignInSeen, SignInTargets};
use crate::decision::step::{SignInAsks, SignInWait};
use crate::entra::{AccessPolicy, GraphError};
use crate::graph::{Client, Priority};

/// How old may be what only warns.
const AGE: Duration = Duration::from_mins(2);
/// How old may be what a pass is refused for.
const FRESH: Duration = Duration::from_secs(30);
/// How long an error is remembered, so that a tenant that does not answer is asked seldom.
const FAILED: Duration = Duration::from_secs(30);
/// How long a request waits for what only warns, if its pass may be issued next. The read goes on, for those who ask later.
const HARDLY: Duration = Duration::from_millis(500);
/// The same if people are asked first.
const SECONDS: Duration = Duration::from_secs(5);
/// The most users whose policies are remembered.
const MOST_USERS: usize = 200;

/// What was read last, and when it was asked for.
type Kept<T> = Option<(Instant, Result<T, GraphError>)>;

type Policies = Arc<[AccessPolicy]>;

/// The policies that a user meets; `None` if the cloud does not say that.
type OfUser = Option<Policies>;

/// What was read of Conditional Access through one tenant connection.
#[derive(Default)]
pub struct ConditionalAccess {
    policies: Arc<Mutex<Kept<Policies>>>,
    /// Whether the cloud said that it does not tell which policies a user meets.
    lacks_what_if: AtomicBool,
    /// Which policies users meet, by their object ids in lower case.
    users: Mutex<BTreeMap<String, Arc<Mutex<Kept<OfUser>>>>>,
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
            let read = self.read_policies(client, wait).await;
            return read.map_or(Ok(SignInRules::NotYet), |read| read.map(SignInRules::Policies));
        }
        let asks = Need::WhatIf.is_covered_by(&held);
        Ok(if asks { SignInRules::WhatIf } else { SignInRules::NotSeen })
    }

    /// All policies.
    pub async fn policies(&self, client: &Client) -> Result<Policies, GraphError> {
        let read = self.read_policies(client, SignInWait::UntilAnswered).await;
        read.unwrap_or_else(|| Err(interrupted()))
    }

    async fn read_policies(
        &self,
        client: &Client,
        wait: SignInWait,
    ) -> Option<Result<Policies, GraphError>> {
        let client = client.clone();
        let read = async move { client.access_policies(Priority::Read).await.map(Arc::from) };
        shared(&self.policies, wait, read).await
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
        let kept = {
            let mut users = self.users.lock().await;
            let user_id = user_id.to_ascii_lowercase();
            if users.len() >= MOST_USERS && !users.contains_key(&user_id) {
                users.clear();
            }
            Arc::clone(users.entry(user_id).or_default())
        };
        let (client, user) = (client.clone(), user_id.to_owned());
        let read = async move {
            let found = client.what_if(&user, Priority::Read).await?;
            Ok(found.map(Arc::from))
        };
        let answer = shared(&kept, wait, read).await;
        if let Some(Ok(found)) = &answer {
            self.lacks_what_if.store(found.is_none(), Ordering::Relaxed);
        }
        match answer {
            None => Ok(SignInSeen::NotYet),
            Some(Ok(None)) => Ok(SignInSeen::NotOffered),
            Some(Ok(Some(policies))) => Ok(SignInSeen::Applying(policies)),
            Some(Err(error)) => Err(error),
        }
    }

    /// Whether the cloud tells which policies a user meets, as far as is known.
    pub fn offers_what_if(&self) -> bool {
        !self.lacks_what_if.load(Ordering::Relaxed)
    }
}

/// What is kept if it is young enough, or else what is read now. Those who ask meanwhile wait for the same read. Whoever has
/// waited long enough goes without an answer, and the read goes on.
async fn shared<T: Clone + Send + Sync + 'static>(
    kept: &Arc<Mutex<Kept<T>>>,
    wait: SignInWait,
    read: impl Future<Output = Result<T, GraphError>> + Send + 'static,
) -> Option<Result<T, GraphError>> {
    let answer = async {
        let kept: OwnedMutexGuard<Kept<T>> = Arc::clone(kept).lock_owned().await;
        let asked_at = Instant::now();
        if let Some((read_at, known)) = &*kept {
            let age = match known {
                Err(_) => FAILED,
                Ok(_) if wait == SignInWait::UntilAnswered => FRESH,
                Ok(_) => AGE,
            };
            if asked_at.duration_since(*read_at) < age {
                return known.clone();
            }
        }
        // A task of its own, so that the answer is kept even if nobody waits for it any longer.
        let reading = tokio::spawn(async move {
            let (mut kept, answer) = (kept, read.await);
            *kept = Some((asked_at, answer.clone()));
            answer
        });
        reading.await.unwrap_or_else(|_| Err(interrupted()))
    };
    match wait {
        SignInWait::UntilAnswered => Some(answer.await),
        SignInWait::Seconds => timeout(SECONDS, answer).await.ok(),
        SignInWait::Hardly => timeout(HARDLY, answer).await.ok(),
    }
}

fn interrupted() -> GraphError {
    GraphError::unreached("reading Conditional Access was interrupted")
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

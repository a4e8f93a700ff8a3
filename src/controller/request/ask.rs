//! Reads what a decision needs, all of it concurrently.

use futures::future::{join_all, try_join_all};
use kube::runtime::reflector::ObjectRef;

use super::act::share_of;
use crate::api::TapRequest;
use crate::cluster::{ApiError, requests, secret};
use crate::controller::fence::Fence;
use crate::controller::operator::{Operator, Tenant};
use crate::controller::permissions::eligibility;
use crate::decision::ids::{Uid, UserKey};
use crate::decision::outcome::Outcome;
use crate::decision::situation::{People, SecretFound};
use crate::decision::step::Look;
use crate::entra::{EntraName, GraphError, Listed};
use crate::graph::{Client, Priority};

impl Operator {
    /// Reads all of this, and reports each answer to the state machine.
    pub(super) async fn ask(&self, uid: &Uid, looks: Vec<Look>) -> Result<(), ApiError> {
        let Some(request) = self.requests().request(uid) else { return Ok(()) };
        let answers = looks.into_iter().map(|look| self.answer(&request, look));
        for answer in join_all(answers).await {
            if let Some(outcome) = answer? {
                self.learn(uid, outcome);
            }
        }
        Ok(())
    }

    /// Reads one of them; `None` if the policy has no connection to a tenant any more.
    async fn answer(&self, request: &TapRequest, look: Look) -> Result<Option<Outcome>, ApiError> {
        let priority = Priority::Issue;
        let outcome = match (look, self.policy_client(request)) {
            (Look::Method, Some((_, client))) => Outcome::Method(client.method(priority).await),
            (Look::User { key }, Some((_, client))) => {
                Outcome::User(client.user(&key, priority).await)
            }
            (Look::People { names }, Some((_, client))) => {
                Outcome::People(people(&client, names).await)
            }
            (Look::Groups { user_id, ids }, Some((_, client))) => {
                Outcome::Groups(client.member_groups(&user_id, &ids, priority).await)
            }
            (Look::GroupStates { ids }, Some((tenant, client))) => {
                Outcome::GroupStates(tenant.directory.group_states(&client, &ids).await)
            }
            (Look::SignInMethods { user_id }, Some((_, client))) => {
                Outcome::SignInMethods(client.sign_in_methods(&user_id, priority).await)
            }
            (Look::Roles { user_id }, Some((_, client))) => {
                Outcome::Roles(client.directory_roles(&user_id, priority).await)
            }
            (Look::Eligibility { user_id }, Some((_, client))) => {
                Outcome::Eligibility(eligibility(&client, &user_id).await)
            }
            (Look::ListedRoles { user_id }, Some((tenant, client))) => {
                Outcome::ListedRoles(tenant.directory.listed_roles(&client, &user_id).await)
            }
            (
                Look::Method
                | Look::User { .. }
                | Look::People { .. }
                | Look::Groups { .. }
                | Look::GroupStates { .. }
                | Look::SignInMethods { .. }
                | Look::Roles { .. }
                | Look::Eligibility { .. }
                | Look::ListedRoles { .. },
                None,
            ) => return Ok(None),
            (Look::Passes { connections, user }, _) => {
                let listed = self
                    .through(&connections, |client| list(client.for_whom(share_of(request)), &user))
                    .await;
                Outcome::Passes(user, listed)
            }
            (Look::Permission { connection }, _) => {
                Outcome::Permitted(self.may_create_passes(&connection).await)
            }
            (Look::Place, _) => Outcome::Place(secret::place(&self.client, request).await?),
            (Look::Secret, _) => self.find_secret(request).await,
            (Look::Brakes, _) => {
                let policy = &request.spec.policy_ref.name;
                Outcome::Brakes(requests::brakes(&self.client, &self.namespace, policy).await)
            }
        };
        Ok(Some(outcome))
    }

    async fn find_secret(&self, request: &TapRequest) -> Outcome {
        let found = secret::find(&self.client, request)
            .await
            .unwrap_or_else(|error| SecretFound::Unclear(error.to_string()));
        let unfenced_for = match self.admission.borrow().fence {
            Fence::Up => None,
            Fence::DownSince(since) => Some(since.elapsed()),
        };
        Outcome::Secret { found, unfenced_for }
    }

    /// The policy's tenant, and its client for calls that are made for the requester.
    fn policy_client(&self, request: &TapRequest) -> Option<(&Tenant, Client)> {
        let policy = self.stores.policies.get(&ObjectRef::new(&request.spec.policy_ref.name))?;
        let connection = &policy.0.as_ref().ok()?.spec.tenant;
        let tenant = self.tenants.get(connection)?;
        Some((tenant, tenant.client.for_whom(share_of(request))))
    }
}

async fn people(client: &Client, names: Vec<(String, EntraName)>) -> Result<People, GraphError> {
    let found = names
        .into_iter()
        .map(async |(name, entra)| Ok((name, client.namesakes(&entra, Priority::Issue).await?)));
    try_join_all(found).await.map(People::from_iter)
}

async fn list(client: Client, user: &UserKey) -> Result<Listed, GraphError> {
    client.passes(&user.user_id, Priority::Issue).await
}

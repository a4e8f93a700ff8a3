//! Reads what a decision needs, all of it concurrently.

use futures::future::{join_all, try_join_all};
use kube::runtime::reflector::ObjectRef;

use super::act::share_of;
use super::own::OwnClient;
use crate::api::TapRequest;
use crate::cluster::{ApiError, requests, secret};
use crate::controller::fence::Fence;
use crate::controller::operator::{Operator, Tenant};
use crate::controller::permissions::eligibility;
use crate::decision::checks::may_be_issued_next;
use crate::decision::ids::{Uid, UserKey};
use crate::decision::outcome::Outcome;
use crate::decision::situation::{People, SecretFound};
use crate::decision::step::Question;
use crate::entra::{EntraName, GraphError, Listed};
use crate::graph::{Client, Priority};

impl Operator {
    /// Reads all of this, and reports each answer to the state machine. The dry run of the Secret opens the connection on which
    /// the code will travel.
    pub(super) async fn ask(
        &self,
        uid: &Uid,
        questions: Vec<Question>,
        own: &mut Option<OwnClient>,
    ) -> Result<(), ApiError> {
        let Some(request) = self.requests().request(uid) else { return Ok(()) };
        if questions.contains(&Question::SecretDryRun) {
            *own = OwnClient::new(self).ok();
        }
        if questions.iter().any(|question| matches!(question, Question::User { .. })) {
            self.open_for_a_code(&request);
        }
        let own = own.as_ref().map_or(&self.client, OwnClient::client);
        let answers = questions.into_iter().map(|question| self.answer(&request, question, own));
        for answer in join_all(answers).await {
            if let Some(outcome) = answer? {
                self.learn(uid, outcome);
            }
        }
        Ok(())
    }

    /// Reads one of them; `None` if the policy has no connection to a tenant any more.
    async fn answer(
        &self,
        request: &TapRequest,
        question: Question,
        own: &kube::Client,
    ) -> Result<Option<Outcome>, ApiError> {
        let priority = Priority::Issue;
        let outcome = match (question, self.policy_client(request)) {
            (Question::Method, Some((_, client))) => Outcome::Method(client.method(priority).await),
            (Question::User { key }, Some((_, client))) => {
                Outcome::User(client.user(&key, priority).await)
            }
            (Question::UserByMail { address }, Some((_, client))) => {
                Outcome::UserByMail(client.user_by_mail(&address, priority).await)
            }
            (Question::People { names }, Some((_, client))) => {
                Outcome::People(people(&client, names).await)
            }
            (Question::Groups { user_id, ids }, Some((_, client))) => {
                Outcome::Groups(client.member_groups(&user_id, &ids, priority).await)
            }
            (Question::GroupStates { ids }, Some((tenant, client))) => {
                Outcome::GroupStates(tenant.directory.group_states(&client, &ids).await)
            }
            (Question::SignInMethods { user_id }, Some((_, client))) => {
                Outcome::SignInMethods(client.sign_in_methods(&user_id, priority).await)
            }
            (Question::Roles { user_id }, Some((_, client))) => {
                Outcome::Roles(client.directory_roles(&user_id, priority).await)
            }
            (Question::Eligibility { user_id }, Some((_, client))) => {
                Outcome::Eligibility(eligibility(&client, &user_id).await)
            }
            (Question::ListedRoles { user_id }, Some((tenant, client))) => {
                Outcome::ListedRoles(tenant.directory.listed_roles(&client, &user_id).await)
            }
            (Question::SignInRules { wait }, Some((tenant, client))) => {
                Outcome::SignInRules(tenant.conditional_access.rules(&client, wait).await)
            }
            (Question::SignIn { user_id, asks, wait }, Some((tenant, client))) => {
                let Tenant { directory, conditional_access, .. } = tenant;
                let seen = conditional_access.of_user(directory, &client, &user_id, &asks, wait);
                Outcome::SignIn(seen.await)
            }
            (
                Question::Method
                | Question::User { .. }
                | Question::UserByMail { .. }
                | Question::People { .. }
                | Question::Groups { .. }
                | Question::GroupStates { .. }
                | Question::SignInMethods { .. }
                | Question::Roles { .. }
                | Question::Eligibility { .. }
                | Question::ListedRoles { .. }
                | Question::SignInRules { .. }
                | Question::SignIn { .. },
                None,
            ) => return Ok(None),
            (Question::Passes { connections, user }, _) => {
                let listed = self
                    .through(&connections, |client| list(client.for_whom(share_of(request)), &user))
                    .await;
                Outcome::Passes(user, listed)
            }
            (Question::Permission { connection }, _) => {
                Outcome::Permitted(self.may_create_passes(&connection).await)
            }
            (Question::SecretDryRun, _) => {
                Outcome::SecretDryRun(secret::dry_run(own, request).await?)
            }
            (Question::Secret, _) => self.find_secret(request).await,
            (Question::Labels, _) => Outcome::Labels(requests::labels(&self.client, request).await),
            (Question::Brakes, _) => {
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

    /// The TLS of the POST is made while its reads are answered, if a pass may follow from them.
    fn open_for_a_code(&self, request: &TapRequest) {
        let policy = self.stores.policies.get(&ObjectRef::new(&request.spec.policy_ref.name));
        let policy = policy.as_deref().and_then(|policy| policy.0.as_ref().ok());
        let terms = policy.and_then(|policy| self.terms.of(policy));
        if terms.is_some_and(|terms| may_be_issued_next(request, &terms))
            && let Some((_, client)) = self.policy_client(request)
        {
            client.open_for_a_code();
        }
    }

    /// The policy's tenant, and its client for calls that are made for the requester.
    fn policy_client(&self, request: &TapRequest) -> Option<(&Tenant, Client)> {
        let tenant = self.tenant_behind(&request.spec.policy_ref.name)?;
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

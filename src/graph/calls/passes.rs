//! Passes of users.

use tokio::time::Instant;

use super::path::keyed;
use crate::entra::{Call, CreateError, Created, GraphError, Listed, NewPass, TapMethod};
use crate::graph::client::Client;
use crate::graph::exchange::{Failure, Priority, Request, unexpected};
use crate::graph::wire;

fn passes_path(user_id: &str) -> String {
    format!("{}/authentication/temporaryAccessPassMethods", keyed("users", user_id))
}

fn pass_path(user_id: &str, pass_id: &str) -> String {
    let pass = keyed("temporaryAccessPassMethods", pass_id);
    format!("{}/authentication{pass}", keyed("users", user_id))
}

impl Client {
    /// Lists the kinds of the sign-in methods that a user has registered, such as `fido2` or `phone`. The password, which every
    /// account has, and passes do not count.
    pub async fn sign_in_methods(
        &self,
        user_id: &str,
        priority: Priority,
    ) -> Result<Vec<String>, GraphError> {
        let path = format!("{}/authentication/methods", keyed("users", user_id));
        let request = self.request(Call::SignInMethods, priority, path);
        let (methods, _) = self.exchange.pages::<wire::SignInMethodAnswer>(request).await?;
        let kinds = methods.into_iter().map(wire::SignInMethodAnswer::into_kind);
        Ok(kinds.filter(|kind| kind != "password" && kind != "temporaryAccessPass").collect())
    }

    /// Lists the passes of the user.
    pub async fn passes(&self, user_id: &str, priority: Priority) -> Result<Listed, GraphError> {
        let request = self.request(Call::Passes, priority, passes_path(user_id));
        let (passes, date) = self.exchange.pages::<wire::PassAnswer>(request).await?;
        let date = date.ok_or_else(|| unexpected(Call::Passes, "the answer has no Date"))?;
        Ok(Listed { passes: passes.into_iter().map(Into::into).collect(), date })
    }

    /// Reads one pass of the user.
    pub async fn pass(
        &self,
        user_id: &str,
        pass_id: &str,
        priority: Priority,
    ) -> Result<TapMethod, GraphError> {
        let request = self.request(Call::Pass, priority, pass_path(user_id, pass_id));
        Ok(self.exchange.read::<wire::PassAnswer>(&request).await?.into())
    }

    /// Creates a pass: one POST on a connection of its own, which is never repeated. The new pass replaces the one that
    /// the user has. Nothing is sent if the call is not admitted by `latest`.
    ///
    /// If the future is dropped after it has been polled, the outcome is unknown.
    pub async fn create_pass(
        &self,
        user_id: &str,
        new: &NewPass,
        client_request_id: &str,
        latest: Instant,
    ) -> Result<Created, CreateError> {
        let request = self
            .request(Call::CreatePass, Priority::Create, passes_path(user_id))
            .with_body(&wire::NewPassBody::from(new))
            .map_err(CreateError::NotSent)?
            .with_id(client_request_id);
        self.create(&request, latest).await
    }

    async fn create(&self, request: &Request<'_>, latest: Instant) -> Result<Created, CreateError> {
        let answer = match self.exchange.attempt(request, latest).await {
            Ok(answer) => answer,
            Err(Failure { error, maybe_sent: true }) => return Err(CreateError::Unknown(error)),
            Err(Failure { error, maybe_sent: false }) => return Err(CreateError::NotSent(error)),
        };
        let status = answer.status;
        if !status.is_success() {
            let error = self.exchange.failure(request, &answer).await;
            self.exchange.answered(Call::CreatePass, &answer, Some(&error));
            // 408 and 499 come from an intermediary, which does not know the outcome. The same goes for a refusal that is
            // not in Graph's form: a proxy that inspects answers may have withheld the one with the pass.
            let refused = match status.as_u16() {
                401 | 429 => true,
                408 | 499 => false,
                _ => status.is_client_error() && wire::error(&answer.body).is_some(),
            };
            return Err(if refused {
                CreateError::Refused(error)
            } else {
                CreateError::Unknown(error)
            });
        }
        let unknown = |error: String| {
            let error = answer.annotate(request, &error);
            self.exchange.answered(Call::CreatePass, &answer, Some(&error));
            CreateError::Unknown(error)
        };
        let (method, code) =
            wire::created(&answer.body).map_err(|error| unknown(error.to_string()))?;
        let date = (wire::date(&answer.headers).or(method.created))
            .ok_or_else(|| unknown("the answer has no Date".to_owned()))?;
        self.exchange.answered(Call::CreatePass, &answer, None);
        Ok(Created { method, code, date })
    }

    /// Deletes a pass. The call goes before all others that are waiting.
    pub async fn delete_pass(&self, user_id: &str, pass_id: &str) -> Result<(), GraphError> {
        let path = pass_path(user_id, pass_id);
        let request = self.request(Call::DeletePass, Priority::Revoke, path);
        self.exchange.send(&request).await.map(drop)
    }
}

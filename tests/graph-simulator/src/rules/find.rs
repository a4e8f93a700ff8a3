//! Finding a user and a pass by the keys in a path.

use uuid::Uuid;

use crate::{
    clock::{seconds, shifted},
    passes::Pass,
    state::State,
    switches::{MalformedId, NotReadyAnswer, UnknownUserCode},
    tenant::User,
    wire::Refusal,
};

impl State {
    /// The user whose methods a request is about, once the user is ready for it.
    pub(crate) fn user_with_methods(&self, key: &str) -> Result<&User, Refusal> {
        let code = match self.switches.unknown_user_code {
            UnknownUserCode::ResourceNotFound => "resourceNotFound",
            UnknownUserCode::UserNotFound => "userNotFound",
        };
        let unknown = || Refusal::new(404, code, "The user could not be found.").repeated();
        let user = self.directory.current().user(key).ok_or_else(unknown)?;
        let ready_after = seconds(self.switches.user_ready_after_seconds);
        let ready = user
            .created_date_time
            .is_none_or(|created| shifted(created, ready_after) <= self.now());
        match self.switches.user_not_ready_answer {
            _ if ready => Ok(user),
            NotReadyAnswer::NotFound => Err(unknown()),
            NotReadyAnswer::BadRequest => Err(bad_request("The user is not ready.")),
            NotReadyAnswer::Forbidden => {
                Err(Refusal::new(403, "accessDenied", "Request Authorization failed").repeated())
            }
        }
    }

    pub(super) fn pass_id(&self, key: &str) -> Result<Uuid, Refusal> {
        Uuid::parse_str(key).map_err(|_| match self.switches.malformed_pass_id {
            MalformedId::BadRequest => bad_request("The id is malformed."),
            MalformedId::NotFound => no_such_pass(),
        })
    }

    /// Whether the tenant still keeps a pass that has expired.
    pub(super) fn is_kept(&self, pass: &Pass) -> bool {
        let kept_for = self.switches.expired_pass_listed_seconds;
        kept_for.is_none_or(|kept_for| self.now() < shifted(pass.expires(), seconds(kept_for)))
    }
}

pub(super) fn bad_request(message: impl Into<String>) -> Refusal {
    Refusal::new(400, "badRequest", message).repeated()
}

/// Writes about a user in a restricted management administrative unit. Its words are not known.
pub(super) fn restricted() -> Refusal {
    let message = "Insufficient privileges to complete the operation: the object is in a restricted management administrative unit.";
    Refusal::new(403, "Authorization_RequestDenied", message).repeated()
}

pub(super) fn no_such_pass() -> Refusal {
    Refusal::new(404, "resourceNotFound", "The authentication method could not be found.")
        .repeated()
}

//! Signing in with a code, and the sessions that come of it.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{conditional_access::Way, usability::Reason};
use crate::{
    clock::shifted,
    passes::{End, Use},
    state::State,
    tenant::User,
};

/// How long after signing in with a one-time pass a new key can be registered (documented).
const REGISTRATION_WINDOW: SignedDuration = SignedDuration::from_mins(10);

/// A successful sign-in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SignIn {
    /// The session that it began.
    pub session: Uuid,
    /// The user.
    pub user_id: Uuid,
    /// The pass that was used.
    pub pass_id: Uuid,
    /// When.
    pub at: Timestamp,
    /// When the pass ends by itself, and the session with it.
    pub expires: Timestamp,
}

/// Why nobody was signed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "camelCase")]
pub enum SignInError {
    /// There is no such user.
    #[error("no such user")]
    UnknownUser,
    /// The account is disabled.
    #[error("the account is disabled")]
    AccountDisabled,
    /// The user has no pass with this code: it never was, or it was deleted or replaced.
    #[error("the user has no pass with this code")]
    WrongCode,
    /// The one-time pass was used already.
    #[error("the one-time pass was used already")]
    OneTimeUsed,
    /// The pass has expired.
    #[error("the pass has expired")]
    Expired,
    /// The pass has not begun.
    #[error("the pass has not begun")]
    NotYetValid,
    /// Blocked by the user credential policy: method off, user out of scope, or a multi-use pass where one-time use is demanded.
    #[error("blocked by the user credential policy")]
    DisabledByPolicy,
    /// Conditional Access demands more than the pass, or blocks the user (53003).
    #[error("blocked by Conditional Access")]
    BlockedByConditionalAccess,
}

/// A session that began with a pass, as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Session {
    /// Its id.
    pub id: Uuid,
    /// Its user.
    pub user_id: Uuid,
    /// The pass that it came from.
    pub pass_id: Uuid,
    /// When it began.
    pub began: Timestamp,
    /// Whether it still lasts: it ends with its pass, and when the user is disabled or removed.
    pub alive: bool,
    /// Whether a new key can be registered in it now: within 10 minutes of the sign-in where the pass is one-time.
    pub can_register: bool,
}

impl State {
    pub(crate) fn sign_in(
        &mut self,
        user_principal_name: &str,
        code: &str,
        way: &Way,
    ) -> Result<SignIn, SignInError> {
        let user = self.directory.current().user(user_principal_name).cloned();
        let user = user.ok_or(SignInError::UnknownUser)?;
        let signed_in = self.redeem(&user, code, way);
        self.sign_ins.record(self.now(), &user, signed_in.as_ref().err().copied());
        signed_in
    }

    fn redeem(&mut self, user: &User, code: &str, way: &Way) -> Result<SignIn, SignInError> {
        let now = self.now();
        if !user.account_enabled {
            return Err(SignInError::AccountDisabled);
        }
        let user_id = user.id;
        let pass = self
            .passes
            .current(user_id)
            .filter(|pass| pass.code == code)
            .ok_or(SignInError::WrongCode)?;
        match self.usability(pass) {
            Reason::EnabledByPolicy => {}
            Reason::OneTimeUsed => return Err(SignInError::OneTimeUsed),
            Reason::Expired => return Err(SignInError::Expired),
            Reason::NotYetValid => return Err(SignInError::NotYetValid),
            Reason::DisabledByPolicy => return Err(SignInError::DisabledByPolicy),
        }
        if !self.lets_in(pass, way) {
            return Err(SignInError::BlockedByConditionalAccess);
        }
        let (pass_id, expires) = (pass.id, pass.expires());
        let session = Uuid::new_v4();
        if let Some(pass) = self.passes.get_mut(pass_id) {
            pass.uses.push(Use { at: now, session });
        }
        self.sessions.insert(session, (pass_id, now));
        Ok(SignIn { session, user_id, pass_id, at: now, expires })
    }

    pub(crate) fn session(&self, id: Uuid) -> Option<Session> {
        let now = self.now();
        let (pass_id, began) = *self.sessions.get(&id)?;
        let pass = self.passes.get(pass_id)?;
        let user = self.directory.current().user(&pass.user.to_string());
        let alive = pass.end(now) == End::Live && user.is_some_and(|user| user.account_enabled);
        let in_time = !pass.one_time || now < shifted(began, REGISTRATION_WINDOW);
        Some(Session {
            id,
            user_id: pass.user,
            pass_id,
            began,
            alive,
            can_register: alive && in_time,
        })
    }
}

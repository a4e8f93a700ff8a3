//! Whose a pass is that the tenant's audit log names.

use super::Requests;
use crate::decision::ids::{RequestName, Uid, UserKey};

/// Whose a pass is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whose {
    /// This request records it.
    Recorded(Uid, RequestName),
    /// This process made or deleted it, and no request records it now.
    Own,
    /// It is not known yet what became of a POST for this user, which may have made it.
    Unresolved,
    /// Nobody's that is known here.
    Unknown,
}

impl Requests {
    /// Whose a pass of a user is.
    pub fn whose_pass(&self, pass_id: Option<&str>, user: Option<&UserKey>) -> Whose {
        let nobody = Uid::from("");
        if let Some(pass_id) = pass_id {
            let recording = self.index.recording(pass_id.into(), &nobody).next();
            let named = recording.and_then(|uid| Some((uid, self.observed(uid)?)));
            if let Some((uid, observed)) = named {
                return Whose::Recorded(uid.clone(), observed.name.clone());
            }
            if self.own_passes.known(pass_id, &nobody).is_some() {
                return Whose::Own;
            }
        }
        match user {
            Some(user) if self.index.unresolved_for(user, &nobody).next().is_some() => {
                Whose::Unresolved
            }
            _ => Whose::Unknown,
        }
    }
}

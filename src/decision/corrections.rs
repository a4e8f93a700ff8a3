//! The correction that was last sent for each policy, remembered until a read shows that the tenant follows it.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::policy::{Correction, is_in_sync};
use crate::api::TapPolicy;
use crate::entra::{ErrorKind, GraphError, MethodConfiguration, MethodPatch};

/// The corrections, by uid of the policy.
#[derive(Clone, Debug, Default)]
pub struct Corrections(BTreeMap<String, Correction>);

impl Corrections {
    /// The correction that was last sent for a policy, until a read shows that the tenant follows it.
    pub fn of(&self, policy: &TapPolicy) -> Option<&Correction> {
        self.0.get(uid(policy))
    }

    /// Learns from a read of the tenant's method.
    pub fn method_read(
        &mut self,
        policy: &TapPolicy,
        method: &Result<MethodConfiguration, GraphError>,
    ) {
        if method.as_ref().is_ok_and(|method| is_in_sync(policy, method)) {
            self.0.remove(uid(policy));
        }
    }

    /// Learns from the answer to a correction, at this time by Graph's clock. Nothing is remembered unless Graph took or
    /// refused the values.
    pub fn answered(
        &mut self,
        policy: &TapPolicy,
        patch: &MethodPatch,
        answer: &Result<(), GraphError>,
        at: Timestamp,
    ) {
        let refused = match answer {
            Ok(()) => false,
            Err(error) if error.kind == ErrorKind::BadRequest => true,
            Err(_) => return,
        };
        let generation = policy.metadata.generation;
        let sent = Correction { generation, patch: patch.clone(), at, refused };
        self.0.insert(uid(policy).to_owned(), sent);
    }

    /// Forgets a policy that does not exist any more.
    pub fn forget(&mut self, uid: &str) {
        self.0.remove(uid);
    }
}

fn uid(policy: &TapPolicy) -> &str {
    policy.metadata.uid.as_deref().unwrap_or_default()
}

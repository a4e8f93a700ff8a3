//! The terms of policies, parsed once for each generation of a policy.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kube::ResourceExt as _;

use crate::api::TapPolicy;
use crate::decision::terms::{PolicyVersion, Terms};

/// The terms of policies, by name of the policy.
#[derive(Default)]
pub struct PolicyTerms(Mutex<HashMap<String, Cached>>);

struct Cached {
    /// The version from which they were parsed.
    version: PolicyVersion,
    /// Absent if the policy issues no passes.
    terms: Option<Arc<Terms>>,
}

impl PolicyTerms {
    /// The terms of a policy; `None` if it issues no passes.
    pub fn of(&self, policy: &TapPolicy) -> Option<Arc<Terms>> {
        let version = PolicyVersion::of(&policy.metadata);
        let name = policy.name_any();
        let mut all = self.all();
        if let Some(cached) = all.get(&name).filter(|cached| cached.version == version) {
            return cached.terms.clone();
        }
        let terms = policy.spec.issuance.as_ref().map(|issuance| Arc::new(Terms::of(issuance)));
        all.insert(name, Cached { version, terms: terms.clone() });
        terms
    }

    /// Forgets a policy that does not exist any more.
    pub fn forget(&self, name: &str) {
        self.all().remove(name);
    }

    fn all(&self) -> MutexGuard<'_, HashMap<String, Cached>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

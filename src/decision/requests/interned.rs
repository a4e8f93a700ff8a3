//! Texts that many requests have in common: tenants, namespaces, who asks through which policy. Each is kept once.

use std::collections::BTreeSet;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use super::observed::Observed;
use crate::decision::quota::Party;

/// From how many on those that no request has any more are looked for.
const FEW: usize = 64;

/// The texts. Which there are makes no difference to any decision, so all are equal.
#[derive(Clone, Debug, Default)]
pub(super) struct Interned {
    texts: BTreeSet<Arc<str>>,
    parties: BTreeSet<Arc<Party>>,
    /// How many were left when those that nothing used were last forgotten.
    used: usize,
}

impl PartialEq for Interned {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Interned {}

impl Hash for Interned {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

impl Interned {
    /// Puts the texts that are known already in the place of those of a new version of a request.
    pub fn share(&mut self, observed: &mut Observed) {
        one_of(&mut self.parties, &mut observed.party);
        let texts = &mut self.texts;
        one_of(texts, &mut observed.name.namespace);
        if let Some(tenant_id) = &mut observed.tenant_id {
            one_of(texts, tenant_id);
        }
        if let Some(user) = &mut observed.contends {
            one_of(texts, &mut user.tenant_id);
        }
        let attempt = observed.recorded.as_mut().and_then(|recorded| recorded.attempt.as_mut());
        // Nobody else has it: it was just read.
        if let Some(attempt) = attempt.and_then(Arc::get_mut) {
            one_of(texts, &mut attempt.user.tenant_id);
            one_of(texts, &mut attempt.connection);
        }
        if self.texts.len() + self.parties.len() > 2 * self.used + FEW {
            self.texts.retain(|text| Arc::strong_count(text) > 1);
            self.parties.retain(|party| Arc::strong_count(party) > 1);
            self.used = self.texts.len() + self.parties.len();
        }
    }
}

/// The one that is known already, if there is one; else it is from now on.
fn one_of<T: Ord + ?Sized>(known: &mut BTreeSet<Arc<T>>, new: &mut Arc<T>) {
    match known.get(&*new) {
        Some(known) => *new = Arc::clone(known),
        None => _ = known.insert(Arc::clone(new)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::TapRequest;

    fn observed(name: &str, requester: &str) -> Observed {
        let text = format!(
            "{{apiVersion: tap-operator.io/v1alpha1, kind: TapRequest, metadata: {{name: {name}, namespace: helpdesk, \
             uid: {name}}}, spec: {{policyRef: {{name: p}}, user: u@contoso.com, requestedBy: {requester}}}}}"
        );
        let request: TapRequest = crate::api::yaml::read(&text).unwrap();
        Observed::of(&request)
    }

    #[test]
    fn requests_of_one_party_have_its_texts_in_common() {
        let mut interned = Interned::default();
        let [mut one, mut other] = [observed("a", "helen"), observed("b", "helen")];
        interned.share(&mut one);
        interned.share(&mut other);
        assert!(Arc::ptr_eq(&one.party, &other.party));
        assert!(Arc::ptr_eq(&one.name.namespace, &other.name.namespace));
    }

    #[test]
    fn texts_that_no_request_has_any_more_are_forgotten() {
        let mut interned = Interned::default();
        for number in 0..1000 {
            interned.share(&mut observed("a", &format!("requester-{number}")));
        }
        assert!(interned.parties.len() <= FEW + 2, "{}", interned.parties.len());
    }
}

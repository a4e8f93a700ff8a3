//! Wakes the requests and policies that depend on a policy that changed.

use std::collections::HashMap;
use std::sync::Arc;

use kube::Resource as _;
use kube::runtime::reflector::{Lookup as _, ObjectRef};
use kube::runtime::watcher;
use tokio::sync::mpsc::UnboundedSender;

use super::operator::Operator;
use super::policy::Managed;
use super::watches::WatchedPolicy;
use crate::decision::terms::PolicyVersion;

/// Handles the events of the watch of policies, each after the cache has taken it.
pub fn on_policies(
    operator: Arc<Operator>,
    all_policies: UnboundedSender<()>,
) -> impl FnMut(&watcher::Result<watcher::Event<WatchedPolicy>>) {
    let mut known = HashMap::new();
    move |event| {
        let names: Vec<String> = match event {
            Ok(watcher::Event::Apply(policy) | watcher::Event::Delete(policy)) => {
                vec![policy.name().unwrap_or_default().into_owned()]
            }
            // The cache shows what a list has, and what it lacks, only once the list is complete.
            Ok(watcher::Event::InitDone) => {
                let listed = operator.policies();
                let listed =
                    listed.iter().map(|policy| policy.name().unwrap_or_default().into_owned());
                listed.chain(known.keys().cloned()).collect()
            }
            Ok(watcher::Event::Init | watcher::Event::InitApply(_)) | Err(_) => return,
        };
        let mut managers_changed = false;
        for name in names {
            let policy = operator.stores.policies.get(&ObjectRef::new(&name));
            let now = policy.as_deref().map(|policy| Known {
                version: PolicyVersion::of(policy.meta()),
                managed: operator.managed_by(&name),
            });
            let before = known.get(&name);
            // What a policy does depends on the other policies that manage the method of its tenant.
            let managed = |known: Option<&Known>| known.and_then(|known| known.managed.clone());
            managers_changed |= managed(before) != managed(now.as_ref());
            // A change of only the status wakes nothing.
            if before.map(|known| &known.version) != now.as_ref().map(|known| &known.version) {
                operator.policy_changed(&name, policy.as_deref());
                let uid = |known: &Known| known.version.uid.clone();
                let (was, is) = (before.and_then(uid), now.as_ref().and_then(uid));
                if let Some(gone) = was.filter(|was| is.as_ref() != Some(was)) {
                    operator.forget_policy(&gone);
                }
            }
            match now {
                Some(now) => known.insert(name, now),
                None => known.remove(&name),
            };
        }
        if managers_changed {
            let _ = all_policies.send(());
        }
    }
}

/// What requests and other policies depend on.
struct Known {
    version: PolicyVersion,
    managed: Option<Managed>,
}

impl Operator {
    fn policy_changed(&self, name: &str, policy: Option<&WatchedPolicy>) {
        let readable = policy.and_then(|policy| policy.0.as_ref().ok());
        let terms = readable.and_then(|policy| self.terms.of(policy));
        let bounds = terms.map(|terms| terms.bounds);
        self.with_requests(|requests, moment| requests.set_policy(name, bounds, moment));
        if policy.is_some() {
            self.metrics.policy_came(name);
        } else {
            self.terms.forget(name);
            self.metrics.policy_went(name);
        }
    }
}

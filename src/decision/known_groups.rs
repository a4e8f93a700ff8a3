//! The groups of each policy as they were read last, for as long as they cannot be read again.

use std::collections::BTreeMap;

use crate::api::TapPolicy;
use crate::entra::{GraphError, Group};

/// What was read last, by uid of the policy.
#[derive(Clone, Debug, Default)]
pub struct KnownGroups(BTreeMap<String, Read>);

/// A read that Graph answered.
#[derive(Clone, Debug)]
struct Read {
    asked: Vec<String>,
    found: Vec<Group>,
}

impl KnownGroups {
    /// What a policy's reconcile goes by after its groups were asked for: the answer, or, if there is none, the last one about
    /// the same groups. A failed read shows nothing new, so it ends no difference that was found before.
    pub fn learn(
        &mut self,
        policy: &TapPolicy,
        asked: Vec<String>,
        answer: Result<Vec<Group>, GraphError>,
    ) -> Result<Vec<Group>, GraphError> {
        let uid = policy.metadata.uid.clone().unwrap_or_default();
        match answer {
            Ok(found) => {
                self.0.insert(uid, Read { asked, found: found.clone() });
                Ok(found)
            }
            Err(error) => match self.0.get(&uid) {
                Some(last) if last.asked == asked => Ok(last.found.clone()),
                _ => Err(error),
            },
        }
    }

    /// Forgets a policy that does not exist any more.
    pub fn forget(&mut self, uid: &str) {
        self.0.remove(uid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entra::{Call, ErrorKind};

    #[test]
    fn a_failed_read_leaves_what_was_known_of_the_same_groups_and_policy() {
        let mut known = KnownGroups::default();
        let policy = |uid: &str| {
            let mut policy = TapPolicy::new("contoso", crate::api::TapPolicySpec::default());
            policy.metadata.uid = Some(uid.into());
            policy
        };
        let staff = || Group { id: "a".into(), display_name: "Staff".into(), hides_members: false };
        let failed = || Err(GraphError::new(Call::Groups, ErrorKind::Unavailable, "why"));
        let asked = || vec!["a".to_owned()];
        assert!(known.learn(&policy("1"), asked(), failed()).is_err());
        assert_eq!(known.learn(&policy("1"), asked(), Ok(vec![staff()])), Ok(vec![staff()]));
        assert_eq!(known.learn(&policy("1"), asked(), failed()), Ok(vec![staff()]));
        assert!(known.learn(&policy("2"), asked(), failed()).is_err());
        assert!(known.learn(&policy("1"), vec!["a".into(), "b".into()], failed()).is_err());
        assert_eq!(known.learn(&policy("1"), asked(), Ok(vec![])), Ok(vec![]));
        assert_eq!(known.learn(&policy("1"), asked(), failed()), Ok(vec![]));
        known.forget("1");
        assert!(known.learn(&policy("1"), asked(), failed()).is_err());
    }
}

//! Which user of the tenant a Kubernetes user name stands for.

use icu_normalizer::ComposingNormalizerBorrowed;
use serde::Deserialize;
use unicase::UniCase;

use super::guid;

/// How Kubernetes user names map to users of the tenant: by one rule for each way of signing in to the cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct UserNames {
    /// The rules, those with the longest prefixes first.
    rules: Vec<UserNameRule>,
}

/// How some Kubernetes user names map to users of the tenant.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserNameRule {
    /// What the API server puts before the names of people who sign in through Entra, such as `entra:`. May be empty.
    #[serde(default)]
    pub prefix: String,
    /// What follows the prefix.
    pub form: UserNameForm,
}

/// The property of a user that the cluster uses as the user name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum UserNameForm {
    /// The sign-in name (claim `upn` or `preferred_username`).
    UserPrincipalName,
    /// The object id (claim `oid`).
    ObjectId,
}

/// The user of the tenant that a Kubernetes user name stands for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum EntraName {
    /// A sign-in name. Compare it [`folded`].
    UserPrincipalName(String),
    /// An object id, in lower case.
    ObjectId(String),
}

/// A name in the form in which names are compared wherever sameness refuses something: without regard to case (Unicode's
/// full case folding), nor to how its characters are encoded (normalization form KC).
///
/// Entra compares sign-in names without regard to case. The API server compares user names exactly, so one person may have
/// several there.
pub fn folded(name: &str) -> String {
    let normalizer = ComposingNormalizerBorrowed::new_nfkc();
    let folded = UniCase::new(normalizer.normalize(name)).to_folded_case();
    normalizer.normalize(&folded).into_owned()
}

/// Who is behind a Kubernetes user name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Behind {
    /// A user of the tenant.
    User(EntraName),
    /// A `ServiceAccount`: no user of the tenant, and no person.
    ServiceAccount,
    /// Somebody whom no rule reads: a person whom another broker, a certificate or a cloud's own login named.
    Unmapped,
}

/// What the names of `ServiceAccounts` begin with (documented).
const SERVICE_ACCOUNT: &str = "system:serviceaccount:";
/// What the names begin with that the API server gives to parts of the cluster (documented).
const SYSTEM: &str = "system:";

/// Whether a Kubernetes user name is that of a `ServiceAccount`.
pub fn is_service_account(kubernetes_name: &str) -> bool {
    kubernetes_name.starts_with(SERVICE_ACCOUNT)
}

impl UserNames {
    /// These rules.
    pub fn new(rules: impl IntoIterator<Item = UserNameRule>) -> Self {
        let mut rules: Vec<_> = rules.into_iter().collect();
        // A name with a prefix also has the empty one.
        rules.sort_by_key(|rule| std::cmp::Reverse(rule.prefix.len()));
        Self { rules }
    }

    /// Who is behind a Kubernetes user name: by the rule with the longest prefix that the name has and whose form it fits.
    /// No rule reads the names of the cluster's own identities (`system:`).
    pub fn behind(&self, kubernetes_name: &str) -> Behind {
        if is_service_account(kubernetes_name) {
            return Behind::ServiceAccount;
        }
        if kubernetes_name.starts_with(SYSTEM) {
            return Behind::Unmapped;
        }
        let fits =
            |rule: &UserNameRule| rule.form.read(kubernetes_name.strip_prefix(&rule.prefix)?);
        self.rules.iter().find_map(fits).map_or(Behind::Unmapped, Behind::User)
    }
}

impl UserNameForm {
    fn read(self, name: &str) -> Option<EntraName> {
        match self {
            Self::UserPrincipalName if name.contains('@') => {
                Some(EntraName::UserPrincipalName(name.to_owned()))
            }
            Self::UserPrincipalName => None,
            Self::ObjectId => Some(EntraName::ObjectId(guid(name)?)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// So no name passes here that an admission policy, which folds ASCII only, takes for another's.
        #[test]
        fn folding_is_never_laxer_than_that_of_admission(name in "\\PC{0,24}") {
            prop_assert_eq!(folded(&name.to_ascii_lowercase()), folded(&name));
            prop_assert_eq!(folded(&name.to_ascii_uppercase()), folded(&name));
        }
    }

    #[test]
    fn names_are_one_however_they_are_written() {
        for (one, other) in [
            ("Bob@Contoso.com", "bob@contoso.com"),
            ("straße@c.com", "STRASSE@c.com"),
            ("ΣΊΣΥΦΟΣ@c.com", "σίσυφος@c.com"),
            ("e\u{301}ve@c.com", "\u{c9}VE@c.com"),
            ("\u{ff42}ob@c.com", "bob@c.com"),
            ("\u{212a}im@c.com", "kim@c.com"),
        ] {
            assert_eq!(folded(one), folded(other));
        }
        for (one, other) in [("bob@contoso.com", "bob@contoso.com "), ("ı@c.com", "i@c.com")] {
            assert_ne!(folded(one), folded(other));
        }
    }

    const OBJECT_ID: &str = "8D1C5A8E-3F2B-4C7D-9E6A-0B1C2D3E4F50";

    #[test]
    fn user_names_of_the_cluster_map_to_the_tenants() {
        let by = |rules: &[(&str, UserNameForm)]| {
            UserNames::new(
                rules
                    .iter()
                    .map(|(prefix, form)| UserNameRule { prefix: (*prefix).into(), form: *form }),
            )
        };
        let (upn, id) = (UserNameForm::UserPrincipalName, UserNameForm::ObjectId);
        let user = |name: &str| Behind::User(EntraName::UserPrincipalName(name.into()));
        let object = || Behind::User(EntraName::ObjectId(OBJECT_ID.to_ascii_lowercase()));
        let of_both = [("", upn), ("entra:", upn), ("oid:", id), ("", id)];
        let oid = &format!("oid:{OBJECT_ID}");
        for (rules, name, behind) in [
            (&[("entra:", upn)][..], "entra:alice@contoso.com", user("alice@contoso.com")),
            (&[("", upn)], "alice@contoso.com", user("alice@contoso.com")),
            (&[("entra:", upn)], "alice@contoso.com", Behind::Unmapped),
            (&[("entra:", upn)], "entra:alice", Behind::Unmapped),
            (&[("", id)], OBJECT_ID, object()),
            (&[("", id)], "alice@contoso.com", Behind::Unmapped),
            (&of_both, "alice@contoso.com", user("alice@contoso.com")),
            (&of_both, "entra:alice@contoso.com", user("alice@contoso.com")),
            (&of_both, oid, object()),
            (&of_both, OBJECT_ID, object()),
            (&of_both, "u-7xk2q", Behind::Unmapped),
            (&[("", upn)], "system:serviceaccount:a:b", Behind::ServiceAccount),
            (&[("", upn)], "system:node:a@b", Behind::Unmapped),
            (&[], "alice@contoso.com", Behind::Unmapped),
        ] {
            assert_eq!(by(rules).behind(name), behind, "{rules:?} {name}");
        }
    }
}

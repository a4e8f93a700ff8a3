//! Which user of the tenant a Kubernetes user name stands for.

use serde::Deserialize;

use super::guid;

/// How a Kubernetes user name maps to a user of the tenant.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UserNames {
    /// What the API server puts before the names of people who sign in through Entra, such as `entra:`. May be empty.
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
    /// A sign-in name. Compare it without regard to case.
    UserPrincipalName(String),
    /// An object id. Compare it without regard to case.
    ObjectId(String),
}

impl UserNames {
    /// Maps a Kubernetes user name. Returns `None` for a name without the prefix and for the cluster's own identities
    /// (`system:`).
    pub fn entra(&self, kubernetes_name: &str) -> Option<EntraName> {
        if kubernetes_name.starts_with("system:") {
            return None;
        }
        let name = kubernetes_name.strip_prefix(&self.prefix)?;
        match self.form {
            UserNameForm::UserPrincipalName if name.contains('@') => {
                Some(EntraName::UserPrincipalName(name.to_owned()))
            }
            UserNameForm::ObjectId => Some(EntraName::ObjectId(guid(name)?)),
            UserNameForm::UserPrincipalName => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OBJECT_ID: &str = "8D1C5A8E-3F2B-4C7D-9E6A-0B1C2D3E4F50";

    #[test]
    fn user_names_of_the_cluster_map_to_the_tenants() {
        let by = |prefix: &str, form| UserNames { prefix: prefix.into(), form };
        let upn = by("entra:", UserNameForm::UserPrincipalName);
        let alice = EntraName::UserPrincipalName("alice@contoso.com".into());
        assert_eq!(upn.entra("entra:alice@contoso.com"), Some(alice.clone()));
        assert_eq!(by("", UserNameForm::UserPrincipalName).entra("alice@contoso.com"), Some(alice));
        assert_eq!(upn.entra("alice@contoso.com"), None);
        assert_eq!(upn.entra("entra:alice"), None);
        let id = by("", UserNameForm::ObjectId);
        let object = EntraName::ObjectId(OBJECT_ID.to_ascii_lowercase());
        assert_eq!(id.entra(OBJECT_ID), Some(object));
        assert_eq!(id.entra("alice@contoso.com"), None);
        let anything = by("", UserNameForm::UserPrincipalName);
        assert_eq!(anything.entra("system:serviceaccount:a:b@c"), None);
    }
}

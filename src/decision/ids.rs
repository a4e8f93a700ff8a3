//! The identities of requests, passes and users.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use uuid::Uuid;

/// The uid of a `TapRequest`. No other object ever has it, not even a later one of the same name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Uid(Arc<str>);

impl Uid {
    /// The uid as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Uid {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl Borrow<str> for Uid {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The id of a pass in Entra. Graph's are UUIDs; as such each costs a third of its text.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PassId {
    /// A UUID, as Graph writes it.
    Uuid(Uuid),
    /// Anything else.
    Text(Arc<str>),
}

impl From<&str> for PassId {
    fn from(text: &str) -> Self {
        let uuid = Uuid::try_parse(text).ok();
        // Only if it is written as that text.
        let same = |uuid: &Uuid| uuid.hyphenated().encode_lower(&mut Uuid::encode_buffer()) == text;
        uuid.filter(same).map_or_else(|| Self::Text(text.into()), Self::Uuid)
    }
}

impl fmt::Display for PassId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uuid(uuid) => uuid.fmt(f),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// A user of a tenant, by object id.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserKey {
    /// Id of the tenant.
    pub tenant_id: Arc<str>,
    /// Object id of the user.
    pub user_id: Arc<str>,
}

impl UserKey {
    /// The user with this object id in this tenant.
    pub fn new(tenant_id: &str, user_id: &str) -> Self {
        Self { tenant_id: tenant_id.into(), user_id: user_id.into() }
    }
}

/// The namespace and name of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestName {
    /// The namespace.
    pub namespace: Arc<str>,
    /// The name.
    pub name: Arc<str>,
}

impl RequestName {
    /// The request of this name in this namespace.
    pub fn new(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

impl fmt::Display for RequestName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_a_pass_stays_as_it_was_written() {
        let uuid = "9f28ca59-c8d4-4d6f-b4c2-8f512d6df717";
        assert!(matches!(PassId::from(uuid), PassId::Uuid(_)));
        let upper = uuid.to_uppercase();
        let [braced, simple] = [format!("{{{uuid}}}"), uuid.replace('-', "")];
        for text in [uuid, &upper, &braced, &simple, "", "not-a-uuid"] {
            assert_eq!(PassId::from(text).to_string(), text);
        }
        assert_ne!(PassId::from(uuid), PassId::from(upper.as_str()));
    }
}

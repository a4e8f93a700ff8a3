//! What a write is about.

use serde_json::Value;

use crate::admission::{Operation, Review};
use crate::resource::Resource;
use crate::store::Key;

/// What a write is about, and who asks.
#[derive(Clone, Debug)]
pub struct Target {
    /// The resource that the path names.
    pub resource: Resource,
    /// The namespace that the path names; empty for cluster-scoped objects.
    pub namespace: String,
    /// The object; empty for a creation.
    pub name: String,
    /// Whether it is about the status subresource.
    pub status: bool,
    /// Who asks.
    pub user: Option<String>,
    /// Whether nothing is to be changed.
    pub dry_run: bool,
}

impl Target {
    /// The object's key in the store.
    pub fn key(&self) -> Key {
        Key::new(&self.resource, &self.namespace, &self.name)
    }

    /// The write as admission rules see it, without the objects.
    pub fn review<'a>(&'a self, operation: Operation, name: &'a str) -> Review<'a> {
        Review {
            operation,
            resource: &self.resource,
            subresource: self.status.then_some("status"),
            namespace: &self.namespace,
            name,
            user: self.user.as_deref(),
            old: None,
            new: None,
            options: &Value::Null,
            dry_run: self.dry_run,
        }
    }
}

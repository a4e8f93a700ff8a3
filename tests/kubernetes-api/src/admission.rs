//! Admission: what tests let the server refuse.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use crate::resource::Resource;
use crate::status::Refusal;

/// What is about to happen to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// It is created.
    Create,
    /// It is written: replaced, patched, or its status.
    Update,
    /// It is deleted.
    Delete,
}

/// A change that is about to be made, dry runs included.
#[derive(Clone, Copy, Debug)]
pub struct Review<'a> {
    /// What is about to happen.
    pub operation: Operation,
    /// The resource that the request named.
    pub resource: &'a Resource,
    /// `status`, or none.
    pub subresource: Option<&'a str>,
    /// The namespace; empty for cluster-scoped objects.
    pub namespace: &'a str,
    /// The object's name.
    pub name: &'a str,
    /// Who asks; the server's own controllers have their service accounts' names.
    pub user: Option<&'a str>,
    /// The object as it is; none for a creation.
    pub old: Option<&'a Value>,
    /// The object as it is to be; none for a deletion.
    pub new: Option<&'a Value>,
    /// A deletion's options; null otherwise.
    pub options: &'a Value,
    /// Whether nothing is to be changed.
    pub dry_run: bool,
}

type Rule = Arc<dyn Fn(&Review<'_>) -> Result<(), Refusal> + Send + Sync>;

/// The rules of all resources.
#[derive(Clone, Default)]
pub struct Admission {
    rules: Vec<(String, Rule)>,
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.rules.iter().map(|(resource, _)| resource)).finish()
    }
}

impl Admission {
    /// One more rule for a resource.
    pub fn add(
        &mut self,
        resource: &str,
        rule: impl Fn(&Review<'_>) -> Result<(), Refusal> + Send + Sync + 'static,
    ) {
        self.rules.push((resource.to_owned(), Arc::new(rule)));
    }

    /// Asks every rule of the resource; the first refusal counts.
    pub fn review(&self, review: &Review<'_>) -> Result<(), Refusal> {
        self.rules
            .iter()
            .filter(|(resource, _)| review.resource.is(resource))
            .try_for_each(|(_, rule)| rule(review))
    }
}

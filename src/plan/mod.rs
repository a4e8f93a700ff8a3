//! What manifests would do, before they are applied: for pipelines, without a cluster.
//!
//! | file | what is in it |
//! |---|---|
//! | `document` | YAML, read as kubectl reads it, with lines |
//! | `schema`, `rules` | what the API server would say: schemas, rules, hints |
//! | `manifests` | the objects in the files |
//! | `tenant` | how the policies differ from their tenants, by the comparison of the operator |
//! | `requests` | whether the policies admit the requests, by the checks of the operator |
//! | `finding`, `render` | what is said, and how it is printed |
//! | `export` | the method of a tenant as a policy |

pub mod document;
pub mod export;
pub mod finding;
pub mod manifests;
mod metadata;
pub mod render;
mod requests;
pub mod rules;
pub mod schema;
pub mod tenant;
#[cfg(test)]
mod tests;

use jiff::Timestamp;

use self::finding::{Finding, Severity};
use self::manifests::Manifests;
use self::tenant::{PolicyPlan, Tenants};

/// What the manifests would do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Each policy, with its differences.
    pub policies: Vec<PolicyPlan>,
    /// How many requests there are.
    pub requests: usize,
    /// How many policies and requests cannot be read, or would be refused.
    pub refused: usize,
    /// How many objects of other kinds there are. Nothing is said of them.
    pub others: usize,
    /// Whether tenants were compared.
    pub online: bool,
    /// What is wrong, and what is probably not meant.
    pub findings: Vec<Finding>,
}

/// How a plan ended, as the exit code says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The tenants are as the policies say.
    NoChange,
    /// A tenant differs from its policy.
    Changes,
    /// Something is wrong with the manifests, or a tenant cannot be read.
    Error,
}

impl Outcome {
    /// The exit code.
    pub fn code(self) -> u8 {
        match self {
            Self::NoChange => 0,
            Self::Error => 1,
            Self::Changes => 2,
        }
    }

    /// The word for it in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoChange => "noChange",
            Self::Error => "error",
            Self::Changes => "changes",
        }
    }
}

impl Plan {
    /// Plans manifests at this time; without tenants, by the files alone.
    pub fn of(manifests: Manifests, tenants: Option<&Tenants>, now: Timestamp) -> Self {
        let (policies, of_policies) = tenant::compare(&manifests.policies, tenants, now);
        let of_requests = requests::compare(&manifests, tenants, now);
        let requests = manifests.requests.len();
        let (refused, others) = (manifests.refused, manifests.others);
        let mut findings = manifests.findings;
        for finding in of_policies.into_iter().chain(of_requests) {
            // A hint may say the same as the operator.
            if !findings.contains(&finding) {
                findings.push(finding);
            }
        }
        findings.sort_by(|a, b| (a.severity, &a.file, a.line).cmp(&(b.severity, &b.file, b.line)));
        Self { policies, requests, refused, others, online: tenants.is_some(), findings }
    }

    /// How it ended.
    pub fn outcome(&self) -> Outcome {
        if self.count(Severity::Error) > 0 {
            Outcome::Error
        } else if self.changes() > 0 {
            Outcome::Changes
        } else {
            Outcome::NoChange
        }
    }

    /// How many fields of tenants differ.
    pub fn changes(&self) -> usize {
        self.policies.iter().map(|policy| policy.changes.len()).sum()
    }

    /// How many findings of this severity there are.
    pub fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity == severity).count()
    }
}

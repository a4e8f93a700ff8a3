//! The logs of the tenant: sign-ins, and the directory audit.
//!
//! Both lag: rows come minutes after what they tell (reported: most within two, nearly all within five).

use jiff::Timestamp;

use super::GraphError;

/// A sign-in of a user, as the log of sign-ins tells it. It does not say by which method (documented), so a successful one
/// cannot be tied to a pass.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SignInRow {
    /// When.
    pub at: Timestamp,
    /// The application that was signed in to.
    pub application: Option<String>,
    /// What the application asked access for.
    pub resource: Option<String>,
    /// From where.
    pub ip_address: Option<String>,
    /// 0: it succeeded. Else the number of the error, as in AADSTS130503.
    pub error_code: i32,
}

/// A row of the directory audit log.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AuditRow {
    /// Id of the row.
    pub id: String,
    /// When it happened.
    pub at: Timestamp,
    /// What was done.
    pub activity: String,
    /// Its detail; empty in some rows.
    pub reason: String,
    /// Whether it had an effect.
    pub succeeded: bool,
    /// Object id of the user whom it is about.
    pub user_id: Option<String>,
    /// Sign-in name of that user.
    pub user_name: Option<String>,
    /// Id of the pass that was made or deleted, if the row names one.
    pub pass_id: Option<String>,
    /// Who did it.
    pub by: Initiator,
}

/// What was read of the directory audit log.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AuditRows {
    /// The newest rows.
    pub rows: Vec<AuditRow>,
    /// The older ones within the time that was asked for.
    pub rest: Rest,
}

/// What a list has beyond what was read of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Rest {
    /// Nothing.
    None,
    /// More than is ever read.
    NotAsked,
    /// What could not be read.
    Failed(GraphError),
}

/// Who did what a row of the audit log tells.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Initiator {
    /// A person.
    Person {
        /// Object id.
        id: Option<String>,
        /// Sign-in name.
        name: Option<String>,
    },
    /// An app.
    App {
        /// Its client id, in lower case. Some rows lack it.
        id: Option<String>,
        /// Its name.
        name: Option<String>,
    },
    /// The row names nobody.
    Nobody,
}

impl Initiator {
    /// Its name, else its id.
    pub fn name(&self) -> &str {
        let (kind, id, name) = match self {
            Self::Person { id, name } => ("somebody", id, name),
            Self::App { id, name } => ("an app", id, name),
            Self::Nobody => return "nobody whom the log names",
        };
        name.as_ref().or(id.as_ref()).map_or(kind, String::as_str)
    }

    /// Its object id, or the client id of an app.
    pub fn id(&self) -> Option<&str> {
        match self {
            Self::Person { id, .. } | Self::App { id, .. } => id.as_deref(),
            Self::Nobody => None,
        }
    }
}

//! Tenant connections: which tenants the operator manages, and how it signs in to each.
//!
//! The environment describes one connection, `default`, in the variables that Azure's tools and the workload identity
//! webhook use. A file describes several. Both only ever name the file in which a secret is mounted.
//!
//! | module | what is in it |
//! |---|---|
//! | `environment`, `file` | the two sources |
//! | `check`, `ceilings` | what makes a connection valid, and what no policy of its tenant may exceed |
//! | `config` | a valid connection |

mod ceilings;
mod check;
mod config;
mod environment;
mod file;

pub use config::{ConnectionConfig, Credential};
pub use environment::{DEFAULT_CONNECTION, VARIABLES, connections_from_env};
pub use file::{connections_from_file, connections_from_text};

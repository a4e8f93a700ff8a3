//! The client of Microsoft Graph: sign-in, typed calls, typed errors, pacing.
//!
//! A [`Client`] speaks to one tenant through one [connection](ConnectionConfig). Each of its methods is one operation of
//! Graph v1.0; what it returns is typed, what fails is a [`GraphError`] that says whether to try again, wait or stop.
//! Nothing is retried inside, except that a call other than the POST of a pass is made again, once, with a new token
//! after a 401: whoever calls knows better what has changed meanwhile.
//!
//! | module | what is in it |
//! |---|---|
//! | `client` | the calls |
//! | `types`, `pass_code` | what goes in and comes out |
//! | `wire` | Graph's JSON and headers |
//! | `call` | names, permissions and paths |
//! | `error` | what went wrong, and what to do |
//! | `connection` | which tenants there are: environment and file |
//! | `sign_in`, `certificate` | tokens |
//! | `pacing` | whose turn it is |
//! | `transport` | HTTPS, or a service in the same process |

mod call;
mod certificate;
mod client;
mod connection;
mod error;
mod pacing;
mod pass_code;
mod sign_in;
#[cfg(all(test, feature = "simulator"))]
mod tests;
mod transport;
mod types;
mod wire;

use std::sync::Arc;

use jiff::Timestamp;

pub use client::{CallReport, Client, DateSample, Options};
pub use connection::{
    Cloud, ConfigError, ConnectionConfig, Credential, DEFAULT_CONNECTION, EntraName, UserNameForm,
    UserNames, connections_from_env, connections_from_file, connections_from_text,
};
pub use error::{Advice, CreateError, ErrorKind, GraphError, SignInErrorKind};
pub use pacing::Pace;
pub use pass_code::PassCode;
#[cfg(any(test, feature = "simulator"))]
pub use transport::InProcess;
pub use transport::{
    Body, ReqwestTransport, SendOptions, Transport, TransportError, TransportSetupError,
};
pub use types::{
    Created, DirectoryRole, EligibleRole, GraphTarget, Identity, Listed, MethodConfiguration,
    MethodPatch, MethodState, NewPass, Priority, TapMethod, UsabilityReason, User, UserKind,
};

/// The local time.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// How the operator names itself to Graph and Entra.
const USER_AGENT: &str = concat!("tap-operator/", env!("CARGO_PKG_VERSION"));

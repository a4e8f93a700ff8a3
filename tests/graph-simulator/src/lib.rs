//! A Microsoft Entra tenant with Graph, for tests, the demo and for trying out.
//!
//! It signs apps in, serves the part of Graph v1.0 that has to do with Temporary Access Passes, and knows what no client
//! can see: who was told which code, and how each pass ended. It uses no code of the operator, so that a mistake in the
//! operator's Graph client is not repeated here.
//!
//! A test in the same process sends requests with [`Simulator::call`], where a cut connection is an error. Under tokio's
//! paused time the tenant's clock stands still with it. [`tls::Server`] serves the tenant over TLS, and so does the program
//! `graph-simulator`.
//!
//! What Microsoft does not document can be had either way: [`switches`]. What goes wrong is scripted: [`Fault`].
//!
//! # Modules
//!
//! Imports run down this table, and never in a circle.
//!
//! | module | what is in it |
//! |---|---|
//! | [`tls`], `service`, [`control`] | the ways in: TLS; requests with their faults, log and observers; everything under `/_sim` |
//! | `simulator` | [`Simulator`] |
//! | `graph` | Graph v1.0: what each request does and is answered |
//! | `login` | tokens for apps, and the discovery documents |
//! | `rules` | what the tenant does with its policy, its passes and their codes |
//! | `state` | everything the tenant is, under one lock |
//! | `audit`, `conditional_access`, `directory`, [`faults`], `history`, [`requests`], `sign_ins`, `throttle`, `tokens` | the parts of the state |
//! | [`ledger`], `odata`, `operation`, `passes`, [`policy`], [`tenant`], `wire` | the data: passes, policy, the seed of a tenant, requests and answers |
//! | `clock`, [`switches`] | the tenant's time, and what is uncertain about Graph |

mod audit;
mod clock;
mod conditional_access;
pub mod control;
mod directory;
pub mod faults;
mod graph;
mod history;
pub mod ledger;
mod login;
mod odata;
mod operation;
mod passes;
pub mod policy;
pub mod requests;
mod rules;
mod service;
mod sign_ins;
mod simulator;
mod state;
pub mod switches;
pub mod tenant;
#[cfg(test)]
mod tests;
mod throttle;
pub mod tls;
mod tokens;
mod wire;

pub use self::{
    faults::{Fault, FaultKind, Matcher},
    ledger::{Balance, LedgerEntry},
    operation::Operation,
    passes::{Actor, End, Telling, Use},
    policy::PolicyValues,
    requests::{Exchange, RequestRecord},
    rules::conditional_access::{Destination, Way},
    rules::sign_in::{Session, SignIn, SignInError},
    service::ConnectionCut,
    simulator::{ControlError, Recorder, Simulator},
    switches::Switches,
    tenant::Tenant,
};

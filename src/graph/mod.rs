//! The client of Microsoft Graph: sign-in, typed calls, pacing.
//!
//! A [`Client`] talks to one tenant through one [connection](ConnectionConfig). Each of its methods is one operation of
//! Graph v1.0. It returns a type of [`entra`](crate::entra), or an error that says whether to try again, to wait or to give
//! up. The client does not retry, because its caller knows better what has changed in the meantime. The exception is a 401:
//! any call except the POST of a pass is then sent once more with a new token.
//!
//! | module | what is in it |
//! |---|---|
//! | `client` | the clients, one for each connection |
//! | `calls` | the calls |
//! | `exchange` | what every call needs: token, pacing, transport |
//! | `wire` | Graph's JSON and headers |
//! | `connection` | tenant connections, from the environment or a file |
//!
//! `calls` uses `client`, `client` uses `exchange`, `exchange` uses `connection`, and all use `wire`.

mod calls;
mod client;
mod connection;
mod exchange;
#[cfg(test)]
mod tests;
mod wire;

pub use client::Client;
pub use connection::{
    ConnectionConfig, Credential, DEFAULT_CONNECTION, VARIABLES, connections_from_env,
    connections_from_file, connections_from_text,
};
pub use exchange::{
    Body, CallOutcomes, Clock, GET_TOKEN, NOT_SENT, OnDate, OnReport, Options, Pace, Pacing,
    Priority, Report, ReqwestTransport, SendOptions, Share, Transport, TransportError,
    TransportSetupError, call_outcomes,
};
pub(crate) use wire::retry_after;

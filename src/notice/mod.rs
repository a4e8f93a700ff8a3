//! Notices: what people and systems outside of the cluster are told, such as a chat in which approvers are.
//!
//! The operator's configuration names [receivers](Receiver). What is told, to whom, and in which form is decided here,
//! without a clock and without a connection; `controller` sends it. A notice is made of a request, a policy or the stop, as
//! they are stored. None of them has a code, so no notice has one.
//!
//! | module | what is in it |
//! |---|---|
//! | `kind` | the kinds of notices |
//! | `shown` | which notices a request shows, each with an id that is the same whoever looks |
//! | `recent` | which of them are news |
//! | `content` | a notice: what happened to what |
//! | `receiver`, `file` | who is told what, and the file that says so |
//! | `message`, `format` | a notice in words for people, and in the formats of receivers |
//! | `queue` | what a receiver has not got yet |
//! | `sending` | the HTTP request, what an answer means, and the signature |

mod content;
mod file;
mod format;
mod kind;
mod message;
mod queue;
mod receiver;
mod recent;
mod sending;
mod shown;
#[cfg(test)]
mod tests;

pub use content::{ForeignPass, Notice, OfPolicy, OfRequest, OfStop, Subject};
pub use file::{Receivers, receivers_from_file, receivers_from_text};
pub use kind::Kind;
pub use queue::Queue;
pub use receiver::{Address, Filter, Format, Receiver, Unreadable};
pub use recent::{Recent, WINDOW};
pub use sending::{SIGNATURE_HEADER, TIMESTAMP_HEADER, Verdict, request, signature, verdict};
pub use shown::{Shown, shown};

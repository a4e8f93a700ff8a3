//! Login: the token endpoint with its three kinds of credentials, the discovery documents, and who a token stands for.
//!
//! Most files add methods to [`State`](crate::state::State).

mod assertion;
pub(crate) mod caller;
mod denial;
mod discovery;
mod form;
mod proof;
mod token;

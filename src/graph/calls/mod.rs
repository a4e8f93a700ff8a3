//! The calls: each method of [`Client`](super::Client) is one operation of Graph.

mod conditional_access;
mod directory;
mod logs;
mod method;
mod passes;
mod path;
mod permissions;
mod roles;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};

use crate::entra::GraphError;

/// How many calls of one question are under way at once.
const AT_ONCE: usize = 16;

/// Makes these calls, some of them at once, and returns all answers in their order, or the first error.
async fn all<T>(
    calls: Vec<impl Future<Output = Result<T, GraphError>>>,
) -> Result<Vec<T>, GraphError> {
    stream::iter(calls).buffered(AT_ONCE).try_collect().await
}

//! The connection to the API server on which a code travels. Nothing but the create of one Secret uses it, and the dry run of
//! that create before: so its TLS is made while Graph is asked, and not between Graph's answer and the Secret.

use tokio::time::{Duration, Instant};

use crate::controller::operator::Operator;

/// How long it may be unused. What lies between may have closed it.
const UNUSED_FOR: Duration = Duration::from_secs(10);

/// A client of the API server with a connection of its own, for one attempt. It is closed when this is dropped.
pub(super) struct OwnClient {
    client: kube::Client,
    opened: Instant,
}

impl OwnClient {
    /// One that connects when it is first used.
    pub(super) fn new(operator: &Operator) -> kube::Result<Self> {
        Ok(Self { client: (operator.own_connection)()?, opened: Instant::now() })
    }

    pub(super) fn client(&self) -> &kube::Client {
        &self.client
    }

    /// The client that was used for the dry run, or another one if that was long ago.
    pub(super) fn for_the_code(opened: Option<Self>, operator: &Operator) -> kube::Result<Self> {
        match opened.filter(|own| own.opened.elapsed() <= UNUSED_FOR) {
            Some(own) => Ok(own),
            None => Self::new(operator),
        }
    }
}

//! The client's way to a tenant in the same process.

use async_trait::async_trait;
use bytes::Bytes;
use graph_simulator::Simulator;
use http::{Request, Response};

use super::{Body, SendOptions, Transport, TransportError};

/// Straight into the tenant, without sockets: works under paused time.
#[derive(Debug, Clone)]
pub(super) struct InProcess(pub(super) Simulator);

#[async_trait]
impl Transport for InProcess {
    async fn send(
        &self,
        request: Request<Bytes>,
        _: SendOptions,
    ) -> Result<Response<Body>, TransportError> {
        let answer = self.0.call(request).await;
        answer
            .map(|answer| answer.map(|body| Body::new(body.into())))
            .map_err(|cut| TransportError { maybe_sent: true, message: cut.to_string() })
    }
}

//! A transport from the Graph client to a simulator in the same process.

use async_trait::async_trait;
use bytes::Bytes;
use graph_simulator::Simulator;
use http::{Request, Response};
use tap_operator::graph::{Body, SendOptions, Transport, TransportError};

/// Calls the simulator directly, without sockets, so that it works under paused time.
#[derive(Debug, Clone)]
pub struct InProcess(pub Simulator);

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

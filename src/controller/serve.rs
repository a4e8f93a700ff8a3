//! Serves health and metrics to whoever can reach the port, friend or foe: nothing that is sent halfway, or read slowly,
//! is kept.

use std::collections::VecDeque;
use std::io;
use std::net::TcpListener;
use std::time::Duration;

use axum::Router;
use axum::body::HttpBody as _;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// How long a connection may last, from its beginning to the end of the answer. Each serves one request.
const DEADLINE: Duration = Duration::from_secs(10);
/// How many connections may be open. One more ends the oldest, so a probe is answered under any flood.
const MOST_CONNECTIONS: usize = 64;
/// The longest head of a request, in bytes, and the most that is kept of an answer that the client does not read.
const BUFFER: usize = 16 * 1024;
/// How long to wait when no connection can be accepted, as when file descriptors are short.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// Serves for ever. Returns only if the listener cannot be used.
pub async fn serve(listener: TcpListener, router: Router) -> io::Error {
    let listener =
        listener.set_nonblocking(true).and_then(|()| tokio::net::TcpListener::from_std(listener));
    let listener = match listener {
        Ok(listener) => listener,
        Err(error) => return error,
    };
    let router = router.layer(middleware::from_fn(refuse_bodies));
    // They end with this future.
    let mut connections = JoinSet::new();
    let mut oldest_first = VecDeque::new();
    loop {
        let Ok((tcp, _)) = listener.accept().await else {
            sleep(ACCEPT_AGAIN).await;
            continue;
        };
        while connections.try_join_next().is_some() {}
        oldest_first.retain(|connection: &tokio::task::AbortHandle| !connection.is_finished());
        if oldest_first.len() >= MOST_CONNECTIONS
            && let Some(oldest) = oldest_first.pop_front()
        {
            oldest.abort();
        }
        oldest_first.push_back(connections.spawn(connection(tcp, router.clone())));
    }
}

/// Serves one request. Whatever goes wrong is the client's affair.
async fn connection(tcp: TcpStream, router: Router) {
    let served = http1::Builder::new()
        .keep_alive(false)
        .max_buf_size(BUFFER)
        .serve_connection(TokioIo::new(tcp), TowerToHyperService::new(router));
    let _ = timeout(DEADLINE, served).await;
}

/// No request here has a body. None is read.
async fn refuse_bodies(request: Request, next: Next) -> Response {
    if request.body().is_end_stream() {
        next.run(request).await
    } else {
        (StatusCode::PAYLOAD_TOO_LARGE, "send no body\n").into_response()
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    const HALF: &str = "GET /healthz HTTP/1.1\r\nHost: here\r\nX-Slow: ";

    fn begin() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/healthz", get(|| async { "ok\n" }));
        tokio::spawn(serve(listener, router));
        address
    }

    async fn send(address: SocketAddr, text: &str) -> TcpStream {
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(text.as_bytes()).await.unwrap();
        client
    }

    /// What comes until the server closes the connection.
    async fn rest(mut client: TcpStream) -> String {
        let mut text = Vec::new();
        // A reset is an end, too.
        let read = timeout(DEADLINE * 3, client.read_to_end(&mut text)).await;
        let _ = read.expect("the server closes it");
        String::from_utf8(text).unwrap()
    }

    #[tokio::test]
    async fn a_probe_is_answered_however_many_requests_are_sent_halfway() {
        let address = begin();
        let mut halves = Vec::new();
        for _ in 0..MOST_CONNECTIONS + 20 {
            halves.push(send(address, HALF).await);
        }
        let probe = send(address, "GET /healthz HTTP/1.1\r\nHost: here\r\n\r\n").await;
        let answer = rest(probe).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("ok\n"), "{answer}");
        // The probe was the last one, so all that had to end for it has been told to.
        for oldest in halves.drain(..21) {
            assert_eq!(rest(oldest).await, "");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_is_sent_halfway_is_not_kept() {
        let address = begin();
        assert_eq!(rest(send(address, HALF).await).await, "");
    }

    #[tokio::test]
    async fn a_body_is_refused_and_not_read() {
        let address = begin();
        let head = "GET /healthz HTTP/1.1\r\nHost: here\r\n";
        for length in ["Content-Length: 100000000", "Transfer-Encoding: chunked"] {
            let answer = rest(send(address, &format!("{head}{length}\r\n\r\n")).await).await;
            assert!(answer.starts_with("HTTP/1.1 413"), "{length}: {answer}");
        }
    }
}

//! A link that takes time: what is sent through it arrives later, as over a long way.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::sleep_until;

use super::support::ports::Port;

/// How much is carried at once.
const CHUNK: usize = 16 << 10;

/// A link to a server. It ends when this value is dropped.
pub struct Link {
    url: String,
    serving: JoinHandle<()>,
    _port: Port,
}

impl Link {
    /// A link to the server of this `https` URL, which answers a round trip later than it would otherwise.
    pub async fn to(server: &str, round_trip: Duration) -> Result<Self> {
        let server: SocketAddr = server
            .trim_start_matches("https://")
            .trim_end_matches('/')
            .parse()
            .context("a server's address")?;
        let port = Port::reserve()?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port.number));
        let listener = TcpListener::bind(address).await.context("the link's port")?;
        let serving = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(join(near, server, round_trip / 2));
            }
        });
        Ok(Self { url: format!("https://{address}"), serving, _port: port })
    }

    /// The URL of its near end.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Carries both ways, until either side is closed.
async fn join(near: TcpStream, server: SocketAddr, later: Duration) {
    let Ok(far) = TcpStream::connect(server).await else { return };
    // What waits to be sent together would only be later.
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    let ((from_near, to_near), (from_far, to_far)) = (near.into_split(), far.into_split());
    tokio::join!(carry(from_near, to_far, later), carry(from_far, to_near, later));
}

async fn carry(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, later: Duration) {
    let (sent, mut arriving) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    let read = async move {
        let mut chunk = vec![0; CHUNK];
        while let Ok(length @ 1..) = from.read(&mut chunk).await {
            if sent.send((Instant::now() + later, chunk[..length].to_vec())).is_err() {
                break;
            }
        }
    };
    let write = async move {
        while let Some((at, chunk)) = arriving.recv().await {
            sleep_until(at.into()).await;
            if to.write_all(&chunk).await.is_err() {
                break;
            }
        }
        let _ = to.shutdown().await;
    };
    tokio::join!(read, write);
}

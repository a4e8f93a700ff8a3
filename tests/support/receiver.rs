//! A receiver of notices, inside this process, on a TLS port of its own.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use graph_simulator::tls::Server;
use serde_json::Value;
use tap_operator::notice::{SIGNATURE_HEADER, TIMESTAMP_HEADER, signature};

use super::ports::Port;
use super::scratch::Scratch;

/// The key by which notices are signed.
const KEY: &str = "the key of the tests";

/// A running receiver. It ends when this value is dropped.
pub struct Receiver {
    inside: Arc<Mutex<Inside>>,
    server: Server,
    _port: Port,
}

#[derive(Default)]
struct Inside {
    got: Vec<Got>,
    /// Namespaces about whose requests it takes nothing, and whether it takes nothing at all.
    down_for: BTreeSet<String>,
    down: bool,
    hangs: bool,
}

/// A notice that came.
#[derive(Clone, Debug)]
pub struct Got {
    /// The whole body.
    pub body: Bytes,
    /// The body as JSON.
    pub event: Value,
    /// Whether it was taken.
    pub taken: bool,
    /// Whether its signature is right.
    pub genuine: bool,
}

impl Receiver {
    /// Starts it. It takes every notice.
    pub async fn start(scratch: &Scratch) -> Result<Self> {
        let port = Port::reserve()?;
        let inside = Arc::new(Mutex::new(Inside::default()));
        let app = Router::new().fallback(take).with_state(Arc::clone(&inside));
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port.number));
        let server = Server::serve(app, address, &scratch.file("receiver")).await;
        let server = server.context("starting the receiver of notices")?;
        Ok(Self { inside, server, _port: port })
    }

    /// The certificate of the authority that signed its certificate, a PEM file.
    pub fn authority(&self) -> &Path {
        self.server.ca_file()
    }

    /// Writes the file for an operator that tells it everything, and returns the flag that names the file.
    pub fn flag(&self, scratch: &Scratch) -> Result<String> {
        let key = scratch.write("notice-key", KEY)?;
        let receiver = serde_json::json!({
            "name": "test", "format": "CloudEvents", "url": format!("{}/notices", self.server.url()), "hmacKeyFile": key,
        });
        let file = serde_json::json!({ "receivers": [receiver] }).to_string();
        Ok(format!("--notices={}", scratch.write("notices.yaml", file)?.display()))
    }

    /// From now on it answers 503, or it does not any more.
    pub fn down(&self, down: bool) {
        self.inside().down = down;
    }

    /// From now on it answers nothing.
    pub fn hang(&self) {
        self.inside().hangs = true;
    }

    /// From now on it answers 503 to what is about this namespace, or it does not any more.
    pub fn down_for(&self, namespace: &str, down: bool) {
        let mut inside = self.inside();
        if down {
            inside.down_for.insert(namespace.to_owned());
        } else {
            inside.down_for.remove(namespace);
        }
    }

    /// All that came.
    pub fn got(&self) -> Vec<Got> {
        self.inside().got.clone()
    }

    /// What came about a namespace.
    pub fn got_about(&self, namespace: &str) -> Vec<Got> {
        let mut got = self.got();
        got.retain(|got| got.event["data"]["namespace"] == namespace);
        got
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        lock(&self.inside)
    }
}

fn lock(inside: &Mutex<Inside>) -> MutexGuard<'_, Inside> {
    inside.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn take(
    State(inside): State<Arc<Mutex<Inside>>>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let event: Value = serde_json::from_slice(&body).unwrap_or_default();
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let sent = header(TIMESTAMP_HEADER).parse().unwrap_or_default();
    let genuine = header(SIGNATURE_HEADER) == signature(KEY.as_bytes(), sent, &body);
    if lock(&inside).hangs {
        return std::future::pending().await;
    }
    let mut inside = lock(&inside);
    let namespace = event["data"]["namespace"].as_str().unwrap_or_default();
    let taken = !inside.down && !inside.down_for.contains(namespace);
    inside.got.push(Got { body, event, taken, genuine });
    if taken { StatusCode::ACCEPTED } else { StatusCode::SERVICE_UNAVAILABLE }
}

//! The Graph client and the libraries below it never log a code, a token or a secret, not even at the finest level.
//!
//! The test runs in a process of its own, because the log is set up once for all threads of a process.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use graph_simulator::tenant::{ALICE, CONTOSO, OPERATOR, OPERATOR_SECRET};
use graph_simulator::tls::Server;
use graph_simulator::{Fault, FaultKind, Operation, Simulator, Tenant};
use tap_operator::entra::NewPass;
use tap_operator::graph::{Client, Options, Priority, ReqwestTransport, connections_from_text};

/// The log.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn neither_code_nor_token_nor_secret_is_logged() {
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .init();

    let files = tempfile::tempdir().unwrap();
    let simulator = Simulator::new(Tenant::contoso());
    let recorder = simulator.record();
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let server = Server::start(&simulator, listen, files.path()).await.unwrap();
    let (secret, url) = (files.path().join("secret"), server.url());
    std::fs::write(&secret, OPERATOR_SECRET).unwrap();
    let secret = secret.display();
    let connections = format!(
        "tenants: [{{name: default, tenantId: {CONTOSO}, clientId: {OPERATOR}, loginUrl: '{url}', graphUrl: '{url}',
          credential: {{clientSecret: {{file: '{secret}'}}}}}}]"
    );
    let connections = connections_from_text(&connections, "test").unwrap();
    let transport = ReqwestTransport::new(Duration::from_secs(10), Some(server.ca_file())).unwrap();
    let client = Client::connect(connections, &Options::new(Arc::new(transport))).remove(0);

    let (alice, id) = (ALICE.to_string(), "c0ffee00-0000-4000-8000-000000000001");
    let new = NewPass { start: None, lifetime_minutes: 60, one_time: true };
    let latest = || tokio::time::Instant::now() + Duration::from_secs(30);
    let created = client.create_pass(&alice, &new, id, latest()).await.unwrap();
    tracing::info!(?created, ?client, "made");
    // The panic message prints the answer with `Debug`.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|panic| tracing::error!(%panic, "panicked")));
    let answer = std::panic::AssertUnwindSafe(Ok::<_, ()>(created));
    std::panic::catch_unwind(move || answer.0.unwrap_err()).unwrap_err();
    std::panic::set_hook(hook);
    let spoilt = [
        FaultKind::Garbled,
        FaultKind::Truncated,
        FaultKind::Quoted { status: 201 },
        FaultKind::Quoted { status: 502 },
        FaultKind::Quoted { status: 400 },
    ];
    for fault in spoilt.clone() {
        simulator.inject(Fault::on(Operation::PassCreate, fault));
        let error = client.create_pass(&alice, &new, id, latest()).await.unwrap_err();
        tracing::error!(%error, ?error, "failed");
    }
    client.passes(&alice, Priority::Read).await.unwrap();

    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    for part in ["panicked", "PassCode(..)", "TRACE", "hyper_util", "azure_identity"] {
        assert!(
            log.contains(part),
            "{part} is not in the log: too little is logged to prove anything\n{log}"
        );
    }
    let signed_in = recorder.exchanges().remove(0);
    let token: serde_json::Value = serde_json::from_slice(&signed_in.response_body).unwrap();
    let token = token["access_token"].as_str().unwrap().to_owned();
    let codes = simulator.ledger().into_iter().map(|entry| simulator.code(entry.id).unwrap());
    let secrets: Vec<_> = codes.chain([token, OPERATOR_SECRET.to_owned()]).collect();
    assert_eq!(secrets.len(), 3 + spoilt.len());
    for secret in secrets {
        assert!(!log.contains(&secret), "{secret} is in the log");
    }
}

//! The HTTPS transport, on the loopback interface.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::{TcpListener, TcpStream};

use super::*;
use graph_simulator::tenant::{ALICE, BOB};
use graph_simulator::tls::Server;

const CONNECT: Duration = Duration::from_secs(10);

/// A bench whose client uses TLS. Without `trusted` the client does not trust the certificate authority.
async fn bench(trusted: bool) -> (Bench, Server) {
    let mut bench = Bench::unpaced();
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let server = Server::start(&bench.simulator, listen, bench.files.path()).await.unwrap();
    let ca = trusted.then(|| server.ca_file());
    bench.options.transport = Arc::new(ReqwestTransport::new(CONNECT, ca).unwrap());
    bench.client = over(&bench, &server.url());
    (bench, server)
}

fn over(bench: &Bench, url: &str) -> Client {
    let secret = bench.client.config().credential.clone();
    let mut connection = connection("tls", secret);
    url.clone_into(&mut connection.login_url);
    url.clone_into(&mut connection.graph_url);
    Client::connect(vec![connection], &bench.options).remove(0)
}

#[tokio::test]
async fn sign_in_and_passes_over_tls() {
    let (bench, _server) = bench(true).await;
    let alice = ALICE.to_string();
    let created = create(&bench.client, &alice, &new_pass()).await.unwrap();
    bench.simulator.sign_in("alice@contoso.com", created.code.expose()).unwrap();
    let listed = bench.client.passes(&alice, Priority::Read).await.unwrap();
    assert_eq!(listed.passes[0].reason, Some(UsabilityReason::OneTimeUsed));
    bench.client.delete_pass(&alice, &created.method.id).await.unwrap();
}

#[tokio::test]
async fn an_untrusted_server_receives_no_request() {
    let (trusting, server) = bench(true).await;
    let (careful, _) = bench(false).await;
    let client = over(&careful, &server.url());
    let error = client.method(Priority::Read).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::SignIn(SignInErrorKind::Unavailable));
    assert!(error.message.to_lowercase().contains("certificate"), "{error}");
    assert!(trusting.simulator.requests().is_empty());
}

/// Forwards bytes to a server, and counts the connections that were opened and those that are still open.
struct Forwarder {
    url: String,
    opened: Arc<AtomicUsize>,
    open: Arc<AtomicUsize>,
}

impl Forwarder {
    async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let (opened, open) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let counters = (Arc::clone(&opened), Arc::clone(&open));
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let (opened, open) = counters.clone();
                opened.fetch_add(1, Ordering::SeqCst);
                open.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    let mut server = TcpStream::connect(server).await.unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                    open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { url, opened, open }
    }

    fn opened(&self) -> usize {
        self.opened.load(Ordering::SeqCst)
    }
}

#[tokio::test]
async fn an_answer_with_a_code_has_a_connection_of_its_own() {
    let (bench, server) = bench(true).await;
    let forwarder = Forwarder::to(server.address()).await;
    let client = over(&bench, &forwarder.url);
    let shared = forwarder.opened() + 1;
    client.method(Priority::Read).await.unwrap();
    client.passes(&ALICE.to_string(), Priority::Read).await.unwrap();
    assert_eq!(forwarder.opened(), shared);
    for (made, user) in [ALICE, BOB, ALICE].into_iter().enumerate() {
        create(&client, &user.to_string(), &new_pass()).await.unwrap();
        assert_eq!(forwarder.opened(), shared + made + 1);
        client.passes(&user.to_string(), Priority::Read).await.unwrap();
        assert_eq!(forwarder.opened(), shared + made + 1, "reads keep their connection");
    }
    let closed = async {
        while forwarder.open.load(Ordering::SeqCst) > shared {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(CONNECT, closed).await.expect("the connections are closed afterwards");
}

#[tokio::test]
async fn a_connection_that_was_opened_ahead_carries_one_code_and_is_closed() {
    let (bench, server) = bench(true).await;
    let forwarder = Forwarder::to(server.address()).await;
    let client = over(&bench, &forwarder.url);
    client.method(Priority::Read).await.unwrap();
    let shared = forwarder.opened();
    let opened = async |number: usize| {
        let is_open = async {
            while forwarder.opened() < shared + number {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            // Answered, so that it is at hand.
            tokio::time::sleep(Duration::from_millis(200)).await;
        };
        tokio::time::timeout(CONNECT, is_open).await.expect("it is opened");
    };
    client.open_for_a_code();
    opened(1).await;
    create(&client, &ALICE.to_string(), &new_pass()).await.unwrap();
    assert_eq!(forwarder.opened(), shared + 1, "the code came over the connection that was open");
    create(&client, &BOB.to_string(), &new_pass()).await.unwrap();
    assert_eq!(forwarder.opened(), shared + 2, "the next one has its own");
    // Many that nobody uses are not opened.
    for _ in 0..100 {
        client.open_for_a_code();
    }
    opened(2 + 64).await;
    assert_eq!(forwarder.opened(), shared + 2 + 64);
    assert_eq!(bench.count(Operation::PassCreate), 2, "nothing was asked but that");
}

#[tokio::test]
async fn a_post_without_a_connection_is_not_sent() {
    let (bench, server) = bench(true).await;
    bench.client.method(Priority::Read).await.unwrap();
    server.stop().await;
    let result = create(&bench.client, &ALICE.to_string(), &new_pass()).await;
    assert!(matches!(&result, Err(CreateError::NotSent(_))), "{result:?}");
}

#[tokio::test]
async fn a_connection_that_breaks_after_the_request_is_unknown() {
    let (bench, _server) = bench(true).await;
    for (fault, made) in [(FaultKind::AnswerLost, 1), (FaultKind::ConnectionCut, 1)] {
        bench.fault(Operation::PassCreate, fault);
        let result = create(&bench.client, &ALICE.to_string(), &new_pass()).await;
        assert!(matches!(&result, Err(CreateError::Unknown(_))), "{result:?}");
        assert_eq!(bench.simulator.ledger().len(), made);
    }
    assert_eq!(bench.count(Operation::PassCreate), 2);
}

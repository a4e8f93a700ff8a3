//! Answers of Graph and of Entra's token endpoint, through the operator's own client.
//!
//! An input is an answer as text: a line with the call and the status, headers, an empty line, and the body.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use jiff::SignedDuration;
use tap_operator::entra::{EntraName, GraphError, MethodPatch, NewPass};
use tap_operator::graph::{
    Body, Client, Options, Pace, Priority, SendOptions, Transport, TransportError,
    connections_from_text,
};

use super::{access, decide, is_a_message, logs};

/// The code in the seeds.
const CODE: &str = "NobodyMay+See/This";
/// Graph's messages, and what is added to them, are cut off. This is longer than all of them together.
const LONGEST_MESSAGE: usize = 4_000;

const USER: &str = "11111111-0000-4000-8000-000000000001";
const GROUP: &str = "22222222-0000-4000-8000-000000000002";

/// An answer of Graph to one of the calls.
pub fn graph_answer(input: &[u8]) {
    let (call, answer) = Canned::read(input);
    let without_code = answer.keeps_its_code_in_the_body();
    let error = run(async {
        let client = answered(answer);
        match call.as_str() {
            "method" => client.method(Priority::Read).await.err(),
            "patch_method" => client.patch_method(&MethodPatch::default()).await.err(),
            "user" => client.user(USER, Priority::Read).await.err(),
            "member_groups" => {
                client.member_groups(USER, &[GROUP.to_owned()], Priority::Read).await.err()
            }
            "directory_roles" => client.directory_roles(USER, Priority::Read).await.err(),
            "eligible_role" => client.eligible_role(USER, Priority::Read).await.err(),
            "role_holders" => client.role_holders(BTreeSet::new(), Priority::Read).await.err(),
            "groups" => client.groups(&[GROUP.to_owned()], Priority::Read).await.err(),
            "namesakes" => {
                let name = EntraName::UserPrincipalName("alice@contoso.com".into());
                client.namesakes(&name, Priority::Read).await.err()
            }
            "sign_in_methods" => client.sign_in_methods(USER, Priority::Read).await.err(),
            "passes" => client.passes(USER, Priority::Read).await.err(),
            "pass" => client.pass(USER, GROUP, Priority::Read).await.err(),
            "delete_pass" => client.delete_pass(USER, GROUP).await.err(),
            _ => {
                let new = NewPass { start: None, lifetime_minutes: 60, one_time: true };
                let latest = tokio::time::Instant::now() + std::time::Duration::from_secs(30);
                match client.create_pass(USER, &new, GROUP, latest).await {
                    Ok(created) => {
                        let printed = format!("{created:?}");
                        let code = created.code.expose();
                        assert!(code.len() < 8 || !printed.contains(code), "{printed}");
                        None
                    }
                    Err(error) => Some(error.graph().clone()),
                }
            }
        }
    });
    if let Some(error) = error {
        is_bounded(&error, without_code);
    }
}

/// An answer of the tenant's logs, and what is told of it.
pub fn log_answer(input: &[u8]) {
    let (call, answer) = Canned::read(input);
    let without_code = answer.keeps_its_code_in_the_body();
    let (from, size) = (decide::NOW - SignedDuration::from_hours(1), input.len());
    let error = run(async {
        let client = answered(answer);
        match call.as_str() {
            "sign_ins" => {
                let rows = client.sign_ins(USER, from, decide::NOW).await;
                rows.map(|rows| logs::sign_ins(rows, size)).err()
            }
            "audits_of_user" => {
                let rows = client.audits_of_user(USER, from).await;
                rows.map(|rows| logs::audits_of_user(&rows, from, size)).err()
            }
            _ => {
                let read = client.method_audits(from).await;
                read.map(|read| logs::audits(&read.rows, from, size)).err()
            }
        }
    });
    if let Some(error) = error {
        is_bounded(&error, without_code);
    }
}

/// An answer about Conditional Access, and the decisions that rest on it.
pub fn access_answer(input: &[u8]) {
    let (call, answer) = Canned::read(input);
    let (without_code, size) = (answer.keeps_its_code_in_the_body(), input.len());
    let error = run(async {
        let client = answered(answer);
        match call.as_str() {
            "strengths" => {
                let strengths = client.authentication_strengths(Priority::Read).await;
                strengths.map(|strengths| access::strengths(&strengths, size)).err()
            }
            "what_if" => {
                let met = client.what_if(USER, Priority::Read).await;
                met.map(|met| access::met(met, size)).err()
            }
            _ => {
                let all = client.access_policies(Priority::Read).await;
                all.map(|all| access::policies(&Arc::from(all), size)).err()
            }
        }
    });
    if let Some(error) = error {
        is_bounded(&error, without_code);
    }
}

/// An answer of Entra to a request for a token, and the content of the token.
pub fn token_answer(input: &[u8]) {
    let (kind, token) = Canned::read(input);
    let without_code = token.keeps_its_code_in_the_body();
    let answer = Canned { status: StatusCode::NO_CONTENT, headers: Vec::new(), body: Vec::new() };
    run(async {
        let client = client(answer, token, kind == "managed_identity");
        if let Err(error) = client.token_roles().await {
            is_bounded(&error, without_code);
        }
        if let Err(error) = client.delete_pass(USER, GROUP).await {
            is_bounded(&error, without_code);
        }
    });
}

fn is_bounded(error: &GraphError, without_code: bool) {
    let text = error.to_string();
    is_a_message(&text, LONGEST_MESSAGE);
    assert!(!without_code || !format!("{text}{error:?}").contains(CODE), "the code is in {text}");
    assert!(error.retry_after.is_none_or(|wait| wait <= Duration::from_mins(10)), "{error:?}");
}

/// An answer.
#[derive(Clone, Debug)]
struct Canned {
    status: StatusCode,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Vec<u8>,
}

impl Canned {
    fn token(body: &[u8]) -> Self {
        Self { status: StatusCode::OK, headers: Vec::new(), body: body.to_vec() }
    }

    /// Reads the call and the answer to it. Whatever cannot be sent in an answer is left out.
    fn read(input: &[u8]) -> (String, Self) {
        let end = input.windows(2).position(|two| two == b"\n\n");
        let (head, body) = end.map_or((input, &[][..]), |at| (&input[..at], &input[at + 2..]));
        let mut lines = head.split(|byte| *byte == b'\n');
        let first = String::from_utf8_lossy(lines.next().unwrap_or_default()).into_owned();
        let (call, status) = first.split_once(' ').unwrap_or((&first, "200"));
        let status = status.trim().parse().ok().and_then(|code| StatusCode::from_u16(code).ok());
        let headers = lines.filter_map(|line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let name = HeaderName::from_bytes(&line[..colon]).ok()?;
            Some((name, HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?))
        });
        let answer = Self {
            status: status.unwrap_or(StatusCode::OK),
            headers: headers.collect(),
            body: body.to_vec(),
        };
        (call.to_owned(), answer)
    }

    /// Whether the code can only be in the body of a pass or a token, so that an error that repeats it is a leak. Texts
    /// of errors and ids in headers are repeated on purpose; a code in them would be Graph's mistake.
    fn keeps_its_code_in_the_body(&self) -> bool {
        let in_a_header = |(_, value): &(HeaderName, HeaderValue)| {
            value.as_bytes().windows(CODE.len()).any(|part| part == CODE.as_bytes())
        };
        let is_an_error = self.status.is_client_error() || self.status.is_server_error();
        !is_an_error && !self.headers.iter().any(in_a_header)
    }

    fn response(&self) -> Response<Body> {
        let mut response = Response::new(Body::from(self.body.clone()));
        *response.status_mut() = self.status;
        response.headers_mut().extend(self.headers.iter().cloned());
        response
    }
}

/// One answer for Graph, and one for the token endpoint.
#[derive(Debug)]
struct Answers {
    graph: Canned,
    token: Canned,
}

#[async_trait]
impl Transport for Answers {
    async fn send(
        &self,
        request: Request<Bytes>,
        options: SendOptions,
    ) -> Result<Response<Body>, TransportError> {
        let graph = request.uri().host() == Some("graph.test") && !options.identity_endpoint;
        Ok(if graph { &self.graph } else { &self.token }.response())
    }
}

/// A client that gets this answer of Graph, and a token.
fn answered(graph: Canned) -> Client {
    let token =
        Canned::token(br#"{"token_type":"Bearer","expires_in":3599,"access_token":"e30.e30.e30"}"#);
    client(graph, token, false)
}

fn client(graph: Canned, token: Canned, managed_identity: bool) -> Client {
    let credential = if managed_identity {
        "managedIdentity: {}".to_owned()
    } else {
        format!("clientSecret: {{file: '{}'}}", secret().display())
    };
    let connections = format!(
        "tenants: [{{name: default, tenantId: {USER}, clientId: {GROUP}, loginUrl: 'https://login.test', \
         graphUrl: 'https://graph.test', credential: {{{credential}}}}}]"
    );
    let connections = connections_from_text(&connections, "fuzz").expect("the connection is fine");
    let mut options = Options::new(Arc::new(Answers { graph, token }));
    options.clock = Arc::new(|| decide::NOW);
    options.wall = Arc::new(|| decide::NOW);
    options.pace = Pace { calls: 10_000, ..Pace::default() };
    Client::connect(connections, &options).remove(0)
}

/// A file with a client secret.
fn secret() -> &'static PathBuf {
    static FILE: OnceLock<PathBuf> = OnceLock::new();
    FILE.get_or_init(|| {
        let file = std::env::temp_dir().join("tap-operator-fuzz-client-secret");
        std::fs::write(&file, "of no tenant").expect("a temporary file can be written");
        file
    })
}

/// Time is paused and moves only while everything waits, so that no input takes long because of a delay that it asks
/// for.
fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime can be built").block_on(future)
}

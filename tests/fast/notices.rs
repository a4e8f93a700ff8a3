//! What receivers outside of the cluster are told, and that nobody waits for them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use graph_simulator::{Fault, FaultKind, Operation};
use http::{Request, Response};
use jiff::SignedDuration;
use serde_json::{Value, json};
use tap_operator::api::Phase;
use tap_operator::controller::Told;
use tap_operator::controller::metrics::Format;
use tap_operator::graph::{Body, SendOptions, Transport, TransportError};
use tap_operator::notice::{self, SIGNATURE_HEADER, TIMESTAMP_HEADER};
use tokio::time::{Instant, sleep};

use crate::world::{IN_ORDER, NAMESPACE, Operator, SOON, SYSTEM, World};

/// What a receiver does about a notice.
#[derive(Clone, Copy, Debug)]
pub enum Answer {
    Status(u16),
    RetryAfter(&'static str),
    ElsewhereIs(&'static str),
    Hangs,
    Breaks,
}

/// Receivers by host, each with what it does about the next notices, and 202 afterwards.
#[derive(Clone, Debug, Default)]
pub struct Post(Arc<Mutex<Inside>>);

#[derive(Debug, Default)]
struct Inside {
    script: Vec<(String, VecDeque<Answer>)>,
    /// What all receivers do until then.
    outage: Option<(Instant, Answer)>,
    got: Vec<Got>,
}

/// A notice that came, whatever was answered.
#[derive(Clone, Debug)]
pub struct Got {
    pub at: Instant,
    url: String,
    headers: http::HeaderMap,
    pub body: Bytes,
}

impl Got {
    pub fn event(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }

    fn id(&self) -> String {
        self.event()["id"].as_str().expect("an id").to_owned()
    }

    fn kind(&self) -> String {
        self.event()["data"]["kind"].as_str().expect("a kind").to_owned()
    }
}

impl Post {
    fn script(&self, host: &str, answers: &[Answer]) {
        let answers = answers.iter().copied().collect();
        self.0.lock().expect("no panic").script.push((host.to_owned(), answers));
    }

    /// All receivers do this for so long.
    pub fn outage(&self, answer: Answer, length: Duration) {
        self.0.lock().expect("no panic").outage = Some((Instant::now() + length, answer));
    }

    /// What came to a host.
    pub fn got(&self, host: &str) -> Vec<Got> {
        let all = self.0.lock().expect("no panic").got.clone();
        all.into_iter().filter(|got| got.url.starts_with(&format!("https://{host}/"))).collect()
    }

    pub fn kinds(&self, host: &str) -> Vec<String> {
        self.got(host).iter().map(Got::kind).collect()
    }

    fn hosts(&self) -> usize {
        let all = self.0.lock().expect("no panic").got.clone();
        let hosts: std::collections::BTreeSet<String> =
            all.iter().filter_map(|got| got.url.split('/').nth(2).map(str::to_owned)).collect();
        hosts.len()
    }

    /// An operator that tells these receivers.
    pub fn operator(&self, world: &World, receivers: &Value) -> Operator {
        let text = json!({ "receivers": receivers }).to_string();
        let receivers = notice::receivers_from_text(&text, "the test").expect("receivers");
        let transport = Arc::new(self.clone());
        world.operator_with(SignedDuration::ZERO, |options| {
            options.told = Some(Told { receivers, transport });
        })
    }
}

#[async_trait]
impl Transport for Post {
    async fn send(
        &self,
        request: Request<Bytes>,
        _: SendOptions,
    ) -> Result<Response<Body>, TransportError> {
        let (parts, body) = request.into_parts();
        let host = parts.uri.host().unwrap_or_default().to_owned();
        let answer = {
            let mut inside = self.0.lock().expect("no panic");
            let (url, headers) = (parts.uri.to_string(), parts.headers);
            inside.got.push(Got { at: Instant::now(), url, headers, body });
            let outage = inside.outage.filter(|(until, _)| Instant::now() < *until);
            let script =
                inside.script.iter_mut().find(|(of, answers)| *of == host && !answers.is_empty());
            let scripted = script.and_then(|(_, answers)| answers.pop_front());
            outage.map(|(_, answer)| answer).or(scripted)
        };
        let response = Response::builder();
        let response = match answer.unwrap_or(Answer::Status(202)) {
            Answer::Status(status) => response.status(status),
            Answer::RetryAfter(seconds) => response.status(503).header("retry-after", seconds),
            Answer::ElsewhereIs(url) => response.status(307).header("location", url),
            Answer::Hangs => std::future::pending().await,
            Answer::Breaks => {
                return Err(TransportError { maybe_sent: true, message: "it broke off".into() });
            }
        };
        Ok(response.body(Body::new(b"{\"garbage\": ".to_vec())).expect("an answer"))
    }
}

/// A receiver of all notices.
pub fn everything(host: &str) -> Value {
    json!({"name": host, "format": "CloudEvents", "url": format!("https://{host}/in")})
}

#[tokio::test(start_paused = true)]
async fn the_life_of_a_request_is_told_once_and_without_its_code() {
    let world = World::new();
    world.policy(&json!({"approval": {"required": 1, "contact": "#helpdesk"}}));
    let post = Post::default();
    let operator = post.operator(&world, &json!([everything("all")]));
    world.request("lost-phone", &json!({"reason": "INC1"}));
    world.until_phase("lost-phone", Phase::AwaitingApproval, SOON).await;
    world.decide("lost-phone", "ada@contoso.com", "Approve").await;
    world.until_phase("lost-phone", Phase::Active, SOON).await;
    let code = world.delivered("lost-phone").expect("a code");
    world.tenant.sign_in("alice@contoso.com", &code).expect("it signs in");
    world.until_ended("lost-phone", Phase::Used, IN_ORDER).await;
    sleep(IN_ORDER).await;
    let got = post.got("all");
    assert_eq!(post.kinds("all"), ["AwaitingApproval", "Approved", "Issued", "Used"]);
    let asked = got[0].event();
    assert_eq!(asked["subject"], json!("helpdesk/lost-phone"));
    assert_eq!(asked["data"]["contact"], json!("#helpdesk"));
    assert_eq!(asked["data"]["ticket"], json!("INC1"));
    let uid = world.get("lost-phone").metadata.uid.expect("a uid");
    for got in &got {
        assert!(got.id().starts_with(&uid), "{got:?}");
        assert!(!String::from_utf8_lossy(&got.body).contains(&code), "{got:?}");
    }
    let page = operator.metrics.text(Format::Classic);
    let counted = "tap_operator_notices_total{receiver=\"all\",fate=\"delivered\"} 4\n";
    assert!(page.contains(counted), "{page}");
}

#[tokio::test(start_paused = true)]
async fn how_else_a_request_ends_is_told_with_its_reason() {
    let world = World::new();
    let post = Post::default();
    let _operator = post.operator(&world, &json!([everything("all")]));
    world.request("refused", &json!({"lifetime": "9h"}));
    world.until_phase("refused", Phase::Failed, SOON).await;
    world.request("short", &json!({"lifetime": "10m"}));
    world.until_phase("short", Phase::Active, SOON).await;
    world.until_ended("short", Phase::Expired, Duration::from_mins(11)).await;
    world.request("revoked", &json!({}));
    world.until_phase("revoked", Phase::Active, SOON).await;
    world.decide("revoked", "ada@contoso.com", "Revoke").await;
    world.until_ended("revoked", Phase::Revoked, SOON).await;
    sleep(SOON).await;
    let told: Vec<String> = post
        .got("all")
        .iter()
        .map(|got| {
            let event = got.event();
            let text = |field: &str| event["data"][field].as_str().unwrap_or_default().to_owned();
            format!("{} {} {}", text("request"), text("kind"), text("reason"))
        })
        .collect();
    let expected = [
        "refused Failed LifetimeNotAllowed",
        "short Issued Issued",
        "short Expired PassExpired",
        "revoked Issued Issued",
        "revoked Revoked Revoked",
    ];
    assert_eq!(told, expected);
}

#[tokio::test(start_paused = true)]
async fn after_a_restart_the_last_minutes_are_told_again_with_the_same_ids_and_nothing_older() {
    let world = World::new();
    world.policy(&json!({"approval": {"required": 1, "contact": "#helpdesk"}}));
    let post = Post::default();
    let receivers = json!([everything("all")]);
    let operator = post.operator(&world, &receivers);
    world.request("old", &json!({}));
    world.until_phase("old", Phase::AwaitingApproval, SOON).await;
    sleep(Duration::from_mins(30)).await;
    world.request("new", &json!({"user": "bob@contoso.com"}));
    world.until_phase("new", Phase::AwaitingApproval, SOON).await;
    sleep(SOON).await;
    operator.stop().await;
    let before = post.got("all");
    assert_eq!(before.len(), 2);

    let operator = post.operator(&world, &receivers);
    sleep(IN_ORDER).await;
    let after = post.got("all").split_off(2);
    assert_eq!(after.len(), 1, "{after:?}");
    assert_eq!(after[0].event(), before[1].event());
    operator.stop().await;
    sleep(Duration::from_hours(1)).await;
    let _operator = post.operator(&world, &receivers);
    sleep(IN_ORDER).await;
    assert_eq!(post.got("all").len(), 3);
}

#[tokio::test(start_paused = true)]
async fn what_a_process_could_not_tell_the_next_one_tells() {
    let world = World::new();
    let post = Post::default();
    post.script("all", &[Answer::Hangs]);
    let receivers = json!([everything("all")]);
    let operator = post.operator(&world, &receivers);
    world.request("lost-phone", &json!({}));
    world.until_phase("lost-phone", Phase::Active, SOON).await;
    operator.crash().await;
    let _operator = post.operator(&world, &receivers);
    let told = || post.got("all").len() == 2;
    world.until("the next process tells it", IN_ORDER, told).await;
    let got = post.got("all");
    assert_eq!((got[0].kind(), got[0].id()), (got[1].kind(), got[1].id()));
}

#[tokio::test(start_paused = true)]
async fn only_the_replica_that_leads_tells() {
    let world = World::new();
    let post = Post::default();
    let receivers = json!([everything("all")]);
    let _leader = post.operator(&world, &receivers);
    sleep(Duration::from_secs(1)).await;
    let _other = post.operator(&world, &receivers);
    sleep(SOON).await;
    world.request("lost-phone", &json!({}));
    world.until_phase("lost-phone", Phase::Active, SOON).await;
    sleep(IN_ORDER).await;
    assert_eq!(post.kinds("all"), ["Issued"]);
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_hangs_delays_nothing_and_nobody_and_is_told_later() {
    let began = |world: &World| {
        world.request("lost-phone", &json!({}));
        Instant::now()
    };
    let silent = World::new();
    let _operator = silent.operator();
    let at = began(&silent);
    silent.until_phase("lost-phone", Phase::Active, SOON).await;
    let alone = at.elapsed();

    let world = World::new();
    let post = Post::default();
    post.script("slow", &[Answer::Hangs; 60]);
    let operator = post.operator(&world, &json!([everything("slow"), everything("other")]));
    let at = began(&world);
    world.until_phase("lost-phone", Phase::Active, SOON).await;
    let took = at.elapsed();
    assert!(
        took <= alone + Duration::from_millis(200),
        "{took:?}, and {alone:?} without receivers"
    );
    world.until("the other is told", SOON, || post.kinds("other") == ["Issued"]).await;
    let up = |is| format!("tap_operator_notice_receiver_up{{receiver=\"slow\"}} {is}\n");
    sleep(Duration::from_mins(1)).await;
    assert!(operator.metrics.text(Format::Classic).contains(&up(0)));
    sleep(Duration::from_hours(2)).await;
    let mut got = post.got("slow");
    got.retain(|got| got.kind() == "Issued");
    assert_eq!(got.len(), 61, "until it is taken, and not once more");
    assert!(got.iter().all(|one| one.body == got[0].body), "the same is sent again");
    assert!(operator.metrics.text(Format::Classic).contains(&up(1)));
    let pauses = got.windows(2).map(|two| two[1].at - two[0].at);
    assert!(pauses.max() < Some(Duration::from_secs(10 + 67)), "a minute between tries at most");
}

#[tokio::test(start_paused = true)]
async fn each_answer_is_taken_as_it_is_meant() {
    for (answer, expected, least, longest) in [
        // Tried again soon.
        (Answer::Status(500), vec!["Issued", "Issued", "Revoked"], 0, 3),
        (Answer::Status(401), vec!["Issued", "Issued", "Revoked"], 0, 3),
        (Answer::Breaks, vec!["Issued", "Issued", "Revoked"], 0, 3),
        (Answer::RetryAfter("120"), vec!["Issued", "Issued", "Revoked"], 120, 140),
        // Not followed.
        (Answer::ElsewhereIs("https://elsewhere/"), vec!["Issued", "Issued", "Revoked"], 0, 3),
        // Refused for its content, and the next one passes.
        (Answer::Status(400), vec!["Issued", "Revoked"], 0, 60),
        (Answer::Status(413), vec!["Issued", "Revoked"], 0, 60),
        // Not wanted any more, for an hour.
        (Answer::Status(410), vec!["Issued", "Revoked"], 3600, 3700),
    ] {
        let world = World::new();
        let post = Post::default();
        post.script("all", &[answer]);
        let _operator = post.operator(&world, &json!([everything("all")]));
        world.request("lost-phone", &json!({}));
        world.until_phase("lost-phone", Phase::Active, SOON).await;
        sleep(Duration::from_secs(30)).await;
        world.decide("lost-phone", "ada@contoso.com", "Revoke").await;
        // Long enough for anything that is sent once too often.
        sleep(Duration::from_secs(longest) + Duration::from_mins(30)).await;
        assert_eq!(post.kinds("all"), expected, "{answer:?}");
        let got = post.got("all");
        let pause = got[1].at - got[0].at;
        let range = Duration::from_secs(least)..=Duration::from_secs(longest);
        assert!(range.contains(&pause), "{answer:?}: {pause:?}");
        assert_eq!(post.hosts(), 1, "{answer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn too_many_are_dropped_oldest_first_and_counted() {
    let world = World::new();
    let post = Post::default();
    post.script("all", &[Answer::Hangs; 30]);
    let operator = post.operator(&world, &json!([everything("all")]));
    for number in 0..300 {
        world.request(&format!("refused-{number}"), &json!({"lifetime": "9h"}));
    }
    sleep(Duration::from_mins(2)).await;
    let page = operator.metrics.text(Format::Classic);
    // One is being sent, 256 wait.
    for line in [
        "tap_operator_notices_waiting{receiver=\"all\"} 256\n",
        "tap_operator_notices_total{receiver=\"all\",fate=\"dropped\"} 43\n",
    ] {
        assert!(page.contains(line), "no {line}{page}");
    }
    sleep(Duration::from_hours(2)).await;
    let page = operator.metrics.text(Format::Classic);
    assert!(page.contains("fate=\"delivered\"} 257\n"), "{page}");
}

#[tokio::test(start_paused = true)]
async fn a_receiver_is_told_what_its_filter_lets_through_and_can_check_who_sent_it() {
    let world = World::new();
    let post = Post::default();
    let directory = tempfile::tempdir().expect("a directory");
    let file = |name: &str, content: &str| {
        std::fs::write(directory.path().join(name), content).expect("written");
        directory.path().join(name)
    };
    let receivers = json!([
        {"name": "signed", "format": "CloudEvents", "urlFile": file("url", "https://signed/hook?key=s3cr3t\n"),
         "tokenFile": file("token", "t0ken\n"), "hmacKeyFile": file("key", "k3y\n"), "omitUser": true},
        {"name": "kinds", "format": "CloudEvents", "url": "https://kinds/", "kinds": ["Revoked", "Stop", "Drift"]},
        {"name": "elsewhere", "format": "CloudEvents", "url": "https://elsewhere/", "namespaces": ["other"]},
        {"name": "here", "format": "CloudEvents", "url": "https://here/", "namespaces": [NAMESPACE], "policies": ["contoso"]},
    ]);
    let _operator = post.operator(&world, &receivers);
    world.request("lost-phone", &json!({"reason": "for Alice"}));
    world.until_phase("lost-phone", Phase::Active, SOON).await;
    world.decide("lost-phone", "ada@contoso.com", "Revoke").await;
    world.until_ended("lost-phone", Phase::Revoked, SOON).await;
    let method = json!({"tenant": "default", "method": {"codeLength": 20}});
    world.policy_named("method", &method);
    sleep(SOON).await;
    world.kubernetes.put(json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "tap-operator-stop", "namespace": SYSTEM},
    }));
    sleep(IN_ORDER).await;
    world.kubernetes.delete("configmaps", SYSTEM, "tap-operator-stop").expect("there");
    sleep(IN_ORDER).await;

    assert_eq!(post.kinds("kinds"), ["Revoked", "Drift", "Stop", "Stop"]);
    let drift = &post.got("kinds")[1].event()["data"]["differences"][0];
    assert_eq!((&drift["field"], &drift["to"]), (&json!("codeLength"), &json!("20")));
    let stops = post.got("kinds").split_off(2);
    assert_eq!(stops[0].event()["data"]["stopped"], json!(true));
    assert_eq!(stops[1].event()["data"]["stopped"], json!(false));
    assert_ne!(stops[0].id(), stops[1].id());
    assert_eq!(post.kinds("elsewhere"), [""; 0]);
    assert_eq!(post.kinds("here"), ["Issued", "Revoked"]);

    for got in post.got("signed") {
        assert_eq!(got.url, "https://signed/hook?key=s3cr3t");
        assert_eq!(got.headers["authorization"], "Bearer t0ken");
        let sent = got.headers[TIMESTAMP_HEADER].to_str().expect("text").parse().expect("seconds");
        let signature = notice::signature(b"k3y", sent, &got.body);
        assert_eq!(got.headers[SIGNATURE_HEADER], signature.as_str());
        let text = String::from_utf8_lossy(&got.body).to_lowercase();
        assert!(!text.contains("alice"), "{text}");
    }
    assert_eq!(post.got("signed").len(), 5);
}

/// A chat that gets the same again every minute is read by nobody.
#[tokio::test(start_paused = true)]
async fn a_difference_is_told_once_however_long_it_cannot_be_corrected() {
    let world = World::new();
    let post = Post::default();
    let receivers =
        json!([{"name": "a", "format": "CloudEvents", "url": "https://a/", "kinds": ["Drift"]}]);
    let refusal =
        FaultKind::Status { status: 403, effect: false, code: None, retry_after_seconds: None };
    world.tenant.inject(Fault::on(Operation::PolicyPatch, refusal).times(20));
    let _operator = post.operator(&world, &receivers);
    let enforced = |length: u32| {
        let method = json!({"codeLength": length, "lifetime": {"default": "2h"}});
        json!({"tenant": "default", "enforcement": "Enforce", "method": method})
    };
    world.policy_named("method", &enforced(20));
    sleep(Duration::from_mins(10)).await;
    assert_eq!(post.kinds("a"), ["Drift"], "it is refused");
    let synced = || world.policy_says("method", "Synced") == "True InSync";
    world.until("it is corrected", Duration::from_hours(1), synced).await;
    let reasons = || -> Vec<Value> {
        post.got("a").iter().map(|got| got.event()["data"]["reason"].clone()).collect()
    };
    assert_eq!(reasons(), ["Drifted", "Corrected"]);

    // The tenant shows a correction late.
    world.tenant.switch(|switches| switches.policy_read_lag_seconds = 60);
    world.policy_named("method", &enforced(21));
    sleep(Duration::from_mins(10)).await;
    world.until("it is corrected again", Duration::from_hours(1), synced).await;
    assert_eq!(reasons()[2..], ["Drifted", "Corrected"]);
}

/// A process that takes over does not know whether the one before has told it.
#[tokio::test(start_paused = true)]
async fn a_stop_that_was_there_before_is_told_as_one_that_may_be_known() {
    let world = World::new();
    let post = Post::default();
    let receivers =
        json!([{"name": "a", "format": "Slack", "url": "https://a/", "kinds": ["Stop"]}]);
    let operator = post.operator(&world, &receivers);
    sleep(SOON).await;
    world.kubernetes.put(json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "tap-operator-stop", "namespace": SYSTEM},
    }));
    sleep(IN_ORDER).await;
    operator.stop().await;
    let _another = post.operator(&world, &receivers);
    sleep(IN_ORDER).await;
    let again = |got: &Got| String::from_utf8_lossy(&got.body).contains("told already");
    let again: Vec<bool> = post.got("a").iter().map(again).collect();
    assert_eq!(again, [false, true]);
}

/// It ends while nobody leads: the one who told of it is gone, and the one who follows saw it as a bystander.
#[tokio::test(start_paused = true)]
async fn the_end_of_a_stop_is_told_by_whoever_leads_next() {
    for minutes in [0, 30] {
        let world = World::new();
        let post = Post::default();
        let receivers =
            json!([{"name": "a", "format": "CloudEvents", "url": "https://a/", "kinds": ["Stop"]}]);
        let leader = post.operator(&world, &receivers);
        sleep(SOON).await;
        let _other = post.operator(&world, &receivers);
        world.kubernetes.put(json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "tap-operator-stop", "namespace": SYSTEM},
        }));
        sleep(IN_ORDER).await;
        let mut leader = Some(leader);
        if minutes == 0 {
            leader.take().expect("it leads").crash().await;
        }
        world.kubernetes.delete("configmaps", SYSTEM, "tap-operator-stop").expect("there");
        sleep(Duration::from_mins(minutes)).await;
        if let Some(leader) = leader {
            leader.crash().await;
        }
        sleep(IN_ORDER).await;
        let stops = post.got("a");
        let stopped: Vec<Value> =
            stops.iter().map(|got| got.event()["data"]["stopped"].clone()).collect();
        // Once the end is long over, the one who led then has told it.
        assert_eq!(stopped, [true, false], "{minutes}");
        let version = |got: &Got| got.id().split(".Stop.").next().map(str::to_owned);
        assert_eq!(version(&stops[0]), version(&stops[1]));
    }
}

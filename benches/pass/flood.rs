//! What a flood of requests in one namespace does to the requests of another, and to the looks at its passes.
//!
//! The operator has a pace, so that the tenant is what all wait for: without one, a flood is over in seconds. It is measured
//! before the flood and in the midst of it, and the run fails if the flood ended meanwhile.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::Api;
use kube::api::{ListParams, ObjectMeta, PostParams};
use serde_json::json;
use tap_operator::api::names::secret_keys::TEMPORARY_ACCESS_PASS;
use tap_operator::api::{Phase, TapRequest};

use crate::figures::{Figures, milliseconds};
use crate::subject::{self, NAMESPACE, POLICY, user};
use crate::support::wait;
use crate::support::world::World;
use crate::yardstick::Yardstick;
use crate::{put_away, world};

/// Where the flood is.
const FLOOD: &str = "flood";
/// The first of its users. Those before are for the passes that are measured.
const FIRST: usize = 1_000_000;
/// How many requests of it are created at once.
const CREATED_AT_ONCE: usize = 64;
/// What the operator may ask of the tenant, whatever the tenant would bear. A flood of 500 lasts for minutes with it.
const PACE: [&str; 2] = ["--calls-per-10-seconds=50", "--most-calls-per-10-seconds=50"];
/// How often an active pass is looked at, if the pace allows it.
const USE_CHECK: &str = "--use-check-interval=5s";
/// How often a pass is asked for: with its list and its POST that is a fifth of the pace. Who asks for more than half shares with
/// the flood, and must wait.
const EVERY: Duration = Duration::from_secs(2);
/// How many passes are used, to see when that is noticed.
const USES: usize = 5;

/// What was measured.
struct Measured {
    passes: Figures,
    /// How long after each use the request had ended.
    noticed: Vec<Duration>,
}

/// Measures so many passes before and during a flood of so many requests, and shows the figures.
#[expect(clippy::print_stdout, reason = "the table is what it is for")]
pub async fn run(flood: usize, passes: usize) -> Result<()> {
    println!("starting a control plane and a tenant");
    let users = (0..2 * (passes + USES)).chain(FIRST..FIRST + flood).map(user);
    let policy = subject::policy(&[NAMESPACE, FLOOD], &serde_json::Value::Null);
    let world = world(users, &policy, &[PACE[0], PACE[1], USE_CHECK]).await?;
    let yardstick = Yardstick::new(&world).await?;
    world.operator.start().await?;

    println!("{passes} passes alone");
    let alone = measure(&world, &yardstick, passes).await?;
    let flooding = Flood::begin(&world, flood).await?;
    println!("{passes} passes while {flood} requests wait in another namespace");
    let beside = measure(&world, &yardstick, passes).await?;
    let waiting = flooding.waiting().await?;
    ensure!(waiting > 0, "the flood is over, so something else was measured: ask for a larger one");
    println!("{waiting} of the {flood} wait still\n\n{}", table(&alone, &beside));
    Ok(())
}

async fn measure(world: &World, yardstick: &Yardstick, passes: usize) -> Result<Measured> {
    // First, because each active pass of the namespace takes looks from the others.
    let mut noticed = Vec::new();
    for _ in 0..USES {
        noticed.push(use_one(world, yardstick).await?);
    }
    noticed.sort_unstable();
    let mut one_by_one = Vec::new();
    let mut turns = tokio::time::interval(EVERY);
    for _ in 0..passes {
        turns.tick().await;
        one_by_one.extend(yardstick.one_by_one(1, None).await?);
    }
    put_away(world, wait::PATIENCE).await?;
    Ok(Measured { passes: Figures { one_by_one, ..Figures::default() }, noticed })
}

/// How long it takes from the use of a pass until its request has ended.
async fn use_one(world: &World, yardstick: &Yardstick) -> Result<Duration> {
    let request = yardstick.active().await?;
    let client = world.control_plane.admin().client().await?;
    let name = request.metadata.name.context("a request without a name")?;
    let secret = Api::<Secret>::namespaced(client.clone(), NAMESPACE).get(&name).await?;
    let code = secret.data.and_then(|mut data| data.remove(TEMPORARY_ACCESS_PASS));
    let code = String::from_utf8(code.context("a Secret without a code")?.0)?;
    let signed_in = world.simulator.sign_in(&request.spec.user, &code);
    ensure!(signed_in.is_ok(), "{} could not sign in", request.spec.user);
    let used = Instant::now();
    let requests: Api<TapRequest> = Api::namespaced(client, NAMESPACE);
    let ended = |request: &TapRequest| request.phase() == Phase::Used;
    world.wait_for(&requests, &name, "is seen to be used", ended).await?;
    Ok(used.elapsed())
}

/// The requests of the other namespace.
struct Flood(Api<TapRequest>);

impl Flood {
    /// One person asks for passes for so many users.
    async fn begin(world: &World, requests: usize) -> Result<Self> {
        let plane = &world.control_plane;
        let metadata = ObjectMeta { name: Some(FLOOD.into()), ..ObjectMeta::default() };
        let namespace = Namespace { metadata, ..Namespace::default() };
        let namespaces = Api::all(plane.admin().client().await?);
        namespaces.create(&PostParams::default(), &namespace).await?;
        let person = plane.person("flo@contoso.com")?;
        plane.grant(&person, "tap-requester", FLOOD).await?;
        plane.grant_policy(&person, "use", POLICY, FLOOD).await?;
        let api: Api<TapRequest> = Api::namespaced(person.client().await?, FLOOD);
        let create = |number: usize| {
            let api = api.clone();
            async move {
                let request: TapRequest = serde_json::from_value(json!({
                    "metadata": { "name": format!("flood-{number}") },
                    "spec": {
                        "policyRef": { "name": POLICY },
                        "user": user(FIRST + number).user_principal_name,
                    },
                }))?;
                api.create(&PostParams::default(), &request).await?;
                anyhow::Ok(())
            }
        };
        let created = stream::iter(0..requests).map(create).buffer_unordered(CREATED_AT_ONCE);
        created.try_collect::<()>().await?;
        Ok(Self(api))
    }

    /// How many of them have no pass yet.
    async fn waiting(&self) -> Result<usize> {
        let all = self.0.list(&ListParams::default()).await?;
        let waits =
            |request: &&TapRequest| request.phase() != Phase::Active && !request.phase().is_final();
        Ok(all.items.iter().filter(waits).count())
    }
}

fn table(alone: &Measured, beside: &Measured) -> String {
    let mut table = format!("{:34}{:>10}{:>10}{:>8}\n", "", "alone", "flood", "ratio");
    let mut row = |what: &str, of: &dyn Fn(&Measured) -> f64| {
        let (alone, beside) = (of(alone), of(beside));
        let _ = writeln!(table, "{what:34}{alone:>10.1}{beside:>10.1}{:>8.2}", beside / alone);
    };
    row("latency in ms, median", &|of| of.passes.latency(50));
    row("               95 percent", &|of| of.passes.latency(95));
    let seen = |rank: fn(usize) -> usize| {
        move |of: &Measured| milliseconds(of.noticed[rank(of.noticed.len())])
    };
    row("a use is noticed after ms, median", &seen(|uses| uses / 2));
    row("                           at most", &seen(|uses| uses - 1));
    table
}

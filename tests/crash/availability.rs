//! Two replicas: for how long nothing is issued when one ends, crashes, freezes or loses its lease, and what the other
//! one reads then.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use graph_simulator::{Fault, FaultKind, LedgerEntry, Operation};
use jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use tap_operator::effect::Effect;
use tokio::time::{Instant, sleep};

use crate::recognize::{Asked, Question};
use crate::replica::Replica;
use crate::scene::Scene;
use crate::stand::{leases, new_world};
use crate::support::wait;
use crate::support::world::World;

/// How often each time is measured.
const TIMES: usize = 5;
/// How long the lease is valid without a renewal.
const LEASE: Duration = Duration::from_secs(15);

/// Two replicas of the operator, of which one leads.
struct Pair {
    world: &'static World,
    scene: Scene<'static>,
    replicas: [Replica; 2],
}

/// The measurements, in seconds.
#[derive(Default)]
pub struct Figures(Vec<(&'static str, Vec<f64>)>);

impl Figures {
    fn add(&mut self, what: &'static str, value: Duration) {
        match self.0.iter_mut().find(|(known, _)| *known == what) {
            Some((_, values)) => values.push(value.as_secs_f64()),
            None => self.0.push((what, vec![value.as_secs_f64()])),
        }
    }

    pub fn text(&self) -> String {
        let mut text = format!(
            "{:<66} {:>5} {:>7} {:>7} {:>7}\n",
            "seconds", "times", "least", "median", "most"
        );
        for (what, values) in &self.0 {
            let mut sorted = values.clone();
            sorted.sort_by(f64::total_cmp);
            let (least, most) = (sorted[0], sorted[sorted.len() - 1]);
            let median = sorted[sorted.len() / 2];
            let _ = writeln!(
                text,
                "{what:<66} {:>5} {least:>7.2} {median:>7.2} {most:>7.2}",
                sorted.len()
            );
        }
        text
    }
}

impl Pair {
    async fn start() -> Result<Self> {
        let world = new_world().await?;
        let replicas =
            [Replica::new(world, "replica-a").await?, Replica::new(world, "replica-b").await?];
        for replica in &replicas {
            replica.operator.start().await?;
        }
        let scene = Scene::new(world, "available").await?;
        scene.policy(json!({})).await?;
        let pair = Self { world, scene, replicas };
        pair.issue("warm-up").await?;
        Ok(pair)
    }

    /// The leader, and the replica that stands by.
    async fn roles(&self) -> Result<[&Replica; 2]> {
        let lease = leases(self.world).await?.get("tap-operator").await?;
        let holder = lease.spec.and_then(|spec| spec.holder_identity).context("nobody leads")?;
        let [a, b] = &self.replicas;
        Ok(if holder.starts_with("replica-a") { [a, b] } else { [b, a] })
    }

    /// Creates a request and waits for its pass.
    async fn issue(&self, name: &str) -> Result<()> {
        self.scene.ask(name, &self.scene.user(), json!({})).await?;
        self.scene.wait_active(name).await.map(drop)
    }

    /// Ends the leader by `end`. Returns the time from then to the other replica's lease, and to its first pass.
    async fn succession(
        &self,
        name: &str,
        end: impl FnOnce(&Replica) -> Result<()>,
    ) -> Result<[Duration; 2]> {
        let [leader, standby] = self.roles().await?;
        standby.gate.take_seen();
        let began = Instant::now();
        end(leader)?;
        self.issue(name).await?;
        let issued = began.elapsed();
        let seen = standby.gate.take_seen();
        let taken = seen.iter().find(|(_, asked)| is(asked, Effect::TakeLease));
        let taken = taken.context("the other replica did not take the lease")?.0;
        let lists = seen.iter().filter(|(at, asked)| *at > taken && is_list(asked)).count();
        ensure!(lists == 0, "{lists} lists were read after the lease was taken");
        // The ended replica is started again and stands by.
        let _ = leader.operator.component().ended(Duration::from_secs(30)).await;
        leader.gate.take_seen();
        leader.operator.start().await?;
        wait::until(wait::PATIENCE, "it has its caches", || async {
            ensure!(leader.gate.lists() >= 4, "lists are missing");
            Ok(())
        })
        .await?;
        Ok([taken.duration_since(began), issued])
    }

    /// Another holder is written into the lease while requests are created: the leader stops.
    async fn robbed(&self, figures: &mut Figures) -> Result<()> {
        let [leader, _] = self.roles().await?;
        let names: Vec<String> = (0..40).map(|number| format!("robbed-{number}")).collect();
        let ask = async {
            for name in &names {
                self.scene.ask(name, &self.scene.user(), json!({})).await?;
                sleep(Duration::from_millis(100)).await;
            }
            Ok::<_, anyhow::Error>(())
        };
        let rob = async {
            sleep(Duration::from_secs(1)).await;
            leader.gate.take_seen();
            let now = Timestamp::now();
            let micro = format!("{now:.6}");
            let robbed = json!({ "spec": {
                "holderIdentity": "somebody-else", "acquireTime": micro, "renewTime": micro,
            }});
            let leases = leases(self.world).await?;
            leases.patch("tap-operator", &PatchParams::default(), &Patch::Merge(&robbed)).await?;
            let robbed = Instant::now();
            let ended = leader.operator.component().ended(Duration::from_secs(20)).await?;
            ensure!(!ended.success(), "it ended without an error: {ended}");
            Ok::<_, anyhow::Error>((robbed, robbed.elapsed()))
        };
        let (asked, robbed) = tokio::join!(ask, rob);
        asked?;
        let (robbed, ended) = robbed?;
        let seen = leader.gate.take_seen();
        // The leader notices it when it reads its lease the next time. Renewals are tried every two seconds.
        let looked = seen
            .iter()
            .find(|(at, asked)| *at > robbed && matches!(asked, Asked::Nothing(Question::Lease)));
        let looked = looked.context("it did not read its lease")?.0;
        let late: Vec<_> = seen
            .iter()
            .filter(|(at, asked)| {
                *at > looked + Duration::from_millis(500) && matches!(asked, Asked::Effect(_))
            })
            .collect();
        ensure!(late.is_empty(), "written after the lease was lost: {late:?}");
        let last = seen.iter().rfind(|(_, asked)| matches!(asked, Asked::Effect(_)));
        let last = last.map_or(robbed, |(at, _)| *at);
        figures.add(
            "lease lost to somebody else: to the leader's last write",
            last.saturating_duration_since(robbed),
        );
        figures.add("lease lost to somebody else: to the end of the process", ended);
        leader.operator.start().await?;
        for name in &names {
            self.scene.wait_active(name).await?;
        }
        self.one_pass_each()
    }

    /// The leader freezes in the middle of a POST, the other replica takes over, and the frozen one wakes up.
    async fn zombie(&self, figures: &mut Figures) -> Result<()> {
        let [leader, standby] = self.roles().await?;
        let user = self.scene.user();
        let slow = Fault::on(Operation::PassCreate, FaultKind::Slow { seconds: 2 });
        self.world.simulator.inject(slow);
        self.scene.ask("zombie", &user, json!({})).await?;
        wait::until(wait::PATIENCE, "the POST is sent", || async {
            ensure!(!self.scene.writes_about(&user)?.is_empty(), "no POST yet");
            Ok(())
        })
        .await?;
        let frozen = Instant::now();
        leader.operator.component().freeze()?;
        let request = self.scene.wait_active("zombie").await;
        figures
            .add("leader frozen in its POST: to the pass that the other issues", frozen.elapsed());
        leader.gate.take_seen();
        leader.operator.component().thaw()?;
        let request = request?;
        // It notices that it no longer leads, and ends.
        let ended = leader.operator.component().ended(Duration::from_secs(30)).await?;
        ensure!(!ended.success(), "it ended without an error: {ended}");
        let seen = leader.gate.take_seen();
        let written: Vec<_> = seen
            .iter()
            .filter_map(|(_, asked)| match asked {
                Asked::Effect(change) => Some(change.effect),
                Asked::Nothing(_) | Asked::Unnamed(_) => None,
            })
            .collect();
        ensure!(
            written.iter().all(|effect| matches!(effect, Effect::DeletePass | Effect::RenewLease)),
            "it wrote {written:?}"
        );
        let live: Vec<_> =
            self.scene.ledger(&user).into_iter().filter(LedgerEntry::is_live).collect();
        ensure!(live.len() == 1 && live[0].id == self.scene.pass_of(&request)?.id, "{live:#?}");
        standby.operator.get("readyz").await?;
        leader.operator.start().await
    }

    /// Checks that each user of the scene has one live pass, and that no POST replaced another pass.
    fn one_pass_each(&self) -> Result<()> {
        let balance = self.world.simulator.balance();
        ensure!(balance.replaced == 0 && balance.untold_live == 0, "{balance:?}");
        Ok(())
    }
}

fn is(asked: &Asked, effect: Effect) -> bool {
    matches!(asked, Asked::Effect(change) if change.effect == effect)
}

fn is_list(asked: &Asked) -> bool {
    matches!(asked, Asked::Nothing(Question::List))
}

/// Runs all measurements with two replicas.
pub async fn measure() -> Result<Figures> {
    let mut figures = Figures::default();
    let pair = Pair::start().await?;
    for number in 0..TIMES {
        let [lease, issued] = pair
            .succession(&format!("handover-{number}"), |leader| {
                leader.operator.component().tell_to_end()
            })
            .await
            .context("handover")?;
        figures.add("SIGTERM of the leader: to the other's lease", lease);
        figures.add("SIGTERM of the leader: to the first pass that the other issues", issued);
    }
    for number in 0..TIMES {
        let [lease, issued] = pair
            .succession(&format!("failover-{number}"), |leader| {
                leader.operator.kill();
                Ok(())
            })
            .await
            .context("failover")?;
        ensure!(lease < LEASE + Duration::from_secs(10), "the lease was taken after {lease:?}");
        figures.add("SIGKILL of the leader: to the other's lease", lease);
        figures.add("SIGKILL of the leader: to the first pass that the other issues", issued);
    }
    pair.robbed(&mut figures).await.context("somebody else takes the lease")?;
    pair.zombie(&mut figures).await.context("the leader is frozen")?;
    pair.one_pass_each()?;
    Ok(figures)
}

//! One plan, from its beginning to its verdict.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use graph_simulator::switches::{PostOverLivePass, UsabilityFields};
use graph_simulator::{End, Operation, Simulator};
use jiff::SignedDuration;
use tap_operator::controller::Chance;
use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio::time::{Instant, sleep_until};

use crate::faults::{self, Class, Relief, Trouble};
use crate::gate::{Death, Gate};
use crate::history::History;
use crate::others::{self, Configuration};
use crate::people::{self, Act, Policy};
use crate::plan::{Nature, Plan};
use crate::verdict;
use crate::world::{IN_ORDER, Operator, World};

/// How long it takes, once faults have stopped and everything is in order, until nothing is under way any more: the
/// longest interval of retries, and a read of each pass.
const REST: Duration = Duration::from_secs(140);
/// The same if passes vanish: two reads, a settle time apart.
const LONG_REST: Duration = Duration::from_secs(330);
/// How long after it ended by itself a process is started again.
const RESTART: Duration = Duration::from_secs(1);
/// The longest wait after faults have stopped.
const LONGEST: Duration = Duration::from_mins(25);
/// Longer than any run.
const FOR_EVER: Duration = Duration::from_hours(24);

/// The result of a plan.
pub struct Outcome {
    pub plan: Plan,
    pub violation: Option<String>,
    pub history: History,
    pub tally: Tally,
    /// The state of everything at the end, if a promise was broken.
    pub report: String,
}

/// Counts of one or several runs, by what they count.
#[derive(Clone, Debug, Default)]
pub struct Tally(pub BTreeMap<String, u64>);

impl Tally {
    /// Adds to a count.
    pub fn add(&mut self, what: impl Into<String>, count: u64) {
        *self.0.entry(what.into()).or_default() += count;
    }

    /// Adds the counts of another run.
    pub fn merge(&mut self, other: &Self) {
        for (what, count) in &other.0 {
            self.add(what.clone(), *count);
        }
    }
}

/// Runs the plan of a seed.
pub fn run(seed: u64) -> Outcome {
    run_plan(Plan::draw(seed))
}

/// Runs a plan.
pub fn run_plan(plan: Plan) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    let stage: OnceCell<(Arc<Gate>, World, Simulator)> = OnceCell::new();
    let played = catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(async {
            let (deaths, died) = mpsc::unbounded_channel();
            let gate = Gate::new(plan.seed, &plan.crashes, deaths);
            let (gate, world, other) = stage.get_or_init(|| {
                let world = World::new();
                let other = others::fabrikam(world.kubernetes.now());
                (gate, world, other)
            });
            play(&plan, world, gate, other, died).await
        })
    }));
    let (violation, foreign) = match played {
        Ok(Ok(foreign)) => (None, foreign),
        Ok(Err(violation)) => (Some(violation), verdict::Foreign::default()),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            (Some(text.unwrap_or_default()), verdict::Foreign::default())
        }
    };
    let stage = stage.into_inner();
    let _guard = runtime.enter();
    let (mut tally, mut history, mut report) = Default::default();
    if let Some((gate, world, _)) = &stage {
        tally = count(world, gate, foreign);
        history = gate.history();
        if violation.is_some() {
            report = world.report();
        }
    }
    Outcome { plan, violation, history, tally, report }
}

async fn play(
    plan: &Plan,
    world: &World,
    gate: &Arc<Gate>,
    other: &Simulator,
    deaths: UnboundedReceiver<Death>,
) -> Result<verdict::Foreign, String> {
    let mut director = Director::new(plan, world, gate, other, deaths);
    let quiet = director.began + Duration::from_secs(plan.quiet_second());
    director.until(quiet).await?;
    gate.note("--- all is quiet from now on");
    director.events.clear();
    faults::relieve_all(world, gate);
    if let Some(user) = plan.forbidden {
        others::forbid(world, user, u32::MAX);
    }
    if plan.statuses_stay_refused {
        gate.refuse(Class::Status, 403, quiet + FOR_EVER);
    }
    director.reconfigure(plan.configuration).await;
    director.all_back();
    let quiet_at = world.kubernetes.now();
    director.until(quiet + IN_ORDER).await?;
    gate.note("--- all is in order from now on");
    if !plan.statuses_stay_refused {
        verdict::no_orphan(world)?;
    }
    let rest = if plan.passes_vanish() { LONG_REST } else { REST };
    director.until(quiet + IN_ORDER + rest).await?;
    gate.note("--- nothing is under way any more");
    verdict::at_rest(world, plan, &director.policy)?;
    let expiries = world.live().into_iter().map(|pass| {
        let lasts = SignedDuration::from_mins(i64::from(pass.lifetime_in_minutes));
        pass.start_date_time.duration_since(world.tenant.now()) + lasts
    });
    if let Some(last) = expiries.max().filter(|_| plan.to_the_end) {
        let last = Duration::try_from(last).unwrap_or_default() + Duration::from_secs(60);
        director.until((Instant::now() + last).min(quiet + LONGEST)).await?;
        verdict::at_rest(world, plan, &director.policy)?;
    }
    verdict::none_of_the_other_tenants_passes(other)?;
    verdict::of_the_whole_run(world, plan, quiet_at)
}

struct Director<'a> {
    plan: &'a Plan,
    world: &'a World,
    gate: &'a Arc<Gate>,
    other: &'a Simulator,
    configuration: Configuration,
    deaths: UnboundedReceiver<Death>,
    policy: Policy,
    began: Instant,
    events: BTreeMap<(Instant, u64), Event>,
    planned: u64,
    slots: Vec<Slot>,
}

enum Event {
    Act(Act),
    Trouble(Trouble),
    Relief(Relief),
}

struct Slot {
    process: usize,
    operator: Option<Operator>,
    back_at: Instant,
}

enum Happened {
    Died(Death),
    Ended(usize, Result<(), String>),
    Due,
}

impl<'a> Director<'a> {
    fn new(
        plan: &'a Plan,
        world: &'a World,
        gate: &'a Arc<Gate>,
        other: &'a Simulator,
        deaths: UnboundedReceiver<Death>,
    ) -> Self {
        world.tenant.seed(plan.seed);
        shape(world, plan.nature);
        let policy = Policy { rules: plan.rules.clone(), suspended: false };
        policy.write(world);
        let began = Instant::now();
        let slot = |at: usize| Slot {
            process: 0,
            operator: None,
            // The second replica starts when the first one leads.
            back_at: began + Duration::from_secs(at as u64),
        };
        let slots = (0..plan.replicas.len()).map(slot).collect();
        let mut director = Self {
            plan,
            world,
            gate,
            other,
            configuration: Configuration::Usual,
            deaths,
            policy,
            began,
            events: BTreeMap::new(),
            planned: 0,
            slots,
        };
        for (number, wish) in plan.wishes.iter().enumerate() {
            director.schedule(wish.at, Event::Act(Act::Create(number)));
        }
        for (at, act) in &plan.acts {
            director.schedule(*at, Event::Act(act.clone()));
        }
        if let Some(user) = plan.forbidden {
            others::forbid(world, user, u32::MAX);
        }
        for (at, trouble) in &plan.troubles {
            director.schedule(*at, Event::Trouble(trouble.clone()));
        }
        director
    }

    fn schedule(&mut self, second: u64, event: Event) {
        self.planned += 1;
        self.events.insert((self.began + Duration::from_secs(second), self.planned), event);
    }

    fn all_back(&mut self) {
        for slot in &mut self.slots {
            slot.back_at = slot.back_at.min(Instant::now());
        }
    }

    /// Lets everything happen that happens before `end`.
    async fn until(&mut self, end: Instant) -> Result<(), String> {
        loop {
            let backs = self.slots.iter().filter(|s| s.operator.is_none()).map(|s| s.back_at);
            let next = self.events.keys().map(|(at, _)| *at).next();
            let next = backs.chain(next).fold(end, Instant::min);
            let slots = &mut self.slots;
            let ended = poll_fn(|context| {
                for (at, slot) in slots.iter_mut().enumerate() {
                    if let Some(operator) = &mut slot.operator
                        && let Poll::Ready(ended) = operator.poll_exit(context)
                    {
                        return Poll::Ready((at, ended));
                    }
                }
                Poll::Pending
            });
            let happened = tokio::select! {
                biased;
                Some(death) = self.deaths.recv() => Happened::Died(death),
                (at, ended) = ended => Happened::Ended(at, ended),
                () = sleep_until(next) => Happened::Due,
            };
            match happened {
                Happened::Died(death) => {
                    let at = self.slots.iter().position(|slot| slot.process == death.process);
                    if let Some(at) = at {
                        self.die(at, death.away).await;
                    }
                }
                Happened::Ended(at, ended) => {
                    ended.map_err(|panic| format!("a process panicked: {panic}"))?;
                    let slot = &mut self.slots[at];
                    self.gate.dead(slot.process);
                    self.gate.count("process: ends by itself", 1);
                    self.gate.note(format!("p{} ends by itself", slot.process));
                    slot.operator = None;
                    slot.back_at = Instant::now() + RESTART;
                }
                Happened::Due => {
                    self.start_due_replicas();
                    while let Some(event) = self.due() {
                        self.perform(event).await;
                    }
                    if Instant::now() >= end {
                        return Ok(());
                    }
                }
            }
        }
    }

    fn due(&mut self) -> Option<Event> {
        let first = self.events.first_entry()?;
        (first.key().0 <= Instant::now()).then(|| first.remove())
    }

    async fn perform(&mut self, event: Event) {
        match event {
            Event::Act(act) => {
                self.gate.note(format!("--- {act:?}"));
                people::act(self.world, self.plan, &mut self.policy, &act).await;
            }
            Event::Trouble(trouble) => {
                self.gate.note(format!("--- {trouble:?}"));
                if let Trouble::Die { replica, away } = trouble {
                    self.gate.count("process: dies", 1);
                    self.die(replica % self.slots.len(), away).await;
                } else if let Trouble::Stop { replica } = trouble {
                    let slot = &self.slots[replica % self.slots.len()];
                    slot.operator.iter().for_each(Operator::tell_to_end);
                    self.gate.count("process: summary to end", 1);
                } else if let Trouble::Reconfigure(configuration) = trouble {
                    self.gate.count("configuration: changes", 1);
                    self.reconfigure(configuration).await;
                } else if let Some((lasts, relief)) =
                    faults::strike(self.world, self.gate, &trouble)
                {
                    let second = self.began.elapsed().as_secs() + lasts;
                    self.schedule(second, Event::Relief(relief));
                }
            }
            Event::Relief(relief) => faults::relieve(self.world, &relief),
        }
    }

    /// Restarts all processes with other connections.
    async fn reconfigure(&mut self, configuration: Configuration) {
        if self.configuration == configuration {
            return;
        }
        self.configuration = configuration;
        for slot in 0..self.slots.len() {
            self.die(slot, 1).await;
        }
    }

    async fn die(&mut self, at: usize, away: u64) {
        let slot = &mut self.slots[at];
        let Some(operator) = slot.operator.take() else { return };
        self.gate.dead(slot.process);
        operator.crash().await;
        slot.back_at = Instant::now() + Duration::from_secs(away);
    }

    fn start_due_replicas(&mut self) {
        for replica in 0..self.slots.len() {
            let slot = &self.slots[replica];
            if slot.operator.is_none() && slot.back_at <= Instant::now() {
                let process = self.gate.process(replica);
                self.gate.note(format!("p{process} starts"));
                let operator = self.start(replica, process);
                self.slots[replica] =
                    Slot { process, operator: Some(operator), back_at: Instant::now() };
            }
        }
    }

    fn start(&self, replica: usize, process: usize) -> Operator {
        let skew = SignedDuration::from_secs(self.plan.replicas[replica]);
        let (gate, world) = (Arc::clone(self.gate), self.world.kubernetes.clone());
        let mut hasher = DefaultHasher::new();
        (self.plan.seed, process).hash(&mut hasher);
        let transport = self.gate.graph(process, self.world.tenant.clone(), self.other.clone());
        let connections = self.configuration.connections();
        self.world.start(skew, connections, transport, |options| {
            options.chance = Chance::from_seed(hasher.finish());
            // The backoff of watches uses this global generator.
            fastrand::seed(hasher.finish());
            options.client = gate.kubernetes(process, &world);
            options.own_connection = Box::new(move || Ok(gate.kubernetes(process, &world)));
        })
    }
}

fn shape(world: &World, nature: Nature) {
    world.tenant.switch(|switches| {
        switches.list_lag_after_post_seconds = nature.list_after_post;
        switches.list_lag_after_delete_seconds = nature.list_after_delete;
        switches.get_lag_after_post_seconds = nature.get_after_post;
        switches.get_lag_after_delete_seconds = nature.get_after_delete;
        switches.use_seen_lag_seconds = nature.use_seen;
        switches.delete_after_post_not_found_seconds = nature.delete_not_found;
        switches.post_after_delete_conflict_seconds = nature.post_conflict;
        if nature.refuses_over_live {
            switches.post_over_live_pass = PostOverLivePass::Refuse;
        }
        if nature.expired_gone {
            switches.expired_pass_listed_seconds = Some(0);
        }
        if nature.no_usability {
            switches.usability_fields = UsabilityFields::Neither;
        }
    });
}

fn count(world: &World, gate: &Gate, foreign: verdict::Foreign) -> Tally {
    let mut tally =
        Tally(gate.counts().into_iter().map(|(k, v)| (format!("fault {k}"), v)).collect());
    let calls = world.tenant.requests();
    tally.add("calls to Graph", calls.len() as u64);
    tally
        .add("POSTs", calls.iter().filter(|c| c.operation == Operation::PassCreate).count() as u64);
    tally.add("writes", verdict::writes(world) as u64);
    tally.add("calls", gate.history().len() as u64);
    for fault in calls.iter().filter_map(|call| call.fault.as_deref()) {
        let kind = fault.split([' ', '{']).next().unwrap_or_default();
        tally.add(format!("fault graph: {kind}"), 1);
    }
    for request in world.requests() {
        tally.add(format!("request {}", request.phase()), 1);
    }
    for pass in world.tenant.ledger() {
        let whose = if matches!(pass.made_by, graph_simulator::Actor::App { .. }) {
            "pass"
        } else {
            "foreign pass"
        };
        let end = match pass.end {
            End::Live => "live",
            End::Expired { .. } => "expired",
            End::Deleted { .. } => "deleted",
            End::Replaced { .. } => "replaced",
        };
        tally.add(format!("{whose} {end}"), 1);
    }
    tally.add("foreign passes replaced, as asked", foreign.replaced_as_asked);
    tally
        .add("foreign passes replaced, within the stated limit", foreign.replaced_within_the_limit);
    tally.add("twins deleted, within the stated limit", foreign.twins_deleted);
    tally
}

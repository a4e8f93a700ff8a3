//! What is to happen in a run, drawn from a seed.

use graph_simulator::{FaultKind, Operation};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::faults::{ApiFault, Class, Trouble, WatchKind};
use crate::others::{self, Configuration};
use crate::people::Act;
use kubernetes_api::WatchEnd;

/// The users that requests are for.
pub const USERS: [&str; 3] = ["alice@contoso.com", "bob@contoso.com", "carol@contoso.com"];
/// The people who approve, deny and revoke.
pub const APPROVERS: [&str; 3] = ["ada@contoso.com", "bea@contoso.com", "cyd@contoso.com"];

/// What is to happen in a run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The seed of the plan.
    pub seed: u64,
    /// By how much the clock of each replica is ahead, in seconds.
    pub replicas: Vec<i64>,
    /// The policy.
    pub rules: Rules,
    /// The tenant's behaviour.
    pub nature: Nature,
    /// The requests, by number.
    pub wishes: Vec<Wish>,
    /// What people do, and when, in seconds.
    pub acts: Vec<(u64, Act)>,
    /// The faults, and when they happen, in seconds.
    pub troubles: Vec<(u64, Trouble)>,
    /// Which effects kill their process.
    pub crashes: Vec<Crash>,
    /// When people and faults stop, in seconds.
    pub quiet_from: u64,
    /// Whether the verdict waits until the last pass has expired.
    pub to_the_end: bool,
    /// The user to whom Graph never gives a pass.
    pub forbidden: Option<&'static str>,
    /// Whether somebody else's admission refuses the operator's status writes when all is quiet, and never ceases to.
    pub statuses_stay_refused: bool,
    /// The tenant connections when all is quiet.
    pub configuration: Configuration,
}

/// The settings of the policy.
#[derive(Clone, Debug)]
pub struct Rules {
    pub approvals: u32,
    pub quota: Option<u32>,
    pub replace: bool,
}

/// The lags of the tenant, in seconds, and other behaviour that is not documented.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nature {
    pub list_after_post: u64,
    pub list_after_delete: u64,
    pub get_after_post: u64,
    pub get_after_delete: u64,
    pub use_seen: u64,
    pub delete_not_found: u64,
    pub post_conflict: u64,
    pub refuses_over_live: bool,
    pub expired_gone: bool,
    pub no_usability: bool,
}

/// A request.
#[derive(Clone, Debug)]
pub struct Wish {
    /// When it is created, in seconds.
    pub at: u64,
    pub user: &'static str,
    pub minutes: u32,
    pub on_existing: &'static str,
    /// How many seconds after its creation it starts.
    pub start: Option<u64>,
    pub sealed: bool,
    pub one_time: bool,
}

/// A crash of a process at an effect, which is given by its number among all effects.
#[derive(Clone, Debug)]
pub struct Crash {
    pub effect: u64,
    pub moment: Moment,
    /// For how many seconds the process is away.
    pub away: u64,
}

/// When a process dies, relative to an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The request never arrives, or arrives so many seconds later.
    Before(Option<u64>),
    /// It took effect, and the answer is lost.
    After,
    /// The answer was read.
    Answered,
}

impl Plan {
    /// The plan of a seed.
    pub fn draw(seed: u64) -> Self {
        let mut plan = Self::without_others(seed);
        others::draw(&mut plan);
        plan
    }

    /// The plan of a seed without [`crate::others`].
    pub fn without_others(seed: u64) -> Self {
        let mut dice = Dice(StdRng::seed_from_u64(seed));
        let quiet_from = dice.within(45, 300);
        let rules = Rules {
            approvals: dice.one_of(&[0, 0, 0, 0, 1, 2]),
            quota: dice.chance(25).then(|| dice.one_of(&[1, 2])),
            replace: dice.chance(60),
        };
        let replicas = if dice.chance(50) { 2 } else { 1 };
        let skewed = dice.chance(15);
        let count = dice.one_of(&[1, 1, 2, 2, 3, 4, 6]);
        let users = if dice.chance(40) { 1 } else { USERS.len() };
        let wishes = (0..count).map(|_| dice.wish(users, quiet_from)).collect::<Vec<_>>();
        let mut plan = Self {
            seed,
            replicas: (0..replicas).map(|_| if skewed { dice.skew() } else { 0 }).collect(),
            nature: dice.nature(),
            acts: Vec::new(),
            troubles: Vec::new(),
            crashes: Vec::new(),
            rules,
            wishes,
            quiet_from,
            to_the_end: dice.chance(35),
            forbidden: None,
            statuses_stay_refused: false,
            configuration: Configuration::Usual,
        };
        for number in 0..plan.wishes.len() {
            let made = plan.wishes[number].at;
            for by in 0..plan.rules.approvals {
                if dice.chance(85) {
                    let at = dice.within(made + 1, quiet_from.max(made + 2));
                    plan.acts.push((at, Act::Decide(number, APPROVERS[by as usize], "Approve")));
                }
            }
        }
        for _ in 0..dice.one_of(&[0, 1, 1, 2, 3, 5]) {
            dice.act(&mut plan);
        }
        for _ in 0..dice.one_of(&[0, 0, 1, 2, 3, 5]) {
            let at = dice.within(0, quiet_from);
            let trouble = dice.trouble(at, quiet_from);
            plan.troubles.push((at, trouble));
        }
        for _ in 0..dice.one_of(&[0, 0, 1, 1, 2, 4]) {
            let crash = dice.crash(&plan);
            plan.crashes.push(crash);
        }
        plan.acts.sort_by_key(|(at, _)| *at);
        plan.troubles.sort_by_key(|(at, _)| *at);
        plan
    }

    /// When people and faults have stopped, in seconds.
    pub fn quiet_second(&self) -> u64 {
        self.acts.last().map_or(self.quiet_from, |(at, _)| self.quiet_from.max(*at + 1))
    }

    /// Whether people end passes in the portal. The operator reads a missing pass twice, a settle time apart, before it
    /// believes that the pass is gone.
    pub fn passes_vanish(&self) -> bool {
        let ends = |act: &Act| matches!(act, Act::Portal { .. } | Act::PortalRemove(_));
        self.acts.iter().any(|(_, act)| ends(act))
    }

    /// Whether Graph may answer 403 to a POST for this user, although the app has the permission.
    pub fn may_be_forbidden(&self, user: &str) -> bool {
        let forbids = |trouble: &Trouble| match trouble {
            Trouble::Forbids { user: forbidden, .. } => *forbidden == user,
            Trouble::Graph {
                on: Operation::PassCreate,
                kind: FaultKind::Status { status: 403, .. },
                ..
            } => true,
            _ => false,
        };
        self.forbidden == Some(user) || self.troubles.iter().any(|(_, trouble)| forbids(trouble))
    }

    /// Whether Graph's clock is always right.
    pub fn clock_is_right(&self) -> bool {
        let wrong = |trouble: &Trouble| match trouble {
            Trouble::ClockStep(_) => true,
            Trouble::Graph { kind, .. } => matches!(kind, FaultKind::WrongDate { .. }),
            _ => false,
        };
        !self.troubles.iter().any(|(_, trouble)| wrong(trouble))
    }

    /// Whether so many answers bear a wrong date that they may be believed.
    pub fn clock_may_jump(&self) -> bool {
        let wrong = |trouble: &Trouble| match trouble {
            Trouble::ClockStep(_) => BELIEVED,
            Trouble::Graph { kind: FaultKind::WrongDate { .. }, times, .. } => *times,
            _ => 0,
        };
        self.troubles.iter().map(|(_, trouble)| wrong(trouble)).sum::<u32>() >= BELIEVED
    }
}

/// How many answers that agree on another time are believed.
const BELIEVED: u32 = 3;

/// Draws from a seed.
pub struct Dice(pub StdRng);

impl Dice {
    pub fn chance(&mut self, percent: u32) -> bool {
        self.0.random_range(0..100) < percent
    }

    pub fn within(&mut self, from: u64, to: u64) -> u64 {
        self.0.random_range(from..to.max(from + 1))
    }

    fn count(&mut self, below: u32) -> u32 {
        self.0.random_range(0..below)
    }

    fn index(&mut self, below: usize) -> usize {
        self.0.random_range(0..below)
    }

    pub fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.0.random_range(0..all.len())]
    }

    fn skew(&mut self) -> i64 {
        self.one_of(&[-240, -30, 5, 90, 280])
    }

    fn lag(&mut self, most: u64) -> u64 {
        if self.chance(25) { self.within(1, most) } else { 0 }
    }

    fn nature(&mut self) -> Nature {
        if self.chance(40) {
            return Nature::default();
        }
        Nature {
            list_after_post: self.lag(60),
            list_after_delete: self.lag(60),
            get_after_post: self.lag(60),
            get_after_delete: self.lag(60),
            use_seen: self.lag(60),
            delete_not_found: self.lag(60),
            post_conflict: self.lag(60),
            refuses_over_live: self.chance(20),
            expired_gone: self.chance(20),
            no_usability: self.chance(10),
        }
    }

    fn wish(&mut self, users: usize, quiet_from: u64) -> Wish {
        Wish {
            at: if self.chance(60) { self.within(0, 5) } else { self.within(0, quiet_from) },
            user: self.one_of(&USERS[..users]),
            minutes: self.one_of(&[10, 10, 10, 11, 12]),
            on_existing: self.one_of(&["Refuse", "Refuse", "Wait", "Replace"]),
            start: self.chance(20).then(|| self.within(20, 500)),
            sealed: self.chance(10),
            one_time: self.chance(60),
        }
    }

    fn act(&mut self, plan: &mut Plan) {
        let quiet_from = plan.quiet_from;
        let number = self.index(plan.wishes.len());
        let made = plan.wishes[number].at;
        let at = self.within(made + 1, quiet_from.max(made + 2));
        let user = plan.wishes[number].user;
        let later = self.within(at, quiet_from.max(at + 1));
        let mut push = |at, act| plan.acts.push((at, act));
        let by = APPROVERS[2];
        match self.within(0, 16) {
            0 | 1 => push(at, Act::Decide(number, by, "Revoke")),
            2 => push(at, Act::Decide(number, by, "Deny")),
            3 | 4 => push(at, Act::Delete(number)),
            5 => {
                push(at, Act::Delete(number));
                push(later, Act::Create(number));
            }
            6 => {
                push(at, Act::Suspend(true));
                if self.chance(80) {
                    push(later, Act::Suspend(false));
                }
            }
            7 | 8 => {
                push(at, Act::Stop { revoke: self.chance(50) });
                if self.chance(80) {
                    push(later, Act::LiftStop);
                }
            }
            9 => push(at, Act::DeleteSecret(number)),
            10 => push(at, Act::Portal { user, twin_of: self.chance(40).then_some(number) }),
            11 => push(at, Act::PortalRemove(user)),
            12 => {
                push(at, Act::DisableMethod);
                push(later, Act::EnableMethod);
            }
            13 | 14 => push(at, Act::SignIn(number)),
            _ => push(at, Act::Approvals(self.one_of(&[0, 0, 1, 2]))),
        }
    }

    fn trouble(&mut self, at: u64, quiet_from: u64) -> Trouble {
        let left = quiet_from.saturating_sub(at).max(1);
        let times = self.one_of(&[1, 1, 1, 2, 3]);
        match self.within(0, 20) {
            0..=6 => {
                let on = self.one_of(&[
                    Operation::PassCreate,
                    Operation::PassCreate,
                    Operation::PassCreate,
                    Operation::PassDelete,
                    Operation::PassDelete,
                    Operation::PassList,
                    Operation::PassList,
                    Operation::PassGet,
                    Operation::UserGet,
                    Operation::PolicyGet,
                    Operation::Token,
                ]);
                Trouble::Graph { on, skip: self.count(3), times, kind: self.graph_fault() }
            }
            7..=13 => {
                let class = self.one_of(Class::ALL);
                Trouble::Api { class, skip: self.count(3), times, fault: self.api_fault() }
            }
            14 => Trouble::Watches { end: self.watch_end(), compact: self.chance(30) },
            15 => Trouble::LateWatches {
                kind: self.one_of(&[WatchKind::Requests, WatchKind::Requests, WatchKind::All]),
                by: self.within(1, 90),
                lasts: self.within(1, left + 1),
            },
            16 => Trouble::GraphGone { lasts: self.within(1, left + 1) },
            17 => match self.within(0, 4) {
                0 => Trouble::ExpireTokens,
                1 if self.chance(50) => Trouble::Stop { replica: self.index(2) },
                1 => Trouble::ClockStep(self.one_of(&[-120, -3, 3, 45, 400])),
                _ => Trouble::Die { replica: self.index(2), away: self.within(0, 60) },
            },
            18 => Trouble::CutOff { replica: self.index(2), lasts: self.within(5, 60) },
            _ => Trouble::NoRenewals { replica: self.index(2), lasts: self.within(5, 40) },
        }
    }

    fn watch_end(&mut self) -> WatchEnd {
        self.one_of(&[
            WatchEnd::Closed,
            WatchEnd::ConnectionLost,
            WatchEnd::Expired,
            WatchEnd::Silent,
        ])
    }

    fn graph_fault(&mut self) -> FaultKind {
        let effect = self.chance(50);
        match self.within(0, 14) {
            0 => FaultKind::AnswerLost,
            1 => FaultKind::ConnectionCut,
            2 => FaultKind::AnswerHangs,
            3 | 4 => FaultKind::LateCommit { after_seconds: self.within(1, 89) },
            5 => FaultKind::Slow { seconds: self.within(1, 40) },
            6 => FaultKind::Hang { seconds: None },
            7 => FaultKind::Throttled {
                retry_after_seconds: Some(f64::from(1 + self.count(29))),
                form: None,
            },
            8 => FaultKind::Throttled { retry_after_seconds: None, form: None },
            9 | 10 => {
                let status = self.one_of(&[500, 502, 503, 504]);
                FaultKind::Status { status, effect, code: None, retry_after_seconds: None }
            }
            11 => FaultKind::Html { status: 502, effect },
            12 => FaultKind::Garbled,
            _ => match self.within(0, 3) {
                0 => FaultKind::ExpiredToken,
                1 => {
                    FaultKind::WrongDate { offset_seconds: self.one_of(&[-86_400, -60, 60, 7200]) }
                }
                _ => {
                    let status = self.one_of(&[400, 403, 404, 409]);
                    FaultKind::Status {
                        status,
                        effect: false,
                        code: None,
                        retry_after_seconds: None,
                    }
                }
            },
        }
    }

    fn api_fault(&mut self) -> ApiFault {
        match self.within(0, 10) {
            0 | 1 => ApiFault::AnswerLost,
            2 => ApiFault::Lost,
            3 => ApiFault::Hang,
            4 => ApiFault::HangAfterEffect,
            5 => ApiFault::Late(self.within(1, 60)),
            6 => ApiFault::Twice,
            7 => ApiFault::SlowAnswer(self.within(1, 25)),
            8 => ApiFault::Refused(self.one_of(&[409, 429, 500, 503, 403])),
            _ => ApiFault::FailedAfterEffect(self.one_of(&[500, 504])),
        }
    }

    fn crash(&mut self, plan: &Plan) -> Crash {
        let effects = 4 + 6 * plan.wishes.len() as u64;
        Crash {
            effect: self.within(0, effects),
            moment: match self.within(0, 6) {
                0 | 1 => Moment::Before(None),
                2 => Moment::Before(Some(self.within(0, 40))),
                3 | 4 => Moment::After,
                _ => Moment::Answered,
            },
            away: self.one_of(&[0, 1, 3, 20, 60, 200]),
        }
    }
}

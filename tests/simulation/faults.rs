//! Faults, and how they are brought about.

use std::time::Duration;

use graph_simulator::{Fault, FaultKind, Operation};
use jiff::SignedDuration;
use tokio::time::Instant;

use crate::gate::Gate;
use crate::others::{self, Configuration};
use crate::world::World;
use kubernetes_api::{Match, Verb, WatchEnd};

/// A fault.
#[derive(Clone, Debug)]
pub enum Trouble {
    /// Calls to Graph fail.
    Graph { on: Operation, skip: u32, times: u32, kind: FaultKind },
    /// Calls to the API server fail.
    Api { class: Class, skip: u32, times: u32, fault: ApiFault },
    /// Open watches end.
    Watches { end: WatchEnd, compact: bool },
    /// Watches, and reads from the cache, are so many seconds late.
    LateWatches { kind: WatchKind, by: u64, lasts: u64 },
    /// Graph is unreachable.
    GraphGone { lasts: u64 },
    /// All tokens expire.
    ExpireTokens,
    /// Graph's clock is moved.
    ClockStep(i64),
    /// A process dies.
    Die { replica: usize, away: u64 },
    /// A process is summary to stop.
    Stop { replica: usize },
    /// Nothing gets to or from a process. What it sends arrives afterwards.
    CutOff { replica: usize, lasts: u64 },
    /// The same for its lease only.
    NoRenewals { replica: usize, lasts: u64 },
    /// Somebody else's admission, or a busy API server, refuses the operator's writes of a kind with this status. Dry runs
    /// pass.
    Refuses { class: Class, status: u16, lasts: u64 },
    /// Graph answers 403 to so many POSTs for a user.
    Forbids { user: &'static str, times: u32 },
    /// The account of a user is disabled, or enabled again.
    Enables { user: &'static str, enabled: bool },
    /// All tokens expire, and so many of the next sign-ins fail.
    SignInFails { times: u32 },
    /// The operator is restarted with other tenant connections.
    Reconfigure(Configuration),
}

/// Which watches are late.
#[derive(Clone, Copy, Debug)]
pub enum WatchKind {
    Requests,
    All,
}

/// Kinds of calls to the API server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    Metadata,
    Status,
    SecretCreate,
    SecretDelete,
    SecretDryRun,
    RequestRead,
    RequestDelete,
    BrakesRead,
    Lease,
    List,
    Event,
    Other,
}

impl Class {
    /// The classes that faults are drawn for. Those that matter more are there several times.
    pub const ALL: &[Self] = &[
        Self::Metadata,
        Self::Metadata,
        Self::Metadata,
        Self::Status,
        Self::Status,
        Self::Status,
        Self::SecretCreate,
        Self::SecretCreate,
        Self::SecretCreate,
        Self::SecretDelete,
        Self::SecretDelete,
        Self::SecretDryRun,
        Self::RequestRead,
        Self::BrakesRead,
        Self::Lease,
        Self::List,
        Self::Event,
    ];

    /// The class of a call.
    pub fn of(verb: &http::Method, resource: &str, part: Option<&str>, dry_run: bool) -> Self {
        let (get, post) = (*verb == http::Method::GET, *verb == http::Method::POST);
        match resource {
            "leases" => Self::Lease,
            "events" => Self::Event,
            "secrets" if dry_run => Self::SecretDryRun,
            "secrets" if post => Self::SecretCreate,
            "secrets" => Self::SecretDelete,
            "taprequests" if dry_run => Self::Other,
            "taprequests" if *verb == http::Method::DELETE => Self::RequestDelete,
            "taprequests" if *verb == http::Method::PATCH && part == Some("status") => Self::Status,
            "taprequests" if *verb == http::Method::PATCH => Self::Metadata,
            "taprequests" if get && part.is_none() => Self::RequestRead,
            "tappolicies" | "configmaps" if get && part.is_none() => Self::BrakesRead,
            _ if get => Self::List,
            _ => Self::Other,
        }
    }

    /// Whether it may change something that the promises are about.
    pub fn is_effect(self) -> bool {
        matches!(
            self,
            Self::Metadata
                | Self::Status
                | Self::SecretCreate
                | Self::SecretDelete
                | Self::RequestDelete
        )
    }
}

/// What happens to a call to the API server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiFault {
    /// It never arrives, and the connection breaks.
    Lost,
    /// It takes effect, and the connection breaks.
    AnswerLost,
    /// It never arrives, and there is no answer.
    Hang,
    /// It takes effect, and there is no answer.
    HangAfterEffect,
    /// It arrives so many seconds later.
    Late(u64),
    /// It arrives twice, and the second answer is received.
    Twice,
    /// It takes effect at once and is answered so many seconds later.
    SlowAnswer(u64),
    /// It is refused with this status.
    Refused(u16),
    /// It takes effect and is answered with this status.
    FailedAfterEffect(u16),
}

impl ApiFault {
    /// Its name in counts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Lost => "api: connection lost",
            Self::AnswerLost => "api: answer lost",
            Self::Hang => "api: hangs",
            Self::HangAfterEffect => "api: hangs after effect",
            Self::Late(_) => "api: arrives late",
            Self::Twice => "api: arrives twice",
            Self::SlowAnswer(_) => "api: answered late",
            Self::Refused(409) => "api: 409",
            Self::Refused(429) => "api: 429",
            Self::Refused(_) => "api: refused",
            Self::FailedAfterEffect(_) => "api: 5xx after effect",
        }
    }
}

/// How a fault that lasts for some time is ended.
pub enum Relief {
    Watches(WatchKind),
    Graph,
}

/// Brings a fault about. Returns after how many seconds and how it is to be ended, if it lasts.
pub fn strike(world: &World, gate: &Gate, trouble: &Trouble) -> Option<(u64, Relief)> {
    match trouble {
        Trouble::Graph { on, skip, times, kind } => {
            world.tenant.inject(Fault::on(*on, kind.clone()).after(*skip).times(*times));
        }
        Trouble::Api { class, skip, times, fault } => gate.arm(*class, *skip, *times, *fault),
        Trouble::Watches { end, compact } => {
            if *compact {
                world.kubernetes.compact();
            }
            let ended = world.kubernetes.end_watches(&watches(WatchKind::All), *end);
            gate.count(&format!("watches: {end:?}"), ended as u64);
        }
        Trouble::LateWatches { kind, by, lasts } => {
            world.kubernetes.delay_watches(watches(*kind), Duration::from_secs(*by));
            gate.count("watches: late", 1);
            return Some((*lasts, Relief::Watches(*kind)));
        }
        Trouble::GraphGone { lasts } => {
            world.tenant.set_unreachable(true);
            gate.count("graph: out of reach", 1);
            return Some((*lasts, Relief::Graph));
        }
        Trouble::ExpireTokens => {
            world.tenant.expire_tokens();
            gate.count("graph: tokens expired", 1);
        }
        Trouble::ClockStep(by) => {
            world.tenant.step_clock(SignedDuration::from_secs(*by));
            gate.count("graph: clock stepped", 1);
        }
        Trouble::CutOff { replica, lasts } => gate.hold(*replica, until(*lasts), false),
        Trouble::NoRenewals { replica, lasts } => gate.hold(*replica, until(*lasts), true),
        Trouble::Refuses { class, status, lasts } => gate.refuse(*class, *status, until(*lasts)),
        Trouble::Forbids { user, times } => others::forbid(world, user, *times),
        Trouble::Enables { user, enabled } => {
            let changed = world.tenant.edit_user(user, |user| user.account_enabled = *enabled);
            changed.expect("a user");
            gate.count("tenant: an account is disabled or enabled", 1);
        }
        Trouble::SignInFails { times } => {
            let status = FaultKind::Status {
                status: 401,
                effect: false,
                code: None,
                retry_after_seconds: None,
            };
            world.tenant.inject(Fault::on(Operation::Token, status).times(*times));
            world.tenant.expire_tokens();
            gate.count("graph: sign-in fails", 1);
        }
        Trouble::Die { .. } | Trouble::Stop { .. } | Trouble::Reconfigure(_) => {}
    }
    None
}

/// Ends a fault.
pub fn relieve(world: &World, relief: &Relief) {
    match relief {
        Relief::Watches(kind) => world.kubernetes.delay_watches(watches(*kind), Duration::ZERO),
        Relief::Graph => world.tenant.set_unreachable(false),
    }
}

/// Ends all faults.
pub fn relieve_all(world: &World, gate: &Gate) {
    gate.calm();
    world.tenant.clear_faults();
    relieve(world, &Relief::Graph);
    relieve(world, &Relief::Watches(WatchKind::All));
    // Watches that went silent would stay silent for minutes.
    world.kubernetes.end_watches(&watches(WatchKind::All), WatchEnd::ConnectionLost);
}

fn watches(kind: WatchKind) -> Match {
    let all = Match::any().when(|r| matches!(r.verb, Verb::Watch | Verb::List));
    match kind {
        WatchKind::Requests => all.resource("taprequests"),
        WatchKind::All => all,
    }
}

fn until(seconds: u64) -> Instant {
    Instant::now() + Duration::from_secs(seconds)
}

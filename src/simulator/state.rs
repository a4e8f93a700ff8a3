//! Everything the tenant is, in one place under one lock.

use std::collections::HashMap;

use jiff::Timestamp;
use rand::rngs::StdRng;
use serde_json::Value;
use uuid::Uuid;

use super::{
    audit::AuditRow,
    clock::{Clock, seconds},
    directory::Directory,
    faults::Faults,
    history::History,
    login::Token,
    passes::Passes,
    policy::PolicyValues,
    requests::Requests,
    switches::Switches,
    tenant::{App, Tenant},
    throttle::Throttle,
};

/// The tenant. A request reads and changes it in one step, so that it takes effect wholly or not at all.
#[derive(Debug)]
pub(super) struct State {
    pub(super) clock: Clock,
    pub(super) id: Uuid,
    pub(super) display_name: String,
    pub(super) domains: Vec<String>,
    pub(super) apps: Vec<App>,
    /// Issuer to JSON Web Key Set.
    pub(super) issuers: HashMap<String, Value>,
    pub(super) policy: History<PolicyValues>,
    pub(super) directory: History<Directory>,
    pub(super) passes: Passes,
    /// Session to its pass and its beginning.
    pub(super) sessions: HashMap<Uuid, (Uuid, Timestamp)>,
    pub(super) audit_rows: Vec<AuditRow>,
    pub(super) tokens: HashMap<String, Token>,
    pub(super) throttle: Throttle,
    pub(super) faults: Faults,
    pub(super) switches: Switches,
    pub(super) requests: Requests,
    /// Makes ids and codes of passes.
    pub(super) random: StdRng,
    /// Nothing gets through to login and Graph.
    pub(super) unreachable: bool,
}

impl State {
    pub(super) fn new(tenant: Tenant, start: Timestamp) -> Self {
        let Tenant {
            id,
            display_name,
            domains,
            apps,
            policy,
            users,
            groups,
            directory_roles: roles,
            role_eligibilities: eligibilities,
            issuers,
        } = tenant;
        Self {
            clock: Clock::starting_at(start),
            id,
            display_name,
            domains,
            apps,
            issuers: issuers.into_iter().map(|issuer| (issuer.issuer, issuer.jwks)).collect(),
            policy: History::new(policy),
            directory: History::new(Directory { users, groups, roles, eligibilities }),
            passes: Passes::default(),
            sessions: HashMap::new(),
            audit_rows: Vec::new(),
            tokens: HashMap::new(),
            throttle: Throttle::default(),
            faults: Faults::default(),
            switches: Switches::default(),
            requests: Requests::default(),
            random: rand::make_rng(),
            unreachable: false,
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Changes the directory; its index follows with its lag.
    pub(super) fn edit_directory<R>(&mut self, change: impl FnOnce(&mut Directory) -> R) -> R {
        let (now, lag) = (self.now(), seconds(self.switches.directory_lag_seconds));
        self.directory.edit(now, lag, change)
    }
}

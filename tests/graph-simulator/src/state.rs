//! Everything the tenant is, in one place under one lock.

use std::collections::HashMap;

use jiff::Timestamp;
use rand::rngs::StdRng;
use serde_json::Value;
use uuid::Uuid;

use crate::{
    audit::AuditLog,
    clock::{Clock, seconds},
    conditional_access::ConditionalAccess,
    directory::Directory,
    faults::Faults,
    history::History,
    passes::Passes,
    policy::PolicyValues,
    requests::Requests,
    sign_ins::SignInLog,
    switches::Switches,
    tenant::{App, Tenant},
    throttle::Throttle,
    tokens::Tokens,
};

/// The tenant. A request reads and changes it in one step, so that it takes effect wholly or not at all.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) clock: Clock,
    pub(crate) id: Uuid,
    pub(crate) display_name: String,
    pub(crate) domains: Vec<String>,
    pub(crate) apps: Vec<App>,
    /// Issuer to JSON Web Key Set.
    pub(crate) issuers: HashMap<String, Value>,
    pub(crate) policy: History<PolicyValues>,
    pub(crate) directory: History<Directory>,
    pub(crate) conditional_access: ConditionalAccess,
    pub(crate) passes: Passes,
    /// Session to its pass and its beginning.
    pub(crate) sessions: HashMap<Uuid, (Uuid, Timestamp)>,
    pub(crate) audit: AuditLog,
    pub(crate) sign_ins: SignInLog,
    pub(crate) tokens: Tokens,
    pub(crate) throttle: Throttle,
    pub(crate) faults: Faults,
    pub(crate) switches: Switches,
    pub(crate) requests: Requests,
    /// Makes ids and codes of passes.
    pub(crate) random: StdRng,
    /// Nothing gets through to login and Graph.
    pub(crate) unreachable: bool,
}

impl State {
    pub(crate) fn new(tenant: Tenant, start: Timestamp) -> Self {
        let Tenant {
            id,
            display_name,
            domains,
            apps,
            policy,
            users,
            groups,
            directory_roles: roles,
            role_assignments: assignments,
            role_eligibilities: eligibilities,
            group_eligibilities,
            conditional_access_policies: policies,
            authentication_strengths: custom_strengths,
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
            directory: History::new(Directory {
                users,
                groups,
                roles,
                assignments,
                eligibilities,
                group_eligibilities,
            }),
            conditional_access: ConditionalAccess { policies, custom_strengths },
            passes: Passes::default(),
            sessions: HashMap::new(),
            audit: AuditLog::default(),
            sign_ins: SignInLog::default(),
            tokens: Tokens::default(),
            throttle: Throttle::default(),
            faults: Faults::default(),
            switches: Switches::default(),
            requests: Requests::default(),
            random: rand::make_rng(),
            unreachable: false,
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Changes the directory; its index follows with its lag.
    pub(crate) fn edit_directory<R>(&mut self, change: impl FnOnce(&mut Directory) -> R) -> R {
        let (now, lag) = (self.now(), seconds(self.switches.directory_lag_seconds));
        self.directory.edit(now, lag, change)
    }
}

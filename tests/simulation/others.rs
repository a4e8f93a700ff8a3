//! What others do to the operator: admission of somebody else, a busy API server, a tenant that gives one user no pass, and
//! administrators who change the operator's configuration.

use graph_simulator::tenant::{CONTOSO, OPERATOR};
use graph_simulator::{Fault, FaultKind, Operation, Simulator, Tenant};
use jiff::Timestamp;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use tap_operator::graph::{self, ConnectionConfig};
use uuid::{Uuid, uuid};

use crate::faults::{Class, Trouble};
use crate::people::Act;
use crate::plan::{Dice, Plan, Rules, USERS, Wish};
use crate::world::{World, secret_file};

/// The id of the other tenant.
const FABRIKAM: Uuid = uuid!("fab21ca0-0000-4000-8000-000000000001");
/// The host of the other tenant's Graph and sign-in.
pub const FABRIKAM_HOST: &str = "fabrikam.test";
/// So many seconds the same Secret is created again by far if the API server is busy.
pub const BUSY_SPELL: u64 = 20;
/// Keeps these draws apart from those of the rest of the plan.
const OF_OTHERS: u64 = 0x6f74_6865_7273;
const OF_JOINERS: u64 = 0x6a6f_696e_6572;

/// The tenant connections of the operator. Policies name `default`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Configuration {
    /// `default` leads to Contoso, where the passes are.
    Usual,
    /// `default` leads to Fabrikam, and nothing to Contoso.
    Elsewhere,
    /// `default` leads to Fabrikam, and another connection to Contoso.
    Renamed,
}

impl Configuration {
    /// The connections.
    pub fn connections(self) -> Vec<ConnectionConfig> {
        let contoso = |name: &str| connection(name, CONTOSO);
        let mut fabrikam = connection("default", FABRIKAM);
        for field in ["loginUrl", "graphUrl"] {
            fabrikam[field] = json!(format!("https://{FABRIKAM_HOST}"));
        }
        let tenants = match self {
            Self::Usual => vec![contoso("default")],
            Self::Elsewhere => vec![fabrikam],
            Self::Renamed => vec![fabrikam, contoso("contoso")],
        };
        let file = json!({ "tenants": tenants }).to_string();
        graph::connections_from_text(&file, "the plan").expect("connections")
    }
}

fn connection(name: &str, tenant: Uuid) -> Value {
    let credential = json!({ "clientSecret": { "file": secret_file() } });
    json!({ "name": name, "tenantId": tenant, "clientId": OPERATOR, "credential": credential })
}

/// Another tenant, in which there are the same users. Nobody gets a pass there.
pub fn fabrikam(start: Timestamp) -> Simulator {
    let tenant = Simulator::starting_at(Tenant { id: FABRIKAM, ..Tenant::contoso() }, start);
    tenant.portal_patch_policy(&json!({ "state": "disabled" })).expect("a state");
    tenant
}

/// Graph gives this user no pass, so many times.
pub fn forbid(world: &World, user: &str, times: u32) {
    let users = world.tenant.users();
    let user = users.iter().find(|known| known.user_principal_name == user).expect("a user");
    let refusal =
        FaultKind::Status { status: 403, effect: false, code: None, retry_after_seconds: None };
    let refusal = Fault::on(Operation::PassCreate, refusal).times(times);
    world.tenant.inject(refusal.for_path(user.id.to_string()));
}

/// Adds to a plan what others do.
pub fn draw(plan: &mut Plan) {
    let mut dice = Dice(StdRng::seed_from_u64(plan.seed ^ OF_OTHERS));
    for _ in 0..dice.one_of(&[0, 0, 1, 1, 2]) {
        let at = dice.within(0, plan.quiet_from);
        let left = plan.quiet_from.saturating_sub(at).max(1);
        let lasts = dice.within(1, left + 1);
        let trouble = match dice.within(0, 10) {
            0 | 1 => Trouble::Refuses { class: Class::Status, status: refusal(&mut dice), lasts },
            2 | 3 => Trouble::Refuses { class: Class::Metadata, status: refusal(&mut dice), lasts },
            4 | 5 => {
                let status = dice.one_of(&[403, 422, 429, 429]);
                Trouble::Refuses { class: Class::SecretCreate, status, lasts }
            }
            6 => Trouble::Forbids { user: dice.one_of(&USERS), times: dice.one_of(&[1, 2, 3]) },
            7 => {
                plan.forbidden = Some(dice.one_of(&USERS));
                continue;
            }
            8 => Trouble::SignInFails { times: dice.one_of(&[1, 1, 2, 4]) },
            // Which clock is right cannot be told without the tenant.
            _ if plan.replicas.iter().any(|skew| *skew != 0) => continue,
            _ => {
                let changed = [Configuration::Elsewhere, Configuration::Renamed];
                let to = dice.one_of(&[changed[0], changed[0], changed[1]]);
                plan.troubles.push((at, Trouble::Reconfigure(to)));
                plan.configuration = dice.one_of(&[Configuration::Usual, Configuration::Renamed]);
                if dice.chance(50) {
                    let again = Trouble::Reconfigure(plan.configuration);
                    plan.troubles.push((at + lasts, again));
                }
                continue;
            }
        };
        plan.troubles.push((at, trouble));
    }
    if dice.chance(6) {
        let at = dice.within(0, plan.quiet_from);
        refuse_statuses_from(plan, at);
    }
    draw_joiners(plan);
    plan.troubles.sort_by_key(|(at, _)| *at);
}

/// Accounts that are disabled for a while: their requests wait.
fn draw_joiners(plan: &mut Plan) {
    let mut dice = Dice(StdRng::seed_from_u64(plan.seed ^ OF_JOINERS));
    for user in USERS {
        if dice.chance(15) {
            let at = dice.within(0, plan.quiet_from);
            let again = dice.within(at, plan.quiet_from);
            plan.troubles.push((at, Trouble::Enables { user, enabled: false }));
            plan.troubles.push((again, Trouble::Enables { user, enabled: true }));
        }
    }
}

/// Refuses the operator's status writes from this second on, for ever.
fn refuse_statuses_from(plan: &mut Plan, at: u64) {
    let lasts = plan.quiet_second().saturating_sub(at);
    plan.troubles.push((at, Trouble::Refuses { class: Class::Status, status: 403, lasts }));
    plan.statuses_stay_refused = true;
}

/// One of the things that others do.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    RefuseStatuses,
    RefuseStatusesForEver,
    RefuseMetadata,
    RefuseSecrets,
    AreBusy,
    ForbidAUser,
    FailToSignIn,
    Reconfigure,
    Rename,
}

impl Kind {
    /// Each of them.
    pub const ALL: [Self; 9] = [
        Self::RefuseStatuses,
        Self::RefuseStatusesForEver,
        Self::RefuseMetadata,
        Self::RefuseSecrets,
        Self::AreBusy,
        Self::ForbidAUser,
        Self::FailToSignIn,
        Self::Reconfigure,
        Self::Rename,
    ];
}

/// A plan in which nothing else goes wrong: two requests for each user, one after the other, and what people do to them.
pub fn alone(kind: Kind, seed: u64) -> Plan {
    let mut dice = Dice(StdRng::seed_from_u64(seed ^ OF_OTHERS));
    let mut plan = Plan::without_others(seed);
    (plan.troubles, plan.crashes, plan.replicas) = (Vec::new(), Vec::new(), vec![0]);
    plan.rules = Rules { approvals: 0, quota: None, replace: false };
    plan.quiet_from = plan.quiet_from.max(120);
    let half = plan.quiet_from / 2;
    let wish = |number: usize, at| Wish {
        at,
        user: USERS[number % USERS.len()],
        minutes: 10,
        on_existing: "Wait",
        start: None,
        sealed: false,
        one_time: true,
    };
    plan.wishes = (0..6).map(|number| wish(number, if number < 3 { 0 } else { half })).collect();
    plan.acts.push((half + 1, Act::Delete(0)));
    plan.acts.push((half + 20, Act::Delete(3)));
    plan.acts.sort_by_key(|(at, _)| *at);
    let at = dice.within(1, half);
    let lasts = plan.quiet_from - at;
    let refuses = |class, status| Trouble::Refuses { class, status, lasts };
    let trouble = match kind {
        Kind::RefuseStatusesForEver => {
            plan.to_the_end = true;
            refuse_statuses_from(&mut plan, at);
            return plan;
        }
        Kind::ForbidAUser => {
            plan.forbidden = Some(dice.one_of(&USERS));
            return plan;
        }
        Kind::RefuseStatuses => refuses(Class::Status, refusal(&mut dice)),
        Kind::RefuseMetadata => refuses(Class::Metadata, refusal(&mut dice)),
        Kind::RefuseSecrets | Kind::AreBusy => {
            plan.wishes.iter_mut().for_each(|wish| wish.at = 1);
            let status = if let Kind::AreBusy = kind { 429 } else { refusal(&mut dice) };
            let short = matches!(kind, Kind::AreBusy) && seed.is_multiple_of(2);
            let lasts = if short { BUSY_SPELL } else { plan.quiet_from };
            plan.troubles.push((0, Trouble::Refuses { class: Class::SecretCreate, status, lasts }));
            return plan;
        }
        Kind::FailToSignIn => {
            // When the next requests are about to be checked.
            let times = dice.one_of(&[2, 3]);
            plan.troubles.push((half, Trouble::SignInFails { times }));
            return plan;
        }
        Kind::Reconfigure => Trouble::Reconfigure(Configuration::Elsewhere),
        Kind::Rename => {
            plan.configuration = Configuration::Renamed;
            Trouble::Reconfigure(Configuration::Elsewhere)
        }
    };
    plan.troubles.push((at, trouble));
    plan
}

fn refusal(dice: &mut Dice) -> u16 {
    dice.one_of(&[400, 403, 422])
}

/// How many attempts find out within a time whether Secrets are written again: the pause doubles from 10 s to 2 minutes.
pub fn finding_out(within: std::time::Duration) -> usize {
    let (mut at, mut attempts) = (0, 1);
    loop {
        at += at.clamp(10, 120);
        if at > within.as_secs() {
            return attempts;
        }
        attempts += 1;
    }
}

//! Whether the promises were kept.

use std::collections::{BTreeMap, BTreeSet};

use graph_simulator::{Actor, End, LedgerEntry, Operation, RequestRecord, Simulator};
use jiff::{SignedDuration, Timestamp};
use tap_operator::api::names::{INTENT_ANNOTATION, SECRET_TYPE};
use tap_operator::api::{DecisionKind, Phase, TapRequest};
use tap_operator::decision::intent::{Intent, has_finalizer};

use crate::faults::{Class, Trouble};
use crate::others::{BUSY_SPELL, Configuration, finding_out};
use crate::people::{Act, Policy, name};
use crate::plan::{Moment, Plan};
use crate::world::{NAMESPACE, SERVICE_ACCOUNT, SYSTEM, World};
use kubernetes_api::{ChangeKind, LoggedRequest, Match, Verb};

/// An error is the description of a broken promise.
pub type Verdict = Result<(), String>;

/// How much later than the expiry a Secret may be deleted: a second, the fraction that `Date` does not have, and the
/// call.
const ON_TIME: SignedDuration = SignedDuration::from_millis(3_500);
/// A request that waits for the end of a pass reads it again within this time.
const LATELY: SignedDuration = SignedDuration::from_secs(45);
/// How long after the last read of the stop a POST may arrive, if its process lives.
const IN_FLIGHT: SignedDuration = SignedDuration::from_secs(30);
/// How long it may take without faults until a new pass is in the status.
const UNDER_WAY: SignedDuration = SignedDuration::from_secs(8);

/// What happened to foreign passes, within the stated limits.
#[derive(Clone, Copy, Debug, Default)]
pub struct Foreign {
    pub replaced_as_asked: u64,
    pub replaced_within_the_limit: u64,
    pub twins_deleted: u64,
}

/// Each usable pass that the operator made is recorded by exactly one active request, or was used.
pub fn no_orphan(world: &World) -> Verdict {
    let now = world.tenant.now();
    let requests = world.requests();
    for pass in world.live() {
        let id = pass.id.to_string();
        let by = requests.iter().filter(|r| r.phase() == Phase::Active && pass_of(r) == Some(&id));
        let by = by.count();
        let fresh = now.duration_since(pass.created_date_time) < UNDER_WAY;
        if by != 1 && !used_up(&pass) && !fresh {
            return Err(format!(
                "no orphan: the pass {id} of {} is live and recorded by {by} requests",
                pass.user_principal_name
            ));
        }
    }
    Ok(())
}

/// The other tenant was not asked about any pass: none of them is there.
pub fn none_of_the_other_tenants_passes(other: &Simulator) -> Verdict {
    let about_passes = |call: &&RequestRecord| call.path.contains("temporaryAccessPassMethods");
    match other.requests().iter().find(about_passes) {
        Some(call) => Err(format!("the other tenant was asked: {} {}", call.method, call.path)),
        None => Ok(()),
    }
}

/// A one-time pass that was used: it is left to expire, and does not count any more.
fn used_up(pass: &LedgerEntry) -> bool {
    pass.is_usable_once && !pass.uses.is_empty()
}

/// Whether a stop revoked everything. A process may die in the middle of that, and the stop may be lifted before the
/// next process continues: then the Secret is gone, but its pass is left to expire.
fn everything_was_revoked(plan: &Plan) -> bool {
    plan.acts.iter().any(|(_, act)| matches!(act, Act::Stop { revoke: true }))
}

/// No request is stuck, and nothing is left of requests that have ended.
pub fn at_rest(world: &World, plan: &Plan, policy: &Policy) -> Verdict {
    if plan.statuses_stay_refused {
        return untold(world);
    }
    no_orphan(world)?;
    let now = world.tenant.now();
    let live = world.live();
    let requests = world.requests();
    for request in &requests {
        let name = request.metadata.name.clone().unwrap_or_default();
        let phase = request.phase();
        if request.metadata.deletion_timestamp.is_some() {
            return Err(format!("deletion ends: {name} is still there"));
        }
        if phase.is_final() {
            if has_finalizer(request) {
                return Err(format!("{name} is {phase} and has the finalizer"));
            }
            ended(request, &name, world, plan)?;
        } else if phase == Phase::Active {
            let id = pass_of(request).cloned().unwrap_or_default();
            let recorded = request.status.as_ref().and_then(|status| status.pass.as_ref());
            if recorded.is_some_and(|pass| now >= pass.expiration_time.0 - ON_TIME) {
                // Its Secret may be deleted at any moment.
                continue;
            }
            let pass = live.iter().find(|pass| pass.id.to_string() == id);
            let Some(pass) = pass else {
                return Err(format!("{name} is Active with the pass {id}, which is not live"));
            };
            // If Graph does not tell whether a pass is usable, it does not tell that it was used either.
            if used_up(pass) && !plan.nature.no_usability {
                return Err(format!("{name} is Active, though its pass was used"));
            }
            let by_hand = plan.acts.iter().any(
                |(_, act)| matches!(act, Act::DeleteSecret(number) if self::name(*number) == name),
            );
            let taken = by_hand || everything_was_revoked(plan);
            let delivered = world.delivered(&name);
            if delivered != world.tenant.code(pass.id) && !(taken && delivered.is_none()) {
                return Err(format!("{name} is Active, and its Secret holds another code or none"));
            }
        } else {
            waits_for_a_true_reason(request, &name, &requests, world, plan, policy)?;
        }
    }
    no_secret_without_pass(world)
}

/// While the operator's status writes are refused: deletion ends, and a live pass is recorded at least by an open intent. An
/// expired pass keeps no Secret, and one that was recorded keeps no finalizer.
fn untold(world: &World) -> Verdict {
    let now = world.tenant.now();
    let requests = world.requests();
    let ledger = world.tenant.ledger();
    let over = |pass: &LedgerEntry| matches!(pass.end, End::Expired { at } if now.duration_since(at) > ON_TIME);
    let mut held = Vec::new();
    for request in &requests {
        let name = request.metadata.name.clone().unwrap_or_default();
        if request.metadata.deletion_timestamp.is_some() {
            return Err(format!("deletion ends: {name} is still there"));
        }
        let intent = Intent::of(request).filter(Intent::is_open);
        let Some(intent) = intent.filter(|_| has_finalizer(request)) else { continue };
        let of_it = |pass: &&LedgerEntry| pass.client_request_id.as_ref() == Some(&intent.attempt);
        let Some(pass) = ledger.iter().find(of_it) else { continue };
        if over(pass) && pass_of(request) == Some(&pass.id.to_string()) {
            return Err(format!("deletion ends: {name} has the finalizer after its pass expired"));
        }
        let revoked = request.decisions().iter().any(|d| d.decision != DecisionKind::Approve);
        if revoked && pass.is_live() && !used_up(pass) {
            return Err(format!("{name} is revoked, and its pass is live"));
        }
        held.push((name, pass));
    }
    for pass in world.live().iter().filter(|pass| !used_up(pass)) {
        if !held.iter().any(|(_, of_it)| of_it.id == pass.id) {
            return Err(format!("no orphan: the pass {} is live and recorded nowhere", pass.id));
        }
    }
    for secret in world.kubernetes.list("secrets").iter().filter(|s| s["type"] == SECRET_TYPE) {
        let of = secret["metadata"]["name"].as_str().unwrap_or_default();
        if !held.iter().any(|(name, pass)| name == of && !over(pass)) {
            return Err(format!("the Secret {of} belongs to no live pass"));
        }
    }
    Ok(())
}

fn no_secret_without_pass(world: &World) -> Verdict {
    let requests = world.requests();
    for secret in world.kubernetes.list("secrets") {
        let of = secret["metadata"]["name"].as_str().unwrap_or_default();
        let active = requests
            .iter()
            .any(|r| r.metadata.name.as_deref() == Some(of) && r.phase() == Phase::Active);
        if secret["type"] == SECRET_TYPE && !active {
            return Err(format!("the Secret {of} belongs to no active request"));
        }
    }
    Ok(())
}

/// The final status of a request says what really happened.
fn ended(request: &TapRequest, name: &str, world: &World, plan: &Plan) -> Verdict {
    let reason = request.ready().map(|ready| ready.reason.as_str()).unwrap_or_default();
    if reason == "UserForbidden" && !plan.may_be_forbidden(&request.spec.user) {
        return Err(format!("{name} failed, though Graph gives its user passes"));
    }
    let Some(id) = pass_of(request) else { return Ok(()) };
    let ledger = world.tenant.ledger();
    let Some(pass) = ledger.iter().find(|pass| pass.id.to_string() == *id) else {
        return Err(format!("{name} records the pass {id}, which does not exist"));
    };
    let right = match request.phase() {
        Phase::Used => !pass.uses.is_empty(),
        // Somebody may have removed it shortly before it expired.
        Phase::Expired => {
            matches!(pass.end, End::Expired { .. } | End::Deleted { by: Actor::Portal, .. })
        }
        _ => !pass.is_live(),
    };
    if right {
        Ok(())
    } else {
        Err(format!("{name} is {}, and its pass {:?}", request.phase(), pass.end))
    }
}

/// The reason for which a request waits is true.
fn waits_for_a_true_reason(
    request: &TapRequest,
    name: &str,
    all: &[TapRequest],
    world: &World,
    plan: &Plan,
    policy: &Policy,
) -> Verdict {
    let now = world.tenant.now();
    let user = &request.spec.user;
    let reason = request.ready().map(|ready| ready.reason.clone()).unwrap_or_default();
    let stopped = world.kubernetes.get("configmaps", SYSTEM, "tap-operator-stop").is_some();
    let approvals =
        request.decisions().iter().filter(|d| d.decision == DecisionKind::Approve).count();
    let others_active = all.iter().filter(|other| other.phase() == Phase::Active).count();
    let lately = |pass: &LedgerEntry| match pass.end {
        End::Live => false,
        End::Expired { at } | End::Deleted { at, .. } | End::Replaced { at, .. } => {
            now.duration_since(at) < LATELY
        }
    };
    let has_a_pass = || {
        let ledger = world.tenant.ledger();
        ledger.iter().any(|p| (p.is_live() || lately(p)) && p.user_principal_name == *user)
    };
    let so = match reason.as_str() {
        "AwaitingApproval" => approvals < policy.rules.approvals as usize,
        "Scheduled" => request.spec.start_time.as_ref().is_some_and(|start| start.0 > now),
        "Stopped" => stopped,
        "Suspended" => policy.suspended,
        "QuotaReached" => policy.rules.quota.is_some_and(|quota| {
            others_active >= quota as usize || world.tenant.ledger().iter().any(lately)
        }),
        "ExistingPass" => has_a_pass(),
        // What `default` leads to.
        "MethodDisabled" => plan.configuration == Configuration::Renamed,
        // The operator does not give up at the first refusal.
        "RefusedByTenant" => plan.nature.refuses_over_live && has_a_pass(),
        "UserForbidden" => plan.forbidden == Some(user.as_str()),
        _ => false,
    };
    if so {
        return Ok(());
    }
    let phase = request.phase();
    Err(format!("nothing is stuck: {name} is {phase} for {reason:?}, which is not true"))
}

/// What must be true of the whole run.
pub fn of_the_whole_run(world: &World, plan: &Plan, quiet: Timestamp) -> Result<Foreign, String> {
    world.each_post_was_recorded_before();
    world.the_code_is_in_the_secret_alone();
    world.no_secret_was_read();
    let log = world.kubernetes.requests_for(&Match::writes().user(SERVICE_ACCOUNT).dry_run(false));
    let ledger = world.tenant.ledger();
    let intents = intents(&log);
    // What is not recorded by a status is in an intent. See `untold`.
    if !plan.statuses_stay_refused {
        nothing_lost(&ledger, &log)?;
    }
    one_finds_out(world, plan, quiet)?;
    final_is_final(plan, &log)?;
    on_time(world, plan, &ledger, &log, quiet)?;
    within_the_quota(plan, &ledger)?;
    stopped(world, plan, quiet)?;
    foreign(plan, &ledger, &intents)
}

/// A pass that was neither delivered nor recorded is never left to expire.
fn nothing_lost(ledger: &[LedgerEntry], log: &[LoggedRequest]) -> Verdict {
    let recorded: Vec<&str> =
        log.iter().filter_map(|write| write.body["status"]["pass"]["id"].as_str()).collect();
    for pass in ledger.iter().filter(|pass| by_the_operator(&pass.made_by)) {
        let lost = !recorded.contains(&pass.id.to_string().as_str()) && pass.uses.is_empty();
        if lost && matches!(pass.end, End::Expired { .. }) {
            return Err(format!("no orphan: {} was recorded nowhere and left to expire", pass.id));
        }
    }
    Ok(())
}

/// A request in a final phase stays in it.
fn final_is_final(plan: &Plan, log: &[LoggedRequest]) -> Verdict {
    for number in 0..plan.wishes.len() {
        let recreated =
            plan.acts.iter().any(|(_, act)| matches!(act, Act::Create(again) if *again == number));
        if recreated {
            continue;
        }
        let mut ended = None;
        for write in log.iter().filter(|write| {
            write.resource == "taprequests"
                && write.name.as_deref() == Some(&name(number))
                && !write.effects.is_empty()
        }) {
            let Some(phase) = write.body["status"]["phase"].as_str() else { continue };
            if let Some(ended) = &ended
                && *ended != phase
            {
                return Err(format!("{} was {ended} and became {phase}", name(number)));
            }
            if ["Used", "Expired", "Revoked", "Denied", "Failed"].contains(&phase) {
                ended = Some(phase.to_owned());
            }
        }
    }
    Ok(())
}

/// A Secret is deleted when the pass expires: never before, and never late once people and faults have stopped.
fn on_time(
    world: &World,
    plan: &Plan,
    ledger: &[LedgerEntry],
    log: &[LoggedRequest],
    quiet: Timestamp,
) -> Verdict {
    if !plan.clock_is_right() {
        return Ok(());
    }
    for request in world.requests() {
        let reason = request.ready().map(|ready| ready.reason.clone()).unwrap_or_default();
        let pass = ledger.iter().find(|pass| pass_of(&request) == Some(&pass.id.to_string()));
        let (Some(pass), "PassExpired") = (pass, reason.as_str()) else { continue };
        let End::Expired { at } = pass.end else { continue };
        let name = request.metadata.name.clone().unwrap_or_default();
        let gone = log.iter().rev().find(|write| {
            write.resource == "secrets"
                && write.verb == Verb::Delete
                && write.name.as_deref() == Some(&name)
                // Not the Secret of an earlier attempt, which was deleted before.
                && write.at >= pass.created_date_time
                && write.effects.iter().any(|effect| effect.kind == ChangeKind::Deleted)
        });
        let Some(gone) = gone else { continue };
        if gone.at < at && !everything_was_revoked(plan) {
            return Err(format!(
                "on time: the Secret {name} was deleted at {}, before {at}",
                gone.at
            ));
        }
        if at > quiet && gone.at.duration_since(at) > ON_TIME {
            return Err(format!(
                "on time: the Secret {name} was deleted at {}, long after {at}",
                gone.at
            ));
        }
    }
    Ok(())
}

/// At no time more passes are live than the quota allows. A used pass does not count.
fn within_the_quota(plan: &Plan, ledger: &[LedgerEntry]) -> Verdict {
    let Some(quota) = plan.rules.quota.filter(|_| plan.clock_is_right()) else { return Ok(()) };
    let lives: Vec<(Timestamp, Timestamp)> = ledger
        .iter()
        .filter(|pass| by_the_operator(&pass.made_by))
        .map(|pass| {
            let end = match pass.end {
                End::Live => Timestamp::MAX,
                End::Expired { at } | End::Deleted { at, .. } | End::Replaced { at, .. } => at,
            };
            let used = pass.uses.first().filter(|_| pass.is_usable_once).map(|used| used.at);
            (pass.created_date_time, used.map_or(end, |used| used.min(end)))
        })
        .collect();
    for (begin, _) in &lives {
        let live = lives.iter().filter(|(from, to)| from <= begin && begin < to).count();
        if live > quota as usize {
            return Err(format!("quota: at {begin} there are {live} live passes"));
        }
    }
    Ok(())
}

/// No pass is asked for while the stop is set, except by a call that was already on its way.
fn stopped(world: &World, plan: &Plan, quiet: Timestamp) -> Verdict {
    let held_up =
        |trouble: &Trouble| matches!(trouble, Trouble::CutOff { .. } | Trouble::ClockStep(_));
    if plan.troubles.iter().any(|(_, trouble)| held_up(trouble)) {
        return Ok(());
    }
    let second = |at: u64| second(plan, quiet, at);
    let mut set_at = None;
    for (at, act) in &plan.acts {
        match act {
            Act::Stop { .. } => set_at = set_at.or(Some(second(*at))),
            Act::LiftStop => {
                if let Some(since) = set_at.take() {
                    no_post_between(world, since + in_flight(plan), second(*at))?;
                }
            }
            _ => {}
        }
    }
    set_at.map_or(Ok(()), |since| no_post_between(world, since + in_flight(plan), Timestamp::MAX))
}

/// While Secrets are not written, one request at a time finds out for all. Those that were on their way when the first was
/// refused may make a pass, too. A short spell of 429 costs no pass: the same Secret is created again.
fn one_finds_out(world: &World, plan: &Plan, quiet: Timestamp) -> Verdict {
    // What else goes wrong may forget what was found out.
    let [(at, Trouble::Refuses { class: Class::SecretCreate, status, lasts })] =
        plan.troubles.as_slice()
    else {
        return Ok(());
    };
    if !plan.crashes.is_empty() {
        return Ok(());
    }
    let from = second(plan, quiet, *at);
    let until = second(plan, quiet, (at + lasts).min(plan.quiet_second()));
    let posts = world.tenant.requests_for(Operation::PassCreate);
    let posts = posts.iter().filter(|post| from < post.at && post.at < until).count();
    let acts = plan.acts.iter().filter(|(second, _)| *second <= at + lasts).count();
    let most = acts
        + if *status == 429 && *lasts <= BUSY_SPELL {
            plan.wishes.iter().map(|wish| wish.user).collect::<BTreeSet<_>>().len()
        } else {
            plan.wishes.len() + finding_out(until.duration_since(from).unsigned_abs())
        };
    if posts > most {
        return Err(format!(
            "{posts} POSTs while no Secret could be written, at most {most} expected"
        ));
    }
    Ok(())
}

/// A second of the plan.
fn second(plan: &Plan, quiet: Timestamp, at: u64) -> Timestamp {
    let before = plan.quiet_second().saturating_sub(at);
    quiet - SignedDuration::from_secs(i64::try_from(before).unwrap_or_default())
}

/// How long after the last read of the stop a POST may arrive.
fn in_flight(plan: &Plan) -> SignedDuration {
    let late = plan.crashes.iter().filter_map(|crash| match crash.moment {
        Moment::Before(late) => late,
        Moment::After | Moment::Answered => None,
    });
    IN_FLIGHT + SignedDuration::from_secs(late.max().unwrap_or(0).cast_signed())
}

fn no_post_between(world: &World, since: Timestamp, until: Timestamp) -> Verdict {
    match world
        .tenant
        .requests_for(Operation::PassCreate)
        .iter()
        .find(|p| since < p.at && p.at < until)
    {
        Some(post) => Err(format!("a stop stops: a POST at {}, long after it was set", post.at)),
        None => Ok(()),
    }
}

/// Foreign passes stay, except within the stated limits.
fn foreign(
    plan: &Plan,
    ledger: &[LedgerEntry],
    intents: &BTreeMap<String, Intent>,
) -> Result<Foreign, String> {
    let mut seen = Foreign::default();
    // A list may lag, and `Date` has no fractions of a second.
    let unseen = SignedDuration::from_secs(
        2 + i64::try_from(plan.nature.list_after_post).unwrap_or_default(),
    );
    for pass in ledger {
        let ours = by_the_operator(&pass.made_by);
        match &pass.end {
            End::Replaced { by, with, .. } if by_the_operator(by) => {
                let by = ledger.iter().find(|other| other.id == *with);
                let intent = by.and_then(|by| intents.get(by.client_request_id.as_deref()?));
                let Some(intent) = intent else {
                    return Err(format!("{with} replaced {} without an intent", pass.id));
                };
                let id = pass.id.to_string();
                let asked = intent.replaces.as_ref().is_some_and(|r| r.pass_id == id);
                // Somebody else made it after the list on which the POST is based.
                let late = pass.created_date_time >= intent.listed_at - unseen;
                match (ours, asked, late) {
                    (false, true, _) => seen.replaced_as_asked += 1,
                    (false, false, true) if !plan.clock_may_jump() => {
                        seen.replaced_within_the_limit += 1;
                    }
                    (_, true, _) => {}
                    (true, ..) if used_up(pass) => {}
                    _ if plan.clock_may_jump() => {}
                    _ => {
                        return Err(format!(
                            "foreign passes stay: {id} (ours: {ours}) was replaced by {with}"
                        ));
                    }
                }
            }
            End::Deleted { by, .. } if by_the_operator(by) && !ours => {
                // A foreign pass of the same lifetime, made in the same window, cannot be summary from ours.
                let twin = intents.values().any(|intent| {
                    intent.user_id == pass.user_id.to_string()
                        && intent.lifetime_minutes == pass.lifetime_in_minutes
                        && pass.created_date_time
                            >= intent.listed_at - unseen - SignedDuration::from_secs(30)
                        && pass.created_date_time
                            <= intent.listed_at + SignedDuration::from_secs(152)
                });
                if !twin {
                    return Err(format!("foreign passes stay: {} was deleted", pass.id));
                }
                seen.twins_deleted += 1;
            }
            _ => {}
        }
    }
    Ok(seen)
}

fn intents(log: &[LoggedRequest]) -> BTreeMap<String, Intent> {
    let read = |write: &LoggedRequest| {
        let text = write.body["metadata"]["annotations"][INTENT_ANNOTATION].as_str()?;
        let intent: Intent = serde_json::from_str(text).ok()?;
        Some((intent.attempt.clone(), intent))
    };
    log.iter().filter_map(read).collect()
}

fn by_the_operator(actor: &Actor) -> bool {
    matches!(actor, Actor::App { .. })
}

fn pass_of(request: &TapRequest) -> Option<&String> {
    request.status.as_ref()?.pass.as_ref().map(|pass| &pass.id)
}

/// The number of effects in the cluster.
pub fn writes(world: &World) -> usize {
    let effects = |r: &kubernetes_api::ApiRequest| {
        Class::of(&r.method, &r.resource, r.subresource.as_deref(), r.is_dry_run()).is_effect()
    };
    world.kubernetes.requests_for(&Match::writes().namespace(NAMESPACE).when(effects)).len()
}

//! Onboarding as it happens: what the tenant looks like when the request is made, before the start, at the start, after it.

use super::*;
use crate::api::{Check, CheckResult};

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// When the pass starts, where it has a start.
const START: i64 = 3 * DAY;
const LIFETIME: i64 = 8 * HOUR;
/// How long it takes at most until the operator sees what happened: shortly before the start, and days before it.
const SOON: i64 = 2 * MINUTE;
const LATER: i64 = HOUR + MINUTE;

const STAFF: &str = "33333333-0000-4000-8000-000000000001";
const LEAVERS: &str = "33333333-0000-4000-8000-000000000002";

type Change = fn(&mut Life);

/// At this second the request is in this phase for this reason; then this happens.
type Step = (i64, Phase, &'static str, Change);

fn nothing(_: &mut Life) {}

// ---- what happens ----

fn starts(life: &mut Life) {
    life.edit_spec(&format!("{{startTime: '{}', lifetime: 8h}}", at(START)));
}

fn needs_approval(life: &mut Life) {
    life.edit_policy("{approval: {required: 1}}");
}

fn approve(life: &mut Life) {
    life.decide("paul@contoso.com", "Approve");
}

fn admits_staff(life: &mut Life) {
    life.edit_policy(&format!("{{users: {{groups: [{{group: '{STAFF}'}}]}}}}"));
}

fn joins(life: &mut Life) {
    life.groups = vec![STAFF.into()];
}

fn leaves(life: &mut Life) {
    life.groups.clear();
}

fn disable(life: &mut Life) {
    life.user.as_mut().unwrap().account_enabled = Some(false);
}

fn enable(life: &mut Life) {
    life.user.as_mut().unwrap().account_enabled = Some(true);
}

fn vanish(life: &mut Life) {
    life.user = Err(error(ErrorKind::NotFound));
}

fn appear(life: &mut Life) {
    life.user = Life::new().user;
}

fn appear_disabled(life: &mut Life) {
    appear(life);
    disable(life);
}

fn out_of_scope(life: &mut Life) {
    life.method.as_mut().unwrap().include[0].id = STAFF.into();
}

fn too_short_for_the_tenant(life: &mut Life) {
    life.method.as_mut().unwrap().minimum_lifetime_minutes = Some(480 + 1);
    life.method.as_mut().unwrap().maximum_lifetime_minutes = Some(1440);
}

fn allowed_by_the_tenant(life: &mut Life) {
    life.method = Life::new().method;
    // As after a correction of our own.
    life.with_moment(|requests, moment| requests.wake_waiting("contoso", moment));
}

fn resume(life: &mut Life) {
    life.edit_policy("{suspend: false}");
    // As after any change of a policy.
    life.with_moment(|requests, moment| requests.wake_waiting("contoso", moment));
}

fn method_off(life: &mut Life) {
    life.method.as_mut().unwrap().state = MethodState::Disabled;
}

fn not_in_effect(life: &mut Life) {
    life.post = |_, _| {
        let message = "Converged UserCredentialPolicy does not allow creating or updating this authentication method.";
        let refused = GraphError { message: message.into(), ..error(ErrorKind::BadRequest) };
        Posted::Refused(refused)
    };
}

fn in_effect(life: &mut Life) {
    life.post = made;
}

fn excluded(life: &mut Life) {
    life.edit_policy(&format!("{{users: {{excludeGroups: [{{group: '{LEAVERS}'}}]}}}}"));
    life.groups.push(LEAVERS.into());
}

fn role_holder(life: &mut Life) {
    life.edit_policy("{directoryRoleHolders: Deny}");
    life.roles = vec![DirectoryRole { id: "r".into(), display_name: None, template_id: None }];
}

fn guest(life: &mut Life) {
    let user = life.user.as_mut().unwrap();
    user.user_type = Some("Guest".into());
    user.external_user_state = Some("Accepted".into());
}

fn restricted(life: &mut Life) {
    life.user.as_mut().unwrap().is_management_restricted = true;
}

fn graph_is_down(life: &mut Life) {
    life.method = Err(error(ErrorKind::Unavailable));
}

fn foreign_pass(life: &mut Life) {
    life.passes = Ok(vec![pass("portal", at(0), 60, true)]);
}

fn no_pass(life: &mut Life) {
    life.passes = Ok(vec![]);
}

/// The situations: their names, what is so at first, and what happens when.
#[rustfmt::skip]
fn situations() -> Vec<(&'static str, Vec<Change>, Vec<Step>)> {
    use Phase::{Active, AwaitingApproval, Denied, Expired, Failed, Pending, Revoked, Scheduled};
    vec![
        ("all is well", vec![starts], vec![(MINUTE, Scheduled, "Scheduled", nothing), (START - 4 * MINUTE, Active, "Issued", nothing)]),
        ("enabled days before the start", vec![starts, disable], vec![(DAY, Pending, "UserDisabled", enable), (DAY + LATER, Scheduled, "Scheduled", nothing), (START, Active, "Issued", nothing)]),
        ("enabled on the first morning", vec![starts, disable], vec![(START - HOUR, Pending, "UserDisabled", enable), (START, Active, "Issued", nothing)]),
        ("enabled after the start", vec![starts, disable], vec![(START + HOUR, Pending, "UserDisabled", enable), (START + HOUR + SOON, Active, "Issued", nothing)]),
        ("never enabled", vec![starts, disable], vec![(START + LIFETIME - 1, Pending, "UserDisabled", nothing), (START + LIFETIME, Expired, "NotIssuedInTime", nothing)]),
        ("disabled again after it was scheduled", vec![starts], vec![(DAY, Scheduled, "Scheduled", disable), (START, Pending, "UserDisabled", enable), (START + SOON, Active, "Issued", nothing)]),
        ("created within minutes", vec![starts, vanish], vec![(MINUTE, Pending, "UserNotFound", appear), (2 * MINUTE, Scheduled, "Scheduled", nothing)]),
        ("synchronized days later", vec![starts, vanish], vec![(2 * DAY, Pending, "UserNotFound", appear), (2 * DAY + LATER, Scheduled, "Scheduled", nothing), (START, Active, "Issued", nothing)]),
        ("synchronized after the start", vec![starts, vanish], vec![(START + HOUR, Pending, "UserNotFound", appear), (START + HOUR + SOON, Active, "Issued", nothing)]),
        ("never created", vec![starts, vanish], vec![(START + LIFETIME - 1, Pending, "UserNotFound", nothing), (START + LIFETIME, Expired, "NotIssuedInTime", nothing)]),
        ("created disabled, approved, enabled", vec![starts, vanish, needs_approval], vec![(DAY, Pending, "UserNotFound", appear_disabled), (DAY + LATER, AwaitingApproval, "AwaitingApproval", approve), (DAY + LATER + SOON, Pending, "UserDisabled", enable), (2 * DAY, Scheduled, "Scheduled", nothing), (START, Active, "Issued", nothing)]),
        ("created, added to a group, enabled", vec![starts, vanish, admits_staff], vec![(DAY, Pending, "UserNotFound", appear_disabled), (DAY + LATER, Pending, "UserDisabled", joins), (2 * DAY, Pending, "UserDisabled", enable), (2 * DAY + LATER, Scheduled, "Scheduled", nothing)]),
        ("in a dynamic group a day later", vec![starts, admits_staff], vec![(DAY, Pending, "UserNotAllowed", joins), (DAY + LATER, Scheduled, "Scheduled", nothing), (START, Active, "Issued", nothing)]),
        ("never in the group", vec![starts, admits_staff], vec![(START + LIFETIME, Expired, "NotIssuedInTime", nothing)]),
        ("out of the group before the start", vec![starts, admits_staff, joins], vec![(DAY, Scheduled, "Scheduled", leaves), (START, Pending, "UserNotAllowed", joins), (START + SOON, Active, "Issued", nothing)]),
        ("asked about while not in the group", vec![starts, admits_staff, needs_approval], vec![(HOUR, AwaitingApproval, "AwaitingApproval", approve), (2 * HOUR, Pending, "UserNotAllowed", joins), (4 * HOUR, Scheduled, "Scheduled", nothing)]),
        ("in the method's scope a day later", vec![starts, out_of_scope], vec![(DAY, Pending, "UserNotInScope", joins), (DAY + LATER, Scheduled, "Scheduled", nothing)]),
        ("disabled and not in the group", vec![starts, disable, admits_staff], vec![(DAY, Pending, "UserDisabled", enable), (2 * DAY, Pending, "UserNotAllowed", joins), (START, Active, "Issued", nothing)]),
        ("the method is off at first", vec![starts, method_off], vec![(DAY, Pending, "MethodDisabled", allowed_by_the_tenant), (DAY + SOON, Scheduled, "Scheduled", nothing)]),
        ("the tenant's range is corrected", vec![starts, too_short_for_the_tenant], vec![(DAY, Pending, "LifetimeOutOfRange", allowed_by_the_tenant), (DAY + SOON, Scheduled, "Scheduled", nothing)]),
        ("the tenant's range stays", vec![starts, too_short_for_the_tenant], vec![(START + LIFETIME, Expired, "NotIssuedInTime", nothing)]),
        ("the method's change takes ten minutes", vec![not_in_effect], vec![(MINUTE, Pending, "NotInEffectYet", nothing), (10 * MINUTE, Pending, "NotInEffectYet", in_effect), (13 * MINUTE, Active, "Issued", nothing)]),
        ("the method's change never takes effect", vec![not_in_effect], vec![(59 * MINUTE, Pending, "NotInEffectYet", nothing), (HOUR + 3 * MINUTE, Failed, "RefusedByTenant", nothing)]),
        ("an excluded group", vec![starts, excluded], vec![(1, Failed, "UserNotAllowed", nothing)]),
        ("an excluded group, and disabled", vec![starts, disable, excluded], vec![(1, Failed, "UserNotAllowed", nothing)]),
        ("a role holder, and disabled", vec![starts, disable, role_holder], vec![(1, Failed, "DirectoryRoleHolder", nothing)]),
        ("an external guest, and disabled", vec![starts, disable, guest], vec![(1, Failed, "ExternalGuest", nothing)]),
        ("in a restricted unit, and disabled", vec![starts, disable, restricted], vec![(1, Failed, "UserRestricted", nothing)]),
        ("of another domain, and not there", vec![starts, vanish, |l| l.edit_policy("{users: {domains: [fabrikam.com]}}")], vec![(1, Failed, "UserNotAllowed", |l| assert_eq!(l.method_reads, 0))]),
        ("a policy for nobody", vec![starts, |l| l.edit_policy("{users: null}")], vec![(1, Failed, "UserNotAllowed", nothing)]),
        ("no start: enabled within the hour", vec![disable], vec![(30 * MINUTE, Pending, "UserDisabled", enable), (30 * MINUTE + SOON, Active, "Issued", nothing)]),
        ("no start: never enabled", vec![disable], vec![(HOUR - 1, Pending, "UserDisabled", nothing), (HOUR + SOON, Failed, "UserDisabled", nothing)]),
        ("no start: never there", vec![vanish], vec![(HOUR - 1, Pending, "UserNotFound", nothing), (HOUR + SOON, Failed, "UserNotFound", nothing)]),
        ("no start, and no patience", vec![disable, |l| l.edit_policy("{patience: 0m}")], vec![(1, Failed, "UserDisabled", nothing)]),
        ("no start: patience ends with the deadline", vec![disable, |l| l.edit_policy("{patience: 24h, approval: {required: 0, timeout: 2h}}")], vec![(2 * HOUR - 1, Pending, "UserDisabled", nothing), (2 * HOUR, Expired, "NotIssuedInTime", nothing)]),
        ("gone after the approval", vec![starts, needs_approval], vec![(HOUR, AwaitingApproval, "AwaitingApproval", approve), (2 * HOUR, Scheduled, "Scheduled", vanish), (START - 4 * MINUTE, Pending, "UserNotFound", nothing), (START, Failed, "UserNotFound", nothing)]),
        ("missed once after the approval", vec![starts, needs_approval], vec![(HOUR, AwaitingApproval, "AwaitingApproval", approve), (2 * HOUR, Scheduled, "Scheduled", vanish), (START - 4 * MINUTE, Pending, "UserNotFound", appear), (START, Active, "Issued", nothing)]),
        ("sixty days ahead", vec![needs_approval, |l| l.edit_spec(&format!("{{startTime: '{}'}}", at(60 * DAY)))], vec![(29 * DAY, Pending, "StartsLater", |l| assert_eq!(l.method_reads, 0)), (30 * DAY + SOON, AwaitingApproval, "AwaitingApproval", approve), (31 * DAY, Scheduled, "Scheduled", nothing), (60 * DAY, Active, "Issued", nothing)]),
        ("the default lifetime changes", vec![needs_approval, |l| { l.edit_policy("{lifetime: {default: 2h, maximum: 8h}}"); l.request.spec.lifetime = None; }], vec![(HOUR, AwaitingApproval, "AwaitingApproval", |l| { approve(l); l.edit_policy("{lifetime: {default: 4h}}"); }), (HOUR + SOON, Active, "Issued", |l| assert_eq!(Intent::of(&l.request).unwrap().lifetime_minutes, 120))]),
        ("the longest lifetime shrinks", vec![starts, needs_approval], vec![(HOUR, AwaitingApproval, "AwaitingApproval", |l| { approve(l); l.edit_policy("{lifetime: {maximum: 4h}}"); }), (HOUR + SOON, Failed, "LifetimeNotAllowed", nothing)]),
        ("suspended for a while", vec![starts, |l| l.edit_policy("{suspend: true}")], vec![(DAY, Pending, "Suspended", resume), (DAY + SOON, Scheduled, "Scheduled", nothing)]),
        ("Graph is down at the start", vec![starts], vec![(DAY, Scheduled, "Scheduled", graph_is_down), (START, Pending, "TenantUnreachable", allowed_by_the_tenant), (START + 20 * MINUTE, Active, "Issued", nothing)]),
        ("denied while it waits", vec![starts, disable, needs_approval], vec![(HOUR, AwaitingApproval, "AwaitingApproval", |l| l.decide("paul@contoso.com", "Deny")), (2 * HOUR, Denied, "Denied", nothing)]),
        ("revoked while it waits", vec![starts, disable], vec![(HOUR, Pending, "UserDisabled", |l| l.decide("rita@contoso.com", "Revoke")), (2 * HOUR, Revoked, "Revoked", nothing)]),
        ("a pass from elsewhere is waited for", vec![foreign_pass, |l| l.edit_spec("{onExistingPass: Wait}")], vec![(HOUR - MINUTE, Pending, "ExistingPass", no_pass), (HOUR + SOON, Active, "Issued", nothing)]),
    ]
}

#[test]
fn what_time_heals_is_waited_for_and_what_it_does_not_heal_is_not() {
    let situations = situations();
    assert!(situations.len() >= 40);
    for (name, at_first, steps) in situations {
        let mut life = Life::new();
        for change in &at_first {
            change(&mut life);
        }
        for (second, phase, reason, happens) in steps {
            life.let_pass(at(second));
            let found = (life.request.phase(), life.reason().to_owned());
            let when = second;
            assert_eq!(found, (phase, reason.into()), "{name}, after {when} s: {:?}", life.done);
            happens(&mut life);
        }
    }
}

/// People must not read that all is well with a request that waits.
#[test]
fn whatever_is_waited_for_is_a_check_that_has_not_passed() {
    for (name, at_first, steps) in situations() {
        let mut life = Life::new();
        for change in &at_first {
            change(&mut life);
        }
        for (second, _, reason, happens) in steps {
            life.let_pass(at(second));
            let status = life.request.status.as_ref().unwrap();
            let prevents = |check: &Check| match check.result {
                CheckResult::Waiting => true,
                CheckResult::Unknown => check.name != "NotForSelf",
                _ => false,
            };
            if life.request.phase() == Phase::Pending {
                let checks = &status.checks;
                assert!(
                    checks.iter().any(prevents),
                    "{name}, after {second} s: {reason}, {checks:?}"
                );
            }
            happens(&mut life);
        }
    }
}

/// While the start is far ahead the tenant is seldom asked, and nothing is written again.
#[test]
fn a_long_wait_is_quiet() {
    let mut life = Life::new();
    starts(&mut life);
    disable(&mut life);
    life.let_pass(at(START - HOUR));
    // 30 in the first ten minutes, 48 in two days, 132 on the last day but two hours, and 60 in the hour after that.
    assert!(life.method_reads <= 275, "{} reads", life.method_reads);
    assert_eq!(life.done, ["status Pending"]);
}

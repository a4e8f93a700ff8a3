//! Holders of directory roles whom no single question about a user shows.

use std::time::Duration;

use graph_simulator::tenant::{
    ALICE, App, BOB, CAROL, FRANK, GLOBAL_ADMINISTRATOR_TEMPLATE, Group, GroupAccess,
    GroupEligibility, HEIDI, HELPDESK_ADMINS_GROUP, OPERATOR, RoleAssignment, RoleEligibility,
};
use graph_simulator::{Fault, FaultKind, Operation, Switches};
use jiff::SignedDuration;
use serde_json::json;
use tap_operator::api::{CheckResult, Phase};
use uuid::Uuid;

use crate::world::{IN_ORDER, SOON, World};

const CUSTOM: Uuid = Uuid::from_u128(0xc057);
const ON_CALL: Uuid = Uuid::from_u128(0x0ca11);
const DUTY: Uuid = Uuid::from_u128(0xd07);

fn group(world: &World, id: Uuid, holds_roles: bool, members: &[Uuid]) {
    world.tenant.add_group(Group {
        id,
        display_name: format!("Group {id}"),
        is_assignable_to_role: holds_roles,
        members: members.to_vec(),
        ..Group::default()
    });
}

fn assign(world: &World, principal_id: Uuid, scope: &str) {
    world.tenant.assign_role(RoleAssignment {
        principal_id,
        role_definition_id: CUSTOM,
        directory_scope_id: scope.into(),
    });
}

fn could_join(world: &World, group_id: Uuid, principal_id: Uuid, access_id: GroupAccess) {
    world.tenant.make_eligible_for_group(GroupEligibility { group_id, principal_id, access_id });
}

/// Asks for a pass for Alice, and says how the request ends and what its check says.
async fn asks(world: &World, name: &str) -> (Phase, CheckResult, String) {
    world.request(name, &json!({}));
    let ended = || {
        let phase = world.phase(name);
        phase == Phase::Active || phase.is_final() || world.reason(name) == "ChecksIncomplete"
    };
    world.until("it is decided", IN_ORDER, ended).await;
    let checks = world.get(name).status.unwrap_or_default().checks;
    let check = checks.into_iter().find(|check| check.name == "DirectoryRoles").expect("a check");
    (world.phase(name), check.result, check.message.unwrap_or_default())
}

#[tokio::test(start_paused = true)]
async fn holders_of_every_kind_are_refused() {
    type Change = fn(&World);
    let kinds: [(&str, Change, &str); 9] = [
        (
            "for an administrative unit",
            |world| assign(world, ALICE, "/administrativeUnits/1"),
            "holds a directory role (role definition 00000000-0000-0000-0000-00000000c057, for /administrativeUnits/1)",
        ),
        ("for an application", |world| assign(world, ALICE, "/5e2f"), "for /5e2f"),
        ("a custom one", |world| assign(world, ALICE, "/"), "holds a directory role"),
        (
            "through a group",
            |world| {
                group(world, ON_CALL, true, &[ALICE]);
                assign(world, ON_CALL, "/administrativeUnits/1");
            },
            "through group",
        ),
        (
            "from next month on",
            |world| {
                let later = world.tenant.now() + SignedDuration::from_hours(24 * 30);
                world.tenant.make_eligible(RoleEligibility {
                    start_date_time: Some(later),
                    ..RoleEligibility::of(ALICE, GLOBAL_ADMINISTRATOR_TEMPLATE)
                });
            },
            "could activate a directory role",
        ),
        (
            "by joining a group",
            |world| could_join(world, HELPDESK_ADMINS_GROUP, ALICE, GroupAccess::Member),
            "by joining group",
        ),
        (
            "by owning a group",
            |world| could_join(world, HELPDESK_ADMINS_GROUP, ALICE, GroupAccess::Owner),
            "by joining group",
        ),
        (
            "as a member of a group that could join",
            |world| {
                group(world, ON_CALL, false, &[ALICE]);
                could_join(world, HELPDESK_ADMINS_GROUP, ON_CALL, GroupAccess::Member);
            },
            "through group",
        ),
        (
            "by joining a group that could join",
            |world| {
                group(world, ON_CALL, false, &[]);
                could_join(world, HELPDESK_ADMINS_GROUP, ON_CALL, GroupAccess::Member);
                could_join(world, ON_CALL, ALICE, GroupAccess::Member);
            },
            "by joining group",
        ),
    ];
    let ways: [fn(&mut Switches); 3] = [
        |_| {},
        |switches| switches.page_size = 1,
        |switches| (switches.roles_follow_groups, switches.eligibility_of_members) = (false, true),
    ];
    for way in ways {
        for (kind, change, words) in &kinds {
            let world = World::new();
            world.tenant.switch(way);
            change(&world);
            let _operator = world.operator();
            let (phase, _, message) = asks(&world, "lost-phone").await;
            assert_eq!(
                (phase, world.reason("lost-phone").as_str()),
                (Phase::Failed, "DirectoryRoleHolder"),
                "{kind}"
            );
            assert!(message.contains(words), "{kind}: {message}");
            assert_eq!(world.posts(), 0, "{kind}");
        }
        let world = World::new();
        world.tenant.switch(way);
        // What others hold is nothing to Alice.
        assign(&world, BOB, "/");
        group(&world, ON_CALL, false, &[CAROL]);
        could_join(&world, HELPDESK_ADMINS_GROUP, ON_CALL, GroupAccess::Member);
        let _operator = world.operator();
        let (phase, result, message) = asks(&world, "lost-phone").await;
        assert_eq!((phase, result), (Phase::Active, CheckResult::Passed));
        assert_eq!(message, "the user holds no directory role, and could activate none");
    }
}

#[tokio::test(start_paused = true)]
async fn without_the_licence_nobody_could_activate_anything() {
    let world = World::new();
    world.tenant.switch(|switches| switches.privileged_identity_management = false);
    let _operator = world.operator();
    let (phase, _, message) = asks(&world, "lost-phone").await;
    assert_eq!(phase, Phase::Active);
    assert_eq!(message, "the user holds no directory role, and could activate none");
}

#[tokio::test(start_paused = true)]
async fn what_the_app_may_not_see_is_told_and_stops_only_where_that_is_demanded() {
    for (missing, words) in [
        ("RoleManagement.Read.Directory", "scoped to a part of the tenant"),
        ("PrivilegedEligibilitySchedule.Read.AzureADGroup", "membership of a group"),
        ("GroupMember.Read.All", "members of groups"),
    ] {
        let world = World::new();
        let change = |app: &mut App| app.roles.retain(|role| role != missing);
        world.tenant.edit_app(OPERATOR, change).expect("the app is there");
        let _operator = world.operator();
        let (phase, result, message) = asks(&world, "optional").await;
        assert_eq!((phase, result), (Phase::Active, CheckResult::Passed), "{missing}: {message}");
        assert!(message.contains(words) && message.contains(missing), "{message}");
        let refused = world.tenant.requests().into_iter().filter(|call| call.status == Some(403));
        assert_eq!(refused.count(), 0, "nothing is asked that would be refused");

        world.policy(&json!({"completeChecks": "Required"}));
        // The connection maps no names of people, so it is a pipeline that asks.
        let pipeline = "system:serviceaccount:flux:kustomize-controller";
        let bob = json!({"user": "bob@contoso.com", "requestedBy": pipeline});
        world.request("required", &bob);
        world.until("it waits", SOON * 2, || world.reason("required") == "ChecksIncomplete").await;
        let grant = |app: &mut App| app.roles.push(missing.into());
        world.tenant.edit_app(OPERATOR, grant).expect("the app is there");
        world.until_phase("required", Phase::Active, Duration::from_mins(15)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_of_which_a_page_is_missing_is_no_list() {
    for operation in [
        Operation::RoleAssignments,
        Operation::RoleEligibilitySchedules,
        Operation::GroupEligibilitySchedules,
    ] {
        let world = World::new();
        world.tenant.switch(|switches| switches.page_size = 1);
        for user in [BOB, CAROL, FRANK, HEIDI, ALICE] {
            match operation {
                Operation::RoleAssignments => assign(&world, user, "/administrativeUnits/1"),
                Operation::RoleEligibilitySchedules => {
                    world.tenant.make_eligible(RoleEligibility {
                        start_date_time: Some(world.tenant.now() + SignedDuration::from_hours(1)),
                        ..RoleEligibility::of(user, CUSTOM)
                    });
                }
                _ => could_join(&world, HELPDESK_ADMINS_GROUP, user, GroupAccess::Member),
            }
        }
        let status =
            FaultKind::Status { status: 503, effect: false, code: None, retry_after_seconds: None };
        world.tenant.inject(Fault { skip: 2, ..Fault::on(operation, status) });
        let _operator = world.operator();
        let (phase, _, message) = asks(&world, "lost-phone").await;
        assert_eq!((phase, world.posts()), (Phase::Failed, 0), "{operation:?}: {message}");
        assert_eq!(world.reason("lost-phone"), "DirectoryRoleHolder");
    }
}

/// The lists are long, and the same for all.
#[tokio::test(start_paused = true)]
async fn the_lists_are_shared_and_at_most_a_minute_old_at_the_issue() {
    let world = World::new();
    group(&world, DUTY, false, &[]);
    world.policy(&json!({"approval": {"required": 1}}));
    let _operator = world.operator();
    for name in ["alice", "bob", "carol", "frank"] {
        world.request(name, &json!({"user": format!("{name}@contoso.com")}));
    }
    for name in ["alice", "bob", "carol", "frank"] {
        world.until_phase(name, Phase::AwaitingApproval, SOON).await;
    }
    let lists = || world.tenant.requests_for(Operation::RoleAssignments).len();
    assert_eq!(lists(), 1, "one for four");
    // A role that is given now is seen at the issue, however long ago it was asked.
    tokio::time::sleep(Duration::from_mins(1)).await;
    assign(&world, ALICE, "/administrativeUnits/1");
    for name in ["alice", "bob"] {
        world.decide(name, "ada@contoso.com", "Approve").await;
    }
    world.until_phase("alice", Phase::Failed, SOON).await;
    world.until_phase("bob", Phase::Active, SOON).await;
    assert_eq!(lists(), 2);
}

/// So many groups that hold roles, and calls about them that each take so many seconds.
fn slow_groups(world: &World, count: u128, seconds: u64) {
    for number in 0..count {
        let id = Uuid::from_u128(0x9_0000 + number);
        group(world, id, true, &[]);
        assign(world, id, "/");
    }
    let slow = Fault::on(Operation::GroupEligibilitySchedules, FaultKind::Slow { seconds });
    world.tenant.inject(slow.times(u32::MAX));
}

/// Their lists count as young from the end of the read, however long it took.
#[tokio::test(start_paused = true)]
async fn many_groups_that_hold_roles_keep_no_pass_from_being_issued() {
    for (count, seconds, patience) in [(120, 1, 15), (20, 20, 60)] {
        let world = World::new();
        slow_groups(&world, count, seconds);
        let _operator = world.operator();
        world.request("lost-phone", &json!({}));
        world.until_phase("lost-phone", Phase::Active, Duration::from_secs(patience)).await;
        let lists = world.tenant.requests_for(Operation::RoleEligibilitySchedules).len();
        assert_eq!(lists, 1, "{count}");
    }
}

/// Each would hang for half a minute, one after the other.
#[tokio::test(start_paused = true)]
async fn requests_that_wait_for_one_read_share_its_failure() {
    let excludes = json!({"domains": ["contoso.com"], "excludeGroups": [{"group": DUTY}]});
    let policies = [
        (Operation::RoleAssignments, json!({})),
        (Operation::GroupList, json!({ "users": excludes })),
    ];
    for (operation, policy) in policies {
        let world = World::new();
        group(&world, DUTY, false, &[]);
        world.policy(&policy);
        let hangs = Fault::on(operation, FaultKind::Hang { seconds: None });
        world.tenant.inject(hangs.times(u32::MAX));
        let _operator = world.operator();
        let users = ["alice", "bob", "carol", "frank"];
        for user in users {
            world.request(user, &json!({"user": format!("{user}@contoso.com")}));
        }
        let all = || users.iter().all(|user| world.reason(user) == "TenantUnreachable");
        world.until("all are told", Duration::from_secs(35), all).await;
        world.tenant.clear_faults();
        for user in users {
            world.until_phase(user, Phase::Active, Duration::from_mins(2)).await;
        }
    }
}

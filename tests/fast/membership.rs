//! Membership in groups and directory roles count as they are in the tenant at the issue.

use graph_simulator::Operation;
use graph_simulator::tenant::{ALICE, GLOBAL_ADMINISTRATORS, Group};
use serde_json::{Value, json};
use tap_operator::api::Phase;
use uuid::Uuid;

use crate::world::{SOON, World};

fn group(world: &World, number: u128, members: &[Uuid]) -> Uuid {
    let id = Uuid::from_u128(0x6000_0000 + number);
    let display_name = format!("Group {number}");
    world.tenant.add_group(Group {
        id,
        display_name,
        members: members.to_vec(),
        is_assignable_to_role: false,
    });
    id
}

/// Lets the policy admit the members of these groups.
fn admit(world: &World, groups: &[Uuid], approvals: u32) {
    let groups: Vec<Value> = groups.iter().map(|id| json!({"group": id})).collect();
    world.policy(&json!({"users": {"groups": groups}, "approval": {"required": approvals}}));
}

#[tokio::test(start_paused = true)]
async fn one_of_twenty_five_groups_is_enough_through_groups_of_groups() {
    let world = World::new();
    let inner = group(&world, 100, &[ALICE]);
    let middle = group(&world, 101, &[inner]);
    // Ids are sent in order, twenty at a time, so the group that counts is in the second call.
    let mut groups: Vec<Uuid> = (0..24).map(|number| group(&world, number, &[])).collect();
    groups.push(group(&world, 102, &[middle]));
    admit(&world, &groups, 0);
    let _operator = world.operator();
    world.request("nested", &json!({}));
    world.until_phase("nested", Phase::Active, SOON).await;
    assert_eq!(world.tenant.requests_for(Operation::CheckMemberGroups).len(), 2);

    admit(&world, &groups[..24], 0);
    world.request("outside", &json!({}));
    world.until("it waits", SOON, || world.reason("outside") == "UserNotAllowed").await;
    assert_eq!(world.phase("outside"), Phase::Pending);
}

/// A change in the tenant between the approval and the issue.
#[tokio::test(start_paused = true)]
async fn what_changes_before_the_issue_decides_it() {
    type Change = fn(&World, Uuid);
    let changes: [(&str, Change, &str); 4] = [
        (
            "a group renamed",
            |world, id| {
                world.tenant.delete_group(id);
                let display_name = "Another name".into();
                world.tenant.add_group(Group {
                    id,
                    display_name,
                    members: vec![ALICE],
                    is_assignable_to_role: false,
                });
            },
            "Issued",
        ),
        ("a group deleted", |world, id| world.tenant.delete_group(id), "UserNotAllowed"),
        (
            "a membership ended",
            |world, id| world.tenant.remove_member(id, ALICE).expect("a member"),
            "UserNotAllowed",
        ),
        (
            "a role gained",
            |world, _| world.tenant.add_member(GLOBAL_ADMINISTRATORS, ALICE).expect("added"),
            "DirectoryRoleHolder",
        ),
    ];
    for (what, change, reason) in changes {
        let world = World::new();
        let pilots = group(&world, 1, &[ALICE]);
        admit(&world, &[pilots], 1);
        let _operator = world.operator();
        world.request("lost-phone", &json!({}));
        world.until_phase("lost-phone", Phase::AwaitingApproval, SOON).await;
        change(&world, pilots);
        world.decide("lost-phone", "ada@contoso.com", "Approve").await;
        world.until(what, SOON, || world.reason("lost-phone") == reason).await;
        let issued = usize::from(reason == "Issued");
        assert_eq!((world.posts(), world.live().len()), (issued, issued), "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_excluded_user_gets_no_pass_whatever_else_admits_them() {
    let world = World::new();
    let pilots = group(&world, 1, &[ALICE]);
    let excluded = group(&world, 2, &[ALICE]);
    for users in [json!({"domains": ["contoso.com"]}), json!({"groups": [{"group": pilots}]})] {
        let mut users = users;
        users["excludeGroups"] = json!([{"group": excluded.to_string().to_uppercase()}]);
        world.policy(&json!({"users": users}));
        let _operator = world.operator();
        let name = if users["groups"].is_array() { "by-group" } else { "by-domain" };
        world.request(name, &json!({}));
        world.until_phase(name, Phase::Failed, SOON * 5).await;
        assert_eq!((world.reason(name).as_str(), world.posts()), ("UserNotAllowed", 0));
    }
}

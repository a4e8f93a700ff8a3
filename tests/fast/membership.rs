//! Membership in groups and directory roles count as they are in the tenant at the issue.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use graph_simulator::Operation;
use graph_simulator::tenant::{
    ALICE, App, BOB, CAROL, GLOBAL_ADMINISTRATORS, Group, OPERATOR, User,
};
use serde_json::{Value, json};
use tap_operator::api::Phase;
use uuid::Uuid;

use crate::world::{NAMESPACE, SOON, World};

fn group(world: &World, number: u128, members: &[Uuid]) -> Uuid {
    let id = Uuid::from_u128(0x6000_0000 + number);
    let display_name = format!("Group {number}");
    world.tenant.add_group(Group {
        id,
        display_name,
        members: members.to_vec(),
        ..Group::default()
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
    // And one more for the groups that hold roles.
    assert_eq!(world.tenant.requests_for(Operation::CheckMemberGroups).len(), 3);

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
                    ..Group::default()
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

/// A user who is renamed is the same user, and whoever gets the old name is not.
#[tokio::test(start_paused = true)]
async fn a_user_who_is_renamed_before_the_issue_keeps_the_request() {
    let world = World::new();
    world.policy(&json!({"approval": {"required": 1}}));
    let _operator = world.operator();
    world.request("lost-phone", &json!({}));
    world.until_phase("lost-phone", Phase::AwaitingApproval, SOON).await;
    let rename = |user: &mut User| user.user_principal_name = "alice.smith@contoso.com".into();
    world.tenant.edit_user("alice@contoso.com", rename).expect("she is there");
    world.tenant.add_user(User::member(Uuid::from_u128(7), "alice@contoso.com", "Alice Jones"));
    world.decide("lost-phone", "ada@contoso.com", "Approve").await;
    world.until_phase("lost-phone", Phase::Active, SOON).await;
    assert_eq!(world.live().len(), 1);
    assert_eq!(world.live()[0].user_id, ALICE);
    let secret = world.kubernetes.get("secrets", NAMESPACE, "lost-phone").expect("the Secret");
    let name = secret["data"]["userPrincipalName"].as_str().expect("a name");
    assert_eq!(STANDARD.decode(name).expect("base64"), b"alice.smith@contoso.com");
}

/// What cannot be told of a group keeps a request waiting, until somebody puts it in order.
#[tokio::test(start_paused = true)]
async fn an_exclusion_that_cannot_be_judged_waits() {
    let world = World::new();
    let excluded = group(&world, 1, &[]);
    world.policy(
        &json!({"users": {"domains": ["contoso.com"], "excludeGroups": [{"group": excluded}]}}),
    );
    world.tenant.delete_group(excluded);
    let _operator = world.operator();
    world.request("gone", &json!({}));
    world.until("the request waits", SOON, || world.reason("gone") == "GroupNotFound").await;
    let says = || world.policy_says("contoso", "Ready") == "False GroupNotFound";
    world.until("the policy says so", SOON, says).await;
    world.tenant.add_group(Group { id: excluded, display_name: "Back".into(), ..Group::default() });
    world.until_phase("gone", Phase::Active, Duration::from_mins(3)).await;

    let hidden = Uuid::from_u128(2);
    world.tenant.add_group(Group {
        id: hidden,
        display_name: "Choir".into(),
        visibility: Some("HiddenMembership".into()),
        members: vec![BOB],
        ..Group::default()
    });
    world.policy(
        &json!({"users": {"domains": ["contoso.com"], "excludeGroups": [{"group": hidden}]}}),
    );
    for (name, user) in [("hidden", "bob@contoso.com"), ("other", "carol@contoso.com")] {
        world.request(name, &json!({"user": user}));
        world.until("it waits", SOON * 3, || world.reason(name) == "GroupHidden").await;
    }
    let says = || world.policy_says("contoso", "ChecksComplete").starts_with("False ");
    world.until("the policy says so", SOON, says).await;
    let grant = |app: &mut App| app.roles.push("Member.Read.Hidden".into());
    world.tenant.edit_app(OPERATOR, grant).expect("the app is there");
    world.tenant.expire_tokens();
    world.until_phase("hidden", Phase::Failed, Duration::from_mins(5)).await;
    assert_eq!(world.reason("hidden"), "UserNotAllowed");
    world.until_phase("other", Phase::Active, Duration::from_mins(5)).await;
    assert_eq!(world.posts(), 2);
}

/// Groups are read once for all requests of a moment.
#[tokio::test(start_paused = true)]
async fn what_is_told_of_groups_is_shared() {
    let world = World::new();
    let pilots = group(&world, 1, &[ALICE, BOB, CAROL]);
    let _operator = world.operator();
    world.until("the policy was read", SOON, || world.policy_says("contoso", "Ready") != " ").await;
    admit(&world, &[pilots], 0);
    tokio::time::sleep(SOON).await;
    world.tenant.clear_requests();
    for (name, user) in [("a", "alice"), ("b", "bob"), ("c", "carol")] {
        world.request(name, &json!({"user": format!("{user}@contoso.com")}));
    }
    for name in ["a", "b", "c"] {
        world.until_phase(name, Phase::Active, SOON * 3).await;
    }
    // The policy's group, and the groups that hold roles.
    assert_eq!(world.tenant.requests_for(Operation::GroupList).len(), 2);
    assert_eq!(world.tenant.requests_for(Operation::CheckMemberGroups).len(), 2 * 3);
}

/// A pass and a password are no sign-in methods, and a new account is new by the tenant's own record.
#[tokio::test(start_paused = true)]
async fn new_colleagues_get_passes_without_approval_and_nobody_else() {
    let world = World::new();
    let users = json!({
        "domains": ["contoso.com"], "createdWithin": "72h", "onlyWithoutSignInMethods": true,
    });
    world.policy(&json!({"users": users, "replaceExistingPass": "Allowed"}));
    let nora = User::member(Uuid::from_u128(7), "nora@contoso.com", "Nora New");
    world.tenant.add_user(nora);
    let _operator = world.operator();
    world.request("without", &json!({"user": "nora@contoso.com"}));
    world.until("it is told", SOON, || world.reason("without") == "PermissionMissing").await;
    let says = || world.policy_says("contoso", "Permissions") == "False PermissionMissing";
    world.until("the policy says so", SOON, says).await;
    let grant = |app: &mut App| app.roles.push("UserAuthenticationMethod.Read.All".into());
    world.tenant.edit_app(OPERATOR, grant).expect("the app is there");
    world.until_phase("without", Phase::Active, Duration::from_mins(15)).await;
    // Her pass is no method: she may have another one instead.
    let another = json!({"user": "nora@contoso.com", "onExistingPass": "Replace"});
    world.request("another", &another);
    world.until_phase("another", Phase::Active, SOON * 3).await;
    let register = |user: &mut User| user.methods.push("fido2".into());
    world.tenant.edit_user("nora@contoso.com", register).expect("she is there");
    world.request("registered", &another);
    world.until_phase("registered", Phase::Failed, SOON * 3).await;
    assert_eq!(world.reason("registered"), "UserHasMethods");
    world.request("old", &json!({}));
    world.until_phase("old", Phase::Failed, SOON).await;
    assert_eq!(world.reason("old"), "UserNotAllowed");
}

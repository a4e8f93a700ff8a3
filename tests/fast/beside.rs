//! What the operator does beside passes (notices, the tenant's logs, Conditional Access) makes no pass later, and takes no call
//! from the pace of authentication methods.

use std::collections::BTreeMap;
use std::time::Duration;

use graph_simulator::Operation;
use graph_simulator::tenant::{OPERATOR, User};
use serde_json::json;
use tap_operator::api::Phase;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::notices::{Answer, Post, everything};
use crate::world::{SOON, USE_CHECK, World};

/// How many passes are made, one after the other.
const PASSES: usize = 3;
/// How long the receiver is out of order. The passes are made and used meanwhile.
const OUTAGE: Duration = Duration::from_mins(10);
/// After the passes were made and used: until then the outage is over, and the receiver has been told.
const ALL_OVER: Duration = Duration::from_mins(12);

/// The calls that share the pace of authentication methods.
const PACED: [Operation; 5] = [
    Operation::PassList,
    Operation::PassCreate,
    Operation::PassGet,
    Operation::PassDelete,
    Operation::SignInMethods,
];

/// A tenant with a Conditional Access policy for everybody, and users without a pass.
fn world() -> World {
    let world = World::new();
    world.tenant.set_access_policies(vec![json!({
        "id": "ca000000-0000-4000-8000-000000000001", "displayName": "Everybody", "state": "enabled",
        "conditions": {
            "users": {"includeUsers": ["All"]}, "applications": {"includeApplications": ["All"]},
        },
        "grantControls": {"operator": "OR", "builtInControls": ["mfa"]},
    })]);
    for number in 0..PASSES {
        world.tenant.add_user(User::member(Uuid::new_v4(), &user(number), "A User"));
    }
    world
}

fn user(number: usize) -> String {
    format!("user-{number}@contoso.com")
}

/// Makes and uses passes, and waits until all is over; how long each took, and the paced calls.
async fn lives(world: &World) -> (Vec<Duration>, BTreeMap<String, usize>) {
    let mut took = Vec::new();
    for number in 0..PASSES {
        let (name, user) = (format!("pass-{number}"), user(number));
        let began = Instant::now();
        world.request(&name, &json!({"user": user}));
        world.until_phase(&name, Phase::Active, SOON).await;
        took.push(began.elapsed());
        let code = world.delivered(&name).expect("a code");
        world.tenant.sign_in(&user, &code).expect("it signs in");
        world.until_ended(&name, Phase::Used, USE_CHECK * 2).await;
    }
    sleep(ALL_OVER).await;
    world.check_at_rest();
    let calls = PACED.map(|call| (format!("{call:?}"), world.tenant.requests_for(call).len()));
    (took, calls.into())
}

#[tokio::test(start_paused = true)]
async fn neither_a_receiver_out_of_order_nor_logs_nor_preflight_cost_a_pass_time_or_calls() {
    let plain = world();
    let _operator = plain.operator();
    let (alone, calls) = lives(&plain).await;
    let slowest = alone.iter().max().expect("there are passes");

    // Its port is closed, it hangs, it fails.
    for answer in [Answer::Breaks, Answer::Hangs, Answer::Status(500)] {
        let world = world();
        for permission in ["AuditLog.Read.All", "Policy.Read.All"] {
            world
                .tenant
                .edit_app(OPERATOR, |app| app.roles.push(permission.into()))
                .expect("known");
        }
        let post = Post::default();
        let began = Instant::now();
        post.outage(answer, OUTAGE);
        let _operator = post.operator(&world, &json!([everything("all")]));
        let (took, with_all) = lives(&world).await;
        assert_eq!(with_all, calls, "{answer:?}");
        for took in took {
            let most = *slowest + Duration::from_millis(200);
            assert!(took <= most, "{answer:?}: {took:?}, and {slowest:?} without");
        }
        let asked = |call| world.tenant.requests_for(call).len();
        assert!(asked(Operation::SignIns) >= PASSES, "the log of sign-ins was not asked");
        assert!(asked(Operation::AccessPolicies) > 0, "Conditional Access was not read");

        let got = post.got("all");
        let (vain, taken): (Vec<_>, Vec<_>) =
            got.into_iter().partition(|got| got.at - began < OUTAGE);
        assert!(vain.iter().all(|got| got.body == vain[0].body), "the first one is tried");
        let told: Vec<String> = taken
            .iter()
            .map(|got| {
                let data = &got.event()["data"];
                format!("{} {}", data["request"].as_str().unwrap(), data["kind"].as_str().unwrap())
            })
            .collect();
        let expected: Vec<String> = (0..PASSES)
            .flat_map(|n| [format!("pass-{n} Issued"), format!("pass-{n} Used")])
            .collect();
        assert_eq!(told, expected, "{answer:?}: each is told once, in order");
    }
}

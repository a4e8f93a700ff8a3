//! Codes that are delivered encrypted to public keys.

use serde_json::{Value, json};
use tap_operator::api::Phase;

use crate::world::{IN_ORDER, SOON, World, secret_write};
use kubernetes_api::{Match, Point, Verb};

/// The keys of each Secret that was sent to the API server, dry runs first.
fn keys_of_secrets(world: &World) -> Vec<(bool, Vec<String>)> {
    let creates = Match::verb(Verb::Create).resource("secrets").when(|r| {
        // Not those of the dry runs that probe the admission policies.
        r.body["metadata"]["name"] == "lost-phone"
    });
    let mut secrets: Vec<_> = world
        .kubernetes
        .requests_for(&creates)
        .iter()
        .map(|create| {
            let keys = create.body["data"].as_object().into_iter().flat_map(|data| data.keys());
            (!create.is_dry_run(), keys.cloned().collect())
        })
        .collect();
    secrets.sort();
    secrets
}

#[tokio::test(start_paused = true)]
async fn the_secret_holds_the_code_sealed_and_the_dry_run_has_the_same_shape() {
    let world = World::new();
    world.policy(&json!({"delivery": "Sealed"}));
    let _operator = world.operator();
    world.request("lost-phone", &json!({"recipients": [world.reader()]}));
    world.until_phase("lost-phone", Phase::Active, SOON).await;
    world.check_delivered("lost-phone");
    assert_eq!(world.posts(), 1);

    let shape = |dates: &[&str]| -> Vec<String> {
        let keys = [&["signInUrl", "temporaryAccessPass.age", "userPrincipalName"], dates];
        let mut keys: Vec<_> = keys.concat().into_iter().map(str::to_owned).collect();
        keys.sort();
        keys
    };
    assert_eq!(
        keys_of_secrets(&world),
        [(false, shape(&[])), (true, shape(&["notAfter", "notBefore"]))]
    );
    let message = &world.get("lost-phone").status.expect("a status").conditions[0].message;
    assert!(message.contains("encrypted to spec.recipients, is in Secret lost-phone"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_sealed_fails_before_any_pass_is_asked_for() {
    let nothing = Value::Null;
    let good = World::new().reader();
    for (delivery, recipients, reason) in [
        ("Sealed", nothing, "RecipientsRequired"),
        ("Any", json!(["age1x"]), "RecipientInvalid"),
        ("Any", json!([good, "ssh-ed25519 AAAA"]), "RecipientInvalid"),
        ("Any", json!([good, good]), "RecipientInvalid"),
        ("Sealed", json!([]), "RecipientInvalid"),
    ] {
        let world = World::new();
        world.policy(&json!({"delivery": delivery}));
        let _operator = world.operator();
        world.request("lost-phone", &json!({"recipients": recipients}));
        world.until_ended("lost-phone", Phase::Failed, SOON).await;
        assert_eq!((world.reason("lost-phone").as_str(), world.posts()), (reason, 0));
        world.check_at_rest();
    }
}

#[tokio::test(start_paused = true)]
async fn a_sealed_secret_that_is_not_taken_is_sealed_anew_for_the_next_pass() {
    let world = World::new();
    let mut held = world.kubernetes.intercept(secret_write(), Point::BeforeEffect);
    let _operator = world.operator();
    world.request("lost-phone", &json!({"recipients": [world.reader()]}));
    held.reached().await;
    held.lose();
    world.until_phase("lost-phone", Phase::Active, IN_ORDER).await;
    world.check_delivered("lost-phone");
    assert_eq!((world.posts(), world.tenant.balance().deleted), (2, 1), "{}", world.report());
}

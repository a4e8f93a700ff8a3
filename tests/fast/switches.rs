//! Undocumented behaviour of Graph, each with an answer other than the default. A whole life goes the same way, and
//! each pass ends once.

use std::collections::BTreeSet;
use std::time::Duration;

use graph_simulator::switches::Switches;
use graph_simulator::tenant::{STAFF_GROUP, User};
use graph_simulator::{Actor, End, Fault, FaultKind, Operation, SignInError};
use serde_json::{Value, json};
use tap_operator::api::Phase;
use tokio::time::sleep;
use uuid::Uuid;

use crate::world::{IN_ORDER, SOON, USE_CHECK, World};

/// A switch and a value other than its default, as JSON, with the settings that are needed for it to matter.
type Answer = (&'static str, Value);

/// Switches of the tenant's policy.
fn of_the_policy() -> Vec<Answer> {
    vec![
        ("policyKeyAnyCase", json!({"policyKeyAnyCase": false})),
        ("userTargets", json!({"userTargets": "refuse"})),
        ("demandRegistrationFlag", json!({"demandRegistrationFlag": true})),
        ("acceptUnknownTargets", json!({"acceptUnknownTargets": false})),
        ("tolerateAnnotations", json!({"tolerateAnnotations": false})),
        ("emptyIncludeTargets", json!({"emptyIncludeTargets": "refuse"})),
        ("policyWriteAnswer", json!({"policyWriteAnswer": "ok"})),
        ("recalculateDefaultLifetime", json!({"recalculateDefaultLifetime": false})),
        ("resetState", json!({"resetState": "enabled"})),
        ("policyErrorCode", json!({"policyErrorCode": "empty"})),
        ("policyReadLagSeconds", json!({"policyReadLagSeconds": 60})),
        ("policyEffectLagSeconds", json!({"policyEffectLagSeconds": 180})),
    ]
}

/// Switches of passes.
fn of_passes() -> Vec<Answer> {
    vec![
        ("postOverLivePass", json!({"postOverLivePass": "refuse"})),
        ("oneTimeEnforced", json!({"oneTimeEnforced": "coerce"})),
        ("oneTimeEnforced", json!({"oneTimeEnforced": "accept"})),
        ("multiUseUnderOneTimePolicy", json!({"multiUseUnderOneTimePolicy": "usable"})),
        ("defaultOneTime", json!({"defaultOneTime": "oneTime"})),
        ("defaultOneTime", json!({"defaultOneTime": "multiUse"})),
        ("postWhileDisabled", json!({"postWhileDisabled": "refuse"})),
        ("postOutOfScope", json!({"postOutOfScope": "create"})),
        ("disabledUserPost", json!({"disabledUserPost": "refuse"})),
        ("adminPost", json!({"adminPost": "refuse"})),
        ("pastStart", json!({"pastStart": "refuse"})),
        ("pastStart", json!({"pastStart": "now"})),
        ("farthestStartDays", json!({"farthestStartDays": 1})),
        ("guestMessageFinalDot", json!({"guestMessageFinalDot": true})),
        ("passTypeInPost", json!({"passTypeInPost": "required"})),
        ("contextInPostAnswer", json!({"contextInPostAnswer": false})),
        ("usabilityFields", json!({"usabilityFields": "reasonOnly"})),
        ("usabilityFields", json!({"usabilityFields": "neither"})),
        ("reasonPrecedence", json!({"reasonPrecedence": "policyFirst"})),
        ("reasonPrecedence", json!({"reasonPrecedence": "expiredFirst"})),
        ("unknownUserCode", json!({"unknownUserCode": "userNotFound"})),
        ("malformedPassId", json!({"malformedPassId": "notFound"})),
        ("expiredPassListedSeconds", json!({"expiredPassListedSeconds": 0})),
        ("listLagAfterPostSeconds", json!({"listLagAfterPostSeconds": 60})),
        ("listLagAfterDeleteSeconds", json!({"listLagAfterDeleteSeconds": 60})),
        ("getLagAfterPostSeconds", json!({"getLagAfterPostSeconds": 60})),
        ("getLagAfterDeleteSeconds", json!({"getLagAfterDeleteSeconds": 60})),
        ("useSeenLagSeconds", json!({"useSeenLagSeconds": 90})),
        ("deleteAfterPostNotFoundSeconds", json!({"deleteAfterPostNotFoundSeconds": 60})),
        ("postAfterDeleteConflictSeconds", json!({"postAfterDeleteConflictSeconds": 30})),
        ("usableLagSeconds", json!({"usableLagSeconds": 60})),
        ("userReadyAfterSeconds", json!({"userReadyAfterSeconds": 60})),
        (
            "userNotReadyAnswer",
            json!({"userNotReadyAnswer": "badRequest", "userReadyAfterSeconds": 60}),
        ),
        (
            "userNotReadyAnswer",
            json!({"userNotReadyAnswer": "forbidden", "userReadyAfterSeconds": 60}),
        ),
    ]
}

/// Switches of throttling, answers, directory and login.
fn of_everything_else() -> Vec<Answer> {
    let throttled = |name: &'static str, answer: &str| {
        (name, json!({ name: answer, "authenticationMethodLimit": 2 }))
    };
    vec![
        ("authenticationMethodLimit", json!({"authenticationMethodLimit": 2})),
        ("logLimit", json!({"logLimit": 1})),
        ("directoryLimit", json!({"directoryLimit": 20})),
        throttled("retryAfter", "decimal"),
        throttled("retryAfter", "httpDate"),
        throttled("retryAfter", "absent"),
        ("expiredTokenBody", json!({"expiredTokenBody": "lifetime"})),
        ("expiredTokenBody", json!({"expiredTokenBody": "empty"})),
        ("innerErrorSpelling", json!({"innerErrorSpelling": "innererror"})),
        ("directoryLagSeconds", json!({"directoryLagSeconds": 120})),
        ("privilegedIdentityManagement", json!({"privilegedIdentityManagement": false})),
        ("rolesFollowGroups", json!({"rolesFollowGroups": false})),
        ("eligibilityOfMembers", json!({"eligibilityOfMembers": true})),
        ("addressesAnyCase", json!({"addressesAnyCase": false})),
        ("conditionalAccessLimit", json!({"conditionalAccessLimit": null})),
        ("whatIf", json!({"whatIf": false})),
        ("auditLagSeconds", json!({"auditLagSeconds": 600})),
        ("auditNames", json!({"auditNames": "createMethod"})),
        ("auditNames", json!({"auditNames": "userSecurityInfo"})),
        ("auditPassIds", json!({"auditPassIds": false})),
        ("auditAppIds", json!({"auditAppIds": false})),
        ("signInLagSeconds", json!({"signInLagSeconds": 600})),
        ("premiumLicence", json!({"premiumLicence": false})),
        ("pageSize", json!({"pageSize": 1})),
        ("gatewayTimeoutSeconds", json!({"gatewayTimeoutSeconds": 10})),
        ("tokenLifetimeSeconds", json!({"tokenLifetimeSeconds": 60})),
    ]
}

/// Switches that are not tested here, and why.
const LEFT_OUT: [(&str, &str); 4] = [
    ("batchThrottled", "the operator sends no batches"),
    ("foreignNextLink", "a link to another host is not followed, so such a list is never complete"),
    ("federatedErrorStatus", "the operator signs in with a secret here"),
    ("federatedReadyAfterSeconds", "the operator signs in with a secret here"),
];

#[test]
fn no_switch_is_forgotten() {
    let defaults = serde_json::to_value(Switches::default()).expect("switches");
    let all: BTreeSet<&str> =
        defaults.as_object().expect("an object").keys().map(String::as_str).collect();
    let answers = [of_the_policy(), of_passes(), of_everything_else()].concat();
    for (name, answer) in &answers {
        assert_ne!(answer[name], defaults[name], "{name} is at its default");
    }
    let tried = answers.iter().map(|(name, _)| *name);
    let named: BTreeSet<&str> = tried.chain(LEFT_OUT.iter().map(|(name, _)| *name)).collect();
    assert_eq!(named, all);
}

/// How the life of a request ends.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Life {
    Used,
    Revoked,
    Expired,
    /// The answer to its POST is lost, and the pass of the next attempt is revoked.
    Recovered,
}

const LIVES: [Life; 4] = [Life::Used, Life::Revoked, Life::Expired, Life::Recovered];

impl Life {
    fn name(self) -> String {
        format!("{self:?}").to_lowercase()
    }

    fn user(self) -> String {
        format!("{}@contoso.com", self.name())
    }

    /// The final phase.
    fn end(self, answer: &Value) -> Phase {
        match self {
            // If nothing shows that the pass was used, it ends like an unused one.
            Self::Used if answer["usabilityFields"] != "neither" => Phase::Used,
            Self::Used | Self::Expired => Phase::Expired,
            Self::Revoked | Self::Recovered => Phase::Revoked,
        }
    }

    /// Checks that each pass ended once, and in the right way.
    fn check(self, world: &World, what: &str) {
        let ledger = world.tenant.ledger().into_iter();
        let ends: Vec<End> =
            ledger.filter(|p| p.user_principal_name == self.user()).map(|p| p.end).collect();
        let expired = |end: &End| matches!(end, End::Expired { .. });
        let deleted = |end: &End| matches!(end, End::Deleted { by: Actor::App { .. }, .. });
        let right = match self {
            // A used pass is left to expire.
            Self::Used | Self::Expired => ends.len() == 1 && expired(&ends[0]),
            Self::Revoked => ends.len() == 1 && deleted(&ends[0]),
            Self::Recovered => ends.len() == 2 && ends.iter().all(deleted),
        };
        assert!(right, "{what}: {self:?}: {ends:?}\n{}", world.report());
    }
}

/// Longer than any delay that a refusal or a lag of these switches can cause.
const PATIENCE: Duration = Duration::from_mins(7);
const LIFETIME: Duration = Duration::from_mins(10);

/// A tenant with this behaviour, with new users, whose method has drifted.
fn world(answer: &Value) -> World {
    let world = World::new();
    world.tenant.switch(|switches| {
        let mut all = serde_json::to_value(&*switches).expect("switches");
        json_patch::merge(&mut all, answer);
        *switches = serde_json::from_value(all).expect("switches");
    });
    for (life, id) in LIVES.into_iter().zip(1_u128..) {
        let id = Uuid::from_u128(id);
        world.tenant.add_user(User::member(id, &life.user(), "New"));
        world.tenant.add_member(STAFF_GROUP, id).expect("a group");
    }
    world.kubernetes.put(json!({
        "apiVersion": "tap-operator.io/v1alpha1", "kind": "TapPolicy", "metadata": {"name": "tenant"},
        "spec": {
            "tenant": "default", "enforcement": "Enforce", "interval": "1m",
            "method": {"codeLength": 12, "lifetime": {"maximum": "9h"}, "include": [{"allUsers": true}]},
        },
    }));
    world
}

async fn live_with(answer: &Value) {
    let (world, what) = (world(answer), answer.to_string());
    let _operator = world.operator();
    for life in LIVES {
        if life == Life::Recovered {
            world.tenant.inject(Fault::on(Operation::PassCreate, FaultKind::AnswerLost));
        }
        world.request(&life.name(), &json!({"user": life.user(), "lifetime": "10m"}));
        let asked = || {
            let posts = world.tenant.ledger().into_iter();
            posts.map(|pass| pass.user_principal_name).any(|user| user == life.user())
        };
        world.until(&format!("{what}: a pass is made"), PATIENCE, asked).await;
    }
    for life in LIVES {
        let name = life.name();
        world.until_phase(&name, Phase::Active, IN_ORDER).await;
        match life {
            Life::Used => {
                let code = world.delivered(&name).expect("a code");
                let signed_in = || signed_in(&world, &life.user(), &code);
                world.until(&format!("{what}: the pass can be used"), PATIENCE, signed_in).await;
            }
            Life::Revoked | Life::Recovered => {
                world.decide(&name, "ada@contoso.com", "Revoke").await;
            }
            Life::Expired => {}
        }
        world.tenant.expire_tokens();
    }
    for life in LIVES {
        world.until_ended(&life.name(), life.end(answer), LIFETIME + USE_CHECK).await;
    }
    // The used pass has expired, too: it is older than the unused one.
    sleep(SOON).await;
    world.check_at_rest();
    for life in LIVES {
        life.check(&world, &what);
    }
    assert_eq!(world.tenant.policy().default_length, 12, "{what}: the method was not corrected");
    let patches = world.tenant.requests_for(Operation::PolicyPatch).len();
    assert_eq!(patches, 1, "{what}\n{}", world.report());
}

fn signed_in(world: &World, user: &str, code: &str) -> bool {
    match world.tenant.sign_in(user, code) {
        Ok(_) => true,
        Err(SignInError::NotYetValid) => false,
        Err(error) => panic!("{error}\n{}", world.report()),
    }
}

#[tokio::test(start_paused = true)]
async fn a_whole_life_is_the_same_whatever_the_policy_does() {
    for (_, answer) in of_the_policy() {
        live_with(&answer).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_whole_life_is_the_same_whatever_passes_do() {
    for (_, answer) in of_passes() {
        live_with(&answer).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_whole_life_is_the_same_whatever_else_the_tenant_does() {
    for (_, answer) in of_everything_else() {
        live_with(&answer).await;
    }
}

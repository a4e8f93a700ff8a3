//! Requests that must be refused: each fails with a clear message, and nothing happens in the tenant.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{ObjectMeta, PostParams};
use serde_json::{Value, json};
use tap_operator::api::Phase;

use graph_simulator::tenant::{
    BREAK_GLASS_GROUP, GLOBAL_ADMINISTRATOR_TEMPLATE, GLOBAL_ADMINISTRATORS, Group,
    HELPDESK_ADMINS_GROUP, Identity as SignInIdentity, RoleEligibility, UserType,
};
use uuid::Uuid;

use crate::scene::{Scene, condition};
use crate::support::age::Reader;
use crate::support::run;
use crate::tenants;

/// Asks for a pass for this user, and expects the request to fail for this reason, with these words in its message, and
/// without any write in the tenant.
async fn fails(
    scene: &Scene<'_>,
    user: &str,
    spec: Value,
    reason: &str,
    words: &[&str],
) -> Result<()> {
    scene.ask("bad", user, spec).await?;
    let failed = scene.wait_phase("bad", Phase::Failed, reason).await?;
    let (_, _, message) = condition(&failed, "Ready").context("no condition Ready")?;
    for word in words {
        ensure!(message.contains(word), "{word:?} is not in the message {message:?}");
    }
    let stalled = condition(&failed, "Stalled");
    ensure!(stalled.is_some_and(|c| c.0 == "True" && c.1 == reason), "{stalled:?}");
    ensure!(failed.metadata.finalizers.is_none(), "a finalizer is left");
    ensure!(scene.ledger(user).is_empty(), "there is a pass");
    if scene.user_id(user).is_ok() {
        let writes = scene.writes_about(user)?;
        ensure!(writes.is_empty(), "something was written: {writes:?}");
    }
    Ok(())
}

/// The same for an ordinary user, with a policy of these terms.
async fn refused(
    prefix: &str,
    issuance: Value,
    spec: Value,
    reason: &str,
    words: &[&str],
) -> Result<()> {
    let scene = Scene::shared(prefix).await?;
    scene.policy(issuance).await?;
    let user = scene.user();
    fails(&scene, &user, spec, reason, words).await
}

#[test]
fn a_lifetime_longer_than_the_policys() -> Result<()> {
    run(refused(
        "longer",
        json!({ "lifetime": { "maximum": "4h" } }),
        json!({ "lifetime": "5h" }),
        "LifetimeNotAllowed",
        &["5h", "4h", "issuance.lifetime.maximum"],
    ))
}

#[test]
fn a_lifetime_out_of_the_tenants_live_range() -> Result<()> {
    run(async {
        // What time may heal fails at once where nobody is to wait for it.
        let policy = || json!({ "lifetime": { "maximum": "24h" }, "patience": "0m" });
        let long = json!({ "lifetime": "9h" });
        refused("too-long", policy(), long, "LifetimeOutOfRange", &["1h", "8h", "9h"]).await?;
        let short = json!({ "lifetime": "30m" });
        refused("too-short", policy(), short, "LifetimeOutOfRange", &["1h", "8h", "30m"]).await
    })
}

#[test]
fn a_multi_use_pass_that_the_policy_does_not_allow() -> Result<()> {
    let spec = json!({ "oneTimeUse": false });
    run(refused("multi", json!({}), spec, "OneTimeUseRequired", &["oneTimeUse"]))
}

#[test]
fn a_policy_that_issues_nothing() -> Result<()> {
    run(async {
        let scene = Scene::shared("no-issuance").await?;
        scene.policy_named(&scene.policy, json!({ "tenant": "default" })).await?;
        let user = scene.user();
        fails(&scene, &user, json!({}), "NoIssuance", &[&scene.policy, "issuance"]).await
    })
}

#[test]
fn a_policy_whose_tenant_is_not_configured() -> Result<()> {
    run(async {
        let scene = Scene::shared("nowhere").await?;
        let spec = json!({ "tenant": "nowhere", "issuance": {
            "namespaces": { "names": [scene.namespace] }, "users": { "domains": ["contoso.com"] },
        }});
        scene.policy_named(&scene.policy, spec).await?;
        scene.ask("lost", "anybody@contoso.com", json!({})).await?;
        let waiting = scene.wait_phase("lost", Phase::Pending, "TenantNotConfigured").await?;
        let (_, _, message) = condition(&waiting, "Ready").context("no condition Ready")?;
        ensure!(message.contains("\"nowhere\""), "{message}");
        Ok(())
    })
}

#[test]
fn a_guest_or_a_member_whose_credentials_are_elsewhere() -> Result<()> {
    run(async {
        for (prefix, user_type, reason, words) in [
            ("guest", UserType::Guest, "ExternalGuest", "external guest"),
            ("external-member", UserType::Member, "ExternalMember", "in another tenant"),
        ] {
            let scene = Scene::shared_with_policy(prefix).await?;
            let user = scene.new_user(|user| {
                let (name, _) = user.user_principal_name.split_once('@').unwrap_or_default();
                user.user_principal_name = format!("{name}_fabrikam.com#EXT#@contoso.com");
                user.user_type = user_type;
                user.external_user_state = Some("Accepted".into());
                user.identities = Some(vec![SignInIdentity {
                    sign_in_type: "federated".into(),
                    issuer: "ExternalAzureAD".into(),
                    issuer_assigned_id: None,
                }]);
            });
            fails(&scene, &user, json!({}), reason, &[words, &user]).await?;
        }
        Ok(())
    })
}

#[test]
fn an_internal_guest_is_welcome() -> Result<()> {
    run(async {
        let scene = Scene::shared_with_policy("internal").await?;
        let user = scene.new_user(|user| user.user_type = UserType::Guest);
        scene.ask("guest", &user, json!({})).await?;
        scene.wait_active("guest").await?;
        Ok(())
    })
}

#[test]
fn a_disabled_account() -> Result<()> {
    run(async {
        let scene = Scene::shared("disabled").await?;
        scene.policy(json!({ "patience": "0m" })).await?;
        let user = scene.new_user(|user| user.account_enabled = false);
        fails(&scene, &user, json!({}), "UserDisabled", &[&user, "disabled"]).await
    })
}

#[test]
fn a_user_who_holds_a_directory_role() -> Result<()> {
    run(async {
        let scene = Scene::shared_with_policy("roles").await?;
        let user = scene.user();
        scene.simulator.add_member(GLOBAL_ADMINISTRATORS, scene.user_id(&user)?)?;
        fails(&scene, &user, json!({}), "DirectoryRoleHolder", &["Global Administrator"]).await
    })
}

#[test]
fn a_user_who_holds_a_directory_role_through_a_group() -> Result<()> {
    run(async {
        let scene = Scene::shared_with_policy("group-role").await?;
        let user = scene.user();
        scene.simulator.add_member(HELPDESK_ADMINS_GROUP, scene.user_id(&user)?)?;
        fails(&scene, &user, json!({}), "DirectoryRoleHolder", &["directory role"]).await
    })
}

#[test]
fn a_user_who_could_activate_a_directory_role() -> Result<()> {
    run(async {
        let scene = Scene::shared_with_policy("eligible").await?;
        let user = scene.user();
        scene.simulator.make_eligible(RoleEligibility::of(
            scene.user_id(&user)?,
            GLOBAL_ADMINISTRATOR_TEMPLATE,
        ));
        let words = ["could activate", &GLOBAL_ADMINISTRATOR_TEMPLATE.to_string()];
        fails(&scene, &user, json!({}), "DirectoryRoleHolder", &words).await
    })
}

#[test]
fn a_user_who_could_activate_a_directory_role_through_a_group() -> Result<()> {
    run(async {
        let scene = Scene::shared_with_policy("eligible-group").await?;
        let user = scene.user();
        let group = Group {
            id: Uuid::new_v4(),
            display_name: "On call".into(),
            is_assignable_to_role: true,
            members: vec![scene.user_id(&user)?],
            ..Group::default()
        };
        let words = ["could activate".to_owned(), format!("through group {}", group.id)];
        scene.simulator.make_eligible(RoleEligibility::of(group.id, GLOBAL_ADMINISTRATOR_TEMPLATE));
        scene.simulator.add_group(group);
        let words = words.each_ref().map(String::as_str);
        fails(&scene, &user, json!({}), "DirectoryRoleHolder", &words).await
    })
}

#[test]
fn a_user_who_holds_a_directory_role_if_the_policy_allows_it() -> Result<()> {
    run(async {
        let scene = Scene::shared("role-allowed").await?;
        scene.policy(json!({ "directoryRoleHolders": "Allow" })).await?;
        let user = scene.user();
        scene.simulator.add_member(GLOBAL_ADMINISTRATORS, scene.user_id(&user)?)?;
        scene.ask("admin", &user, json!({})).await?;
        scene.wait_active("admin").await?;
        Ok(())
    })
}

#[test]
fn a_user_of_another_domain() -> Result<()> {
    let users = json!({ "users": { "domains": ["fabrikam.com"] } });
    run(refused("domain", users, json!({}), "UserNotAllowed", &["issuance.users"]))
}

#[test]
fn a_user_who_is_not_in_the_policys_group() -> Result<()> {
    let users =
        json!({ "users": { "groups": [{ "group": BREAK_GLASS_GROUP }] }, "patience": "0m" });
    run(refused("no-member", users, json!({}), "UserNotAllowed", &["issuance.users"]))
}

#[test]
fn a_user_in_a_group_that_the_policy_excludes() -> Result<()> {
    run(async {
        let scene = tenants::scene("excluded").await?;
        let exclude = json!([{ "group": BREAK_GLASS_GROUP, "displayName": "Break glass" }]);
        scene.policy(json!({ "users": { "excludeGroups": exclude } })).await?;
        let user = scene.user();
        scene.simulator.add_member(BREAK_GLASS_GROUP, scene.user_id(&user)?)?;
        fails(&scene, &user, json!({}), "UserNotAllowed", &["excludes", "Break glass"]).await
    })
}

#[test]
fn a_user_whom_the_tenants_method_leaves_out() -> Result<()> {
    run(async {
        let scene = tenants::scene("scope").await?;
        scene.policy(json!({})).await?;
        let exclude = json!([{ "id": BREAK_GLASS_GROUP, "targetType": "group" }]);
        scene.simulator.portal_patch_policy(&json!({ "excludeTargets": exclude }))?;
        let user = scene.user();
        scene.simulator.add_member(BREAK_GLASS_GROUP, scene.user_id(&user)?)?;
        fails(&scene, &user, json!({}), "UserNotInScope", &["excludes the user"]).await
    })
}

#[test]
fn a_namespace_that_the_policy_does_not_admit() -> Result<()> {
    let elsewhere = json!({ "namespaces": { "names": ["elsewhere"] } });
    run(refused("namespace", elsewhere, json!({}), "NamespaceNotAllowed", &["issuance.namespaces"]))
}

#[test]
fn an_empty_selector_admits_no_namespace() -> Result<()> {
    let nothing = json!({ "namespaces": { "names": null, "selector": {} } });
    run(refused("selector", nothing, json!({}), "NamespaceNotAllowed", &["issuance.namespaces"]))
}

#[test]
fn a_reason_that_is_missing_or_not_as_the_policy_wants() -> Result<()> {
    run(async {
        let policy = || json!({ "reason": { "pattern": "^INC[0-9]+" } });
        let words = ["make another request"];
        refused("no-reason", policy(), json!({}), "ReasonNotAccepted", &words).await?;
        let reason = json!({ "reason": "lost phone" });
        refused("bad-reason", policy(), reason, "ReasonNotAccepted", &["^INC[0-9]+"]).await?;

        let scene = Scene::shared("good-reason").await?;
        scene.policy(policy()).await?;
        scene.ask("good", &scene.user(), json!({ "reason": "INC0012345 lost phone" })).await?;
        scene.wait_active("good").await?;
        Ok(())
    })
}

#[test]
fn a_start_time_that_is_missing() -> Result<()> {
    run(async {
        let policy = || json!({ "startTime": "Required" });
        let words = ["spec.startTime"];
        refused("no-start", policy(), json!({}), "StartTimeRequired", &words).await
    })
}

#[test]
fn a_replacement_that_the_policy_forbids() -> Result<()> {
    run(async {
        let scene = Scene::shared_with_policy("replace").await?;
        let user = scene.user();
        scene.ask("first", &user, json!({})).await?;
        scene.wait_active("first").await?;
        scene.ask("bad", &user, json!({ "onExistingPass": "Replace" })).await?;
        scene.wait_phase("bad", Phase::Failed, "ReplaceNotAllowed").await?;
        let ledger = scene.ledger(&user);
        ensure!(ledger.len() == 1 && ledger[0].is_live(), "{ledger:?}");
        Ok(())
    })
}

#[test]
fn a_name_that_somebody_elses_secret_has() -> Result<()> {
    run(async {
        let scene = Scene::shared_with_policy("taken").await?;
        let control_plane = &scene.world.control_plane;
        let owner = control_plane.person(&format!("developer-{}@contoso.com", scene.namespace))?;
        control_plane.grant(&owner, "edit", &scene.namespace).await?;
        let secret = Secret {
            metadata: ObjectMeta { name: Some("bad".into()), ..ObjectMeta::default() },
            data: Some(BTreeMap::from([("key".to_owned(), ByteString(b"value".to_vec()))])),
            ..Secret::default()
        };
        let secrets: kube::Api<Secret> =
            kube::Api::namespaced(owner.client().await?, &scene.namespace);
        let theirs = secrets.create(&PostParams::default(), &secret).await?;

        let user = scene.user();
        fails(&scene, &user, json!({}), "SecretNameTaken", &["Secret named bad"]).await?;
        scene.delete("bad").await?;
        scene.wait_gone("bad").await?;
        let still = scene.secret("bad").await?.context("it is gone")?;
        ensure!(still.metadata.resource_version == theirs.metadata.resource_version, "changed");
        Ok(())
    })
}

/// What the schema refuses: the field of the spec, and words of the message.
#[test]
fn a_malformed_spec_is_refused_at_once_with_words_that_help() -> Result<()> {
    run(async {
        let scene = Scene::shared_with_policy("malformed").await?;
        let eleven: Vec<String> = (0..11).map(|n| format!("age1{n}")).collect();
        let cases = [
            (json!({ "lifetime": "5m" }), "spec.lifetime", "between 10m and 720h"),
            (json!({ "lifetime": "721h" }), "spec.lifetime", "between 10m and 720h"),
            (json!({ "lifetime": "1d" }), "spec.lifetime", "a day is 24h"),
            (json!({ "lifetime": 60 }), "spec.lifetime", "string"),
            (json!({ "user": "Alice Adams" }), "spec.user", "user principal name"),
            (json!({ "user": "../me@contoso.com" }), "spec.user", "user principal name"),
            (json!({ "user": null }), "spec.user", "Required"),
            (json!({ "policyRef": null }), "spec.policyRef", "Required"),
            (json!({ "onExistingPass": "Keep" }), "spec.onExistingPass", "\"Replace\""),
            (json!({ "startTime": "tomorrow" }), "spec.startTime", "date and time with a zone"),
            (json!({ "recipients": [] }), "spec.recipients", "at least 1"),
            (json!({ "recipients": eleven }), "spec.recipients", "at most 10"),
            (json!({ "recipients": ["me"] }), "spec.recipients", "age1"),
            (json!({ "reason": "" }), "spec.reason", "at least 1"),
            (json!({ "ttlAfterFinished": "24h" }), "spec", "needs a startTime"),
            (json!({ "liftime": "1h" }), "liftime", "unknown field"),
        ];
        for (spec, field, words) in cases {
            let manifest = scene.manifest("bad", "somebody@contoso.com", spec.clone());
            let refusal = scene.helpdesk.apply(&manifest.to_string()).refused().await?;
            for word in [field, words] {
                ensure!(refusal.contains(word), "{spec}: no {word:?} in:\n{refusal}");
            }
        }
        let long = scene.manifest(&"x".repeat(64), "somebody@contoso.com", json!({}));
        let refusal = scene.helpdesk.apply(&long.to_string()).refused().await?;
        ensure!(refusal.contains("at most 63 characters"), "{refusal}");
        let requests = scene.requests().list(&kube::api::ListParams::default()).await?;
        ensure!(requests.items.is_empty(), "something was created");
        Ok(())
    })
}

#[test]
fn a_request_without_recipients_where_the_policy_demands_them() -> Result<()> {
    let policy = json!({ "delivery": "Sealed" });
    let words = ["issuance.delivery", "spec.recipients"];
    run(refused("unsealed", policy, json!({}), "RecipientsRequired", &words))
}

/// What the schema cannot find.
#[test]
fn a_recipient_to_whom_nothing_can_be_encrypted() -> Result<()> {
    run(async {
        let good = Reader::ssh_ed25519("alice@laptop")?.public;
        let again = good.replace("alice@laptop", "alice@desk");
        let age = Reader::age().public;
        let changed = age[..60].to_owned() + if age.ends_with("qq") { "pp" } else { "qq" };
        let twice = json!({ "recipients": [age, good, again] });
        let words = ["spec.recipients[2]", "spec.recipients[1]"];
        refused("twice", json!({}), twice, "RecipientInvalid", &words).await?;
        let words = ["spec.recipients[1]", "checksum", "make another request"];
        let checksum = json!({ "recipients": [good, changed] });
        refused("checksum", json!({}), checksum, "RecipientInvalid", &words).await
    })
}

#[test]
fn a_policy_that_one_may_not_use() -> Result<()> {
    run(async {
        let scene = Scene::shared_with_policy("no-use").await?;
        let spec = json!({ "policyRef": { "name": "somebody-elses" } });
        let manifest = scene.manifest("bad", &scene.user(), spec);
        let refusal = scene.helpdesk.apply(&manifest.to_string()).refused().await?;
        for word in ["Forbidden", "use", "somebody-elses", scene.helpdesk.user()] {
            ensure!(refusal.contains(word), "no {word:?} in:\n{refusal}");
        }
        Ok(())
    })
}

#[test]
fn a_spec_is_never_changed() -> Result<()> {
    run(async {
        let scene = Scene::shared("immutable").await?;
        scene.policy(json!({ "approval": { "required": 1 } })).await?;
        let control_plane = &scene.world.control_plane;
        let pipeline =
            control_plane.person(&format!("pipeline-{}@contoso.com", scene.namespace))?;
        let writers = json!({ "apiVersion": "v1", "kind": "List", "items": [
            {
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
                "metadata": { "name": scene.namespace },
                "rules": [{
                    "apiGroups": ["tap-operator.io"], "resources": ["taprequests"],
                    "verbs": ["update", "patch", "create", "get"],
                }],
            },
        ]});
        control_plane.admin().apply(&writers.to_string()).ok().await?;
        control_plane.grant(&pipeline, &scene.namespace, &scene.namespace).await?;
        control_plane.grant_policy(&pipeline, "use", &scene.policy, &scene.namespace).await?;

        let (first, second) = (scene.user(), scene.user());
        let manifest = scene.manifest("fixed", &first, json!({}));
        pipeline.apply(&manifest.to_string()).ok().await?;
        scene.wait_phase("fixed", Phase::AwaitingApproval, "AwaitingApproval").await?;
        for change in
            [json!({ "user": second }), json!({ "lifetime": "8h" }), json!({ "reason": "x" })]
        {
            let changed = scene.manifest("fixed", &first, change.clone());
            let refusal = pipeline.apply(&changed.to_string()).refused().await?;
            for word in ["Forbidden", "cannot be changed", "under another name"] {
                ensure!(refusal.contains(word), "{change}: no {word:?} in:\n{refusal}");
            }
        }
        let kept = scene.requests().get("fixed").await?;
        ensure!(kept.metadata.generation == Some(1) && kept.spec.user == first, "{kept:?}");
        Ok(())
    })
}

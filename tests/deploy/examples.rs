//! Each example works on the day it is tried: in a tenant with Entra's default method, with the rights that it grants,
//! each of its requests comes to an active pass.

use anyhow::{Context, Result, ensure};
use graph_simulator::Tenant;
use graph_simulator::tenant::{Group, User};
use jiff::{SignedDuration, Timestamp};
use kube::Api;
use serde_json::{Value, json};
use tap_operator::api::{Phase, TapPolicy, TapRequest, yaml};
use uuid::Uuid;

use crate::repository;
use crate::scene::{condition, policy_condition, quick, quick_world};
use crate::support::identity::Identity;
use crate::support::world::World;
use crate::support::{run, wait};

/// The examples with requests. Those of one namespace share its rights, so access.yaml comes first.
const EXAMPLES: [&str; 5] =
    ["lost-phone.yaml", "sealed.yaml", "break-glass.yaml", "onboarding.yaml", "device-setup.yaml"];

fn documents(example: &str) -> Result<Vec<Value>> {
    let text = std::fs::read_to_string(repository("examples").join(example))?;
    Ok(yaml::read_all(&text)?)
}

/// Entra's defaults, with the people and groups that the examples name.
fn tenant() -> Result<Tenant> {
    let mut tenant = Tenant::contoso();
    for example in EXAMPLES.into_iter().chain(["tenant-policy.yaml"]) {
        let mut people = Vec::new();
        for object in documents(example)? {
            let Some(name) = object["spec"]["user"].as_str() else { continue };
            let known = tenant.users.iter().find(|user| user.user_principal_name == name);
            let id = known.map_or_else(Uuid::new_v4, |user| user.id);
            if known.is_none() {
                tenant.users.push(User::member(id, name, "Somebody of the examples"));
            }
            people.push(id);
        }
        for object in documents(example)? {
            let spec = &object["spec"];
            let lists = ["/issuance/users/groups", "/method/include", "/method/exclude"];
            let lists = lists.iter().filter_map(|at| spec.pointer(at)?.as_array()).flatten();
            for group in lists {
                let Some(id) = group["group"].as_str() else { continue };
                let id = id.parse()?;
                if tenant.groups.iter().all(|known| known.id != id) {
                    tenant.groups.push(Group {
                        id,
                        display_name: group["displayName"].as_str().context("a name")?.into(),
                        members: people.clone(),
                        ..Group::default()
                    });
                }
            }
        }
    }
    // The onboarding example asks which sign-in methods its users have.
    for app in &mut tenant.apps {
        app.roles.push("UserAuthenticationMethod.Read.All".into());
    }
    // New colleagues are new on the day of the test.
    for user in &mut tenant.users {
        user.created_date_time = Some(Timestamp::now());
    }
    Ok(tenant)
}

/// A member of the group that the example binds to this role.
fn member(
    world: &World,
    all: &[Value],
    namespace: &str,
    role: &str,
    name: &str,
) -> Result<Identity> {
    let binding = all.iter().find(|object| {
        object["kind"] == "RoleBinding"
            && object["metadata"]["namespace"] == namespace
            && object["roleRef"]["name"] == role
    });
    let binding = binding.with_context(|| format!("{namespace}: nobody has the role {role}"))?;
    let group = binding["subjects"][0]["name"].as_str().context("a group")?;
    world.control_plane.member(name, group)
}

#[test]
#[ignore = "make test-deploy"]
fn each_request_comes_to_an_active_pass() -> Result<()> {
    run(async {
        let options = quick(&[]);
        let world =
            quick_world(crate::support::world::Options { tenant: tenant()?, ..options }).await?;
        let admin = world.control_plane.admin();
        let mut rights = documents("access.yaml")?;
        for example in EXAMPLES {
            rights.extend(documents(example)?);
        }
        let (requests, rest): (Vec<Value>, Vec<Value>) =
            rights.clone().into_iter().partition(|object| object["kind"] == "TapRequest");
        ensure!(requests.len() == EXAMPLES.len(), "{requests:#?}");
        let rest = json!({"apiVersion": "v1", "kind": "List", "items": rest});
        admin.apply(&rest.to_string()).ok().await?;
        for mut request in requests {
            let name = request["metadata"]["name"].as_str().context("a name")?.to_owned();
            let namespace =
                request["metadata"]["namespace"].as_str().context("namespace")?.to_owned();
            let asks = member(&world, &rights, &namespace, "tap-requester", "asks@contoso.com")?;
            if request["spec"]["startTime"].is_string() {
                // As it stands there, its start is far. On that day, it is near.
                waits_for_its_start(&world, &asks, &request).await?;
                let soon = Timestamp::now() + SignedDuration::from_mins(2);
                request["spec"]["startTime"] =
                    json!(soon.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
            }
            wait::until(wait::PATIENCE, "the rights are in force", || async {
                let create = asks.kubectl(["create", "--filename=-"]).input(request.to_string());
                create.ok().await.map(drop)
            })
            .await?;
            active(&world, &rights, &namespace, &name).await.with_context(|| name.clone())?;
            // The next one may be for the same user.
            let delete = ["delete", "tap", &name, "--timeout=60s"];
            admin.kubectl(delete).in_namespace(&namespace).ok().await?;
        }
        Ok(())
    })
}

/// The request waits, however far its start is, and is deleted again.
async fn waits_for_its_start(world: &World, asks: &Identity, request: &Value) -> Result<()> {
    let text = |pointer: &str| request.pointer(pointer).and_then(Value::as_str).context("a text");
    let (name, namespace) = (text("/metadata/name")?, text("/metadata/namespace")?);
    wait::until(wait::PATIENCE, "the rights are in force", || async {
        let create = asks.kubectl(["create", "--filename=-"]).input(request.to_string());
        create.ok().await.map(drop)
    })
    .await?;
    let requests: Api<TapRequest> =
        Api::namespaced(world.control_plane.admin().client().await?, namespace);
    let waits = world.wait_for(&requests, name, "waiting for its start", |request| {
        condition(request, "Ready").is_some_and(|ready| ready.1 == "StartsLater")
    });
    waits.await?;
    let delete = world.control_plane.admin().kubectl(["delete", "tap", name, "--timeout=60s"]);
    delete.in_namespace(namespace).ok().await.map(drop)
}

/// As many people as the policy requires approve, and the request becomes active.
async fn active(world: &World, rights: &[Value], namespace: &str, name: &str) -> Result<()> {
    let client = world.control_plane.admin().client().await?;
    let requests: Api<TapRequest> = Api::namespaced(client.clone(), namespace);
    let asked = world.wait_for(&requests, name, "awaiting approval", |request| {
        request.phase() == Phase::AwaitingApproval || request.phase().is_final()
    });
    let asked = asked.await?;
    ensure!(asked.phase() == Phase::AwaitingApproval, "{asked:#?}");
    let policy: TapPolicy = Api::all(client).get(&asked.spec.policy_ref.name).await?;
    let policy = serde_json::to_value(policy)?;
    let required = policy["spec"]["issuance"]["approval"]["required"].as_u64().unwrap_or(1);
    for number in 1..=required {
        let who = format!("approver-{number}@contoso.com");
        let who = member(world, rights, namespace, "tap-approver", &who)?;
        let patch = json!([{
            "op": "add", "path": "/status/decisions/-",
            "value": {"by": who.user(), "decision": "Approve"},
        }]);
        let patch = format!("--patch={patch}");
        let approve = ["patch", "tap", name, "--subresource=status", "--type=json", &patch];
        who.kubectl(approve).in_namespace(namespace).ok().await?;
    }
    let active = world.wait_for(&requests, name, "active", |request| {
        request.phase() == Phase::Active || request.phase().is_final()
    });
    let active = active.await?;
    ensure!(active.phase() == Phase::Active, "{active:#?}");
    Ok(())
}

#[test]
#[ignore = "make test-deploy"]
fn the_tenants_method_becomes_as_the_example_says() -> Result<()> {
    run(async {
        let options = quick(&[]);
        let world =
            quick_world(crate::support::world::Options { tenant: tenant()?, ..options }).await?;
        let admin = world.control_plane.admin();
        let example = std::fs::read_to_string(repository("examples/tenant-policy.yaml"))?;
        admin.apply(&example).ok().await?;
        let policies: Api<TapPolicy> = Api::all(admin.client().await?);
        let synced = world.wait_for(&policies, "contoso", "in sync", |policy| {
            policy_condition(policy, "Synced").is_some_and(|synced| synced.0 == "True")
        });
        let synced = synced.await?;
        ensure!(
            policy_condition(&synced, "Ready").is_some_and(|ready| ready.0 == "True"),
            "{synced:#?}"
        );
        let drift = serde_json::to_value(&synced)?["status"]["drift"].clone();
        ensure!(drift.is_null() || drift == json!([]), "{drift}");
        Ok(())
    })
}

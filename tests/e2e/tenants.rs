//! The world of all tests that do not disturb the operator or the cluster, and a tenant in it for each test that
//! changes a tenant: its clock, its method, its apps.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, anyhow};
use graph_simulator::Tenant;
use graph_simulator::tenant::{CONTOSO, Certificate, OPERATOR, OPERATOR_SECRET};
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256};
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use uuid::Uuid;

use crate::scene::{Scene, quick};
use crate::support::scratch::Scratch;
use crate::support::simulator::Simulator;
use crate::support::world::World;

/// How many tests can have a tenant of their own.
const TENANTS: usize = 40;
/// The connection by which the operator signs in with a certificate instead of a secret.
pub const WITH_CERTIFICATE: &str = "certificate";

struct Shared {
    world: World,
    tenants: Vec<Simulator>,
    with_certificate: Simulator,
    taken: AtomicUsize,
    // Must be removed after the world that uses it.
    _scratch: Scratch,
}

/// The shared world. Its own tenant is `default`.
pub async fn world() -> Result<&'static World> {
    Ok(&shared().await?.world)
}

/// A scene with a tenant that no other test uses.
pub async fn scene(prefix: &str) -> Result<Scene<'static>> {
    let shared = shared().await?;
    let number = shared.taken.fetch_add(1, Ordering::Relaxed);
    let tenant = shared.tenants.get(number).context("all tenants are taken: raise TENANTS")?;
    Scene::for_tenant(&shared.world, tenant, &name(number), prefix).await
}

/// A scene with the tenant to which the operator signs in with a certificate. Only one test can use it.
pub async fn scene_with_certificate(prefix: &str) -> Result<Scene<'static>> {
    let shared = shared().await?;
    Scene::for_tenant(&shared.world, &shared.with_certificate, WITH_CERTIFICATE, prefix).await
}

fn name(number: usize) -> String {
    format!("tenant-{number}")
}

async fn shared() -> Result<&'static Shared> {
    static SHARED: OnceCell<Result<Shared, String>> = OnceCell::const_new();
    let shared = SHARED
        .get_or_init(|| async { Shared::start().await.map_err(|error| format!("{error:?}")) })
        .await;
    shared.as_ref().map_err(|error| anyhow!("the shared world could not be started: {error}"))
}

impl Shared {
    async fn start() -> Result<Self> {
        let scratch = Scratch::new("tenants")?;
        let file = scratch.file("tenants.yaml");
        let mut options = quick(&[&format!("--tenants-file={}", file.display())]);
        options.operator = false;
        let world = World::own(options).await?;

        let secret = scratch.write("secret", OPERATOR_SECRET)?;
        let by_secret = json!({ "clientSecret": { "file": secret } });
        let mut connections = vec![connection("default", CONTOSO, &world.simulator, &by_secret)];
        let mut tenants = Vec::with_capacity(TENANTS);
        for number in 0..TENANTS {
            let name = name(number);
            let id = Uuid::new_v4();
            let simulator = start(&scratch, &name, Tenant { id, ..Tenant::contoso() }).await?;
            connections.push(connection(&name, id, &simulator, &by_secret));
            tenants.push(simulator);
        }

        let key = KeyPair::generate_for(&PKCS_RSA_SHA256)?;
        let certificate = CertificateParams::default().self_signed(&key)?.pem();
        let by_certificate = json!({ "clientCertificate": {
            "certificateFile": scratch.write("app.crt", &certificate)?,
            "keyFile": scratch.write("app.key", key.serialize_pem())?,
        }});
        let mut tenant = Tenant { id: Uuid::new_v4(), ..Tenant::contoso() };
        let known = Certificate { key: certificate, start_date_time: None, end_date_time: None };
        for app in &mut tenant.apps {
            app.secrets.clear();
            app.certificates.push(known.clone());
        }
        let id = tenant.id;
        let with_certificate = start(&scratch, WITH_CERTIFICATE, tenant).await?;
        connections.push(connection(WITH_CERTIFICATE, id, &with_certificate, &by_certificate));

        // Each tenant has an authority of its own. The operator trusts all of them by the file of the first one.
        let all: Vec<&Simulator> =
            [&world.simulator, &with_certificate].into_iter().chain(&tenants).collect();
        for simulator in &all {
            // With Graph's limit, many tests at once would have to wait for each other.
            simulator.switch(|switches| {
                switches.authentication_method_limit = None;
                switches.directory_limit = None;
                switches.log_limit = None;
            });
        }
        let authorities: Vec<String> =
            all.iter().map(|s| read(s.authority())).collect::<Result<_>>()?;
        std::fs::write(world.simulator.authority(), authorities.concat())?;
        scratch.write("tenants.yaml", json!({ "tenants": connections }).to_string())?;
        world.operator.start().await?;
        Ok(Self { world, tenants, with_certificate, taken: AtomicUsize::new(0), _scratch: scratch })
    }
}

async fn start(scratch: &Scratch, name: &str, tenant: Tenant) -> Result<Simulator> {
    Simulator::start_in(&scratch.file(name), tenant).await
}

/// A connection. Only `default` does not say how user names map to users.
fn connection(name: &str, tenant: Uuid, simulator: &Simulator, credential: &Value) -> Value {
    let mut connection = json!({
        "name": name,
        "tenantId": tenant,
        "clientId": OPERATOR,
        "credential": credential,
        "loginUrl": simulator.url(),
        "graphUrl": simulator.url(),
    });
    if name != "default" {
        connection["users"] = json!({ "form": "userPrincipalName" });
    }
    connection
}

fn read(file: &Path) -> Result<String> {
    std::fs::read_to_string(file).with_context(|| file.display().to_string())
}

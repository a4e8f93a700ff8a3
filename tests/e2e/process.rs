//! The program reports problems of its environment, at its start and while it runs.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use axum::Json;
use axum::routing::get;
use graph_simulator::Tenant;
use graph_simulator::tenant::OPERATOR;
use jiff::SignedDuration;
use serde_json::{Value, json};
use tap_operator::api::{DecisionKind, Phase};
use tokio::process::Command;

use crate::scene::{Scene, condition};
use crate::support::control_plane::ControlPlane;
use crate::support::operator::{NAMESPACE, Operator, SERVICE_ACCOUNT};
use crate::support::scratch::Scratch;
use crate::support::simulator::Simulator;
use crate::support::{control_plane, program, run, wait};
use crate::tenants;

const TENANT: &str = "7f2d6c1e-3b6a-4c64-9d0e-5a1c3e2b4f60";

/// Runs `tap-operator run` with nothing but this environment, expects it to fail by itself, and returns its standard
/// error.
async fn fails(environment: &[(&str, &str)], arguments: &[&str]) -> Result<String> {
    let mut command = Command::new(program::tap_operator()?);
    command
        .args(["run", "--listen=127.0.0.1:0"])
        .args(arguments)
        .env_clear()
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = tokio::time::timeout(wait::PATIENCE, command.output())
        .await
        .context("it did not end by itself")??;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.code() == Some(1), "{}: {text}", output.status);
    // Its last words are a line of the log like any other.
    let last: Value = serde_json::from_str(text.lines().last().context("it says nothing")?)?;
    ensure!(last["level"] == "ERROR" && last["error"].is_string(), "{last}");
    Ok(text)
}

fn contains_all(text: &str, words: &[&str]) -> Result<()> {
    for word in words {
        ensure!(text.contains(word), "no {word:?} in:\n{text}");
    }
    Ok(())
}

#[test]
fn a_tenants_file_that_cannot_be_used() -> Result<()> {
    run(async {
        let scratch = Scratch::new("tenants-file")?;
        let file = scratch.file("tenants.yaml");
        let argument = format!("--tenants-file={}", file.display());
        let tenant = |change: &str| {
            format!(
                "tenants: [{{name: a, tenantId: {TENANT}, clientId: {OPERATOR}, \
                 credential: {{clientSecret: {{file: /secret}}}}{change}}}]"
            )
        };
        let cases = [
            (None, ["cannot be read", "mount the file"]),
            (Some("tenants: [".to_owned()), ["the form is", "credential"]),
            (Some("tenants: []".to_owned()), ["there is no tenant", "add at least one"]),
            (Some(tenant(", color: red")), ["color", "the form is"]),
            (Some(tenant(", cloud: moon")), ["cloud", "moon"]),
            (Some(tenant("").replace(TENANT, "contoso.com")), ["tenantId", "tenants[0] (a)"]),
            (Some(tenant(", graphUrl: 'http://graph'")), ["graphUrl", "https"]),
        ];
        for (text, words) in cases {
            if let Some(text) = &text {
                scratch.write("tenants.yaml", text)?;
            }
            let message = fails(&[], &[&argument]).await?;
            contains_all(&message, &words).with_context(|| format!("{text:?}"))?;
            contains_all(&message, &["tenants.yaml"])?;
        }
        Ok(())
    })
}

#[test]
fn an_environment_that_cannot_be_used() -> Result<()> {
    run(async {
        let client = OPERATOR.to_string();
        let app = [("AZURE_TENANT_ID", TENANT), ("AZURE_CLIENT_ID", client.as_str())];
        contains_all(&fails(&[], &[]).await?, &["AZURE_TENANT_ID", "is not set"])?;
        contains_all(&fails(&app, &[]).await?, &["no credential", "AZURE_CLIENT_SECRET_FILE"])?;

        let in_the_open = [app[0], app[1], ("AZURE_CLIENT_SECRET", "s3cr3t-in-the-open")];
        let message = fails(&in_the_open, &[]).await?;
        contains_all(&message, &["AZURE_CLIENT_SECRET_FILE", "mount it as a file"])?;
        ensure!(!message.contains("s3cr3t-in-the-open"), "the secret is in the message: {message}");

        let usable = [app[0], app[1], ("AZURE_CLIENT_SECRET_FILE", "/secret")];
        contains_all(&fails(&usable, &[]).await?, &["no cluster", "KUBECONFIG"])?;
        Ok(())
    })
}

#[test]
fn kubernetes_that_is_too_old() -> Result<()> {
    run(async {
        let version = json!({
            "major": "1", "minor": "29", "gitVersion": "v1.29.9", "gitCommit": "",
            "gitTreeState": "", "buildDate": "", "goVersion": "", "compiler": "", "platform": "",
        });
        let app = axum::Router::new().route("/version", get(|| async { Json(version) }));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let server = tokio::spawn(async { axum::serve(listener, app).await });

        let scratch = Scratch::new("old")?;
        let kubeconfig = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "old",
            "clusters": [{ "name": "old", "cluster": { "server": url } }],
            "users": [{ "name": "old", "user": {} }],
            "contexts": [{ "name": "old", "context": { "cluster": "old", "user": "old" } }],
        });
        let kubeconfig = scratch.write("kubeconfig", kubeconfig.to_string())?;
        let (kubeconfig, client) = (kubeconfig.display().to_string(), OPERATOR.to_string());
        let environment = [
            ("KUBECONFIG", kubeconfig.as_str()),
            ("NO_PROXY", "127.0.0.1"),
            ("AZURE_TENANT_ID", TENANT),
            ("AZURE_CLIENT_ID", &client),
            ("AZURE_CLIENT_SECRET_FILE", "/secret"),
        ];
        let message = fails(&environment, &[]).await?;
        server.abort();
        contains_all(&message, &["Kubernetes 1.29 is too old", "1.30", "upgrade"])
    })
}

#[test]
fn not_ready_while_the_resources_are_not_defined() -> Result<()> {
    run(async {
        let options = control_plane::Options { controller_manager: false, ..Default::default() };
        let control_plane = ControlPlane::start(options).await?;
        let install = |kustomization: &str| {
            let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join(kustomization);
            let directory = directory.display().to_string();
            control_plane.admin().kubectl(["apply", "--kustomize", &directory]).ok()
        };
        install("deploy").await?;
        // Without the controller manager nothing else creates the account.
        let scratch = control_plane.scratch();
        let simulator = Simulator::start(scratch, Tenant::contoso()).await?;
        let identity = control_plane.service_account(NAMESPACE, SERVICE_ACCOUNT).await?;
        let operator = Operator::new(scratch, "tap-operator", &identity, &simulator, &[])?;
        operator.component().start()?;
        wait::until(wait::PATIENCE, "it reports what is missing", || async {
            let not_ready = operator.get("readyz").await.err().context("it is ready")?;
            let message = format!("{not_ready:#}");
            contains_all(&message, &["503", "custom resource definitions", "kubectl apply -k crds"])
        })
        .await?;
        operator.get("healthz").await?;

        install("crds").await?;
        let ready = || async {
            // A watch that keeps failing is retried every 30 seconds.
            wait::until(wait::PATIENCE * 3, "it is ready", || async {
                operator.get("readyz").await.map(drop)
            })
            .await
            .with_context(|| operator.component().log_tail(20))
        };
        ready().await?;

        // A watch that dies later is reported once it has been dead for a while, and recovers by itself.
        let admin = control_plane.admin();
        admin.kubectl(["delete", "crd", "tappolicies.tap-operator.io"]).ok().await?;
        wait::until(wait::PATIENCE * 2, "it reports which watch is dead", || async {
            let not_ready = operator.get("readyz").await.err().context("it is ready")?;
            let message = format!("{not_ready:#}");
            contains_all(
                &message,
                &["503", "custom resource definitions are missing", "TapPolicies"],
            )
        })
        .await?;
        operator.get("healthz").await?;
        install("crds").await?;
        ready().await
    })
}

/// Asks for a pass, and expects the request to wait for this reason, with these words, and without a pass in the
/// tenant.
async fn waits(scene: &Scene<'_>, reason: &str, words: &[&str]) -> Result<String> {
    scene.policy(json!({})).await?;
    let user = scene.user();
    scene.ask("waits", &user, json!({})).await?;
    let waiting = scene.wait_phase("waits", Phase::Pending, reason).await?;
    let (ready, _, message) = condition(&waiting, "Ready").context("no condition Ready")?;
    ensure!(ready == "False", "{message}");
    // Stalled is True exactly if a person must act.
    let (stalled, reconciling) =
        (condition(&waiting, "Stalled").is_some(), condition(&waiting, "Reconciling").is_some());
    ensure!(stalled == (reason != "TenantUnreachable") && stalled != reconciling, "{waiting:?}");
    contains_all(message, words)?;
    ensure!(scene.ledger(&user).is_empty(), "there is a pass");
    Ok(user)
}

/// Expects the request to go on by itself within about a minute after the cause was removed. Touching the policy
/// makes it go on at once.
async fn goes_on(scene: &Scene<'_>, user: &str) -> Result<()> {
    scene.simulator.expire_tokens();
    for minutes in 1..=20 {
        scene.change_policy(json!({ "interval": format!("{minutes}m") })).await?;
        let (requests, moment) = (scene.requests(), Duration::from_secs(3));
        let active =
            wait::object(requests, "waits", moment, "Active", |seen| seen.phase() == Phase::Active);
        if active.await.is_ok() {
            break;
        }
    }
    scene.wait_active("waits").await?;
    ensure!(scene.ledger(user).len() == 1, "{:?}", scene.ledger(user));
    Ok(())
}

#[test]
fn a_permission_that_is_missing() -> Result<()> {
    run(async {
        let scene = tenants::scene("permission").await?;
        let permission = "UserAuthMethod-TAP.ReadWrite.All";
        scene.simulator.edit_app(OPERATOR, |app| app.roles.retain(|role| role != permission))?;
        scene.simulator.expire_tokens();
        let words = [permission, "admin consent", "403"];
        let user = waits(&scene, "PermissionMissing", &words).await?;
        scene.simulator.edit_app(OPERATOR, |app| app.roles.push(permission.to_owned()))?;
        goes_on(&scene, &user).await
    })
}

#[test]
fn a_client_secret_that_is_wrong() -> Result<()> {
    run(async {
        let scene = tenants::scene("secret").await?;
        let mut right = Vec::new();
        scene.simulator.edit_app(OPERATOR, |app| {
            right.clone_from(&app.secrets);
            for secret in &mut app.secrets {
                "another".clone_into(&mut secret.value);
            }
        })?;
        scene.simulator.expire_tokens();
        let words = ["AADSTS7000215", "not its id"];
        let user = waits(&scene, "SignInFailed", &words).await?;
        scene.simulator.edit_app(OPERATOR, |app| app.secrets = right)?;
        goes_on(&scene, &user).await
    })
}

#[test]
fn a_client_secret_that_has_expired() -> Result<()> {
    run(async {
        let scene = tenants::scene("old-secret").await?;
        let ends = |scene: &Scene<'_>, at| {
            scene.simulator.edit_app(OPERATOR, |app| {
                app.secrets.iter_mut().for_each(|secret| secret.end_date_time = at);
            })
        };
        ends(&scene, Some(scene.simulator.now() - SignedDuration::from_hours(1)))?;
        scene.simulator.expire_tokens();
        let words = ["AADSTS7000222", "add a new one"];
        let user = waits(&scene, "SignInFailed", &words).await?;
        ends(&scene, None)?;
        goes_on(&scene, &user).await
    })
}

#[test]
fn a_certificate_that_has_expired() -> Result<()> {
    run(async {
        let scene = tenants::scene_with_certificate("certificate").await?;
        let ends = |scene: &Scene<'_>, at| {
            scene.simulator.edit_app(OPERATOR, |app| {
                app.certificates.iter_mut().for_each(|certificate| certificate.end_date_time = at);
            })
        };
        ends(&scene, Some(scene.simulator.now() - SignedDuration::from_hours(1)))?;
        scene.simulator.expire_tokens();
        let words = ["AADSTS", "replace it if it has expired"];
        let user = waits(&scene, "SignInFailed", &words).await?;
        ends(&scene, None)?;
        goes_on(&scene, &user).await
    })
}

#[test]
fn a_tenant_that_is_out_of_reach() -> Result<()> {
    run(async {
        let scene = tenants::scene("unreachable").await?;
        scene.simulator.set_unreachable(true);
        let user = waits(&scene, "TenantUnreachable", &[]).await?;
        scene.simulator.set_unreachable(false);
        // Nobody has to do anything.
        scene.wait_active("waits").await?;
        ensure!(scene.ledger(&user).len() == 1, "{:?}", scene.ledger(&user));

        // A pass that is revoked meanwhile is deleted afterwards, but its Secret at once.
        scene.simulator.set_unreachable(true);
        scene.decide(&scene.helpdesk, "waits", DecisionKind::Revoke).await?;
        let revoking = scene.wait("waits", "being revoked", |seen| {
            condition(seen, "Reconciling").is_some_and(|c| c.1 == "Revoking")
        });
        let revoking = revoking.await?;
        ensure!(revoking.phase() == Phase::Active, "{:?}", revoking.status);
        ensure!(scene.secret("waits").await?.is_none(), "the Secret is still there");
        scene.simulator.set_unreachable(false);
        let revoked = scene.wait_phase("waits", Phase::Revoked, "Revoked").await?;
        ensure!(!scene.pass_of(&revoked)?.is_live(), "the pass still lives");
        Ok(())
    })
}

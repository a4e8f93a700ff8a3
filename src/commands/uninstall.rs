//! `tap-operator uninstall`: stop issuing, revoke active passes, free all requests.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{anyhow, bail};
use clap::builder::NonEmptyStringValueParser;
use jiff::SignedDuration;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Client;
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;
use tap_operator::api::names::{STOP_CONFIG_MAP, STOP_REVOKE_ACTIVE_KEY};
use tap_operator::cluster::ApiError;
use tap_operator::cluster::requests::name_of;
use tap_operator::cluster::running::Running;
use tap_operator::cluster::write;
use tap_operator::effect::Effect;
use tap_operator::text::counted;

use super::duration;
use super::{custody, release};

/// How often the requests are listed.
const LIST_EVERY: Duration = Duration::from_secs(2);

/// Stop issuing, revoke every active pass and free every request, so that the operator can be removed
///
/// The running operator does the work; this command starts it and waits. The requests stay as records. The custom
/// resource definitions are not changed.
#[derive(clap::Args)]
pub struct Arguments {
    /// How long to wait for the operator
    #[arg(long, default_value = "5m", value_parser = duration)]
    timeout: SignedDuration,
    /// Remove the finalizer from the requests that are left after the timeout
    #[arg(long)]
    release: bool,
    /// Namespace of the operator
    #[arg(long, env = "POD_NAMESPACE", default_value = "tap-operator-system", value_parser = NonEmptyStringValueParser::new())]
    namespace: String,
}

/// Creates the stop `ConfigMap`, and waits until the operator has freed all requests.
pub async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let client = custody::client().await?;
    let namespace = &arguments.namespace;
    // Before the stop is written: in a namespace without an operator nobody obeys it.
    let is_running = match release::running(&client, namespace).await? {
        Running::In(place) if place == *namespace => true,
        Running::In(place) => {
            bail!("the operator is running in namespace {place}: add --namespace {place}")
        }
        Running::Nowhere if arguments.release => false,
        Running::Nowhere => bail!(
            "no operator is running, so no pass would be revoked, and nothing was written: start it again, or free the requests with tap-operator release --all"
        ),
        Running::Unseen(error) => bail!(
            "{}; without an operator, free the requests with tap-operator release --all --force",
            release::unseen(namespace, &error)
        ),
    };
    stop(&client, namespace).await?;
    let done = stopped(&client, &arguments, is_running).await;
    done.map_err(|error| anyhow!("{error:#}; the stop stays until: {}", take_back(namespace)))
}

/// What is left to do after the stop was written.
async fn stopped(
    client: &Client,
    arguments: &Arguments,
    is_running: bool,
) -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout();
    let done = if is_running {
        "active passes are being revoked"
    } else {
        "no operator is running, so no pass is revoked"
    };
    custody::tell(&format!(
        "issuing is stopped, and {done} (ConfigMap {STOP_CONFIG_MAP} in namespace {})",
        arguments.namespace
    ));
    // Nobody is there for whom to wait.
    let patience = if is_running { Duration::try_from(arguments.timeout)? } else { Duration::ZERO };
    let deadline = tokio::time::Instant::now() + patience;
    let mut last = usize::MAX;
    let left = loop {
        let held = custody::held(client).await;
        let is_late = tokio::time::Instant::now() >= deadline;
        match held {
            Ok(held) if held.is_empty() || is_late => break held,
            Err(error) if is_late => return Err(error),
            Ok(held) if held.len() == last => {}
            Ok(held) => {
                last = held.len();
                let waiting = counted(last, "request");
                custody::tell(&format!("waiting for {waiting} that may have a live pass"));
            }
            // The API server may be back before the time is over.
            Err(error) => {
                let _ = writeln!(std::io::stderr(), "trying again: {error:#}");
            }
        }
        tokio::time::sleep(LIST_EVERY).await;
    };
    if !left.is_empty() && !arguments.release {
        for request in &left {
            custody::tell(&format!("{}: {}", name_of(request), custody::what_may_live(request)));
        }
        bail!(
            "{} were not freed within {:#}: see their status, then try again, or add --release",
            counted(left.len(), "request"),
            arguments.timeout
        );
    }
    let freed = release::release_all(client, &left).await?;
    if freed < left.len() {
        bail!(
            "{freed} of {} released: mend what is said above, and try again",
            counted(left.len(), "request")
        );
    }
    if left.is_empty() {
        writeln!(out, "no request holds a live pass any more")?;
    } else {
        writeln!(out, "{} released: delete their passes in Entra", counted(freed, "request"))?;
    }
    writeln!(
        out,
        "next: helm uninstall, or kubectl delete -k with what you installed; the requests and the custom resource definitions stay. deploy/ has the namespace, too, and with it go the credential of the app and the stop"
    )?;
    writeln!(
        out,
        "as long as its namespace is there, the stop stays, also for an operator that is installed again; to issue again: {}",
        take_back(&arguments.namespace)
    )?;
    Ok(ExitCode::SUCCESS)
}

/// The command that takes the stop back.
fn take_back(namespace: &str) -> String {
    format!("kubectl delete configmap {STOP_CONFIG_MAP} -n {namespace}")
}

async fn stop(client: &Client, namespace: &str) -> anyhow::Result<()> {
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    let stop = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": { "name": STOP_CONFIG_MAP },
        "data": { (STOP_REVOKE_ACTIVE_KEY): "true" },
    });
    let parameters = PatchParams::apply("tap-operator-uninstall").force();
    let patch = Patch::Apply(&stop);
    let applied =
        write::patch(Effect::StopAndRevoke, &maps, STOP_CONFIG_MAP, &parameters, &patch).await;
    let what =
        format!("the ConfigMap {STOP_CONFIG_MAP} cannot be written in namespace {namespace}");
    match applied {
        Err(ApiError::NotFound { .. }) => {
            bail!("{what}: there is no such namespace; name the operator's with --namespace")
        }
        Err(error @ ApiError::Unknown { .. }) => {
            Err(custody::refused(&what, error).context(format!(
                "it is not known whether issuing is stopped; if it is, the stop stays until: {}",
                take_back(namespace)
            )))
        }
        applied => custody::written(&what, applied),
    }
}

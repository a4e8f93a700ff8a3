//! `tap-operator release`: free requests without an operator.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::bail;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Api, Patch, PatchParams};
use kube::{Client, ResourceExt as _};
use serde_json::json;
use tap_operator::api::TapRequest;
use tap_operator::api::names::{FINALIZER, OPERATOR};
use tap_operator::cluster::requests::name_of;
use tap_operator::cluster::write;
use tap_operator::effect::Effect;

use super::custody;

/// Remove the operator's finalizer from `TapRequests` when no operator runs any more
///
/// This deletes no pass in Entra. It prints which passes may still be usable there; they expire by themselves. It needs
/// the verb `release` on the `TapPolicy` of each request.
#[derive(clap::Args)]
pub struct Arguments {
    /// The requests to free, as NAMESPACE/NAME
    #[arg(value_name = "NAMESPACE/NAME", required_unless_present = "all", value_parser = namespace_and_name)]
    requests: Vec<String>,
    /// Free every request that has the finalizer
    #[arg(long, conflicts_with = "requests")]
    all: bool,
    /// Free them even if an operator seems to be running
    #[arg(long)]
    force: bool,
    /// Namespace of the operator and of its lease
    #[arg(long, env = "POD_NAMESPACE", default_value = "tap-operator-system")]
    namespace: String,
}

/// Frees the requests.
pub async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let client = custody::client().await?;
    if !arguments.force && is_running(&client, &arguments.namespace).await? {
        bail!(
            "an operator is running in namespace {}: delete or revoke the requests and it frees them, or add --force",
            arguments.namespace
        );
    }
    let held = custody::held(&client).await?;
    let chosen: Vec<TapRequest> = if arguments.all {
        held
    } else {
        let chosen: Vec<TapRequest> =
            held.into_iter().filter(|r| arguments.requests.contains(&name_of(r))).collect();
        if let Some(missing) =
            arguments.requests.iter().find(|name| !chosen.iter().any(|r| name_of(r) == **name))
        {
            bail!(
                "{missing} does not exist or does not have the operator's finalizer: no request was freed"
            );
        }
        chosen
    };
    let mut out = std::io::stdout();
    for request in &chosen {
        release(&client, request).await?;
        writeln!(out, "{} released: {}", name_of(request), custody::what_may_live(request))?;
    }
    writeln!(out, "{} of {} requests released", chosen.len(), chosen.len())?;
    if !chosen.is_empty() {
        writeln!(
            out,
            "no operator deletes these passes any more, also if it starts again: delete them in Entra, or let them expire"
        )?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Removes the finalizer from one request, in the version that was read.
pub async fn release(client: &Client, request: &TapRequest) -> anyhow::Result<()> {
    let rest: Vec<&String> = request.finalizers().iter().filter(|f| *f != FINALIZER).collect();
    let version = &request.metadata.resource_version;
    let patch = json!({ "metadata": { "resourceVersion": version, "finalizers": rest } });
    let api: Api<TapRequest> =
        Api::namespaced(client.clone(), &request.namespace().unwrap_or_default());
    let (by, patch) = (PatchParams::default(), Patch::Merge(&patch));
    let freed = write::patch(Effect::FreeRequest, &api, &request.name_any(), &by, &patch).await;
    custody::written(&format!("{} could not be released", name_of(request)), freed)
}

/// A request on the command line.
fn namespace_and_name(text: &str) -> Result<String, String> {
    match text.split('/').collect::<Vec<_>>()[..] {
        [namespace, name] if !namespace.is_empty() && !name.is_empty() => Ok(text.to_owned()),
        _ => Err("write it as NAMESPACE/NAME, such as helpdesk/alice".into()),
    }
}

/// Whether the operator's lease was renewed within twice its duration.
pub async fn is_running(client: &Client, namespace: &str) -> anyhow::Result<bool> {
    let leases: Api<Lease> = Api::namespaced(client.clone(), namespace);
    let lease = leases.get_opt(OPERATOR).await;
    let lease = lease.map_err(|error| {
        custody::refused("whether an operator is running cannot be read from its lease", &error)
    })?;
    let Some(lease) = lease else {
        return Ok(false);
    };
    let spec = lease.spec.unwrap_or_default();
    let held = spec.holder_identity.is_some_and(|holder| !holder.is_empty());
    let recent = spec.renew_time.is_some_and(|renewed| {
        Timestamp::now().duration_since(renewed.0) < SignedDuration::from_secs(30)
    });
    Ok(held && recent)
}

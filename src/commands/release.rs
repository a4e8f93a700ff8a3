//! `tap-operator release`: free requests without an operator.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::Lease;
use kube::Client;
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;
use tap_operator::api::TapRequest;
use tap_operator::api::names::{FINALIZER, OPERATOR};
use tap_operator::controller::write;
use tap_operator::effect::Effect;

use super::custody;

/// Take the operator's finalizer off `TapRequests`, when no operator can do it any more
///
/// This deletes no pass in Entra: what may still be usable there is printed, and expires by itself. It needs the verb
/// `release` on the `TapPolicy` of each request.
#[derive(clap::Args)]
pub struct Arguments {
    /// The requests to free, as NAMESPACE/NAME
    #[arg(value_name = "NAMESPACE/NAME", required_unless_present = "all")]
    requests: Vec<String>,
    /// Free every request that holds the finalizer
    #[arg(long, conflicts_with = "requests")]
    all: bool,
    /// Free them even though an operator seems to be running
    #[arg(long)]
    force: bool,
    /// Namespace of the operator, where its lease is
    #[arg(long, env = "POD_NAMESPACE", default_value = "tap-operator-system")]
    namespace: String,
}

/// Frees the requests.
pub async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let client = custody::client().await?;
    if !arguments.force && is_running(&client, &arguments.namespace).await? {
        bail!(
            "an operator is running in namespace {}: delete or revoke the requests and it frees them, or say --force",
            arguments.namespace
        );
    }
    let held = custody::held(&client).await?;
    let chosen: Vec<TapRequest> = if arguments.all {
        held
    } else {
        let chosen: Vec<TapRequest> = held
            .into_iter()
            .filter(|r| arguments.requests.contains(&custody::name_of(r)))
            .collect();
        if let Some(missing) = arguments
            .requests
            .iter()
            .find(|name| !chosen.iter().any(|r| custody::name_of(r) == **name))
        {
            bail!(
                "{missing} does not exist or holds no finalizer of the operator: nothing was freed"
            );
        }
        chosen
    };
    let mut out = std::io::stdout();
    for request in &chosen {
        release(&client, request).await?;
        writeln!(
            out,
            "{} released: {}",
            custody::name_of(request),
            custody::what_may_live(request)
        )?;
    }
    writeln!(out, "{} of {} requests released", chosen.len(), chosen.len())?;
    Ok(ExitCode::SUCCESS)
}

/// Takes the finalizer off one request, as it was read.
pub async fn release(client: &Client, request: &TapRequest) -> anyhow::Result<()> {
    let metadata = &request.metadata;
    let rest: Vec<&String> =
        metadata.finalizers.iter().flatten().filter(|f| *f != FINALIZER).collect();
    let patch =
        json!({ "metadata": { "resourceVersion": metadata.resource_version, "finalizers": rest } });
    let api: Api<TapRequest> =
        Api::namespaced(client.clone(), metadata.namespace.as_deref().unwrap_or_default());
    let name = metadata.name.as_deref().unwrap_or_default();
    let (by, patch) = (PatchParams::default(), Patch::Merge(&patch));
    let freed = write::patch(Effect::FreeRequest, &api, name, &by, &patch).await;
    freed.with_context(|| format!("{} could not be released", custody::name_of(request)))?;
    Ok(())
}

/// Whether somebody renewed the operator's lease within twice its duration.
pub async fn is_running(client: &Client, namespace: &str) -> anyhow::Result<bool> {
    let leases: Api<Lease> = Api::namespaced(client.clone(), namespace);
    let Some(lease) =
        leases.get_opt(OPERATOR).await.context("the operator's lease cannot be read")?
    else {
        return Ok(false);
    };
    let spec = lease.spec.unwrap_or_default();
    let held = spec.holder_identity.is_some_and(|holder| !holder.is_empty());
    let recent = spec.renew_time.is_some_and(|renewed| {
        Timestamp::now().duration_since(renewed.0) < SignedDuration::from_secs(30)
    });
    Ok(held && recent)
}

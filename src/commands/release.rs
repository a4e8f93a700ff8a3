//! `tap-operator release`: free requests without an operator.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::builder::NonEmptyStringValueParser;
use kube::api::{Patch, PatchParams};
use kube::{Client, ResourceExt as _};
use serde_json::json;
use tap_operator::api::TapRequest;
use tap_operator::api::names::{FINALIZER, OPERATOR};
use tap_operator::cluster::ApiError;
use tap_operator::cluster::requests::{self, name_of};
use tap_operator::cluster::running::{self, Running};
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
    #[arg(long, env = "POD_NAMESPACE", default_value = "tap-operator-system", value_parser = NonEmptyStringValueParser::new())]
    namespace: String,
}

/// Frees the requests.
pub async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let client = custody::client().await?;
    if !arguments.force {
        none_runs(&client, &arguments.namespace).await?;
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
    let freed = release_all(&client, &chosen).await?;
    let mut out = std::io::stdout();
    writeln!(out, "{freed} of {} requests released", chosen.len())?;
    if freed > 0 {
        writeln!(
            out,
            "no operator deletes these passes any more, also if it starts again: delete them in Entra, or let them expire"
        )?;
    }
    Ok(if freed == chosen.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Removes the finalizer from requests, and says of each what may live on, or why it could not be released. Returns how many
/// were released, and fails only then if that cannot be written: a reader that goes away keeps no request from being freed.
pub async fn release_all(client: &Client, chosen: &[TapRequest]) -> anyhow::Result<usize> {
    let (mut out, mut problems) = (std::io::stdout(), std::io::stderr());
    let (mut freed, mut told) = (0, Ok(()));
    for request in chosen {
        let telling = match release(client, request).await {
            Ok(()) => {
                freed += 1;
                let may_live = custody::what_may_live(request);
                writeln!(out, "{} released: {may_live}", name_of(request))
            }
            Err(error) => writeln!(problems, "error: {error:#}"),
        };
        told = told.and(telling);
    }
    let number = chosen.len();
    told.with_context(|| {
        format!("{freed} of {number} requests released, but it cannot be told which")
    })?;
    Ok(freed)
}

/// Removes the finalizer from one request, in the version that was read.
async fn release(client: &Client, request: &TapRequest) -> anyhow::Result<()> {
    let rest: Vec<&String> = request.finalizers().iter().filter(|f| *f != FINALIZER).collect();
    let version = &request.metadata.resource_version;
    let patch = json!({ "metadata": { "resourceVersion": version, "finalizers": rest } });
    let api = requests::api(client, request);
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

/// Refuses to go on while an operator may be running: it would not know any more of the passes that it must delete.
async fn none_runs(client: &Client, namespace: &str) -> anyhow::Result<()> {
    match running(client, namespace).await? {
        Running::Nowhere => Ok(()),
        Running::In(namespace) => bail!(
            "an operator is running in namespace {namespace}: delete or revoke the requests and it frees them, or add --force"
        ),
        Running::Unseen(error) => bail!("{}, or add --force", unseen(namespace, &error)),
    }
}

/// Where an operator renews its lease. That takes some seconds to find out where none does, so it is said.
pub async fn running(client: &Client, namespace: &str) -> anyhow::Result<Running> {
    let _ = writeln!(
        std::io::stderr(),
        "looking for a running operator; without one this may take 20 seconds"
    );
    let what = "whether an operator is running cannot be read from its lease";
    let running = running::running(client, namespace, OPERATOR).await;
    running.map_err(|error| custody::refused(what, error))
}

/// That it is not known whether an operator is running, and what to do.
pub fn unseen(namespace: &str, error: &ApiError) -> String {
    format!(
        "there is no Lease {OPERATOR} in namespace {namespace}, and whether an operator is running in another one cannot be seen \
         ({error}): name the namespace of the operator with --namespace"
    )
}

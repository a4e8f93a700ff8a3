//! How many calls a pass takes, by what they ask for.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use anyhow::Result;

use super::subject::NAMESPACE;
use super::support::world::World;

/// What the API server counts of requests, by verb and resource.
const COUNTER: &str = "apiserver_request_total{";
/// The resources that have to do with a pass. The lease is renewed whether or not there is one.
const RESOURCES: [&str; 6] =
    ["taprequests", "secrets", "configmaps", "tappolicies", "subjectaccessreviews", "events"];

/// How many calls were made of each kind.
#[derive(Default)]
pub struct Calls(BTreeMap<String, u64>);

impl Calls {
    /// All calls so far: to the tenant, and to the API server.
    pub async fn so_far(world: &World) -> Result<Self> {
        let mut calls = BTreeMap::new();
        for request in world.simulator.requests() {
            *calls.entry(format!("Graph {:?}", request.operation)).or_default() += 1;
        }
        let metrics =
            world.control_plane.admin().kubectl(["get", "--raw", "/metrics"]).ok().await?;
        for line in metrics.lines().filter_map(|line| line.strip_prefix(COUNTER)) {
            let Some((labels, count)) = line.rsplit_once("} ") else { continue };
            let label = |name: &str| {
                let value = labels.split(&format!("{name}=\"")).nth(1)?;
                value.split('"').next()
            };
            let (Some(verb), Some(resource)) = (label("verb"), label("resource")) else { continue };
            if !RESOURCES.contains(&resource) || ["WATCH", "LIST"].contains(&verb) {
                continue;
            }
            let mut kind = format!("API server {verb} {resource}");
            for part in [label("subresource"), label("dry_run")].into_iter().flatten() {
                if !part.is_empty() {
                    let _ = write!(kind, " {part}");
                }
            }
            // The counter is written as a float, without a fraction.
            let count: f64 = count.trim().parse()?;
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
            let count = count as u64;
            *calls.entry(kind).or_default() += count;
        }
        Ok(Self(calls))
    }

    /// Adds those that were made between two moments.
    pub fn add(&mut self, before: &Self, after: &Self) {
        for (kind, count) in &after.0 {
            let made = count - before.0.get(kind).unwrap_or(&0);
            if made > 0 {
                *self.0.entry(kind.clone()).or_default() += made;
            }
        }
    }

    /// A line for each kind: how many a pass takes, by the calls of each program and the number of its passes.
    #[expect(clippy::cast_precision_loss, reason = "these are small")]
    pub fn table(of: &[(&Self, usize)]) -> String {
        let mut table = format!("calls a pass, the person's own create in {NAMESPACE} included\n");
        let kinds: BTreeSet<&String> = of.iter().flat_map(|(calls, _)| calls.0.keys()).collect();
        for kind in kinds {
            let _ = write!(table, "  {kind:48}");
            for (calls, passes) in of {
                let count = calls.0.get(kind).copied().unwrap_or_default();
                let _ = write!(table, "{:>8.2}", count as f64 / *passes as f64);
            }
            table.push('\n');
        }
        table
    }
}

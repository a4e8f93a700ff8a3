//! The floor of an idle process: tokio, and a client of the API server that watches all requests and keeps nothing of them.

use std::pin::pin;

use anyhow::Result;
use futures::StreamExt;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client};
use tap_operator::api::TapRequest;
use tokio::runtime::Builder;

use super::PATIENCE;
use super::process::{self, Usage};
use super::support::component::Component;
use super::support::world::World;
use super::way::Way;

/// With this argument the benchmark is that program.
pub const ARGUMENT: &str = "--bare";

/// Watches, until it is killed.
pub fn run() -> Result<()> {
    Builder::new_current_thread().enable_all().build()?.block_on(async {
        let requests: Api<TapRequest> = Api::all(Client::try_default().await?);
        let mut events = pin!(watcher(requests, watcher::Config::default()).default_backoff());
        while events.next().await.is_some() {}
        Ok(())
    })
}

/// What it uses at rest, with the operator's rights.
pub async fn at_rest(world: &World, way: &Way) -> Result<Usage> {
    let bare = Component::new(
        "bare",
        std::env::current_exe()?,
        vec![ARGUMENT.into()],
        vec![("KUBECONFIG".into(), way.identity.kubeconfig().display().to_string())],
        world.control_plane.scratch().file("bare.log"),
    );
    bare.start()?;
    process::at_rest(&bare, PATIENCE).await
}

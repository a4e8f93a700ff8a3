//! The floor of a start: a bare program that lists all requests, as a cache is filled.

use std::time::{Duration, Instant};

use anyhow::Result;
use kube::api::ListParams;
use kube::{Api, Client};
use tap_operator::api::TapRequest;

/// How many requests a page has: as many as kube's watches ask for.
const PAGE: u32 = 500;
/// How often it is done; the median counts.
const TIMES: usize = 3;

/// How long it takes to list all requests of the cluster in pages.
pub async fn time(client: Client) -> Result<Duration> {
    let requests = Api::all(client);
    let mut took = Vec::new();
    for _ in 0..TIMES {
        let began = Instant::now();
        each(&requests, drop).await?;
        took.push(began.elapsed());
    }
    took.sort_unstable();
    Ok(took[TIMES / 2])
}

/// Lists all requests in pages, and shows each.
pub async fn each(requests: &Api<TapRequest>, mut show: impl FnMut(TapRequest)) -> Result<()> {
    let mut page = ListParams::default().limit(PAGE);
    loop {
        let listed = requests.list(&page).await?;
        listed.items.into_iter().for_each(&mut show);
        let next = listed.metadata.continue_.filter(|next| !next.is_empty());
        let Some(next) = next else { return Ok(()) };
        page = page.continue_token(&next);
    }
}

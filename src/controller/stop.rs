//! Follows the emergency stop. It is read whenever its watch shows something, and every few seconds, because a connection
//! that went silent shows nothing. Only this process's reads count, so what is known of the stop never goes back in time.

use std::pin::pin;
use std::time::Duration;

use futures::{Stream, StreamExt as _};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt as _;
use kube::runtime::watcher;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::{sleep, timeout};

use super::announce;
use super::health::Health;
use super::operator::Operator;
use crate::cluster::{ApiError, requests};
use crate::decision::stop::StopOrder;

/// How often it is read without a cause.
const READ_EVERY: Duration = Duration::from_secs(10);
/// The longest that one read may take. A connection that went silent answers no later read either.
const READ_DEADLINE: Duration = Duration::from_secs(5);

/// Reads the stop for ever, applies it, and tells when it comes, changes or goes. Returns if `watched` ends.
pub async fn follow(
    operator: &Operator,
    watched: impl Stream<Item = watcher::Result<watcher::Event<ConfigMap>>>,
    health: &Health,
    policies: &UnboundedSender<()>,
) {
    let mut watched = pin!(watched);
    let mut told = StopOrder::OFF;
    // What was ordered when this process did not work yet: another may have told it.
    let mut before = None;
    let mut version = String::new();
    loop {
        let found = read(operator).await;
        health.read_stop(found.as_ref().map(drop));
        if let Err(error) = &found {
            tracing::warn!(%error, "the emergency stop cannot be read");
        }
        // What was known stays if the stop cannot be read. Before a POST it is read again, and then it counts as set.
        if let Ok(found) = found {
            let order = StopOrder::of(found.as_ref());
            if operator.stop.send_replace(Some(order.clone())).as_ref() != Some(&order) {
                operator.metrics.stops(&order);
                operator.apply_stop();
                let _ = policies.send(());
            }
            if !operator.works() {
                before = Some(order);
            } else if order != told {
                let active = operator.requests().active();
                version = found.as_ref().map_or(version, version_of);
                operator.tell_stop(&version, &order, active, before.as_ref() == Some(&order));
                announce::stop(&operator.recorder(), found.as_ref(), &order, active).await;
                told = order;
            }
        }
        let mut again = pin!(sleep(READ_EVERY));
        loop {
            tokio::select! {
                event = watched.next() => match event {
                    None => return,
                    Some(Ok(watcher::Event::Init | watcher::Event::InitApply(_)) | Err(_)) => {}
                    Some(Ok(_)) => break,
                },
                () = &mut again => break,
            }
        }
    }
}

/// What no other version of any stop has.
fn version_of(found: &ConfigMap) -> String {
    let version = found.resource_version().unwrap_or_default();
    format!("{}.{version}", found.uid().unwrap_or_default())
}

async fn read(operator: &Operator) -> Result<Option<ConfigMap>, ApiError> {
    let read = requests::stop(&operator.client, &operator.namespace);
    timeout(READ_DEADLINE, read).await.unwrap_or_else(|_| {
        let cause = format!("no answer within {} s", READ_DEADLINE.as_secs());
        Err(ApiError::Unknown { call: "get stop ConfigMap", cause })
    })
}

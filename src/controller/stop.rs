//! Follows the emergency stop. It is read whenever its watch shows something, and every few seconds, because a connection
//! that went silent shows nothing. Only this process's reads count, so what is known of the stop never goes back in time.

use std::pin::pin;
use std::time::Duration;

use futures::{Stream, StreamExt as _};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt as _;
use kube::runtime::watcher;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::{Instant, sleep, timeout};

use super::announce;
use super::health::Health;
use super::operator::Operator;
use crate::cluster::{ApiError, requests};
use crate::decision::stop::StopOrder;
use crate::notice::WINDOW;

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
    let mut before = Before::default();
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
            version = found.as_ref().map_or(version, version_of);
            if operator.works() {
                let before = std::mem::take(&mut before);
                let mut again = before.last.as_ref() == Some(&order);
                if order == StopOrder::OFF
                    && let Some(over) = before.over_lately()
                {
                    (told, again) = (over, true);
                }
                if order != told {
                    let active = operator.requests().active();
                    operator.tell_stop(&version, &order, active, again);
                    announce::stop(&operator.recorder(), found.as_ref(), &order, active).await;
                    told = order;
                }
            } else {
                before.see(order);
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

/// What was ordered while this process did not work. Another one may have told it, or may have ended before it could.
#[derive(Default)]
struct Before {
    /// The last order.
    last: Option<StopOrder>,
    /// The last order to stop, and since when it is over.
    stop: Option<(StopOrder, Option<Instant>)>,
}

impl Before {
    fn see(&mut self, order: StopOrder) {
        if order != StopOrder::OFF {
            self.stop = Some((order.clone(), None));
        } else if let Some((_, over)) = &mut self.stop {
            over.get_or_insert_with(Instant::now);
        }
        self.last = Some(order);
    }

    /// The stop that is over, if its end is news: whoever worked when it ended long ago has told it.
    fn over_lately(self) -> Option<StopOrder> {
        let (stop, over) = self.stop?;
        let is_news = over.is_none_or(|over| over.elapsed() < WINDOW.unsigned_abs());
        is_news.then_some(stop)
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

//! Bounded waiting.

use std::fmt::Debug;
use std::pin::pin;
use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use futures::StreamExt;
use kube::runtime::watcher;
use kube::{Api, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep, timeout};

/// How long a test waits for something that takes a second or two on an idle machine.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// Polls until the answer is `Ok`. After `patience` it fails with the last error.
pub async fn until<F>(patience: Duration, what: &str, mut ask: impl FnMut() -> F) -> Result<()>
where
    F: Future<Output = Result<()>>,
{
    let deadline = Instant::now() + patience;
    loop {
        let no = match timeout(patience, ask()).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(no)) => no,
            Err(_) => anyhow!("no answer"),
        };
        if Instant::now() > deadline {
            return Err(no.context(format!("{what}: not within {patience:?}")));
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// Watches an object until `condition` holds for it. The error shows the object as it was last seen.
pub async fn object<K>(
    api: &Api<K>,
    name: &str,
    patience: Duration,
    what: &str,
    condition: impl Fn(&K) -> bool,
) -> Result<K>
where
    K: Resource + Clone + Debug + DeserializeOwned + Serialize + Send + 'static,
{
    match watch(api, name, patience, |seen| seen.is_some_and(&condition)).await {
        Ok(Some(object)) => Ok(object),
        Ok(None) => bail!("{name}: {what}: the watch ended"),
        Err(last) => bail!("{name}: {what}: not within {patience:?}\n{last}"),
    }
}

/// Watches an object until it is gone. The error shows the object as it was last seen.
pub async fn gone<K>(api: &Api<K>, name: &str, patience: Duration) -> Result<()>
where
    K: Resource + Clone + Debug + DeserializeOwned + Serialize + Send + 'static,
{
    match watch(api, name, patience, |seen| seen.is_none()).await {
        Ok(_) => Ok(()),
        Err(last) => bail!("{name} is not gone within {patience:?}\n{last}"),
    }
}

/// The object once `enough` accepts it, or (as the error) a description of what was seen last. Errors do not end the
/// watch, because the API server may be down for a while.
async fn watch<K>(
    api: &Api<K>,
    name: &str,
    patience: Duration,
    enough: impl Fn(Option<&K>) -> bool,
) -> Result<Option<K>, String>
where
    K: Resource + Clone + Debug + DeserializeOwned + Serialize + Send + 'static,
{
    let mut last = None;
    let mut trouble = None;
    let watched = timeout(patience, async {
        let mut states = pin!(watcher::watch_object(api.clone(), name));
        while let Some(state) = states.next().await {
            match state {
                Ok(object) => {
                    let enough = enough(object.as_ref());
                    (last, trouble) = (object, None);
                    if enough {
                        break;
                    }
                }
                Err(error) => {
                    trouble = Some(error);
                    sleep(Duration::from_millis(200)).await;
                }
            }
        }
    })
    .await;
    if watched.is_ok() {
        return Ok(last);
    }
    let last = match last.map(|object| serde_json::to_string_pretty(&object)) {
        Some(Ok(json)) => format!("--- as last seen\n{json}"),
        Some(Err(error)) => format!("as last seen it cannot be shown: {error}"),
        None => "no such object was seen".to_owned(),
    };
    Err(match trouble {
        Some(trouble) => format!("{last}\nthe watch fails: {trouble}"),
        None => last,
    })
}

//! What the control plane has stored, read without the API server: every key of etcd, and the bytes of its files.

use std::path::Path;

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer};

use super::canary::Search;
use super::control_plane::ControlPlane;

/// One key of etcd with its value.
#[derive(Debug, Deserialize)]
pub struct Stored {
    #[serde(deserialize_with = "text")]
    pub key: String,
    #[serde(deserialize_with = "bytes")]
    pub value: Vec<u8>,
}

#[derive(Deserialize)]
struct Range {
    kvs: Vec<Stored>,
}

impl ControlPlane {
    /// Every key of etcd, as it is now.
    pub async fn stored(&self) -> Result<Vec<Stored>> {
        let url = format!("{}/v3/kv/range", self.etcd_url());
        // From the first key to the last; both are written as a zero byte.
        let all = r#"{"key": "AA==", "range_end": "AA=="}"#;
        let client = reqwest::Client::builder().no_proxy().build()?;
        let answer = client.post(&url).body(all).send().await?.error_for_status()?;
        let range: Range = serde_json::from_slice(&answer.bytes().await?).context(url)?;
        Ok(range.kvs)
    }

    /// The keys of etcd whose value has a match.
    pub async fn keys_with(&self, search: &Search) -> Result<Vec<String>> {
        let mut stored = self.stored().await?;
        stored.retain(|stored| search.is_in(&stored.value));
        Ok(stored.into_iter().map(|stored| stored.key).collect())
    }

    /// The files of etcd that have a match, now or in a revision that is not compacted yet.
    pub fn etcd_files_with(&self, search: &Search) -> Result<Vec<String>> {
        let mut found = Vec::new();
        search_files(&self.etcd_data(), search, &mut found)?;
        Ok(found)
    }
}

fn search_files(directory: &Path, search: &Search, found: &mut Vec<String>) -> Result<()> {
    for entry in std::fs::read_dir(directory).with_context(|| directory.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            search_files(&path, search, found)?;
        } else {
            match std::fs::read(&path) {
                Ok(content) if search.is_in(&content) => found.push(path.display().to_string()),
                Ok(_) => {}
                // etcd replaces files while it runs.
                Err(gone) if gone.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(error).with_context(|| path.display().to_string()),
            }
        }
    }
    Ok(())
}

fn bytes<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
    STANDARD.decode(String::deserialize(from)?).map_err(serde::de::Error::custom)
}

fn text<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    Ok(String::from_utf8_lossy(&bytes(from)?).into_owned())
}

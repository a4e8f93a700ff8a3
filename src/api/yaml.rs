//! The only place that reads and writes YAML.
//!
//! `serde_yaml` reads and `serde-saphyr` writes. `serde_yaml` leaves `yes`, `on`, `1_000` and dates unquoted, and
//! Kubernetes would read them as booleans and numbers; `serde-saphyr` quotes them.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Text that is not YAML, or not of the expected form.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct YamlError(String);

/// Reads one document.
pub fn read<T: DeserializeOwned>(text: &str) -> Result<T, YamlError> {
    serde_yaml::from_str(text).map_err(|e| YamlError(e.to_string()))
}

/// Reads every document of a file.
pub fn read_all<T: DeserializeOwned>(text: &str) -> Result<Vec<T>, YamlError> {
    serde_yaml::Deserializer::from_str(text)
        .map(|document| T::deserialize(document).map_err(|e| YamlError(e.to_string())))
        .collect()
}

/// Writes one document that Kubernetes reads back unchanged.
pub fn write<T: Serialize>(value: &T) -> Result<String, YamlError> {
    serde_saphyr::to_string(value).map_err(|e| YamlError(e.to_string()))
}

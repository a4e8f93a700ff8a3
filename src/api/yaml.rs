//! YAML in and out, behind one door.
//!
//! Reading is `serde_yaml`. Writing is `serde-saphyr`: it quotes `yes`, `on`, `1_000` and dates, which Kubernetes'
//! reader would take for booleans and numbers where `serde_yaml` leaves them bare.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Text that is no YAML, or not of the expected form.
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

/// Writes one document that reads back the same in Kubernetes.
pub fn write<T: Serialize>(value: &T) -> Result<String, YamlError> {
    serde_saphyr::to_string(value).map_err(|e| YamlError(e.to_string()))
}

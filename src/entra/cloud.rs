//! The clouds in which a tenant can be.

use serde::{Deserialize, Serialize};

/// A cloud whose Graph v1.0 has Temporary Access Passes (documented).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cloud {
    /// `global`: the public cloud, including GCC.
    Global,
    /// `usgov`: US Government L4 (GCC High).
    UsGov,
    /// `usgovdod`: US Government L5 (Department of Defense).
    UsGovDod,
}

impl Cloud {
    /// Its name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Global => "global",
            Self::UsGov => "usgov",
            Self::UsGovDod => "usgovdod",
        }
    }

    /// Scheme and host of its login.
    pub fn login_url(self) -> &'static str {
        match self {
            Self::Global => "https://login.microsoftonline.com",
            Self::UsGov | Self::UsGovDod => "https://login.microsoftonline.us",
        }
    }

    /// Scheme and host of its Graph.
    pub fn graph_url(self) -> &'static str {
        match self {
            Self::Global => "https://graph.microsoft.com",
            Self::UsGov => "https://graph.microsoft.us",
            Self::UsGovDod => "https://dod-graph.microsoft.us",
        }
    }
}

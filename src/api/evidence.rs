//! What the logs of the tenant say of the use of a pass.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// What the tenant's log of sign-ins says of the use of a pass. Entra does not say by which method somebody signed in, so a
/// successful sign-in is one of this user during the life of the pass.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Evidence {
    /// The first successful sign-in of this user during the life of the pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_sign_in: Option<Time>,
    /// The sign-ins with a pass that failed, by the number of Entra's error.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub failed_sign_ins: Vec<FailedSignIns>,
}

/// Sign-ins with a pass that failed for one reason.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FailedSignIns {
    /// The number of Entra's error: 130502 blocked by the tenant's method, 130503 wrong code, 130504 expired, 130505 used
    /// already, 130506 not on the web, 130507 not found.
    pub code: i32,
    /// How many there were.
    pub count: i32,
}

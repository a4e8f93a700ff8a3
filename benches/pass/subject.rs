//! For whom and where passes are made.

use graph_simulator::tenant::User;
use serde_json::{Value, json};
use uuid::Uuid;

/// Where the requests are made.
pub const NAMESPACE: &str = "bench";
/// The policy that they name.
pub const POLICY: &str = "bench";

/// The user with this number, for the request with this number.
pub fn user(number: usize) -> User {
    let name = format!("user-{number}@contoso.com");
    User::member(Uuid::from_u128(0x4000_8000_0000_0000_0000 + number as u128), &name, &name)
}

/// The policy for requests of these namespaces, with a quota if there is one.
pub fn policy(namespaces: &[&str], quota: &Value) -> Value {
    json!({
        "apiVersion": "tap-operator.io/v1alpha1",
        "kind": "TapPolicy",
        "metadata": { "name": POLICY },
        "spec": { "tenant": "default", "issuance": {
            "namespaces": { "names": namespaces },
            "users": { "domains": ["contoso.com"] },
            "lifetime": { "default": "1h", "maximum": "8h" },
            "approval": { "required": 0 },
            "quota": quota,
        } },
    })
}

//! Names that appear in the cluster: keys, types and labels, each in one place.

/// API group of both resources.
pub const GROUP: &str = "tap-operator.io";
/// Finalizer on a `TapRequest`, there only while a live pass may exist.
pub const FINALIZER: &str = "tap-operator.io/pass";
/// Annotation on a `TapRequest` that records an attempt before it is made.
pub const INTENT_ANNOTATION: &str = "tap-operator.io/intent";
/// `type` of the Secrets that carry a pass.
pub const SECRET_TYPE: &str = "tap-operator.io/temporary-access-pass";
/// Label by which the fields of the operator are told from others, and its value.
pub const MANAGED_BY_LABEL: &str = "app.kubernetes.io/managed-by";
/// The operator's own name, wherever one is asked for: field manager, controller of events, lease.
pub const OPERATOR: &str = "tap-operator";
/// Label that keeps Velero from putting a code into a backup.
pub const VELERO_EXCLUDE_LABEL: &str = "velero.io/exclude-from-backup";
/// `ConfigMap` in the operator's namespace that stops all issuing at once.
pub const STOP_CONFIG_MAP: &str = "tap-operator-stop";
/// Key of the stop `ConfigMap`; the value `"true"` also revokes what is active.
pub const STOP_REVOKE_ACTIVE_KEY: &str = "revokeActive";
/// Where a user goes with a pass to register a new method.
pub const SIGN_IN_URL: &str = "https://aka.ms/mysecurityinfo";

/// Keys of the Secret.
pub mod secret_keys {
    /// The code itself.
    pub const TEMPORARY_ACCESS_PASS: &str = "temporaryAccessPass";
    /// In its place: the code encrypted to the request's recipients, an age file in ASCII armor.
    pub const SEALED_TEMPORARY_ACCESS_PASS: &str = "temporaryAccessPass.age";
    /// Whom it signs in.
    pub const USER_PRINCIPAL_NAME: &str = "userPrincipalName";
    /// From when it is valid, RFC 3339.
    pub const NOT_BEFORE: &str = "notBefore";
    /// Until when it is valid, RFC 3339.
    pub const NOT_AFTER: &str = "notAfter";
    /// Where to use it.
    pub const SIGN_IN_URL: &str = "signInUrl";
}

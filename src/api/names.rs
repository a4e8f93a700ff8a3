//! Names that appear in the cluster, such as keys, types and labels, each defined once.

/// API group of both resources.
pub const GROUP: &str = "tap-operator.io";
/// Finalizer on a `TapRequest`, present only while a live pass may exist.
pub const FINALIZER: &str = "tap-operator.io/pass";
/// Annotation on a `TapRequest` that records an attempt before its POST is sent.
pub const INTENT_ANNOTATION: &str = "tap-operator.io/intent";
/// `type` of the Secrets that carry a pass.
pub const SECRET_TYPE: &str = "tap-operator.io/temporary-access-pass";
/// Label that marks the operator's Secrets; its value is [`OPERATOR`].
pub const MANAGED_BY_LABEL: &str = "app.kubernetes.io/managed-by";
/// The operator's name as field manager, as controller of events, and as the name of its lease.
pub const OPERATOR: &str = "tap-operator";
/// Label that keeps Velero from backing up a code.
pub const VELERO_EXCLUDE_LABEL: &str = "velero.io/exclude-from-backup";
/// `ConfigMap` in the operator's namespace that stops all issuing at once.
pub const STOP_CONFIG_MAP: &str = "tap-operator-stop";
/// Key of the stop `ConfigMap`; the value `"true"` also revokes all active passes.
pub const STOP_REVOKE_ACTIVE_KEY: &str = "revokeActive";
/// Where a user signs in with the pass to register a new sign-in method.
pub const SIGN_IN_URL: &str = "https://aka.ms/mysecurityinfo";

/// Keys of the Secret.
pub mod secret_keys {
    /// The code itself.
    pub const TEMPORARY_ACCESS_PASS: &str = "temporaryAccessPass";
    /// Used instead of [`TEMPORARY_ACCESS_PASS`] if the request has recipients: the code encrypted to them, an age file
    /// in ASCII armor.
    pub const SEALED_TEMPORARY_ACCESS_PASS: &str = "temporaryAccessPass.age";
    /// The user whom the pass signs in.
    pub const USER_PRINCIPAL_NAME: &str = "userPrincipalName";
    /// Start of its validity, RFC 3339.
    pub const NOT_BEFORE: &str = "notBefore";
    /// End of its validity, RFC 3339.
    pub const NOT_AFTER: &str = "notAfter";
    /// Where to sign in with it.
    pub const SIGN_IN_URL: &str = "signInUrl";
}

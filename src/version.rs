//! Which version of the program this is.

use std::sync::LazyLock;

/// The version, as in `Cargo.toml`.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// How the program identifies itself to servers.
pub const PRODUCT: &str = concat!("tap-operator/", env!("CARGO_PKG_VERSION"));

/// The Git commit from which the program was built, with `-dirty` if the checkout had changes. `make image` sets it;
/// without it, it is `unknown`.
pub const COMMIT: &str = match option_env!("TAP_OPERATOR_COMMIT") {
    Some(commit) => commit,
    None => "unknown",
};

/// Both, for people.
pub static TEXT: LazyLock<String> = LazyLock::new(|| format!("{VERSION} (commit {COMMIT})"));

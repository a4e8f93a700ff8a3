//! Which version of the program this is, and which version of Kubernetes it needs.

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

/// The oldest minor version of Kubernetes that serves `ValidatingAdmissionPolicy` v1.
pub const OLDEST_KUBERNETES: u32 = 30;

/// The minor version of Kubernetes, by its major and minor number as its API server tells them, if it is too old. Some
/// distributions add a sign to the minor number. A number that cannot be read is not too old.
pub fn is_too_old(major: &str, minor: &str) -> Option<u32> {
    let minor = minor.trim_end_matches(|c: char| !c.is_ascii_digit()).parse().ok()?;
    (major == "1" && minor < OLDEST_KUBERNETES).then_some(minor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_version_that_is_known_to_be_too_old_is_refused() {
        for (major, minor, too_old) in [
            ("1", "29", Some(29)),
            ("1", "29+", Some(29)),
            ("1", "30", None),
            ("1", "30+", None),
            ("1", "", None),
            ("2", "0", None),
        ] {
            assert_eq!(is_too_old(major, minor), too_old, "{major}.{minor}");
        }
    }
}

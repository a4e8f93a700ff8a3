//! The commands, one file for each.

pub mod check;
mod connections;
pub mod crds;
mod custody;
pub mod export;
mod log;
mod notices;
pub mod plan;
pub mod release;
pub mod run;
mod settings;
pub mod uninstall;
pub mod version;

use jiff::SignedDuration;

/// A duration on the command line.
pub fn duration(text: &str) -> Result<SignedDuration, String> {
    let duration: SignedDuration =
        text.parse().map_err(|_| "write a duration such as 150s, 2m or 1m30s".to_owned())?;
    if duration.is_positive() { Ok(duration) } else { Err("it must be longer than zero".into()) }
}

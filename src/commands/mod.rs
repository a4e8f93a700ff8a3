//! The commands, one file for each.

mod core_dumps;
pub mod crds;
mod custody;
pub mod release;
pub mod run;
pub mod uninstall;
pub mod version;

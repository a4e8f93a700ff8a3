//! The commands, one file for each.

pub mod crds;
mod custody;
pub mod release;
pub mod run;
pub mod uninstall;

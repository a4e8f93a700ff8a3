//! One file for each command.

pub mod crds;
mod custody;
pub mod release;
pub mod run;
pub mod uninstall;

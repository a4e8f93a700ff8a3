//! The ordered maps and sets in which the machine keeps what it knows.
//!
//! In tests they count what is done with them, so that a test can see that a decision costs no more if there are more
//! requests.

#[cfg(test)]
mod counted;

#[cfg(test)]
pub(super) use self::counted::{Map, Set, visits};
#[cfg(not(test))]
pub(super) use std::collections::{BTreeMap as Map, BTreeSet as Set};

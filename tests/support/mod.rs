//! The foundation of the end-to-end tests, the benches and the demo: a real control plane, a tenant, and the operator
//! as it is shipped.
//!
//! - [`world`]: everything together, shared by the tests that disturb no other, or one for a single test;
//! - [`control_plane`]: etcd, kube-apiserver and kube-controller-manager on loopback ports;
//!   [`administration`]: namespaces and rights in it; [`etcd`]: what it has stored;
//! - [`identity`], [`kubectl`] and [`terminal`]: people, service accounts and the administrator, as clients, at a command
//!   line, and in a terminal;
//! - [`simulator`]: the tenant; [`receiver`]: who is told notices; [`operator`]: the program under test;
//! - [`component`], [`watchdog`], [`ports`] and [`scratch`]: programs, ports and directories that never outlive the
//!   process that started them;
//! - [`canary`]: a search for codes in any content; [`memory`]: the memory of a running program;
//! - [`age`]: people who read sealed passes, and the age program;
//! - [`wait`]: bounded waiting until an object is in a state.

// Each crate that includes this module uses only a part of it.
#![allow(dead_code)]

pub mod administration;
pub mod age;
pub mod canary;
pub mod component;
pub mod control_plane;
pub mod etcd;
pub mod identity;
pub mod kubectl;
pub mod memory;
pub mod operator;
pub mod pki;
pub mod ports;
pub mod program;
pub mod receiver;
pub mod scratch;
pub mod simulator;
pub mod terminal;
pub mod wait;
pub mod watchdog;
pub mod world;

use std::sync::LazyLock;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::runtime::Runtime;

/// One runtime for all tests of a process: clients, servers and watches that they share must outlive the test that
/// started them.
static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Runtime::new().expect("a tokio runtime can be started"));

/// The timeout of a single test.
const LONGEST_TEST: Duration = Duration::from_mins(10);

/// Runs an asynchronous test on the runtime that all tests of this process share.
pub fn run(test: impl Future<Output = Result<()>>) -> Result<()> {
    run_within(LONGEST_TEST, test)
}

/// Like [`run`], with a longer timeout.
pub fn run_within(longest: Duration, test: impl Future<Output = Result<()>>) -> Result<()> {
    RUNTIME.block_on(async {
        tokio::time::timeout(longest, test)
            .await
            .with_context(|| format!("the test did not end within {longest:?}"))?
    })
}

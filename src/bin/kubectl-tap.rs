//! `kubectl tap`: ask for passes, decide about requests, read codes.

#[path = "../core_dumps.rs"]
mod core_dumps;

use std::process::ExitCode;

/// Zeroes memory when it is freed: codes and private keys pass through the buffers of libraries.
#[global_allocator]
static ALLOCATOR: zeroizing_alloc::ZeroAlloc<std::alloc::System> =
    zeroizing_alloc::ZeroAlloc(std::alloc::System);

fn main() -> ExitCode {
    core_dumps::forbid();
    tap_operator::plugin::main()
}

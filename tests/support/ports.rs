//! Loopback ports that stay reserved, even while the server that uses them is stopped.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Context, Result, bail};

/// Below the ports that systems give to outgoing connections (Linux from 32768, macOS from 49152), and
/// below Kubernetes' node ports (from 30000).
const RANGE: std::ops::Range<u16> = 20_000..30_000;

/// A port of 127.0.0.1 that no other test process on this machine takes while this value lives.
pub struct Port {
    pub number: u16,
    _lock: File,
}

impl Port {
    pub fn reserve() -> Result<Self> {
        let locks = std::env::temp_dir().join("tap-operator-ports");
        std::fs::create_dir_all(&locks).with_context(|| locks.display().to_string())?;
        for _ in 0..1_000 {
            let number = rand::random_range(RANGE);
            // A lock file that cannot be opened belongs to another user.
            let Ok(lock) = File::create(locks.join(number.to_string())) else { continue };
            // The lock ends with the process that holds it.
            if lock.try_lock().is_ok() && TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok() {
                return Ok(Self { number, _lock: lock });
            }
        }
        bail!("no free port on 127.0.0.1 between {} and {}", RANGE.start, RANGE.end)
    }
}

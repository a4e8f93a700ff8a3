//! What the operator logs, for tests of it.

use std::io::Write;
use std::sync::{Arc, Mutex};

/// The log.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<u8>>>);

/// Keeps what is logged on this thread, until it is dropped.
pub struct Logging {
    _logger: tracing::subscriber::DefaultGuard,
    _second: tracing::Dispatch,
}

impl Log {
    /// Begins to keep what is logged on this thread.
    pub fn start() -> (Self, Logging) {
        let log = Self::default();
        let writer = log.clone();
        let logger = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone());
        let logger = tracing::subscriber::set_default(logger.finish());
        // With a single subscriber, the first thread that reaches a log line decides for all threads whether it is logged,
        // and that may be a thread of another test without a subscriber. With two subscribers it does not.
        let second = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::default());
        (log, Logging { _logger: logger, _second: second })
    }

    /// The lines that contain these words.
    pub fn about(&self, words: &str) -> Vec<String> {
        let log = self.0.lock().expect("no panic");
        let lines = String::from_utf8_lossy(&log);
        lines.lines().filter(|line| line.contains(words)).map(Into::into).collect()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

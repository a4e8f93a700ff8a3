//! The signals that end a program.

use std::time::Duration;

use tokio::time::sleep;

use super::failure::{Exit, Failure};

/// How long after a first signal another one is no second: a terminal that closes sends several, and means one.
pub const APART: Duration = Duration::from_secs(3);

/// The signals with which people, shells and terminals end a program.
pub struct Signals(system::Signals);

impl Signals {
    /// From now on they end nothing by themselves.
    pub fn catch() -> Result<Self, Failure> {
        let caught = system::Signals::catch().map(Self);
        caught.map_err(|error| Failure::error(format!("signals cannot be caught: {error}")))
    }

    /// Returns when one comes.
    pub async fn any(&mut self) {
        self.0.any().await;
    }

    /// Returns when one comes, and, [`APART`] from it, another.
    pub async fn twice(mut self) {
        self.any().await;
        sleep(APART).await;
        while self.none_yet().await.is_err() {}
        self.any().await;
    }

    /// Does something, unless one comes before it is done.
    pub async fn unless<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Failure> {
        tokio::select! {
            biased;
            () = self.any() => Err(Failure::new(Exit::Interrupted, "interrupted")),
            done = work => Ok(done),
        }
    }

    /// Fails if one has come.
    pub async fn none_yet(&mut self) -> Result<(), Failure> {
        // The runtime looks for signals when it has nothing else to do.
        self.unless(tokio::task::yield_now()).await
    }
}

#[cfg(unix)]
mod system {
    use std::io;

    use tokio::signal::unix::{Signal, SignalKind, signal};

    pub struct Signals([Signal; 4]);

    impl Signals {
        pub fn catch() -> io::Result<Self> {
            Ok(Self([
                signal(SignalKind::interrupt())?,
                signal(SignalKind::terminate())?,
                signal(SignalKind::hangup())?,
                signal(SignalKind::quit())?,
            ]))
        }

        pub async fn any(&mut self) {
            let [interrupt, terminate, hangup, quit] = &mut self.0;
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
                _ = quit.recv() => {}
            }
        }
    }
}

#[cfg(windows)]
mod system {
    use std::io;

    use tokio::signal::windows::{CtrlBreak, CtrlC, CtrlClose, ctrl_break, ctrl_c, ctrl_close};

    pub struct Signals(CtrlC, CtrlBreak, CtrlClose);

    impl Signals {
        pub fn catch() -> io::Result<Self> {
            Ok(Self(ctrl_c()?, ctrl_break()?, ctrl_close()?))
        }

        pub async fn any(&mut self) {
            let Self(interrupt, terminate, close) = self;
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = close.recv() => {}
            }
        }
    }
}

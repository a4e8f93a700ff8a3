//! The demo: the whole life of a pass, shown with real commands on a real control plane. `make demo` runs it.

#[path = "../support/mod.rs"]
mod support;

mod cast;
mod chapters;
mod hands_on;
mod stage;
mod terminal;
mod words;

use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Result, ensure};
use clap::Parser;
use tokio::signal::unix::{Signal, SignalKind, signal};

use self::cast::Cast;
use self::stage::Stage;
use self::support::world::{Options, World};
use self::terminal::{Terminal, progress};

/// The whole life of a pass: a control plane, a simulated tenant, and the operator.
#[derive(Parser)]
struct Arguments {
    /// End after the story, instead of leaving everything running to play with
    #[arg(long)]
    once: bool,
}

/// The exit code by which shells report Ctrl-C.
const INTERRUPTED: u8 = 130;

#[tokio::main]
async fn main() -> ExitCode {
    match demo(&Arguments::parse()).await {
        Ok(code) => code,
        Err(error) => {
            progress(&format!("the demo failed: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Runs the demo. Everything that was started ends when this function returns.
async fn demo(arguments: &Arguments) -> Result<ExitCode> {
    let mut end = End::new()?;
    let since = Instant::now();
    let stage = tokio::select! {
        stage = set_up() => stage?,
        () = end.wanted() => return Ok(INTERRUPTED.into()),
    };
    let told = tokio::select! {
        told = story(&stage) => told,
        ended = hands_on::stay(&stage) => ended,
        () = end.wanted() => return Ok(INTERRUPTED.into()),
    };
    if let Err(error) = told {
        progress(&stage.dump().await);
        return Err(error);
    }
    progress(&format!("every step went as the story says, after {} s", since.elapsed().as_secs()));
    if !arguments.once {
        hands_on::explain(&stage)?;
        tokio::select! {
            ended = hands_on::stay(&stage) => ended?,
            () = end.wanted() => {}
        }
    }
    progress("ending everything");
    let status = stage.world.operator.stop().await?;
    ensure!(status.success(), "the operator ended with an error: {status}");
    Ok(ExitCode::SUCCESS)
}

async fn set_up() -> Result<Stage> {
    // Commands name files of this repository by relative paths.
    std::env::set_current_dir(env!("CARGO_MANIFEST_DIR"))?;
    progress(
        "starting etcd, kube-apiserver and kube-controller-manager, a simulated Entra tenant, the operator",
    );
    let options = Options {
        // In production, passes are read less often.
        operator_flags: ["--use-check-interval=3s", "--calls-per-10-seconds=100"]
            .map(ToOwned::to_owned)
            .to_vec(),
        ..Options::default()
    };
    let world = World::own(options).await?;
    // The demo reads passes more often than Graph's limit allows.
    world.simulator.switch(|switches| switches.authentication_method_limit = None);
    let cast = Cast::of(&world.control_plane).await?;
    Ok(Stage { world, cast, terminal: Terminal::new() })
}

async fn story(stage: &Stage) -> Result<()> {
    opening(stage)?;
    chapters::policy(stage).await?;
    chapters::lost_phone(stage).await?;
    chapters::revoked(stage).await?;
    chapters::refused(stage).await?;
    chapters::expired(stage).await?;
    chapters::correction(stage).await?;
    chapters::ledger(stage).await
}

fn opening(stage: &Stage) -> Result<()> {
    let Stage { world, terminal, .. } = stage;
    terminal.chapter("tap-operator: Microsoft Entra Temporary Access Passes the Kubernetes way")?;
    terminal.tell(&format!(
        "A Kubernetes API server and a simulated Entra tenant run on this machine. The operator runs as its own \
         service account, with the rights and admission policies that are shipped, and works against {} over TLS as it \
         would against Microsoft Graph.",
        world.simulator.url()
    ))
}

/// Ctrl-C, or another signal that ends a program.
struct End {
    interrupt: Signal,
    terminate: Signal,
}

impl End {
    fn new() -> Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn wanted(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

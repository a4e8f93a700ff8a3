//! The commands, one file for each.

mod decide;
mod doctor;
mod inbox;
mod list;
mod request;
mod reveal;
mod show;
mod status;
mod stop;
mod version;
mod wait;

use super::cli::{Arguments, Command};
use super::completion;
use super::failure::Failure;
use super::session::{Prompts, Session};

/// Runs a command.
pub async fn run(arguments: Arguments) -> Result<(), Failure> {
    let connection = &arguments.connection;
    match &arguments.command {
        Command::Completion(arguments) => return completion::run(arguments),
        Command::Version(arguments) => return version::run(arguments, connection).await,
        Command::Doctor(arguments) => return doctor::run(arguments, connection).await,
        Command::Complete { .. } => return Ok(()),
        Command::Request(arguments) => request::validate(arguments)?,
        Command::Approve(arguments) => decide::validate(arguments)?,
        Command::Revoke(arguments) => decide::validate_revoke(arguments)?,
        Command::Reveal(_) => reveal::validate()?,
        _ => {}
    }
    let session = &Session::open(connection, Prompts::Allowed).await?;
    match arguments.command {
        Command::Request(arguments) => request::run(*arguments, session).await,
        Command::List(arguments) => list::run(&arguments, session).await,
        Command::Inbox(arguments) => inbox::run(&arguments, session, connection).await,
        Command::Show(arguments) => show::run(&arguments, session).await,
        Command::Approve(arguments) => decide::approve(&arguments, session).await,
        Command::Deny(arguments) => decide::deny(&arguments, session).await,
        Command::Revoke(arguments) => decide::revoke(&arguments, session).await,
        Command::Wait(arguments) => wait::run(&arguments, session).await,
        Command::Reveal(arguments) => reveal::run(&arguments, session).await,
        Command::Status(arguments) => status::run(&arguments, session, connection).await,
        Command::Stop(arguments) => stop::stop(&arguments, session).await,
        Command::Resume(arguments) => stop::resume(&arguments, session).await,
        Command::Completion(_)
        | Command::Version(_)
        | Command::Doctor(_)
        | Command::Complete { .. } => Ok(()),
    }
}

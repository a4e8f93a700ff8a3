//! `kubectl-tap`, for the people who ask for passes and decide about requests.
//!
//! A command gathers what it needs ([`calls`]), decides without any call ([`decision`], [`view`], [`time`]), and prints.
//! It acts with the rights of the person who runs it, and knows nothing of the operator's code but the resources, the
//! compiled-in admission policies, the terms of policies, and the names of what lies in the cluster.
//!
//! What people read goes to standard error, except for what they asked for. A code goes to a terminal only.

/// The address of a page of the documentation, of the version of this program.
macro_rules! page {
    ($name:literal) => {
        concat!(env!("CARGO_PKG_REPOSITORY"), "/blob/v", env!("CARGO_PKG_VERSION"), "/docs/", $name)
    };
}

mod call_error;
mod calls;
mod cli;
mod commands;
mod completion;
mod decision;
mod failure;
mod keys;
mod kubeconfig;
pub mod naming;
mod object_name;
mod operator;
mod output;
mod pick;
mod record;
#[cfg(test)]
mod samples;
mod session;
mod shell;
mod signals;
mod table;
pub mod time;
mod view;
mod wait;

use std::path::Path;
use std::process::ExitCode;
use std::sync::{LazyLock, OnceLock};

use clap::{CommandFactory as _, FromArgMatches as _};
use clap_complete::CompleteEnv;

use cli::{Arguments, Command};
use failure::Failure;

/// Runs the program.
pub fn main() -> ExitCode {
    CompleteEnv::with_factory(|| {
        let index = std::env::var("_CLAP_COMPLETE_INDEX").ok().and_then(|index| index.parse().ok());
        let word = completion::word(std::env::args(), index);
        completion::offered(command(), word.as_deref())
    })
    .var(completion::VARIABLE)
    .bin(Name::started().file())
    .complete();
    let matches = command().get_matches();
    let arguments = Arguments::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let outcome = match arguments.command {
        Command::Complete { words } => completion::answer(command(), &words),
        _ => run(arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !failure.message.is_empty() {
                output::say(&failure.to_string());
            }
            ExitCode::from(failure.exit.code())
        }
    }
}

fn run(mut arguments: Arguments) -> Result<(), Failure> {
    arguments.connection = arguments.connection.without_empty();
    let flags = arguments.connection.typed();
    if !flags.is_empty() {
        let _ = CHOSEN.set(format!("{} {flags}", Name::started().typed()));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime =
        runtime.map_err(|error| Failure::error(format!("the program cannot start: {error}")))?;
    let outcome = runtime.block_on(commands::run(arguments));
    // A question that nobody answers must not keep the program from ending.
    runtime.shutdown_background();
    outcome
}

/// The command line, under the name by which the program was started.
fn command() -> clap::Command {
    Arguments::command().bin_name(Name::started().typed())
}

/// The names under which kubectl finds this program. The second is for those who have another plugin that is called tap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Name {
    Tap,
    EntraTap,
}

impl Name {
    /// That by which it was started.
    fn started() -> Self {
        static NAME: LazyLock<Name> = LazyLock::new(|| {
            let started = std::env::args_os().next().unwrap_or_default();
            Name::of(Path::new(&started))
        });
        *NAME
    }

    fn of(program: &Path) -> Self {
        // Without .exe.
        match program.file_stem() {
            Some(stem) if stem == Self::EntraTap.file() => Self::EntraTap,
            _ => Self::Tap,
        }
    }

    /// What people type.
    fn typed(self) -> &'static str {
        match self {
            Self::Tap => "kubectl tap",
            Self::EntraTap => "kubectl entra-tap",
        }
    }

    /// The file that kubectl looks for.
    fn file(self) -> &'static str {
        match self {
            Self::Tap => "kubectl-tap",
            Self::EntraTap => "kubectl-entra_tap",
        }
    }
}

/// What people type to start this program for the cluster and person that they chose, if they chose.
static CHOSEN: OnceLock<String> = OnceLock::new();

/// What people type to start this program again. A command that is suggested must not go to another cluster, or as somebody
/// else, than the one that suggests it.
fn program() -> &'static str {
    CHOSEN.get().map_or(Name::started().typed(), String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn the_program_knows_its_two_names() {
        for (program, typed) in [
            ("kubectl-tap", "kubectl tap"),
            ("/home/a/.krew/bin/kubectl-entra_tap", "kubectl entra-tap"),
            ("kubectl-entra_tap.exe", "kubectl entra-tap"),
            ("another-name", "kubectl tap"),
        ] {
            assert_eq!(Name::of(Path::new(program)).typed(), typed, "{program}");
        }
    }

    #[test]
    fn every_name_may_be_one_that_was_printed() {
        let name = "taprequest.tap-operator.io/alice";
        for command_line in [
            &["show", name][..],
            &["explain", name],
            &["approve", "bob", name],
            &["deny", name],
            &["revoke", name],
            &["wait", name],
            &["reveal", name],
            &["request", "a@contoso.com", "--name", name],
        ] {
            let parsed = |name: &str| {
                let words = command_line
                    .iter()
                    .map(|word| word.replace("taprequest.tap-operator.io/alice", name));
                command()
                    .try_get_matches_from(std::iter::once("kubectl-tap".to_owned()).chain(words))
            };
            assert!(parsed(name).is_ok(), "{command_line:?}");
            for refused in ["alice/status", ""] {
                assert_eq!(
                    parsed(refused).unwrap_err().exit_code(),
                    2,
                    "{command_line:?} {refused}"
                );
            }
        }
    }

    /// The pages that show commands.
    const PAGES: [&str; 5] = [
        include_str!("../../docs/kubectl-tap.md"),
        include_str!("../../docs/helpdesk.md"),
        include_str!("../../docs/approvers.md"),
        include_str!("../../docs/operate.md"),
        include_str!("../../README.md"),
    ];

    /// The commands of the examples of all helps, and of the pages.
    fn examples() -> Vec<String> {
        let command = command();
        let helps = std::iter::once(&command).chain(command.get_subcommands());
        let helps: Vec<String> =
            helps.filter_map(|command| Some(command.get_after_help()?.to_string())).collect();
        let texts = helps.iter().map(String::as_str).chain(PAGES);
        let lines = texts.flat_map(str::lines).map(str::trim);
        let typed = ["kubectl tap ", "source <(kubectl", "install -m 755 <(kubectl"];
        let lines = lines.filter(|line| typed.iter().any(|start| line.starts_with(start)));
        lines.map(str::to_owned).collect()
    }

    #[test]
    fn every_example_is_a_command_line() {
        let examples = examples();
        assert!(examples.len() > 40, "{examples:#?}");
        for example in examples {
            // Without what a shell does with it.
            let (_, line) = example.split_once("tap ").unwrap();
            let line = line.split([')', '>', '|', '#']).next().unwrap();
            let words = std::iter::once("kubectl-tap".to_owned()).chain(shell_words(line));
            let parsed = command().try_get_matches_from(words);
            assert!(parsed.is_ok(), "{example}: {}", parsed.unwrap_err());
        }
    }

    /// Words, with single quotes.
    fn shell_words(line: &str) -> Vec<String> {
        let mut words = Vec::new();
        for (index, part) in line.split('\'').enumerate() {
            if index % 2 == 1 {
                words.push(part.to_owned());
            } else {
                words.extend(part.split_whitespace().map(str::to_owned));
            }
        }
        words
    }
}

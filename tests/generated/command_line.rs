//! The reference of the command line, as the programs tell it themselves.

use std::fmt::Write as _;
use std::process::Command;

use super::{Files, made_from, read};

const OPERATOR: &str = env!("CARGO_BIN_EXE_tap-operator");
const PLUGIN: &str = env!("CARGO_BIN_EXE_kubectl-tap");

pub fn files() -> Files {
    let operator = page(
        OPERATOR,
        "tap-operator",
        "Command line",
        "What `tap-operator --help` and `tap-operator help COMMAND` say. [Settings](settings.md) says more about `run`. The \
         program for people is [`kubectl tap`](kubectl-tap.md).",
    );
    let plugin = page(
        PLUGIN,
        "kubectl tap",
        "Command line of kubectl tap",
        "What `kubectl tap --help` and `kubectl tap COMMAND --help` say. [kubectl tap](../kubectl-tap.md) says how to install and \
         use it.",
    );
    Files::from([
        ("docs/reference/command-line.md".into(), operator),
        ("docs/reference/kubectl-tap.md".into(), plugin),
    ])
}

/// The help of a program and of each of its commands.
fn page(program: &str, name: &str, title: &str, about: &str) -> String {
    let mut page = format!("{}\n# {title}\n\n{about}\n", made_from("the program's own help"));
    let overview = help(program, &["--help"]);
    let _ = write!(page, "\n## {name}\n\n```text\n{overview}```\n");
    let (_, commands) = overview.split_once("Commands:\n").unwrap();
    let (commands, _) = commands.split_once("\n\n").unwrap();
    for line in commands.lines() {
        // What continues a line is indented further.
        let Some(line) = line.strip_prefix("  ").filter(|line| !line.starts_with(' ')) else {
            continue;
        };
        let command = line.split_whitespace().next().unwrap();
        if command != "help" {
            let help = help(program, &[command, "--help"]);
            let _ = write!(page, "\n## {name} {command}\n\n```text\n{help}```\n");
        }
    }
    page
}

#[test]
fn each_flag_and_variable_of_run_is_among_the_settings() {
    let settings = read("docs/reference/settings.md");
    let help = help(OPERATOR, &["run", "--help"]);
    let flags = help.lines().filter_map(|line| line.trim().split(' ').next());
    let flags = flags.filter(|word| word.starts_with("--") && *word != "--help");
    let variables = help.split("[env: ").skip(1).filter_map(|rest| rest.split('=').next());
    let mut found = 0;
    for word in flags.chain(variables) {
        assert!(settings.contains(&format!("`{word}`")), "settings.md says nothing of {word}");
        found += 1;
    }
    assert!(found > 20, "{found} flags and variables in\n{help}");
}

fn help(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        // Neither the width of a terminal nor what is set for the operator shows in it.
        .env_clear()
        .env("COLUMNS", "100")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    // Lines of nothing but spaces would be trimmed by editors.
    text.lines().flat_map(|line| [line.trim_end(), "\n"]).collect()
}

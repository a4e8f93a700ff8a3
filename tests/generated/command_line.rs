//! The reference of the command line, as the program tells it itself.

use std::fmt::Write as _;
use std::process::Command;

use super::{Files, made_from, read};

pub fn files() -> Files {
    let mut page = format!(
        "{}\n# Command line\n\nWhat `tap-operator --help` and `tap-operator help COMMAND` say. [Settings](settings.md) says more about \
         `run`.\n",
        made_from("the program's own help")
    );
    let overview = help(&["--help"]);
    let _ = write!(page, "\n## tap-operator\n\n```text\n{overview}```\n");
    let (_, commands) = overview.split_once("Commands:\n").unwrap();
    let (commands, _) = commands.split_once("\n\n").unwrap();
    for line in commands.lines() {
        // What continues a line is indented further.
        let Some(line) = line.strip_prefix("  ").filter(|line| !line.starts_with(' ')) else {
            continue;
        };
        let command = line.split_whitespace().next().unwrap();
        if command != "help" {
            let _ = write!(
                page,
                "\n## tap-operator {command}\n\n```text\n{}```\n",
                help(&[command, "--help"])
            );
        }
    }
    Files::from([("docs/reference/command-line.md".into(), page)])
}

#[test]
fn each_flag_and_variable_of_run_is_among_the_settings() {
    let settings = read("docs/reference/settings.md");
    let help = help(&["run", "--help"]);
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

fn help(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_tap-operator"))
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

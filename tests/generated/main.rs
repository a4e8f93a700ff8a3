//! Files of the repository that are made from others match them. `make generate` writes them.

mod audit;
mod chart;
mod command_line;
mod metrics;
mod resources;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The variable with which the test writes the files instead of comparing them.
const WRITE: &str = "TAP_OPERATOR_GENERATE";

/// A file's path in the repository, and its content.
type Files = BTreeMap<String, String>;

#[test]
fn what_is_generated_is_up_to_date() {
    let definitions = definitions();
    let mut files = chart::files(&definitions);
    files.extend(resources::files(&definitions));
    files.extend(command_line::files());
    files.extend(metrics::files());
    files.extend(audit::files());
    files.extend(definitions);
    let write = std::env::var_os(WRITE).is_some();
    let mut outdated = Vec::new();
    for (name, content) in &files {
        let path = repository(name);
        if std::fs::read_to_string(&path).is_ok_and(|is| is == *content) {
            continue;
        }
        if write {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, content).unwrap();
        } else {
            outdated.push(name);
        }
    }
    // A file that was renamed leaves its copy behind.
    for name in chart::copies() {
        if files.contains_key(&name) {
            continue;
        }
        if write {
            std::fs::remove_file(repository(&name)).unwrap();
        } else {
            panic!("{name} is a copy of nothing: run `make generate`");
        }
    }
    assert!(outdated.is_empty(), "outdated: {outdated:#?}: run `make generate`");
}

#[test]
fn the_definitions_are_printed_for_kubectl() {
    let output = Command::new(env!("CARGO_BIN_EXE_tap-operator")).arg("crds").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let printed = String::from_utf8(output.stdout).unwrap();
    for name in ["tappolicies.tap-operator.io", "taprequests.tap-operator.io"] {
        assert!(printed.contains(&format!("name: {name}")), "no {name} in\n{printed}");
    }
}

/// The custom resource definitions, as the program writes them.
fn definitions() -> Files {
    let directory = tempfile::tempdir().unwrap();
    let output_dir = format!("--output-dir={}", directory.path().display());
    let written = Command::new(env!("CARGO_BIN_EXE_tap-operator"))
        .args(["crds", &output_dir])
        .status()
        .unwrap();
    assert!(written.success(), "{written}");
    let files: Files = std::fs::read_dir(directory.path())
        .unwrap()
        .map(|file| {
            let file = file.unwrap();
            let name = file.file_name().into_string().unwrap();
            (format!("crds/{name}"), std::fs::read_to_string(file.path()).unwrap())
        })
        .collect();
    assert_eq!(
        files.keys().collect::<Vec<_>>(),
        ["crds/tappolicies.yaml", "crds/taprequests.yaml"]
    );
    files
}

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read(path: &str) -> String {
    std::fs::read_to_string(repository(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The note at the head of a generated page.
fn made_from(what: &str) -> String {
    format!("<!-- Made from {what} by `make generate`. Do not edit. -->\n")
}

/// A text in a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

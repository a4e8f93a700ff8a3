//! Checked-in files that are generated from the code match it.

use std::path::Path;
use std::process::Command;

#[test]
fn the_custom_resource_definitions_are_those_of_the_types() {
    let directory = tempfile::tempdir().unwrap();
    let output_dir = format!("--output-dir={}", directory.path().display());
    let written = Command::new(env!("CARGO_BIN_EXE_tap-operator"))
        .args(["crds", &output_dir])
        .status()
        .unwrap();
    assert!(written.success(), "{written}");

    let checked_in = Path::new(env!("CARGO_MANIFEST_DIR")).join("crds");
    let mut names: Vec<_> = std::fs::read_dir(directory.path())
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["tappolicies.yaml", "taprequests.yaml"]);
    for name in names {
        let read = |directory: &Path| std::fs::read_to_string(directory.join(&name)).unwrap();
        let (is, should_be) = (read(&checked_in), read(directory.path()));
        assert!(is == should_be, "crds/{name} is outdated: run `make crds`");
    }
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

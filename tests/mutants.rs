//! The seeded faults in `tests/mutants` fit the tree: each applies, says what it breaks and which promise that is, and
//! names a test that exists. `make mutants` finds out whether that test fails.
//!
//! `make mutants-fit` runs this in CI. `cargo test` does not: a rename must not fail the tests of the person who
//! renames.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A seeded fault.
struct Mutant {
    /// AREA/FILE.
    name: String,
    path: PathBuf,
    header: Vec<(String, String)>,
    /// The files that it changes.
    files: Vec<String>,
}

impl Mutant {
    fn read(path: PathBuf) -> Self {
        let text = fs::read_to_string(&path).expect("it is text");
        let header = text.lines().take_while(|line| !line.starts_with("diff "));
        let field = |line: &str| {
            let (name, value) = line.split_once(": ")?;
            Some((name.to_owned(), value.to_owned()))
        };
        let files = text.lines().filter_map(|line| line.strip_prefix("+++ b/"));
        Self {
            name: format!("{}/{}", name(path.parent().expect("an area")), name(&path)),
            header: header.filter_map(field).collect(),
            files: files.map(str::to_owned).collect(),
            path,
        }
    }

    /// The values of a field of the header, which may occur several times.
    fn says(&self, field: &str) -> Vec<&str> {
        self.header.iter().filter(|(name, _)| name == field).map(|(_, value)| &**value).collect()
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    let mut found: Vec<_> = fs::read_dir(directory)
        .expect("it is there")
        .map(|e| e.expect("an entry").path())
        .collect();
    found.sort();
    found
}

fn mutants() -> Vec<Mutant> {
    let areas = entries(&root().join("tests/mutants")).into_iter().filter(|path| path.is_dir());
    areas.flat_map(|area| entries(&area)).map(Mutant::read).collect()
}

#[test]
#[ignore = "make mutants-fit runs it"]
fn there_are_enough_of_them_numbered_and_each_is_one_change_that_is_explained() {
    let mutants = mutants();
    assert!(mutants.len() >= 60, "only {}", mutants.len());
    let mut last: BTreeMap<&str, usize> = BTreeMap::new();
    for mutant in &mutants {
        let (area, file) = mutant.name.split_once('/').expect("an area");
        let number = last.entry(area).or_default();
        *number += 1;
        let patch = Path::new(file).extension().is_some_and(|extension| extension == "patch");
        let named = patch && file.starts_with(&format!("{number:02}-"));
        assert!(named, "{} is the patch number {number} of its area", mutant.name);
        for field in ["What", "Promise"] {
            assert_eq!(mutant.says(field).len(), 1, "{}: one line for {field}", mutant.name);
        }
        assert!(!mutant.says("Killed-by").is_empty(), "{} does not name a test", mutant.name);
        assert_eq!(mutant.files.len(), 1, "{} changes one file", mutant.name);
        let product = ["src/", "deploy/"].iter().any(|dir| mutant.files[0].starts_with(dir));
        assert!(product, "{} changes {}, which is not the product", mutant.name, mutant.files[0]);
    }
}

#[test]
#[ignore = "make mutants-fit runs it"]
fn each_breaks_a_promise_that_is_made() {
    let read = |file: &str| fs::read_to_string(root().join(file)).expect("it is there");
    let mut told = [read("README.md"), read("src/lib.rs").replace("//!", "")].concat();
    for directory in ["docs", "docs/reference"] {
        for page in fs::read_dir(root().join(directory)).expect("pages") {
            let path = page.expect("a page").path();
            if path.extension().is_some_and(|extension| extension == "md") {
                told += &fs::read_to_string(path).expect("a page");
            }
        }
    }
    let told = told.split_whitespace().collect::<Vec<_>>().join(" ");
    for mutant in mutants() {
        let promise = mutant.says("Promise")[0];
        assert!(
            told.contains(promise),
            "{}: neither the documentation nor src/lib.rs says {promise:?}",
            mutant.name
        );
    }
}

#[test]
#[ignore = "make mutants-fit runs it"]
fn each_names_tests_that_are_there() {
    for mutant in mutants() {
        for killer in mutant.says("Killed-by") {
            let (target, test) = killer.split_once(' ').expect("a target and a test");
            assert!(is_there(target, test), "{}: there is no {killer}", mutant.name);
        }
    }
}

/// Whether a target has a test with this full name.
fn is_there(target: &str, test: &str) -> bool {
    let mut modules: Vec<&str> = test.split("::").collect();
    let function = format!("fn {}()", modules.pop().unwrap_or_default());
    let base = if target == "lib" { root().join("src") } else { root().join("tests").join(target) };
    let path = modules.iter().fold(base.clone(), |path, module| path.join(module));
    // A module is a file or a folder of its name, or is written inside the file of its parent module.
    let around = path.parent().unwrap_or(&base);
    let files = [path.with_extension("rs"), path.join("mod.rs"), path.join("main.rs")];
    let inline = [around.with_extension("rs"), around.join("mod.rs")];
    files
        .into_iter()
        .chain(inline.into_iter().filter(|_| modules.last() == Some(&"tests")))
        .any(|file| fs::read_to_string(file).is_ok_and(|text| text.contains(&function)))
}

#[test]
#[ignore = "make mutants-fit runs it"]
fn each_can_be_put_into_the_tree_as_it_is() {
    let mut left = Vec::new();
    for mutant in mutants() {
        let mut git = Command::new("git");
        for variable in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
            git.env_remove(variable);
        }
        // Git must not find the repository around this directory, if there is one.
        git.env("GIT_CEILING_DIRECTORIES", root().parent().unwrap_or(root()));
        git.current_dir(root()).args(["apply", "--check"]).arg(&mutant.path);
        let checked = git.output().expect("git runs");
        if !checked.status.success() {
            left.push(format!("{}: {}", mutant.name, String::from_utf8_lossy(&checked.stderr)));
        }
    }
    assert!(left.is_empty(), "these no longer apply; rewrite them:\n{}", left.join("\n"));
}

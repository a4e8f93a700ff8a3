//! The pages of the documentation: links lead somewhere, no page is lost, and the first one is short. What is generated is
//! tested in `tests/generated`, and commands in `tests/deploy`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

/// The most words of README.md.
const LONGEST_README: usize = 1200;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All pages, by their path in the repository.
fn pages() -> BTreeMap<PathBuf, String> {
    let mut pages = BTreeMap::new();
    for name in [
        "README.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "deploy/helm/tap-operator/README.md",
        "deploy/helm/tap-operator-crds/README.md",
    ] {
        pages.insert(PathBuf::from(name), fs::read_to_string(root().join(name)).unwrap());
    }
    let mut directories = vec![PathBuf::from("docs")];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(root().join(&directory)).unwrap() {
            let path = directory.join(entry.unwrap().file_name());
            if root().join(&path).is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                let text = fs::read_to_string(root().join(&path)).unwrap();
                pages.insert(path, text);
            }
        }
    }
    pages
}

/// The lines of a page that are no code.
fn prose(page: &str) -> impl Iterator<Item = &str> {
    let mut code = false;
    page.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        code ^= fence;
        !code && !fence
    })
}

/// The anchors of a page, as GitHub makes them of its headings.
fn anchors(page: &str) -> BTreeSet<String> {
    let mut anchors = BTreeSet::new();
    for line in prose(page) {
        let Some(heading) = line.strip_prefix('#') else { continue };
        let heading = heading.trim_start_matches('#').trim();
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        let anchor: String = kept.collect::<String>().to_lowercase().replace(' ', "-");
        assert!(anchors.insert(anchor), "two headings {heading:?} on one page");
    }
    anchors
}

/// The targets of the links of a page.
fn links(page: &str) -> Vec<String> {
    let mut links = Vec::new();
    for line in prose(page) {
        // Not what is quoted as code.
        let text: String = line.split('`').step_by(2).collect();
        for rest in text.split("](").skip(1) {
            links.extend(rest.split(')').next().map(str::to_owned));
        }
    }
    links
}

/// A path without `.` and `..`.
fn tidy(path: &Path) -> PathBuf {
    let mut tidy = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => assert!(tidy.pop(), "{} leaves the repository", path.display()),
            Component::CurDir => {}
            other => tidy.push(other),
        }
    }
    tidy
}

#[test]
fn links_lead_to_files_and_headings_that_are_there() {
    let pages = pages();
    let mut wrong = Vec::new();
    for (path, page) in &pages {
        for link in links(page) {
            // Other sites change without us.
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = match file {
                "" => path.clone(),
                file => tidy(&path.parent().unwrap().join(file)),
            };
            if !root().join(&target).exists() {
                wrong.push(format!("{}: {link}: there is no {}", path.display(), target.display()));
            } else if !anchor.is_empty()
                && !pages.get(&target).is_some_and(|page| anchors(page).contains(anchor))
            {
                wrong.push(format!("{}: {link}: no such heading", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn each_page_is_in_the_lists_of_pages() {
    let pages = pages();
    for list in ["README.md", "docs/README.md", "docs/SUMMARY.md"] {
        let list = Path::new(list);
        let listed: BTreeSet<PathBuf> = links(&pages[list])
            .iter()
            .map(|link| tidy(&list.parent().unwrap().join(link.split('#').next().unwrap())))
            .collect();
        for page in pages.keys().filter(|page| page.starts_with("docs")) {
            let list_itself = ["README.md", "SUMMARY.md"].iter().any(|name| page.ends_with(name));
            assert!(
                list_itself || listed.contains(page),
                "{} does not lead to {}",
                list.display(),
                page.display()
            );
        }
    }
}

#[test]
fn the_first_page_is_short() {
    let words = pages()[Path::new("README.md")].split_whitespace().count();
    assert!(words <= LONGEST_README, "{words} words");
}

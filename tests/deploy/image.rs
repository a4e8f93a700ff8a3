//! The image: what is in it, and what it tells.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::repository;
use crate::support::program;
use crate::support::scratch::Scratch;

/// The most that the archive may take, in bytes.
const LARGEST: u64 = 15_000_000;
const ROOTS: &str = "etc/ssl/certs/ca-certificates.crt";

/// The archive, which is made if it is not up to date.
fn archive() -> Result<&'static Path> {
    static ARCHIVE: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let made = ARCHIVE.get_or_init(|| {
        let told =
            program::built_by("deploy/image/archive").map_err(|error| format!("{error:#}"))?;
        let told = told.display().to_string();
        let (path, _digest) = told.rsplit_once(' ').ok_or("no digest")?;
        Ok(PathBuf::from(path))
    });
    made.as_deref().map_err(|error| anyhow::anyhow!("{error}"))
}

/// The parts of the image: its configuration, and its layer as a file in `scratch`.
fn parts(scratch: &Scratch) -> Result<(Value, PathBuf)> {
    let layout = scratch.file("layout");
    if !layout.exists() {
        std::fs::create_dir_all(&layout)?;
        tar(&["--extract", "--file", &path(archive()?), "--directory", &path(&layout)])?;
    }
    let read = |path: &Path| -> Result<Value> {
        Ok(serde_json::from_slice(
            &std::fs::read(path).with_context(|| path.display().to_string())?,
        )?)
    };
    let blob = |digest: &Value| -> Result<PathBuf> {
        let digest = digest.as_str().and_then(|digest| digest.strip_prefix("sha256:"));
        Ok(layout.join("blobs/sha256").join(digest.context("a digest")?))
    };
    let index = read(&layout.join("index.json"))?;
    ensure!(index["manifests"].as_array().is_some_and(|all| all.len() == 1), "{index:#}");
    let manifest = read(&blob(&index["manifests"][0]["digest"])?)?;
    ensure!(manifest["layers"].as_array().is_some_and(|all| all.len() == 1), "{manifest:#}");
    Ok((read(&blob(&manifest["config"]["digest"])?)?, blob(&manifest["layers"][0]["digest"])?))
}

/// Unpacks the image into a directory, which becomes a container's root, and returns its configuration.
pub fn unpack(scratch: &Scratch, root: &Path) -> Result<Value> {
    let (config, layer) = parts(scratch)?;
    std::fs::create_dir_all(root)?;
    tar(&[
        "--extract",
        "--gzip",
        "--same-owner",
        "--same-permissions",
        "--file",
        &path(&layer),
        "--directory",
        &path(root),
    ])?;
    Ok(config["config"].clone())
}

/// Adds a certificate authority to those of an unpacked image.
pub fn trust(root: &Path, authority: &Path) -> Result<()> {
    let mut roots = std::fs::read(root.join(ROOTS))?;
    roots.extend(std::fs::read(authority)?);
    Ok(std::fs::write(root.join(ROOTS), roots)?)
}

fn tar(arguments: &[&str]) -> Result<String> {
    let output = Command::new("tar").args(arguments).output()?;
    ensure!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

fn path(path: &Path) -> String {
    path.display().to_string()
}

#[test]
#[ignore = "make test-deploy"]
fn there_is_nothing_in_it_but_the_program_and_the_roots() -> Result<()> {
    let scratch = Scratch::new("image")?;
    let (config, layer) = parts(&scratch)?;
    let size = std::fs::metadata(archive()?)?.len();
    ensure!(size <= LARGEST, "{size} bytes");
    let listed =
        tar(&["--list", "--verbose", "--numeric-owner", "--gzip", "--file", &path(&layer)])?;
    let files: Vec<_> = listed
        .lines()
        .map(|line| {
            let words: Vec<_> = line.split_whitespace().collect();
            (words[0], words[1], *words.last().unwrap_or(&""))
        })
        .collect();
    let expected = [
        ("drwxr-xr-x", "0/0", "etc/"),
        ("drwxr-xr-x", "0/0", "etc/ssl/"),
        ("drwxr-xr-x", "0/0", "etc/ssl/certs/"),
        ("-r--r--r--", "0/0", ROOTS),
        ("-r-xr-xr-x", "0/0", "tap-operator"),
    ];
    ensure!(files == expected, "{listed}");
    ensure!(config["config"]["User"] == "65532:0", "{config:#}");
    ensure!(config["config"]["Entrypoint"] == json!(["/tap-operator"]), "{config:#}");
    ensure!(config["os"] == "linux" && config["architecture"].is_string(), "{config:#}");

    // Those of Microsoft's services today.
    let root = scratch.file("root");
    unpack(&scratch, &root)?;
    let roots = std::fs::read_to_string(root.join(ROOTS))?;
    let many = roots.matches("BEGIN CERTIFICATE").count();
    ensure!((100..200).contains(&many), "{many} roots");
    Ok(())
}

#[test]
#[ignore = "make test-deploy"]
fn the_program_tells_its_commit_and_not_where_it_was_built() -> Result<()> {
    let scratch = Scratch::new("image")?;
    let root = scratch.file("root");
    let config = unpack(&scratch, &root)?;
    let program = root.join("tap-operator");
    let binary = std::fs::read(&program)?;
    let home = std::env::var("HOME")?;
    for trace in [env!("CARGO_MANIFEST_DIR"), &format!("{home}/")] {
        let found = binary.windows(trace.len()).position(|window| window == trace.as_bytes());
        let shown = found.map(|at| String::from_utf8_lossy(&binary[at..at + 120]).into_owned());
        ensure!(found.is_none(), "the program says {shown:?}");
    }
    for word in ["version", "--version"] {
        let output = Command::new(&program).arg(word).output()?;
        let told = String::from_utf8(output.stdout)?;
        let commit = config["Labels"]["org.opencontainers.image.revision"].as_str();
        let commit = commit.context("no commit")?;
        ensure!(commit.len() >= 40, "{commit}");
        let version = env!("CARGO_PKG_VERSION");
        ensure!(told == format!("tap-operator {version} (commit {commit})\n"), "{told}");
        ensure!(config["Labels"]["org.opencontainers.image.version"] == version, "{config:#}");
    }
    Ok(())
}

#[test]
#[ignore = "make test-deploy"]
fn the_dockerfile_makes_the_same() -> Result<()> {
    let scratch = Scratch::new("image")?;
    let (config, _) = parts(&scratch)?;
    let dockerfile = std::fs::read_to_string(repository("Dockerfile"))?;
    let last = |word: &str| {
        let mut lines = dockerfile.lines().filter_map(|line| line.strip_prefix(word));
        lines.next_back().map(str::trim).with_context(|| format!("no {word}"))
    };
    ensure!(config["config"]["User"] == last("USER")?);
    ensure!(config["config"]["WorkingDir"] == last("WORKDIR")?);
    let entrypoint: Value = serde_json::from_str(last("ENTRYPOINT")?)?;
    ensure!(config["config"]["Entrypoint"] == entrypoint);
    ensure!(last("FROM")? == "scratch" && dockerfile.contains("deploy/release/program"));
    let toolchain = std::fs::read_to_string(repository("rust-toolchain.toml"))?;
    let rust = dockerfile.lines().find_map(|line| line.strip_prefix("FROM rust:"));
    let rust = rust.and_then(|image| image.split('-').next()).context("no Rust")?;
    ensure!(toolchain.contains(&format!("\"{rust}\"")), "{rust}");
    Ok(())
}

//! The files of a plan.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use tap_operator::plan::manifests::File;

/// The largest file that is read. Objects of Kubernetes are smaller.
const LARGEST: u64 = 16 * 1024 * 1024;

/// Reads these files, and what is below these directories: each file whose name ends in .yaml, .yml or .json. A dash is the
/// standard input.
pub fn read(names: &[PathBuf]) -> anyhow::Result<Vec<File>> {
    let mut files = Vec::new();
    for name in names {
        if name.as_os_str() == "-" {
            files.push(File { name: "-".into(), text: text(std::io::stdin(), "standard input")? });
        } else if name.is_dir() {
            directory(name, &mut files)?;
        } else {
            files.push(file(name)?);
        }
    }
    Ok(files)
}

fn directory(path: &Path, files: &mut Vec<File>) -> anyhow::Result<()> {
    let entries = fs::read_dir(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let mut entries = entries.with_context(|| format!("cannot read {}", path.display()))?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        let extension = path.extension().and_then(|extension| extension.to_str());
        // Not through links, which may lead in a circle.
        let kind = entry.file_type().with_context(|| format!("cannot read {}", path.display()))?;
        if kind.is_dir() && !is_hidden {
            directory(&path, files)?;
        } else if matches!(extension, Some("yaml" | "yml" | "json")) && !is_hidden && !path.is_dir()
        {
            files.push(file(&path)?);
        }
    }
    Ok(())
}

fn file(path: &Path) -> anyhow::Result<File> {
    let name = path.display().to_string();
    let open = fs::File::open(path).with_context(|| format!("cannot read {name}"))?;
    Ok(File { text: text(open, &name)?, name })
}

fn text(from: impl std::io::Read, name: &str) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    from.take(LARGEST + 1)
        .read_to_end(&mut bytes)
        .with_context(|| format!("cannot read {name}"))?;
    if bytes.len() as u64 > LARGEST {
        bail!("{name} is larger than 16 MiB: it is no manifest");
    }
    String::from_utf8(bytes).with_context(|| format!("{name} is not text (UTF-8)"))
}

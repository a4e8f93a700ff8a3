//! What users install, tried as they do: the image in its own root, and the charts with the real Helm.
//!
//! - [`image`]: what is in the image, and that it runs; [`pod`]: a Deployment's pod, as a kubelet would run it, from the
//!   image unpacked into a directory;
//! - [`helm`]: the program helm; [`charts`]: what the charts render; [`releases`]: install, change, upgrade, roll back,
//!   uninstall;
//! - [`examples`]: each example comes to an active pass; [`documentation`]: the commands of installation and quick start;
//!   [`workflows`]: the files under `.github`; [`gitops`]: how Argo CD and Flux read the health of objects.
//!
//! They need programs that are built first, so `make test-deploy` runs them, and `cargo test` does not.

#[path = "../support/mod.rs"]
mod support;

#[path = "../e2e/scene.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod scene;
#[path = "../e2e/tenants.rs"]
#[allow(dead_code, reason = "the scenes refer to it")]
mod tenants;

mod charts;
mod documentation;
mod examples;
mod gitops;
mod helm;
mod image;
mod pod;
mod releases;
mod workflows;

use std::path::{Path, PathBuf};

/// A path in this repository.
fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

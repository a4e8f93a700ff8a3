//! What a person needs.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::{Finding, Verdict};
use crate::plugin::Name;
use crate::plugin::call_error::CallError;
use crate::plugin::calls::Right;
use crate::plugin::pick;
use crate::plugin::session::Session;

/// Whether kubectl finds this program, and no other of its name.
pub fn plugins() -> Finding {
    let name = Name::started();
    let this = std::env::current_exe().and_then(|this| this.canonicalize()).unwrap_or_default();
    judge(name, &found(name, &std::env::var_os("PATH").unwrap_or_default()), &this)
}

/// The programs of this name, each file once.
fn found(name: Name, path: &OsStr) -> Vec<PathBuf> {
    let file = format!("{}{}", name.file(), std::env::consts::EXE_SUFFIX);
    let mut found: Vec<PathBuf> = Vec::new();
    for directory in std::env::split_paths(path) {
        let file = directory.join(&file);
        let Ok(real) = file.canonicalize() else { continue };
        if file.is_file() && !found.contains(&real) {
            found.push(real);
        }
    }
    found
}

fn judge(name: Name, found: &[PathBuf], this: &Path) -> Finding {
    let warning = |detail| Finding::new("plugin", Verdict::Warning, detail);
    let file = name.file();
    let Some(first) = found.first() else {
        return warning(format!("kubectl does not find {file} on the PATH"))
            .remedy(format!("put the directory of {file} on the PATH"));
    };
    let others: Vec<String> = found
        .iter()
        .map(PathBuf::as_path)
        .chain([this])
        .filter(|other| other != first)
        .map(|other| other.display().to_string())
        .collect();
    let Some(other) = others.first() else {
        return Finding::new("plugin", Verdict::Ok, first.display().to_string());
    };
    warning(format!("{} is {}, and not {other}", name.typed(), first.display())).remedy(match name {
        Name::Tap => "if these are different programs, rename one of them: this one also works as kubectl-entra_tap (kubectl entra-tap)",
        Name::EntraTap => "remove the one that you do not want",
    })
}

/// Who the person is, and what they may do.
pub async fn check(session: &Session, findings: &mut Vec<Finding>) {
    match session.me().await {
        Ok(me) => findings.push(Finding::new(
            "you",
            Verdict::Ok,
            format!("{me}, in namespace {}", session.namespace),
        )),
        Err(failure) => {
            let finding = Finding::new("you", Verdict::Failed, failure.message);
            findings.push(failure.remedy.into_iter().fold(finding, Finding::remedy));
            return;
        }
    }
    findings.push(asking(session).await);
    findings.push(approving(session).await);
    findings.push(reading(session).await);
}

/// A right that some people have and others need not have.
fn optional(check: &str, asked: Result<bool, CallError>, yes: &str, no: &str) -> Finding {
    match asked {
        Ok(true) => Finding::new(check, Verdict::Ok, yes),
        Ok(false) => Finding::new(check, Verdict::Ok, no),
        Err(error) => Finding::new(check, Verdict::Unknown, error.to_string()),
    }
}

async fn asking(session: &Session) -> Finding {
    let check = "your right to ask";
    let namespace = &session.namespace;
    let may_create = session.cluster.may(Right::requests("create"), Some(namespace)).await;
    let rules = match session.cluster.rules(namespace).await {
        Ok(rules) => rules,
        Err(error) => return Finding::new(check, Verdict::Unknown, error.to_string()),
    };
    let policies = session.cluster.policies().await.ok();
    let usable = pick::usable(&rules, policies.as_deref(), namespace);
    match (may_create, usable) {
        (Err(error), _) => Finding::new(check, Verdict::Unknown, error.to_string()),
        (Ok(false), Ok(names)) if names.is_empty() => Finding::new(check, Verdict::Ok, "none here"),
        (Ok(false), Ok(names)) => Finding::new(
            check,
            Verdict::Warning,
            format!("you may use {}, and not create TapRequests", names.join(", ")),
        )
        .remedy(format!(
            "ask your administrator for the ClusterRole tap-requester in namespace {namespace}"
        )),
        (Ok(true), Ok(names)) if names.is_empty() => Finding::new(
            check,
            Verdict::Warning,
            "you may create TapRequests, and use no TapPolicy that serves this namespace",
        )
        .remedy("ask your administrator for the verb use on a TapPolicy: docs/access.md"),
        (Ok(true), Ok(names)) => {
            Finding::new(check, Verdict::Ok, format!("through {}", names.join(", ")))
        }
        (Ok(may), Err(failure)) => {
            let detail =
                if may { failure.message } else { "you may not create TapRequests".to_owned() };
            Finding::new(check, Verdict::Ok, detail)
        }
    }
}

async fn approving(session: &Session) -> Finding {
    let asked = session.cluster.rules(&session.namespace).await.map(|rules| {
        rules.resource_rules.iter().any(|rule| {
            rule.verbs.iter().any(|verb| verb == "approve" || verb == "*")
                && rule.resources.iter().flatten().any(|r| r == "tappolicies" || r == "*")
        })
    });
    optional("your right to approve", asked, "you may approve through some policies", "none here")
}

async fn reading(session: &Session) -> Finding {
    let asked = session.cluster.may(Right::secret("get", ""), Some(&session.namespace)).await;
    optional("your right to read codes", asked, "you may read Secrets here", "none here")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_plugins_of_one_name_are_told() {
        let directories = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let path = std::env::join_paths(directories.iter().map(tempfile::TempDir::path)).unwrap();
        let this = directories[0].path().join("kubectl-tap");
        let judged = |this: &Path| judge(Name::Tap, &found(Name::Tap, &path), this);
        assert_eq!(judged(&this).result, Verdict::Warning, "none is found");
        std::fs::write(&this, "").unwrap();
        assert_eq!(judged(&this).result, Verdict::Ok);
        // The same file in another place is no other plugin.
        let link = directories[1].path().join("kubectl-tap");
        std::os::unix::fs::symlink(&this, &link).unwrap();
        assert_eq!(judged(&this).result, Verdict::Ok);
        std::fs::remove_file(&link).unwrap();
        std::fs::write(&link, "").unwrap();
        let two = judged(&this);
        assert_eq!(two.result, Verdict::Warning);
        assert!(two.remedy.unwrap().contains("entra_tap"));
        // The only one is another program than the one that tells.
        std::fs::remove_file(&this).unwrap();
        assert_eq!(judged(Path::new("/elsewhere/kubectl-tap")).result, Verdict::Warning);
        assert!(found(Name::EntraTap, &path).is_empty());
    }
}

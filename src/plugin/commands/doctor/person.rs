//! What a person needs.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use k8s_openapi::api::authorization::v1::SubjectRulesReviewStatus;
use kube::ResourceExt;

use super::{Finding, Verdict};
use crate::api::TapPolicy;
use crate::plugin::Name;
use crate::plugin::call_error::CallError;
use crate::plugin::calls::Right;
use crate::plugin::failure::{Exit, Failure};
use crate::plugin::pick::{self, Usable, grants};
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
    let policies = session.cluster.policies().await.ok();
    let approves = approves(session, policies.as_deref()).await;
    findings.push(asking(session, policies.as_deref(), matches!(approves, Ok(Some(true)))).await);
    let none = format!("none in namespace {}", session.namespace);
    let some = "you may approve through some policies";
    findings.push(optional("your right to approve", approves, some, &none));
    let reads = session.may(Right::secret("get", "")).await.map(Some);
    let some = format!("you may read Secrets in namespace {}", session.namespace);
    findings.push(optional("your right to read codes", reads, &some, &none));
}

/// A right that some people have and others need not have. It may be that nobody can tell.
fn optional(check: &str, asked: Result<Option<bool>, CallError>, yes: &str, no: &str) -> Finding {
    match asked {
        Ok(Some(true)) => Finding::new(check, Verdict::Ok, yes),
        Ok(Some(false)) => Finding::new(check, Verdict::Ok, no),
        Ok(None) => Finding::new(check, Verdict::Unknown, UNLISTED),
        Err(error) => Finding::new(check, Verdict::Unknown, error.to_string()),
    }
}

/// The check of the right to ask.
const ASKING: &str = "your right to ask";

/// Where rights are granted by something else than RBAC, and the policies to ask about are not known.
const UNLISTED: &str =
    "your rights cannot be listed in this cluster, and you may not list the policies";

async fn asking(session: &Session, policies: Option<&[TapPolicy]>, approves: bool) -> Finding {
    let check = ASKING;
    let namespace = &session.namespace;
    let may_create = session.may(Right::requests("create")).await;
    let rules = match session.cluster.rules(namespace).await {
        Ok(rules) => rules,
        Err(error) => return Finding::new(check, Verdict::Unknown, error.to_string()),
    };
    let usable = pick::usable(&rules, policies, namespace);
    if usable == Usable::Unlisted {
        return Finding::new(check, Verdict::Unknown, UNLISTED)
            .remedy("name the policy when you ask: --policy");
    }
    let usable =
        pick::asked(usable, async |name: &str| session.may(Right::policy("use", name)).await).await;
    match (may_create, usable) {
        (Err(error), _) => Finding::new(check, Verdict::Unknown, error.to_string()),
        // They could not be asked for.
        (_, Err(failure)) if failure.exit == Exit::Error => {
            Finding::new(check, Verdict::Unknown, failure.message)
        }
        (Ok(may_create), usable) => asks(may_create, usable, namespace, approves),
    }
}

/// What it means for asking that a person may create requests, and may use these policies. Who approves need not ask.
fn asks(
    may_create: bool,
    usable: Result<Vec<String>, Failure>,
    namespace: &str,
    approves: bool,
) -> Finding {
    let check = ASKING;
    match (may_create, usable) {
        (false, Ok(names)) if names.is_empty() => {
            let detail = format!("none in namespace {namespace}");
            if approves {
                return Finding::new(check, Verdict::Ok, detail);
            }
            Finding::new(check, Verdict::Warning, detail).remedy(format!(
                "choose another namespace with -n, or ask your administrator for the ClusterRole tap-requester in namespace {namespace} and the verb use on a TapPolicy: {}",
                page!("access.md")
            ))
        }
        (false, Ok(names)) => Finding::new(
            check,
            Verdict::Warning,
            format!("you may use {}, and not create TapRequests", names.join(", ")),
        )
        .remedy(requester(namespace)),
        (true, Ok(names)) if names.is_empty() => Finding::new(
            check,
            Verdict::Warning,
            format!(
                "you may create TapRequests, and use no TapPolicy that serves namespace {namespace}"
            ),
        )
        .remedy(concat!(
            "ask your administrator for the verb use on a TapPolicy: ",
            page!("access.md")
        )),
        (true, Ok(names)) => {
            Finding::new(check, Verdict::Ok, format!("through {}", names.join(", ")))
        }
        (true, Err(failure)) => Finding::new(check, Verdict::Ok, failure.message),
        (false, Err(failure)) => Finding::new(
            check,
            Verdict::Warning,
            format!("{}, and not create TapRequests", failure.message),
        )
        .remedy(requester(namespace)),
    }
}

/// What is missing where somebody may use policies, and not create requests.
fn requester(namespace: &str) -> String {
    format!("ask your administrator for the ClusterRole tap-requester in namespace {namespace}")
}

/// Whether the person may approve through some policy.
async fn approves(
    session: &Session,
    policies: Option<&[TapPolicy]>,
) -> Result<Option<bool>, CallError> {
    let rules = session.cluster.rules(&session.namespace).await?;
    approves_by(&rules, policies, async |name: &str| {
        session.may(Right::policy("approve", name)).await
    })
    .await
}

/// The same by these rights. Where not all can be listed, each policy is asked for: `may`.
async fn approves_by(
    rules: &SubjectRulesReviewStatus,
    policies: Option<&[TapPolicy]>,
    may: impl AsyncFn(&str) -> Result<bool, CallError>,
) -> Result<Option<bool>, CallError> {
    let is_granted = rules.resource_rules.iter().any(|rule| grants(rule, "approve"));
    if is_granted || !rules.incomplete {
        return Ok(Some(is_granted));
    }
    let Some(policies) = policies else { return Ok(None) };
    let names = policies.iter().map(ResourceExt::name_any).collect();
    Ok(Some(!pick::allowed(names, may).await?.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::TapPolicySpec;

    #[test]
    fn who_may_not_ask_is_told_what_to_do() {
        let none = asks(false, Ok(Vec::new()), "sales", false);
        assert_eq!(
            (none.result, none.detail.as_str()),
            (Verdict::Warning, "none in namespace sales")
        );
        assert!(none.remedy.unwrap().contains("tap-requester in namespace sales"));
        let approver = asks(false, Ok(Vec::new()), "sales", true);
        assert_eq!((approver.result, approver.remedy), (Verdict::Ok, None));
        let any = || Err(Failure::usage("you may use any TapPolicy, and may not list them"));
        assert_eq!(asks(false, any(), "sales", false).result, Verdict::Warning);
        assert_eq!(asks(true, any(), "sales", false).result, Verdict::Ok);
        let some = asks(true, Ok(vec!["helpdesk".into()]), "sales", false);
        assert_eq!((some.result, some.detail.as_str()), (Verdict::Ok, "through helpdesk"));
    }

    #[tokio::test]
    async fn a_right_to_approve_that_cannot_be_listed_is_asked_for() {
        let rules = |incomplete| SubjectRulesReviewStatus { incomplete, ..Default::default() };
        let policy = TapPolicy::new("helpdesk", TapPolicySpec::default());
        let policies = [policy];
        for (incomplete, policies, may, expected) in [
            (false, None, true, Some(false)),
            (true, Some(&policies[..]), true, Some(true)),
            (true, Some(&policies[..]), false, Some(false)),
            (true, None, true, None),
        ] {
            let found = approves_by(&rules(incomplete), policies, async |_: &str| Ok(may)).await;
            assert_eq!(found, Ok(expected), "{incomplete} {may}");
        }
        assert_eq!(optional("a", Ok(None), "yes", "no").result, Verdict::Unknown);
    }

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

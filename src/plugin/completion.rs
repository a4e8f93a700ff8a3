//! Completion of commands, flags and names: for shells, and for kubectl, which completes its plugins.

use std::ffi::OsString;
use std::time::Duration;

use clap_complete::engine::complete;
use clap_complete::env::{Bash, EnvCompleter, Fish, Zsh};

use super::Name;
use super::cli::{Completion, Shell};
use super::failure::Failure;
use super::output;
use super::session::{Connection, Prompts, Session};
use crate::text::visible;

/// The variable with which a shell asks for candidates.
pub const VARIABLE: &str = "KUBECTL_TAP_COMPLETE";
/// The longest that somebody who pressed the tab key waits for names.
const PATIENCE: Duration = Duration::from_secs(1);
/// The end of an answer to kubectl: it must not offer the names of files.
const NO_FILES: &str = ":4";

/// The program by which kubectl asks this one.
fn for_kubectl(name: Name) -> String {
    let (typed, file) = (name.typed(), name.file());
    let own = file.replacen("kubectl-", "kubectl_complete-", 1);
    format!(
        "#!/bin/sh\n# By this program, kubectl completes `{typed}`. Put it on the PATH as {own}.\nexec {file} __complete \"$@\"\n"
    )
}

/// Prints what a shell, or kubectl, needs.
pub fn run(arguments: &Completion) -> Result<(), Failure> {
    let name = Name::started();
    let shell: &dyn EnvCompleter = match arguments.shell {
        Shell::Kubectl => return output::data(&for_kubectl(name)),
        Shell::Bash => &Bash,
        Shell::Zsh => &Zsh,
        Shell::Fish => &Fish,
    };
    let mut script = Vec::new();
    let file = name.file();
    shell.write_registration(VARIABLE, file, file, file, &mut script)?;
    output::data(&String::from_utf8_lossy(&script))
}

/// Answers kubectl: a candidate on each line, with a tab and a description, and at the end what else to offer.
pub fn answer(mut command: clap::Command, words: &[String]) -> Result<(), Failure> {
    let mut line: Vec<OsString> = vec!["kubectl-tap".into()];
    line.extend(words.iter().map(OsString::from));
    let last = line.len() - 1;
    let candidates = complete(&mut command, line, last, None).unwrap_or_default();
    let mut text = String::new();
    for candidate in candidates.iter().filter(|candidate| !candidate.is_hide_set()) {
        text.push_str(&candidate.get_value().to_string_lossy());
        if let Some(help) = candidate.get_help() {
            text.push('\t');
            text.extend(visible(&help.to_string()));
        }
        text.push('\n');
    }
    text.push_str(NO_FILES);
    output::data(&text)
}

/// Names of objects. If they cannot be had at once and without asking anybody anything, there are none.
pub mod candidates {
    use clap_complete::CompletionCandidate;
    use kube::ResourceExt as _;

    use super::{PATIENCE, Prompts, Session, connection};
    use crate::api::Phase;
    use crate::plugin::pick;
    use crate::plugin::record::Record;
    use crate::plugin::view;

    /// The policies that can be read, or at least used.
    pub fn policies() -> Vec<CompletionCandidate> {
        asked(async |session| {
            if let Ok(policies) = session.cluster.policies().await {
                return policies
                    .iter()
                    .map(|policy| CompletionCandidate::new(policy.name_any()))
                    .collect();
            }
            let rules = session.cluster.rules(&session.namespace).await.unwrap_or_default();
            let names = pick::usable(&rules, None, &session.namespace).unwrap_or_default();
            names.into_iter().map(CompletionCandidate::new).collect()
        })
    }

    /// All requests of the namespace.
    pub fn requests() -> Vec<CompletionCandidate> {
        those(|_| true)
    }

    /// Those that have not ended.
    pub fn open() -> Vec<CompletionCandidate> {
        those(|record| !record.has_ended())
    }

    /// Those that await approval.
    pub fn awaiting() -> Vec<CompletionCandidate> {
        those(|record| record.phase() == Phase::AwaitingApproval)
    }

    /// Those with a pass.
    pub fn active() -> Vec<CompletionCandidate> {
        those(|record| record.phase() == Phase::Active)
    }

    fn those(which: impl Fn(&Record) -> bool) -> Vec<CompletionCandidate> {
        asked(async |session| {
            let records =
                session.cluster.list(Some(&session.namespace), &[]).await.unwrap_or_default();
            let records = records.iter().filter(|record| which(record));
            let described = |record: &Record| {
                let help = format!("{}, {}", record.user(), view::state(record));
                CompletionCandidate::new(record.name()).help(Some(help.into()))
            };
            records.map(described).collect()
        })
    }

    fn asked(
        ask: impl AsyncFnOnce(&Session) -> Vec<CompletionCandidate>,
    ) -> Vec<CompletionCandidate> {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
            return Vec::new();
        };
        let connection = connection(std::env::args());
        let answer = runtime.block_on(async {
            tokio::time::timeout(PATIENCE, async {
                match Session::open(&connection, Prompts::Forbidden).await {
                    Ok(session) => ask(&session).await,
                    Err(_) => Vec::new(),
                }
            })
            .await
        });
        answer.unwrap_or_default()
    }
}

/// The flags that choose a cluster, as far as they are typed already.
fn connection(words: impl IntoIterator<Item = String>) -> Connection {
    let mut connection =
        Connection { request_timeout: jiff::SignedDuration::from_secs(1), ..Connection::default() };
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let (flag, value) = match (word.split_once('='), word.strip_prefix("-n")) {
            (Some((flag, value)), _) if flag.starts_with("--") => {
                (flag.to_owned(), Some(value.to_owned()))
            }
            (_, Some(value)) if !value.is_empty() => ("-n".to_owned(), Some(value.to_owned())),
            _ => (word, None),
        };
        let known = [
            "-n",
            "--namespace",
            "--kubeconfig",
            "--context",
            "--cluster",
            "--user",
            "--as",
            "--as-group",
        ];
        if !known.contains(&flag.as_str()) {
            continue;
        }
        // Bash splits at equal signs.
        let next = || words.next().filter(|word| word != "=").or_else(|| words.next());
        let Some(value) = value.or_else(next) else { break };
        match flag.as_str() {
            "--kubeconfig" => connection.kubeconfig = Some(value.into()),
            "--context" => connection.context = Some(value),
            "--cluster" => connection.cluster = Some(value),
            "--user" => connection.user = Some(value),
            "--as" => connection.impersonate = Some(value),
            "--as-group" => connection.impersonate_groups.push(value),
            _ => connection.namespace = Some(value),
        }
    }
    connection
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flags_that_were_typed_choose_the_cluster() {
        let typed = "kubectl-tap __complete approve -n helpdesk --context=other --as bob --as-group a --as-group=b al";
        let found = connection(typed.split(' ').map(str::to_owned));
        assert_eq!(found.namespace.as_deref(), Some("helpdesk"));
        assert_eq!(found.context.as_deref(), Some("other"));
        assert_eq!(found.impersonate.as_deref(), Some("bob"));
        assert_eq!(found.impersonate_groups, ["a", "b"]);
        let short = connection(["-nhelpdesk".to_owned(), "--kubeconfig".to_owned()]);
        assert_eq!((short.namespace.as_deref(), short.kubeconfig), (Some("helpdesk"), None));
        let of_bash = ["--namespace", "=", "helpdesk", "--context", "other"].map(str::to_owned);
        let found = connection(of_bash);
        assert_eq!(found.namespace.as_deref(), Some("helpdesk"));
        assert_eq!(found.context.as_deref(), Some("other"));
    }
}

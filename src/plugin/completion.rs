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

/// The command line as a completion offers it. Flags are offered in the place of an empty word only where nothing else is:
/// among names nobody looks for them, and who does types a dash.
pub fn offered(command: clap::Command, word: Option<&str>) -> clap::Command {
    if word.is_some_and(|word| !word.is_empty()) {
        return command;
    }
    let hidden = |command: clap::Command| {
        let command = command.disable_help_flag(true).disable_version_flag(true);
        command.mut_args(|argument| {
            let is_flag = !argument.is_positional();
            argument.hide(is_flag)
        })
    };
    hidden(command).mut_subcommands(hidden)
}

/// The word that a shell asks about: that with this index, or the last one.
pub fn word(arguments: impl IntoIterator<Item = String>, index: Option<usize>) -> Option<String> {
    let words: Vec<String> =
        arguments.into_iter().skip_while(|argument| argument != "--").skip(1).collect();
    words.get(index.unwrap_or(words.len().checked_sub(1)?)).cloned()
}

/// Answers kubectl: a candidate on each line, with a tab and a description, and at the end what else to offer.
pub fn answer(command: clap::Command, words: &[String]) -> Result<(), Failure> {
    output::data(&answered(command, words))
}

fn answered(command: clap::Command, words: &[String]) -> String {
    let mut command = offered(command, words.last().map(String::as_str));
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
    text
}

/// Names of objects. If they cannot be had at once and without asking anybody anything, there are none.
pub mod candidates {
    use clap_complete::CompletionCandidate;
    use kube::ResourceExt as _;
    use kube::config::Kubeconfig;

    use super::{PATIENCE, Prompts, Session, connection};
    use crate::api::Phase;
    use crate::plugin::kubeconfig;
    use crate::plugin::pick::{self, Usable};
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
            match pick::usable(&rules, None, &session.namespace) {
                Usable::These(names) => names.into_iter().map(CompletionCandidate::new).collect(),
                Usable::Ask(_) | Usable::Any | Usable::Unlisted => Vec::new(),
            }
        })
    }

    /// The namespaces, for whoever may list them.
    pub fn namespaces() -> Vec<CompletionCandidate> {
        asked(async |session| {
            let namespaces = session.cluster.namespaces().await.unwrap_or_default();
            namespaces.into_iter().map(CompletionCandidate::new).collect()
        })
    }

    /// The contexts of the kubeconfig.
    pub fn contexts() -> Vec<CompletionCandidate> {
        named(|all| all.contexts.into_iter().map(|context| context.name).collect())
    }

    /// Its clusters.
    pub fn clusters() -> Vec<CompletionCandidate> {
        named(|all| all.clusters.into_iter().map(|cluster| cluster.name).collect())
    }

    /// Its users.
    pub fn users() -> Vec<CompletionCandidate> {
        named(|all| all.auth_infos.into_iter().map(|user| user.name).collect())
    }

    fn named(names: impl FnOnce(Kubeconfig) -> Vec<String>) -> Vec<CompletionCandidate> {
        let file = connection(std::env::args()).kubeconfig;
        let names = kubeconfig::read(file.as_deref()).map(names).unwrap_or_default();
        names.into_iter().map(CompletionCandidate::new).collect()
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
    connection.without_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A command line whose names are known without a cluster.
    #[derive(clap::Parser)]
    #[command(name = "kubectl-tap")]
    struct Sample {
        #[arg(long, global = true)]
        context: Option<String>,
        #[command(subcommand)]
        command: One,
    }

    #[derive(clap::Subcommand)]
    enum One {
        Show {
            #[arg(value_parser = ["alice", "bob"])]
            name: String,
            #[arg(long)]
            yes: bool,
        },
    }

    #[test]
    fn flags_are_not_mixed_into_names() {
        use clap::CommandFactory as _;
        let answer = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
            answered(Sample::command(), &words)
        };
        assert_eq!(answer(&["show", ""]), "alice\nbob\n:4");
        assert!(answer(&["show", "--"]).starts_with("--yes\n"));
        let offered = offered(Sample::command(), Some(""));
        offered.debug_assert();
    }

    #[test]
    fn commands_are_offered_under_their_own_names() {
        let answer = answered(crate::plugin::command(), &[String::new()]);
        assert!(answer.contains("\nshow\t") && !answer.contains("explain\t"), "{answer}");
    }

    #[test]
    fn the_word_that_a_shell_asks_about_is_found() {
        let typed = |words: &str| -> Vec<String> { words.split(' ').map(str::to_owned).collect() };
        let words = typed("kubectl-tap -- kubectl-tap show  -n");
        assert_eq!(word(words.clone(), Some(2)).as_deref(), Some(""));
        assert_eq!(word(words, None).as_deref(), Some("-n"));
        assert_eq!(word(typed("kubectl-tap --"), None), None);
    }

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
        let empty = connection(["--context=", "--namespace", ""].map(str::to_owned));
        assert_eq!((empty.context, empty.namespace), (None, None));
        let of_bash = ["--namespace", "=", "helpdesk", "--context", "other"].map(str::to_owned);
        let found = connection(of_bash);
        assert_eq!(found.namespace.as_deref(), Some("helpdesk"));
        assert_eq!(found.context.as_deref(), Some("other"));
    }
}

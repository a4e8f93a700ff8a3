//! The command line.

use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Parser, Subcommand, ValueHint};
use clap_complete::engine::ArgValueCandidates;
use jiff::SignedDuration;

use super::completion::candidates;
use super::failure::EXIT_CODES;
use super::object_name::{of_policy, of_request};
use super::output::{Format, ListFormat, ReportFormat};
use super::session::Connection;
use super::time::duration;
use super::wait::Goal;
use crate::api::OnExistingPass;
use crate::version;

const EXAMPLES: &str = "\
Examples:
  kubectl tap request alice@contoso.com --reason 'INC0012345 lost phone' --reveal
  kubectl tap list
  kubectl tap inbox
  kubectl tap approve alice-inc0012345 -m 'called back'";

/// Ask for Temporary Access Passes, decide about requests, and read the codes
///
/// A pass signs somebody in to Microsoft Entra for a short time. Requests and decisions are made with your own rights in the
/// cluster: what kubectl may do, this may do, and nothing more.
#[derive(Parser)]
#[command(
    name = "kubectl-tap",
    bin_name = "kubectl tap",
    version = version::TEXT.as_str(),
    max_term_width = 100,
    after_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"),
    disable_help_subcommand = true,
    arg_required_else_help = true
)]
pub struct Arguments {
    #[command(flatten)]
    pub connection: Connection,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    Request(Box<Request>),
    List(List),
    Inbox(Inbox),
    Show(Show),
    Approve(Approve),
    Deny(Decide),
    Revoke(Revoke),
    Wait(Wait),
    Reveal(Reveal),
    Status(Status),
    Stop(Stop),
    Resume(Resume),
    Doctor(Doctor),
    Completion(Completion),
    Version(Version),
    /// Answer kubectl's question for completions
    #[command(name = "__complete", hide = true, disable_help_flag = true)]
    Complete {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<String>,
    },
}

/// Ask for a pass for a user
///
/// The policy is chosen by itself if you may use exactly one. The request is named after the user and the ticket in the
/// reason, or the day. What was made of times is told before the request is sent.
///
/// With --reveal, a key pair is made in memory, and the request asks for a code that only this key opens. The command waits
/// until the pass is there and shows its code once. If it is interrupted before that, it revokes the request, because nobody
/// could read the code any more.
#[derive(Args)]
// Flags are switches.
#[allow(clippy::struct_excessive_bools)]
#[command(after_help = "\
Examples:
  kubectl tap request alice@contoso.com --reason 'INC0012345 lost phone' --reveal
  kubectl tap request alice@contoso.com --for 2h --at 'tomorrow 8:00' --reason 'new laptop'
  kubectl tap request alice@contoso.com --policy helpdesk --dry-run -o yaml")]
pub struct Request {
    /// Whom the pass signs in: a user principal name or an object id
    #[arg(value_name = "USER", value_hint = ValueHint::EmailAddress)]
    pub person: String,
    /// The policy through which to ask [default: the only one that you may use]
    #[arg(short, long, value_name = "POLICY", value_parser = of_policy, add = ArgValueCandidates::new(candidates::policies))]
    pub policy: Option<String>,
    /// How long the pass is valid: 90m, 2h, 1d [default: the policy's]
    #[arg(long = "for", value_name = "LIFETIME", allow_hyphen_values = true)]
    pub lifetime: Option<String>,
    /// When it becomes valid: 'tomorrow 8:00', 'mon 8:00', 14:30, 'in 2h', '2026-11-30 08:00' (your local time), or RFC 3339
    /// [default: when it is issued]
    #[arg(long = "at", value_name = "TIME", allow_hyphen_values = true)]
    pub start: Option<String>,
    /// Why the pass is needed, such as the ticket
    #[arg(short, long, short_alias = 'm', value_name = "REASON")]
    pub reason: Option<String>,
    /// A pass that works several times, if the policy allows it
    #[arg(long)]
    pub multi_use: bool,
    /// What to do if the user has a pass already: refuse the request, wait until that pass has ended, or replace it if the
    /// policy allows that [default: refuse]
    #[arg(long, value_name = "WHAT")]
    pub on_existing_pass: Option<ExistingPass>,
    /// Name of the request [default: after the user and the ticket or the day]
    #[arg(long, value_name = "NAME", value_parser = of_request)]
    pub name: Option<String>,
    /// A public key (age or SSH) to which the code is encrypted; can be repeated
    #[arg(long = "recipient", value_name = "KEY", conflicts_with = "reveal")]
    pub recipients: Vec<String>,
    /// Wait until the pass is issued, or the request has ended otherwise
    #[arg(long)]
    pub wait: bool,
    /// Wait, and show the code once, on this terminal
    #[arg(long)]
    pub reveal: bool,
    /// How long to wait [default: as long as the request lives]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub timeout: Option<SignedDuration>,
    /// Have the API server check the request, without creating it
    #[arg(long, conflicts_with_all = ["wait", "reveal"])]
    pub dry_run: bool,
    /// How to print the request
    #[arg(short, long, value_name = "FORMAT", conflicts_with = "reveal")]
    pub output: Option<Format>,
}

/// What to do about a pass that the user has already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum ExistingPass {
    /// The request fails
    Refuse,
    /// The request waits until that pass has ended
    Wait,
    /// That pass is replaced, if the policy allows it
    Replace,
}

impl From<ExistingPass> for OnExistingPass {
    fn from(what: ExistingPass) -> Self {
        match what {
            ExistingPass::Refuse => Self::Refuse,
            ExistingPass::Wait => Self::Wait,
            ExistingPass::Replace => Self::Replace,
        }
    }
}

/// List requests: your own, or with --all everybody's
///
/// The newest come first. The column WHEN says what happens next: `ends in` is when a request that waits expires.
#[derive(Args)]
#[command(
    visible_alias = "ls",
    after_help = "\
Examples:
  kubectl tap list
  kubectl tap list --all -A -o wide
  kubectl tap list --policy helpdesk -o name"
)]
pub struct List {
    /// Everybody's requests, not only your own
    #[arg(short = 'a', long)]
    pub all: bool,
    /// Of all namespaces
    #[arg(short = 'A', long)]
    pub all_namespaces: bool,
    /// Only those through this policy
    #[arg(short, long, value_name = "POLICY", value_parser = of_policy, add = ArgValueCandidates::new(candidates::policies))]
    pub policy: Option<String>,
    /// How to print them
    #[arg(short, long, value_name = "FORMAT")]
    pub output: Option<ListFormat>,
}

/// List the requests that await your approval
///
/// These are the requests, in all namespaces that you may see, that await approval, that you may approve, that are neither
/// your own nor for you, and that you have not decided yet.
#[derive(Args)]
#[command(after_help = "\
Examples:
  kubectl tap inbox
  kubectl tap inbox -o name")]
pub struct Inbox {
    /// How to print them
    #[arg(short, long, value_name = "FORMAT")]
    pub output: Option<Format>,
}

/// Show requests with all that explains their state: checks, decisions, what to do (also `explain`)
#[derive(Args)]
#[command(
    // A visible one would be offered by completion in the place of the command.
    alias = "explain",
    after_help = "\
Examples:
  kubectl tap show alice-inc0012345
  kubectl tap explain alice-inc0012345 -o yaml"
)]
pub struct Show {
    /// Names of requests
    #[arg(value_name = "NAME", value_parser = of_request, required = true, add = ArgValueCandidates::new(candidates::requests))]
    pub names: Vec<String>,
    /// How to print them
    #[arg(short, long, value_name = "FORMAT")]
    pub output: Option<ReportFormat>,
}

/// Approve requests
///
/// It shows what each request stands for and asks before it approves. The approval is for exactly that: if the request is
/// another one meanwhile, or stands for something else, nothing is approved. Nobody approves a request of their own, or a
/// pass for themselves.
#[derive(Args)]
#[command(after_help = "\
Examples:
  kubectl tap approve alice-inc0012345 -m 'called back'
  kubectl tap approve alice-inc0012345 bob-inc0012346 --yes")]
pub struct Approve {
    /// Names of requests
    #[arg(value_name = "NAME", value_parser = of_request, required = true, add = ArgValueCandidates::new(candidates::awaiting))]
    pub names: Vec<String>,
    /// Why, for readers
    #[arg(short = 'm', long, value_name = "TEXT")]
    pub comment: Option<String>,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
}

/// Deny requests
///
/// One denial is final. If the pass was issued already, it is revoked. Nobody denies a request of their own: the requester
/// revokes it.
#[derive(Args)]
#[command(after_help = "\
Examples:
  kubectl tap deny alice-inc0012345 -m 'not reached by phone'")]
pub struct Decide {
    /// Names of requests
    #[arg(value_name = "NAME", value_parser = of_request, required = true, add = ArgValueCandidates::new(candidates::open))]
    pub names: Vec<String>,
    /// Why, for readers
    #[arg(short = 'm', long, value_name = "TEXT")]
    pub comment: Option<String>,
}

/// Revoke passes, or withdraw requests that wait
///
/// The requester may, and whoever may approve.
#[derive(Args)]
#[command(after_help = "\
Examples:
  kubectl tap revoke alice-inc0012345 -m 'the phone is back'
  kubectl tap revoke --all")]
pub struct Revoke {
    /// Names of requests
    #[arg(value_name = "NAME", value_parser = of_request, required_unless_present = "all", conflicts_with = "all", add = ArgValueCandidates::new(candidates::open))]
    pub names: Vec<String>,
    /// Every request of the namespace that has not ended and that you may revoke; it lists them and asks
    #[arg(long)]
    pub all: bool,
    /// Why, for readers
    #[arg(short = 'm', long, value_name = "TEXT")]
    pub comment: Option<String>,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
}

/// Wait until passes are issued, or their requests have ended otherwise
///
/// It ends on every end of a request, with the reason and an exit code of its own.
#[derive(Args)]
#[command(after_help = "\
Examples:
  kubectl tap wait alice-inc0012345
  kubectl tap wait alice-inc0012345 --for finished --timeout 1h")]
pub struct Wait {
    /// Names of requests
    #[arg(value_name = "NAME", value_parser = of_request, required = true, add = ArgValueCandidates::new(candidates::open))]
    pub names: Vec<String>,
    /// What to wait for
    #[arg(long = "for", value_name = "STATE", value_enum, default_value = "issued")]
    pub goal: Goal,
    /// How long to wait [default: as long as the request lives]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub timeout: Option<SignedDuration>,
}

/// Show the code of a pass, on this terminal
///
/// It needs the right to read the Secret. The code is shown on a terminal only, so that it is in no file and in no log.
#[derive(Args)]
#[command(after_help = "\
Examples:
  kubectl tap reveal alice-inc0012345
  kubectl tap reveal alice-inc0012345 -i ~/.ssh/id_ed25519
  kubectl tap reveal alice-inc0012345 -i key.txt --delete")]
pub struct Reveal {
    /// Name of the request
    #[arg(value_name = "NAME", value_parser = of_request, add = ArgValueCandidates::new(candidates::active))]
    pub name: String,
    /// File with a private key that opens a sealed code: of age, or of SSH (not RSA); can be repeated
    #[arg(short, long = "identity", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub identities: Vec<PathBuf>,
    /// Delete the Secret afterwards, without asking; the pass stays usable
    #[arg(long)]
    pub delete: bool,
}

/// Show policies, drift, the number of passes, and the emergency stop
#[derive(Args)]
#[command(after_help = "\
Examples:
  kubectl tap status
  kubectl tap status -o json")]
pub struct Status {
    /// How to print it
    #[arg(short, long, value_name = "FORMAT")]
    pub output: Option<ReportFormat>,
    #[command(flatten)]
    pub operator: Operator,
}

/// Where the operator runs.
#[derive(Args)]
pub struct Operator {
    /// Namespace of the operator
    #[arg(long, value_name = "NAMESPACE", default_value = "tap-operator-system", value_parser = NonEmptyStringValueParser::new())]
    pub operator_namespace: String,
}

/// Stop all issuing, in an emergency
///
/// Nothing is issued and no tenant is corrected until `resume`. It waits until the operator says that it has stopped, and
/// tells how many passes are still active. With --revoke it also waits until they are revoked.
///
/// It does not ask, with --revoke neither: a brake must not wait for an answer. A stop that revokes stays one until `resume`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  kubectl tap stop
  kubectl tap stop --revoke")]
pub struct Stop {
    /// Also revoke every active pass
    #[arg(long)]
    pub revoke: bool,
    /// How long to wait for the operator
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "5m")]
    pub timeout: SignedDuration,
    #[command(flatten)]
    pub operator: Operator,
}

/// End the emergency stop
#[derive(Args)]
#[command(after_help = "\
Examples:
  kubectl tap resume")]
pub struct Resume {
    /// How long to wait for the operator
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "5m")]
    pub timeout: SignedDuration,
    #[command(flatten)]
    pub operator: Operator,
}

/// Check what you need to work with tap-operator, as far as you may see it
///
/// What needs the operator's own eyes is checked by `tap-operator check` in its pod. Exit code 5 if something fails, 0 if
/// there are only warnings.
#[derive(Args)]
#[command(after_help = "\
Examples:
  kubectl tap doctor
  kubectl tap doctor -o json")]
pub struct Doctor {
    /// How to print it
    #[arg(short, long, value_name = "FORMAT")]
    pub output: Option<ReportFormat>,
    #[command(flatten)]
    pub operator: Operator,
}

/// Print what a shell needs to complete commands, flags and names
///
/// Read it at the start of the shell, not from a file that was saved: it changes with versions. `kubectl` prints the program
/// kubectl_complete-tap, by which kubectl completes `kubectl tap`: put it on the PATH, and make it executable.
#[derive(Args)]
#[command(after_help = "\
Examples:
  source <(kubectl tap completion bash)
  source <(kubectl tap completion zsh)
  kubectl tap completion fish | source
  install -m 755 <(kubectl tap completion kubectl) ~/.local/bin/kubectl_complete-tap")]
pub struct Completion {
    /// For which program
    #[arg(value_enum)]
    pub shell: Shell,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Shell {
    Bash,
    Zsh,
    Fish,
    /// The program kubectl_complete-tap
    Kubectl,
}

/// Print the versions of this program, of the cluster, and of the operator
#[derive(Args)]
#[command(after_help = "\
Examples:
  kubectl tap version
  kubectl tap version --client")]
pub struct Version {
    /// Only of this program; no cluster is needed
    #[arg(long)]
    pub client: bool,
    #[command(flatten)]
    pub operator: Operator,
}

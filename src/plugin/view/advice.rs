//! What the reader of a request can do about it.

use std::fmt::Write as _;

use crate::api::{OnExistingPass, Phase, TapPolicy};
use crate::plugin::failure::OTHER_VERSION;
use crate::plugin::program;
use crate::plugin::record::Record;
use crate::plugin::shell::quoted;
use crate::plugin::time::Clock;

use super::or_unknown;

/// What the reader can do.
pub fn advice(record: &Record, policy: Option<&TapPolicy>, me: &str, clock: &Clock) -> Vec<String> {
    let (program, name, namespace) = (program(), record.name(), record.namespace());
    let mine = record.requester() == me;
    if let Some(why) = record.strange() {
        return vec![
            format!("{why}."),
            format!("To see it as it is: {program} show {name} -n {namespace} -o yaml"),
            format!("What to do: {OTHER_VERSION}"),
        ];
    }
    match record.phase() {
        Phase::AwaitingApproval => {
            let mut lines = vec![format!(
                "Whoever has the verb approve on tappolicies/{} in namespace {namespace} can approve, except the requester ({}) and the user ({}).",
                record.policy(),
                or_unknown(record.requester()),
                record.user()
            )];
            lines.extend(contact(policy).map(|contact| format!("Whom to ask: {contact}")));
            lines.push(if mine {
                format!("Who approves runs: {program} approve {name} -n {namespace}")
            } else {
                format!("{program} approve {name} -n {namespace}, or {program} deny {name} -n {namespace}")
            });
            lines.extend(timeout(record, clock));
            lines
        }
        Phase::Pending => {
            let mut lines = vec![if record.reason().is_empty() {
                format!(
                    "The operator has not looked at it yet. If that lasts, {program} doctor tells whether one runs."
                )
            } else {
                "It continues by itself once the cause is gone.".to_owned()
            }];
            lines.extend(timeout(record, clock));
            lines.push(withdraw(record));
            lines
        }
        Phase::Scheduled => {
            vec![
                "Nothing: the pass is issued shortly before its start.".to_owned(),
                withdraw(record),
            ]
        }
        Phase::Active if record.reason() == "SecretGone" => vec![format!(
            "If nobody has read the code: {program} revoke {name} -n {namespace}, and ask again."
        )],
        Phase::Active => vec![
            match record.request().spec.recipients {
                None => format!("Show the code: {program} reveal {name} -n {namespace}"),
                Some(_) => format!(
                    "Show the code, with a private key that opens it: {program} reveal {name} -n {namespace} -i FILE (if it was asked for with --reveal, only the terminal that asked can)"
                ),
            },
            format!("If something is wrong: {program} revoke {name} -n {namespace}"),
        ],
        Phase::Used => vec![format!(
            "Nothing. If it was not {} who used it, revoke the user's sessions in Entra.",
            record.user()
        )],
        Phase::Failed => vec![
            "This request has ended. Another one fails as well until the cause is gone.".to_owned(),
            format!("Then, if a pass is still needed: {}", again(record, clock)),
        ],
        Phase::Denied => vec![
            "This request has ended. Talk to whoever denied it before you ask again.".to_owned(),
            format!("Then, if a pass is still needed: {}", again(record, clock)),
        ],
        Phase::Expired | Phase::Revoked => vec![format!(
            "This request has ended. If a pass is still needed, ask again: {}",
            again(record, clock)
        )],
        // Told of above.
        Phase::Unknown => Vec::new(),
    }
}

/// Whom the policy names for approvals.
fn contact(policy: Option<&TapPolicy>) -> Option<&str> {
    policy?.spec.issuance.as_ref()?.approval.as_ref()?.contact.as_deref()
}

/// The command that asks for the same once more: not sooner, and for a code that is not easier to read.
fn again(record: &Record, clock: &Clock) -> String {
    let spec = &record.request().spec;
    let mut command = format!(
        "{} request {} --policy {} -n {}",
        program(),
        quoted(record.user()),
        quoted(record.policy()),
        record.namespace()
    );
    if let Some(lifetime) = &spec.lifetime {
        let _ = write!(command, " --for {lifetime}");
    }
    if spec.one_time_use == Some(false) {
        command.push_str(" --multi-use");
    }
    if let Some(start) = spec.start_time.as_ref().filter(|start| start.0 > clock.now) {
        let _ = write!(command, " --at {:.0}", start.0);
    }
    match spec.on_existing_pass {
        Some(OnExistingPass::Wait) => command.push_str(" --on-existing-pass wait"),
        Some(OnExistingPass::Replace) => command.push_str(" --on-existing-pass replace"),
        Some(OnExistingPass::Refuse | OnExistingPass::Unknown) | None => {}
    }
    if let Some(reason) = &spec.reason {
        let _ = write!(command, " --reason {}", quoted(reason));
    }
    if spec.recipients.is_some() {
        command.push_str(" --reveal");
    }
    command
}

fn withdraw(record: &Record) -> String {
    format!("To withdraw it: {} revoke {} -n {}", program(), record.name(), record.namespace())
}

fn timeout(record: &Record, clock: &Clock) -> Option<String> {
    let deadline = clock.told(record.deadline()?);
    Some(format!("If no pass is issued by {deadline}, it ends as Expired."))
}

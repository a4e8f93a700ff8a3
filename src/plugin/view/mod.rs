//! What commands print, made of objects and a clock, without any call.

mod advice;
pub mod inbox;
pub mod list;
pub mod policies;
pub mod show;

use crate::api::Phase;
use crate::decision::Reason;

use super::record::Record;
use super::time::Clock;

/// The phase as a person reads it: with the reason unless the phase says all, and an approved request that waits as such.
pub fn state(record: &Record) -> String {
    let reason = record.reason();
    let says_all = matches!(
        reason,
        "" | "AwaitingApproval"
            | "Scheduled"
            | "Issued"
            | "PassUsed"
            | "PassExpired"
            | "Revoked"
            | "Denied"
    );
    let stage = stage(record);
    if says_all { stage.to_owned() } else { format!("{stage} ({reason})") }
}

/// The phase without the reason.
pub fn stage(record: &Record) -> &str {
    match record.phase() {
        _ if record.is_unreadable() => "Unreadable",
        Phase::Pending if record.is_approved() => "Approved, waits",
        _ => record.phase_name(),
    }
}

/// How many requests go first, of a request that waits for its turn.
pub fn position(record: &Record) -> Option<&str> {
    let queued = record.reason() == Reason::Queued.as_str();
    // The rest of the message says why.
    record.message().split(',').next().filter(|position| queued && !position.is_empty())
}

/// What happens next, or what happened last, and when.
pub fn when(record: &Record, clock: &Clock) -> String {
    let request = record.request();
    let phase = record.phase();
    if request.is_being_deleted() && !phase.is_final() {
        return "being deleted".to_owned();
    }
    let pass = request.status.as_ref().and_then(|status| status.pass.as_ref());
    match (phase, pass) {
        _ if record.is_unreadable() => String::new(),
        (phase, _) if phase.is_final() => {
            // By the tenant's clock, which may be ahead of this one.
            let ended = record.finished_at().map(|at| at.min(clock.now));
            ended.map_or(String::new(), |at| format!("ended {}", clock.relative(at)))
        }
        (Phase::Active, Some(pass)) if pass.start_time.0 > clock.now => {
            format!("valid {}", clock.relative(pass.start_time.0))
        }
        (Phase::Active, Some(pass)) => {
            format!("expires {}", clock.relative(pass.expiration_time.0))
        }
        (Phase::Scheduled, _) => {
            let start = request.spec.start_time.as_ref();
            start.map_or(String::new(), |start| format!("starts {}", clock.relative(start.0)))
        }
        _ => record.deadline().map_or(String::new(), |at| format!("ends {}", clock.relative(at))),
    }
}

/// How old something is.
pub fn age(created: jiff::Timestamp, clock: &Clock) -> String {
    super::time::long((clock.now.as_second() - created.as_second()).max(0))
}

/// The lifetime that a pass has or is asked for.
pub fn lifetime(record: &Record) -> String {
    let request = record.request();
    let resolved = request.status.as_ref().and_then(|status| status.resolved.as_ref());
    match (resolved, &request.spec.lifetime) {
        (Some(resolved), _) => resolved.lifetime.to_string(),
        (None, Some(asked)) => asked.to_string(),
        (None, None) => String::new(),
    }
}

/// A name, or words in its place.
fn or_unknown(text: &str) -> &str {
    if text.is_empty() { "somebody unknown" } else { text }
}

/// Whether the pass works once or several times.
pub fn uses(record: &Record) -> &'static str {
    let request = record.request();
    let resolved = request.status.as_ref().and_then(|status| status.resolved.as_ref());
    let once =
        resolved.map_or_else(|| request.spec.one_time_use.unwrap_or(true), |r| r.one_time_use);
    if once { "works once" } else { "works several times" }
}

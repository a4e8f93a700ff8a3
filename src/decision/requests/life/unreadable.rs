//! A request whose intent this version cannot read, because another version of the operator wrote it before an upgrade was
//! undone.
//!
//! A pass may exist, and this version does not know how to take it back. So no pass is requested and the finalizer stays
//! until every pass of the request has expired by itself.

use jiff::{SignedDuration, Timestamp};

use super::{ending, left_behind, remove_secret, report, secret_stays};
use crate::api::names::OPERATOR;
use crate::api::{Phase, TapRequest};
use crate::decision::Reason;
use crate::decision::clock::later;
use crate::decision::intent;
use crate::decision::report::Report;
use crate::decision::situation::Situation;
use crate::decision::step::{Rest, Step};

/// The longest time from the operator's last write of a request to the expiry of its pass: 168 hours until its start, a
/// lifetime of 720 hours, and a day for delays.
const LONGEST: SignedDuration = SignedDuration::from_hours(168 + 720 + 24);

/// The next step for a request whose intent cannot be read.
pub(super) fn next(s: &Situation) -> Step {
    let expires = latest_expiry(s.request);
    let over = s.now.earliest >= expires;
    if over || ending(s).is_some() {
        if let Some(step) = remove_secret(s.reads) {
            return step;
        }
        if let Some(why) = left_behind(s, expires) {
            return secret_stays(s, why);
        }
    }
    if over {
        let message = "every pass of this request has expired by itself";
        let ended = Report::new(s, Phase::Expired, Reason::PassExpired, message);
        return report(s, ended, Rest::ForChange);
    }
    let message = format!(
        "another version of the operator wrote the annotation tap-operator.io/intent, and this version cannot read it: run that version again. Until then nothing is issued or revoked for this request; at {expires:.0} every pass of it will have expired by itself"
    );
    let held =
        Report::new(s, s.request.phase(), Reason::IntentUnreadable, message).not_ready().stalled();
    report(s, held, Rest::Until(expires))
}

/// The latest time at which a pass of the request can expire, from what is recorded about it.
pub fn latest_expiry(request: &TapRequest) -> Timestamp {
    let recorded = request.status.as_ref().and_then(|status| status.pass.as_ref());
    let noted = intent::remains(request).latest_expiry;
    let known = noted.max(recorded.map(|pass| pass.expiration_time.0));
    known.unwrap_or_else(|| later(last_written(request), LONGEST))
}

/// When the operator last wrote a request: it records each attempt before it asks for the pass.
fn last_written(request: &TapRequest) -> Timestamp {
    let writes = request.metadata.managed_fields.iter().flatten();
    let ours = writes.filter(|write| write.manager.as_deref() == Some(OPERATOR));
    let last = ours.filter_map(|write| Some(write.time.as_ref()?.0)).max();
    last.map_or(request.created(), |last| last.max(request.created()))
}

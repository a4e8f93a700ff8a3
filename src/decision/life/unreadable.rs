//! An intent that this version cannot read: another version of the operator wrote it, before an upgrade was undone.
//!
//! A pass may exist, and how to take it back cannot be told. So nothing is asked for and nothing is let go, until every
//! pass that it may speak of has expired by itself.

use jiff::{SignedDuration, Timestamp};

use super::situation::Situation;
use super::step::{Rest, Step};
use super::{ending, left_behind, remove_secret, report, secret_stays};
use crate::api::{Phase, TapRequest};
use crate::decision::Reason;
use crate::decision::clock::later;
use crate::decision::intent;
use crate::decision::report::Report;

/// The longest from a request's creation to the expiry of its pass: a start 30 days ahead, a lifetime of 720 hours, and
/// a day for what may come late.
const LONGEST: SignedDuration = SignedDuration::from_hours(61 * 24);

/// The next thing to do for a request whose intent cannot be read.
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
        let message = "whatever pass there was has expired by itself";
        let ended = Report::new(s, Phase::Expired, Reason::PassExpired, message);
        return report(s, ended, Rest::ForChange);
    }
    let message = format!(
        "another version of the operator wrote the annotation tap-operator.io/intent, and this one cannot read it: run that version again; until then nothing is issued or revoked here, and at {expires:.0} every pass of it has expired by itself"
    );
    let held =
        Report::new(s, s.request.phase(), Reason::IntentUnreadable, message).not_ready().stalled();
    report(s, held, Rest::Until(expires))
}

/// When every pass of a request has expired by itself, as far as can be told.
pub fn latest_expiry(request: &TapRequest) -> Timestamp {
    let recorded = request.status.as_ref().and_then(|status| status.pass.as_ref());
    let noted = intent::remains(request).latest_expiry;
    let known = noted.max(recorded.map(|pass| pass.expiration_time.0));
    known.unwrap_or(later(request.created(), LONGEST))
}

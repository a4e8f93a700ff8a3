//! Which rows of a tenant's audit log tell of others: passes that they make, passes of ours that they delete, changes of the
//! method.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::meaning::{Meaning, meaning};
use crate::decision::clock::{earlier, later};
use crate::decision::ids::{RequestName, Uid};
use crate::decision::requests::Whose;
use crate::entra::{AuditRow, AuditRows, Initiator, Rest};

/// How far back the log is read each time: rows come late and out of order (reported: nearly all within five minutes).
const WINDOW: SignedDuration = SignedDuration::from_mins(20);
/// How far back a process reads that begins: for as long something may have happened unseen. Longer than that nobody is told.
const AT_FIRST: SignedDuration = SignedDuration::from_hours(1);

/// The apps of this operator's connections to a tenant, by client id in lower case.
pub type OwnApps = BTreeSet<String>;

/// What a row tells that somebody should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it is.
    pub what: What,
    /// The row.
    pub row: AuditRow,
    /// Whether another process may have told it: it happened before this one began to read.
    pub again: bool,
}

/// What a row tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// Somebody made a pass that no request records; whether by an app of this operator, which another installation uses.
    ForeignPass {
        /// Whether the app is one of this operator's.
        own_app: bool,
    },
    /// Somebody deleted the pass of this request.
    PassDeleted(Uid, RequestName),
    /// Somebody changed the policy of authentication methods.
    MethodChanged,
}

/// What was read of the audit log of a tenant.
#[derive(Debug)]
pub struct Readings {
    /// From when on this process knows each pass that its app made.
    began: Timestamp,
    /// The rows that need not be judged again, by when they happened.
    judged: BTreeMap<Timestamp, BTreeSet<String>>,
    /// When it was last read.
    read: Option<Timestamp>,
}

impl Readings {
    /// Nothing was read yet, by a process that works since this time.
    pub fn since(began: Timestamp) -> Self {
        Self { began, judged: BTreeMap::new(), read: None }
    }

    /// From when on the log is to be read now.
    pub fn from(&self, now: Timestamp) -> Timestamp {
        let at_first = earlier(now, AT_FIRST);
        self.read.map_or(at_first, |read| earlier(read.min(now), WINDOW).max(at_first))
    }

    /// What the rows tell that is new, the oldest first. Where older ones could not be read, the next reading goes back as far as
    /// this one.
    ///
    /// A pass may not be recorded yet when its row comes, so none is called foreign before `settle` has passed, nor while it is
    /// not known what became of a POST for its user. Of a pass that an own app made before this process began, it is not
    /// known whose it is: its request may be gone.
    pub fn judge(
        &mut self,
        read: AuditRows,
        now: Timestamp,
        settle: SignedDuration,
        own: &OwnApps,
        whose: impl Fn(&AuditRow) -> Whose,
    ) -> Vec<Finding> {
        let AuditRows { mut rows, rest } = read;
        if !matches!(rest, Rest::Failed(_)) {
            self.read = Some(now);
        }
        self.judged = self.judged.split_off(&earlier(now, AT_FIRST));
        rows.sort_by_key(|row| row.at);
        let mut findings = Vec::new();
        for row in rows {
            if self.judged.get(&row.at).is_some_and(|judged| judged.contains(&row.id)) {
                continue;
            }
            let what = match self.judged_row(&row, later(row.at, settle) <= now, own, &whose) {
                Judgement::Wait => continue,
                Judgement::Nothing => None,
                Judgement::Tell(what) => Some(what),
            };
            self.judged.entry(row.at).or_default().insert(row.id.clone());
            let again = row.at < self.began;
            findings.extend(what.map(|what| Finding { what, row, again }));
        }
        findings
    }

    fn judged_row(
        &self,
        row: &AuditRow,
        is_settled: bool,
        own: &OwnApps,
        whose: impl Fn(&AuditRow) -> Whose,
    ) -> Judgement {
        let own_app = match &row.by {
            Initiator::App { id: Some(id), .. } => own.contains(id).into(),
            // Some rows of apps lack the id, so it may be this one.
            Initiator::App { id: None, .. } | Initiator::Nobody => Own::Perhaps,
            Initiator::Person { .. } => Own::No,
        };
        match meaning(row) {
            Some(Meaning::PassMade) => match whose(row) {
                Whose::Recorded(..) | Whose::Own => Judgement::Nothing,
                _ if !is_settled => Judgement::Wait,
                Whose::Unresolved if own_app != Own::No => Judgement::Wait,
                _ if own_app != Own::No && (row.at < self.began || row.pass_id.is_none()) => {
                    Judgement::Nothing
                }
                Whose::Unknown | Whose::Unresolved => {
                    Judgement::Tell(What::ForeignPass { own_app: own_app == Own::Yes })
                }
            },
            Some(Meaning::PassDeleted) if own_app == Own::No => match whose(row) {
                Whose::Recorded(uid, name) => Judgement::Tell(What::PassDeleted(uid, name)),
                Whose::Own | Whose::Unresolved | Whose::Unknown => Judgement::Nothing,
            },
            Some(Meaning::MethodChanged) if own_app == Own::No => {
                Judgement::Tell(What::MethodChanged)
            }
            _ => Judgement::Nothing,
        }
    }
}

#[cfg(test)]
impl Readings {
    /// How many rows are remembered.
    pub fn remembered(&self) -> usize {
        self.judged.values().map(BTreeSet::len).sum()
    }
}

/// Whether an app of this operator did it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Own {
    Yes,
    No,
    Perhaps,
}

impl From<bool> for Own {
    fn from(own: bool) -> Self {
        if own { Self::Yes } else { Self::No }
    }
}

enum Judgement {
    /// It is judged when the log is read again.
    Wait,
    /// Nobody need know.
    Nothing,
    /// Somebody should know.
    Tell(What),
}

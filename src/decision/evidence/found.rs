//! What an answer of the logs adds to the status of a request.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::meaning::{FAILED_WITH_PASS, Meaning, meaning};
use crate::api::{
    ConditionType, Evidence, FailedSignIns, Phase, TapRequest, TapRequestStatus, merge_conditions,
};
use crate::decision::Reason;
use crate::decision::report::whole_second;
use crate::entra::{AuditRow, SignInRow};

/// What the logs answered about a pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The sign-ins of its user during its life, the newest first; `None`: not seen.
    pub sign_ins: Option<Vec<SignInRow>>,
    /// The kinds of methods that its user registered since it was valid; `None`: not seen.
    pub registered: Option<BTreeSet<&'static str>>,
    /// Whether nothing more is asked.
    pub is_last: bool,
}

/// What is new of a pass, once the status says it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct News {
    /// How many more sign-ins with the pass failed, by the number of the error.
    pub failed: BTreeMap<i32, u32>,
    /// Whether its first use became known.
    pub used: bool,
    /// The condition Registered, if its status changed.
    pub registered: Option<(bool, Reason, String)>,
}

/// How many sign-ins with a pass failed, by the number of the error.
pub fn failed_by_code(rows: &[SignInRow]) -> BTreeMap<i32, u32> {
    let mut failed = BTreeMap::new();
    for row in rows.iter().filter(|row| FAILED_WITH_PASS.contains(&row.error_code)) {
        *failed.entry(row.error_code).or_default() += 1;
    }
    failed
}

/// The kinds of methods that a user registered since this time, by the rows about the user.
pub fn registered_since(rows: &[AuditRow], from: Timestamp) -> BTreeSet<&'static str> {
    let since = rows.iter().filter(|row| row.at >= from);
    let kind = |row: &AuditRow| match meaning(row)? {
        Meaning::Registered(kind) => Some(kind),
        Meaning::PassMade | Meaning::PassDeleted | Meaning::MethodChanged => None,
    };
    since.filter_map(kind).collect()
}

impl Found {
    /// The status of a request with what was found, and what is new in it. It says nothing twice, and takes nothing back: a
    /// log may show less later, because its rows are kept for days only.
    pub fn added_to(&self, request: &TapRequest, now: Timestamp) -> (TapRequestStatus, News) {
        let mut status = request.status.clone().unwrap_or_default();
        let mut news = News::default();
        if let Some(rows) = &self.sign_ins {
            add_sign_ins(&mut status, rows, &mut news);
        }
        if let Some(registered) = &self.registered {
            self.add_registered(&mut status, registered, &mut news);
        }
        if let Some((is_true, reason, message)) = &news.registered {
            let condition = Condition {
                type_: ConditionType::Registered.as_str().into(),
                status: if *is_true { "True" } else { "False" }.into(),
                reason: reason.as_str().into(),
                message: message.clone(),
                observed_generation: request.metadata.generation,
                last_transition_time: Time(Timestamp::UNIX_EPOCH),
            };
            let old = std::mem::take(&mut status.conditions);
            let own = ConditionType::Registered.as_str();
            let others = old.iter().filter(|other| other.type_ != own).cloned();
            let all = others.chain([condition]).collect();
            status.conditions = merge_conditions(&old, all, whole_second(now));
        }
        (status, news)
    }

    /// Adds what the user registered.
    fn add_registered(
        &self,
        status: &mut TapRequestStatus,
        found: &BTreeSet<&'static str>,
        news: &mut News,
    ) {
        let known: BTreeSet<String> = status.registered.drain(..).collect();
        let all = known.iter().cloned().chain(found.iter().map(ToString::to_string));
        let all: BTreeSet<String> = all.collect();
        status.registered = all.iter().cloned().collect();
        if all.len() > known.len() {
            let kinds = status.registered.join(", ");
            let message = format!("the user registered {kinds} after the pass was valid");
            news.registered = Some((true, Reason::MethodRegistered, message));
        } else if all.is_empty() && self.is_last && status.phase != Phase::Revoked {
            let message = "the tenant's audit log shows no sign-in method that the user registered with this pass; the user may need another pass";
            news.registered = Some((false, Reason::NothingRegistered, message.into()));
        }
    }
}

/// Adds what the sign-ins say.
fn add_sign_ins(status: &mut TapRequestStatus, rows: &[SignInRow], news: &mut News) {
    let known = status.evidence.take().unwrap_or_default();
    let first = rows.iter().filter(|row| row.error_code == 0).map(|row| row.at).min();
    let first = first.map(|at| Time(whole_second(at)));
    let first_sign_in = match (known.first_sign_in, first) {
        (Some(one), Some(other)) => Some(if other.0 < one.0 { other } else { one }),
        (None, Some(first)) => {
            news.used = true;
            Some(first)
        }
        (known, None) => known,
    };
    let mut failed: BTreeMap<i32, u32> = known
        .failed_sign_ins
        .iter()
        .map(|failed| (failed.code, failed.count.unsigned_abs()))
        .collect();
    for (code, count) in failed_by_code(rows) {
        let before = failed.entry(code).or_default();
        if count > *before {
            news.failed.insert(code, count - *before);
            *before = count;
        }
    }
    let failed_sign_ins = failed.into_iter().map(|(code, count)| FailedSignIns {
        code,
        count: i32::try_from(count).unwrap_or(i32::MAX),
    });
    let evidence = Evidence { first_sign_in, failed_sign_ins: failed_sign_ins.collect() };
    status.evidence = (evidence != Evidence::default()).then_some(evidence);
}

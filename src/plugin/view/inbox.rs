//! The requests about which a person can decide.

use crate::api::{DecisionKind, Phase};
use crate::plugin::decision::{Standing, standing};
use crate::plugin::record::Record;
use crate::plugin::table::Table;
use crate::plugin::time::Clock;

use super::{lifetime, uses, when};

/// Whether this person could approve it, as far as the request itself says: the right is asked for separately.
pub fn awaits(record: &Record, me: &str) -> bool {
    record.phase() == Phase::AwaitingApproval
        && !record.request().is_being_deleted()
        && standing(record, DecisionKind::Approve, me) == Standing::Open
}

/// The table, with what an approval would be for.
pub fn table(records: &[Record], clock: &Clock) -> String {
    let mut table = Table::new(&[
        "NAMESPACE",
        "NAME",
        "USER",
        "PASS",
        "REASON",
        "REQUESTER",
        "APPROVALS",
        "WHEN",
    ]);
    for record in records {
        let spec = &record.request().spec;
        let reason = spec.reason.clone().unwrap_or_default();
        let start = spec.start_time.as_ref();
        let start =
            start.map_or(String::new(), |start| format!(", starts {}", clock.relative(start.0)));
        table.row([
            record.namespace(),
            record.name(),
            record.user().to_owned(),
            format!("{}, {}{start}", lifetime(record), uses(record)),
            reason,
            record.requester().to_owned(),
            record.approvals().to_owned(),
            when(record, clock),
        ]);
    }
    table.text()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::samples::{active, awaiting, clock, record};

    #[test]
    fn the_inbox_has_what_this_person_has_not_decided() {
        assert!(awaits(&awaiting(), "lea@contoso.com"));
        assert!(!awaits(&awaiting(), "heidi@contoso.com"), "their own request");
        assert!(!awaits(&awaiting(), "ALICE@contoso.com"), "a pass of their own");
        assert!(!awaits(&active(), "max@contoso.com"), "it was issued");
        let mut half = awaiting().printed();
        half["status"]["decisions"] =
            serde_json::json!([{ "by": "lea@contoso.com", "decision": "Approve" }]);
        let half = record(half);
        assert!(!awaits(&half, "lea@contoso.com"), "approved already");
        assert!(awaits(&half, "max@contoso.com"));
    }

    #[test]
    fn it_says_what_an_approval_would_be_for() {
        assert_eq!(
            table(&[awaiting()], &clock()),
            "\
NAMESPACE   NAME               USER                PASS             REASON                  REQUESTER           APPROVALS   WHEN
helpdesk    alice-inc0012345   alice@contoso.com   1h, works once   INC0012345 lost phone   heidi@contoso.com   0/1         ends in 23h
"
        );
    }
    #[test]
    fn a_pass_for_later_says_so() {
        let mut object = awaiting().printed();
        object["spec"]["startTime"] = "2026-11-30T08:00:00Z".into();
        let table = table(&[record(object)], &clock());
        assert!(table.contains("1h, works once, starts in 14h"), "{table}");
    }
}

//! Requests as a table.

use std::cmp::Reverse;

use crate::plugin::record::Record;
use crate::plugin::table::Table;
use crate::plugin::time::Clock;

use super::{age, state, when};

/// The newest first; those of one moment by name.
pub fn sort(records: &mut [Record]) {
    records.sort_by_cached_key(|r| (Reverse(r.request().created()), r.namespace(), r.name()));
}

/// The table. `namespaces`: with the namespace of each. `wide`: more columns.
pub fn table(records: &[Record], namespaces: bool, wide: bool, clock: &Clock) -> String {
    let mut headings = Vec::new();
    if namespaces {
        headings.push("NAMESPACE");
    }
    headings.extend(["NAME", "USER", "STATE", "APPROVALS", "WHEN"]);
    if wide {
        headings.extend(["POLICY", "REQUESTER", "REASON"]);
    }
    headings.push("AGE");
    let mut table = Table::new(&headings);
    for record in records {
        let request = record.request();
        let mut row = Vec::new();
        if namespaces {
            row.push(record.namespace());
        }
        row.extend([
            record.name(),
            record.user().to_owned(),
            state(record),
            record.approvals().to_owned(),
            when(record, clock),
        ]);
        if wide {
            let reason = request.spec.reason.clone().unwrap_or_default();
            row.extend([record.policy().to_owned(), record.requester().to_owned(), reason]);
        }
        row.push(age(request.created(), clock));
        table.row(row);
    }
    table.text()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::plugin::samples::{active, awaiting, clock, ended, queued, ready, with_status};

    #[test]
    fn a_table_says_what_each_request_waits_for() {
        let approved = with_status(json!({
            "phase": "Pending", "approvals": "1/1", "deadline": "2026-11-30T17:20:00Z",
            "conditions": [
                ready("False", "ExistingPass", "the user has a pass already")[0],
                { "type": "Approved", "status": "True", "reason": "Approved", "message": "", "lastTransitionTime": "2026-11-29T17:25:00Z" },
            ],
        }));
        let records = [
            awaiting(),
            active(),
            approved,
            queued(3),
            ended("Failed", "UserNotFound"),
            ended("Used", "PassUsed"),
        ];
        assert_eq!(
            table(&records, false, false, &clock()),
            "\
NAME               USER                STATE                            APPROVALS   WHEN             AGE
alice-inc0012345   alice@contoso.com   AwaitingApproval                 0/1         ends in 23h      10m
alice-inc0012345   alice@contoso.com   Active                           1/1         expires in 57m   10m
alice-inc0012345   alice@contoso.com   Approved, waits (ExistingPass)   1/1         ends in 23h      10m
alice-inc0012345   alice@contoso.com   Approved, waits (Queued)         1/1         ends in 23h      10m
alice-inc0012345   alice@contoso.com   Failed (UserNotFound)            -           ended 30m ago    10m
alice-inc0012345   alice@contoso.com   Used                             -           ended 30m ago    10m
"
        );
    }

    #[test]
    fn a_wide_table_has_policy_requester_and_reason() {
        assert_eq!(
            table(&[awaiting()], true, true, &clock()),
            "\
NAMESPACE   NAME               USER                STATE              APPROVALS   WHEN          POLICY     REQUESTER           REASON                  AGE
helpdesk    alice-inc0012345   alice@contoso.com   AwaitingApproval   0/1         ends in 23h   helpdesk   heidi@contoso.com   INC0012345 lost phone   10m
"
        );
    }
}

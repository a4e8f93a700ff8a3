//! What is told of rows of a tenant's logs.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tap_operator::api::TapRequest;
use tap_operator::decision::evidence::lines::{Evidence, MethodChange, OthersPass};
use tap_operator::decision::evidence::{Finding, Found, OwnApps, Readings, What, registered_since};
use tap_operator::decision::requests::Whose;
use tap_operator::entra::{AuditRow, AuditRows, Rest, SignInRow};
use tap_operator::notice::{ForeignPass, Format, Notice};

use super::cluster::usual_request;
use super::decide::{NOW, USER_ID, is_in_bounds};
use super::is_a_message;

const SETTLE: SignedDuration = SignedDuration::from_secs(150);
/// The longest text of a row that is kept, in bytes.
const LONGEST: usize = 4 * 256;

/// The sign-ins of a user.
pub fn sign_ins(rows: Vec<SignInRow>, input: usize) {
    for row in &rows {
        for text in [&row.application, &row.resource, &row.ip_address].into_iter().flatten() {
            is_a_message(text, LONGEST);
        }
    }
    told(&Found { sign_ins: Some(rows), ..Found::default() }, input);
}

/// What was done to a user.
pub fn audits_of_user(rows: &[AuditRow], from: Timestamp, input: usize) {
    let registered = Some(registered_since(rows, from));
    told(&Found { registered, is_last: true, ..Found::default() }, input);
}

/// Writes what was found about a pass that was used.
fn told(found: &Found, input: usize) {
    let mut request = used_request();
    let (status, _) = found.added_to(&request, NOW);
    is_in_bounds(&status, input);
    request.status = Some(status);
    is_in_bounds(&Evidence::of(&request, found, Some(1)), input);
    let (again, news) = found.added_to(&request, NOW);
    assert_eq!(Some(again), request.status, "the status never comes to rest");
    assert!(news.failed.is_empty() && !news.used, "it is told twice: {news:?}");
}

/// What was done to all methods.
pub fn audits(rows: &[AuditRow], from: Timestamp, input: usize) {
    let read = || AuditRows { rows: rows.to_vec(), rest: Rest::None };
    let own = OwnApps::from(["app".to_owned()]);
    let mut readings = Readings::since(from);
    let found = readings.judge(read(), NOW, SETTLE, &own, |_| Whose::Unknown);
    for finding in &found {
        if finding.what == What::MethodChanged {
            is_in_bounds(&MethodChange::of(finding, "tenant", "default"), input);
        } else {
            is_in_bounds(&OthersPass::of(finding, "tenant", "default"), input);
            notice(finding, input);
        }
    }
    let again = readings.judge(read(), NOW, SETTLE, &own, |_| Whose::Unknown);
    assert!(again.iter().all(|finding| finding.row.at < from), "it is told twice: {again:?}");
}

fn notice(finding: &Finding, input: usize) {
    let row = &finding.row;
    let pass = ForeignPass {
        row: row.id.clone(),
        pass_id: row.pass_id.clone(),
        tenant_id: "tenant".into(),
        policies: vec!["contoso".into()],
        user: row.user_name.clone(),
        made_by: Some(row.by.name().to_owned()),
    };
    let notice = Notice::of_foreign_pass(pass, row.by.name(), row.at);
    for format in [Format::CloudEvents, Format::Slack, Format::Teams] {
        let body = format.body(&notice, Some("/clusters/production"));
        let body: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
        is_in_bounds(&body, input);
    }
}

/// The notice of a usual row.
pub fn foreign_pass() -> Notice {
    let pass = ForeignPass {
        row: "Authentication Methods_1".into(),
        pass_id: Some("33333333-0000-4000-8000-000000000001".into()),
        tenant_id: "tenant".into(),
        policies: vec!["contoso".into()],
        user: Some("alice@contoso.com".into()),
        made_by: Some("admin@contoso.com".into()),
    };
    Notice::of_foreign_pass(pass, "somebody made it", NOW)
}

/// A request whose pass was used.
fn used_request() -> TapRequest {
    let (start, end) = (NOW - SignedDuration::from_mins(30), NOW + SignedDuration::from_mins(30));
    usual_request(json!({"status": {
        "phase": "Used", "finishedAt": NOW,
        "resolved": {
            "tenantId": "tenant", "userId": USER_ID, "userPrincipalName": "alice@contoso.com",
            "lifetime": "1h", "oneTimeUse": true,
        },
        "pass": {
            "id": "33333333-0000-4000-8000-000000000001", "clientRequestId": "attempt",
            "startTime": start, "expirationTime": end,
        },
    }}))
}

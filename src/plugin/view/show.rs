//! One request, with all that explains its state.

use std::fmt::Write as _;

use crate::api::{
    CheckResult, ConditionType, DecisionKind, OnExistingPass, TapPolicy, TapRequestStatus,
    find_condition,
};
use crate::plugin::record::Record;
use crate::plugin::table::Table;
use crate::plugin::time::Clock;
use crate::seal;
use crate::text::visible;

use super::advice::advice;
use super::{lifetime, or_unknown, state, uses};

/// The check that waits as long as people have not approved.
const APPROVAL: &str = "Approval";
/// The width of the column of names.
const NAMES: usize = 11;

/// The text about a request. The policy is there if the person may read it.
pub fn text(record: &Record, policy: Option<&TapPolicy>, me: &str, clock: &Clock) -> String {
    let mut text = format!("TapRequest {}/{}\n", record.namespace(), record.name());
    for (name, value) in facts(record, clock) {
        let _ = writeln!(text, "  {name:<NAMES$} {}", visible(&value).collect::<String>());
    }
    let checks = checks(record);
    if !checks.is_empty() {
        let _ = write!(text, "\nChecks\n{}", checks.text());
    }
    let decisions = decisions(record, clock);
    if !decisions.is_empty() {
        let _ = write!(text, "\nDecisions\n{}", decisions.text());
    }
    let _ = write!(text, "\nWhat now\n");
    for line in advice(record, policy, me, clock) {
        let _ = writeln!(text, "  {}", visible(&line).collect::<String>());
    }
    text
}

fn facts(record: &Record, clock: &Clock) -> Vec<(&'static str, String)> {
    if record.is_unreadable() {
        return vec![("State", state(record))];
    }
    let request = record.request();
    let status = request.status.clone().unwrap_or_default();
    let mut facts = Vec::new();
    let user = match &status.resolved {
        Some(resolved) => {
            format!("{} (object id {})", resolved.user_principal_name, resolved.user_id)
        }
        None => record.user().to_owned(),
    };
    facts.push(("User", user));
    facts.push(("State", state(record)));
    if !record.message().is_empty() {
        facts.push(("Why", record.message().to_owned()));
    }
    facts.push(("Policy", record.policy().to_owned()));
    let asked = clock.told(request.created());
    facts.push(("Asked", format!("by {}, {asked}", or_unknown(record.requester()))));
    if let Some(reason) = &request.spec.reason {
        facts.push(("Reason", reason.clone()));
    }
    let lasts = match lifetime(record) {
        lifetime if lifetime.is_empty() => "the policy's default lifetime".to_owned(),
        lifetime => lifetime,
    };
    facts.push(("Pass", format!("{lasts}, {}", uses(record))));
    match (&status.pass, &request.spec.start_time) {
        (Some(pass), _) => {
            facts.push(("Valid from", clock.told(pass.start_time.0)));
            facts.push(("Expires", clock.told(pass.expiration_time.0)));
        }
        (None, Some(start)) => facts.push(("Starts", clock.told(start.0))),
        (None, None) => {}
    }
    if !record.approvals().is_empty() {
        facts.push(("Approvals", record.approvals().replace('/', " of ")));
    }
    if request.spec.recipients.is_some() {
        facts.push(("Sealed to", keys(record)));
    }
    facts.extend(evidence(&status, clock));
    match (record.finished_at(), record.deadline()) {
        (Some(ended), _) => facts.push(("Ended", clock.told(ended))),
        (None, Some(deadline)) if status.pass.is_none() => {
            facts.push(("Deadline", clock.told(deadline)));
        }
        _ => {}
    }
    facts
}

/// What the tenant's logs say of the use of the pass.
fn evidence(status: &TapRequestStatus, clock: &Clock) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    let evidence = status.evidence.clone().unwrap_or_default();
    if let Some(first) = evidence.first_sign_in {
        facts.push(("Signed in", format!("first at {}", clock.told(first.0))));
    }
    if !evidence.failed_sign_ins.is_empty() {
        let failed = evidence.failed_sign_ins.iter();
        let failed = failed.map(|failed| format!("{} with AADSTS{}", failed.count, failed.code));
        facts.push(("Refused", failed.collect::<Vec<_>>().join(", ")));
    }
    match find_condition(&status.conditions, ConditionType::Registered) {
        Some(condition) if condition.status == "True" => {
            facts.push(("Registered", status.registered.join(", ")));
        }
        Some(condition) => facts.push(("Registered", format!("nothing: {}", condition.message))),
        None => {}
    }
    facts
}

fn checks(record: &Record) -> Table {
    let mut table = Table::new(&["CHECK", "RESULT", "FINDING"]).indented(2);
    let status = record.request().status.as_ref();
    for check in status.iter().flat_map(|status| &status.checks) {
        let result = format!("{:?}", check.result);
        table.row([check.name.clone(), result, check.message.clone().unwrap_or_default()]);
    }
    table
}

fn decisions(record: &Record, clock: &Clock) -> Table {
    let mut table = Table::new(&["BY", "DECISION", "SEEN", "COMMENT"]).indented(2);
    let seen = record.request().status.as_ref().map(|status| status.seen.as_slice());
    for decision in record.request().decisions() {
        let same =
            |s: &&crate::api::SeenDecision| s.by == decision.by && s.decision == decision.decision;
        let at = seen.unwrap_or_default().iter().find(same).map(|seen| clock.relative(seen.at.0));
        table.row([
            decision.by.clone(),
            format!("{:?}", decision.decision),
            at.unwrap_or_default(),
            decision.comment.clone().unwrap_or_default(),
        ]);
    }
    table
}

/// All that an approval is for, for whoever must confirm it.
pub fn summary(record: &Record, clock: &Clock) -> String {
    let spec = &record.request().spec;
    let start = spec.start_time.as_ref();
    let start = start.map_or(String::new(), |start| format!(", from {}", clock.told(start.0)));
    let mut text = format!(
        "{}: a pass for {} ({}, {}{start}), asked for by {}: {}",
        record.name(),
        record.user(),
        lifetime(record),
        uses(record),
        or_unknown(record.requester()),
        spec.reason.as_deref().unwrap_or("no reason"),
    );
    if !record.user().eq_ignore_ascii_case(&spec.user) {
        let _ = write!(text, "; asked for as {}", spec.user);
    }
    if spec.on_existing_pass == Some(OnExistingPass::Replace) {
        text.push_str("; it replaces a pass that the user has, which works no more then");
    }
    if spec.recipients.is_some() {
        let _ = write!(text, "; only these keys can read its code: {}", keys(record));
    }
    if record.request().decisions().iter().any(|d| d.decision == DecisionKind::Deny) {
        text.push_str("; denied by somebody already");
    }
    let status = record.request().status.as_ref();
    let checks = status.iter().flat_map(|status| &status.checks);
    // What an approval is for: that it is waited for is no news.
    for check in checks.filter(|c| c.result != CheckResult::Passed && c.name != APPROVAL) {
        let finding = check.message.as_deref().unwrap_or("it does not say why");
        let _ = write!(text, "; {} {:?}: {finding}", check.name, check.result);
    }
    visible(&text).collect()
}

/// The public keys of a request, short enough to be compared by people.
pub fn keys(record: &Record) -> String {
    let keys = record.request().spec.recipients.iter().flatten();
    let keys: Vec<String> = keys.map(|key| seal::fingerprint(key)).collect();
    keys.join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::plugin::samples::{
        active, awaiting, clock, ended, queued, ready, record, with_status,
    };

    #[test]
    fn a_request_that_waits_for_approval_says_who_can_give_it() {
        assert_eq!(
            text(&awaiting(), None, "lea@contoso.com", &clock()),
            "\
TapRequest helpdesk/alice-inc0012345
  User        alice@contoso.com (object id u)
  State       AwaitingApproval
  Why         1 more person must approve
  Policy      helpdesk
  Asked       by heidi@contoso.com, 2026-11-29 17:20 +00:00 (10m ago)
  Reason      INC0012345 lost phone
  Pass        1h, works once
  Approvals   0 of 1
  Deadline    2026-11-30 17:20 +00:00 (in 23h)

Checks
  CHECK      RESULT    FINDING
  Deadline   Passed    the pass must be issued by 2026-11-30T17:20:00Z
  Approval   Waiting   1 more person must approve

What now
  Whoever has the verb approve on tappolicies/helpdesk in namespace helpdesk can approve, except the requester (heidi@contoso.com) and the user (alice@contoso.com).
  kubectl tap approve alice-inc0012345 -n helpdesk, or kubectl tap deny alice-inc0012345 -n helpdesk
  If no pass is issued by 2026-11-30 17:20 +00:00 (in 23h), it ends as Expired.
"
        );
    }

    #[test]
    fn an_issued_one_says_who_approved_and_how_to_read_it() {
        let text = text(&active(), None, "heidi@contoso.com", &clock());
        for line in [
            "  Expires     2026-11-29 18:27 +00:00 (in 57m)\n",
            "  lea@contoso.com   Approve    4m ago   called back\n",
            "  Show the code: kubectl tap reveal alice-inc0012345 -n helpdesk\n",
        ] {
            assert!(text.contains(line), "{line}{text}");
        }
        assert!(!text.contains("Deadline"), "{text}");
    }

    #[test]
    fn a_code_that_nobody_can_read_is_not_offered() {
        let mut object = active().printed();
        object["status"]["conditions"] =
            ready("False", "SecretGone", "somebody deleted the Secret");
        let text = text(&record(object), None, "heidi@contoso.com", &clock());
        assert!(text.contains("If nobody has read the code: kubectl tap revoke"), "{text}");
        assert!(!text.contains("kubectl tap reveal"), "{text}");
    }

    #[test]
    fn what_the_logs_say_of_its_use_is_shown() {
        let mut object = ended("Used", "PassUsed").printed();
        object["status"]["evidence"] = json!({
            "firstSignIn": "2026-11-29T17:00:00Z",
            "failedSignIns": [{ "code": 130_503, "count": 5 }, { "code": 130_505, "count": 1 }],
        });
        object["status"]["registered"] = json!(["fido2"]);
        let registered = |status: &str, message: &str| {
            let mut conditions = ready("True", "PassUsed", "used");
            let more = json!({ "type": "Registered", "status": status, "reason": "R", "message": message, "lastTransitionTime": "2026-11-29T17:05:00Z" });
            conditions.as_array_mut().unwrap().push(more);
            conditions
        };
        object["status"]["conditions"] = registered("True", "");
        let shown = text(&record(object.clone()), None, "heidi@contoso.com", &clock());
        for line in [
            "  Signed in   first at 2026-11-29 17:00 +00:00 (30m ago)\n",
            "  Refused     5 with AADSTS130503, 1 with AADSTS130505\n",
            "  Registered  fido2\n",
        ] {
            assert!(shown.contains(line), "{line}{shown}");
        }
        object["status"]["conditions"] = registered("False", "the log shows none");
        let shown = text(&record(object), None, "heidi@contoso.com", &clock());
        assert!(shown.contains("  Registered  nothing: the log shows none\n"), "{shown}");
    }

    #[test]
    fn one_that_waits_for_its_turn_says_how_many_go_first() {
        let text = text(&queued(12), None, "heidi@contoso.com", &clock());
        for line in [
            "  State       Approved, waits (Queued)\n",
            "  Why         12 requests go first, since only so many can be issued at once;",
            "  It continues by itself once the cause is gone.\n",
            "  If no pass is issued by 2026-11-30 17:20 +00:00 (in 23h), it ends as Expired.\n",
        ] {
            assert!(text.contains(line), "{line}{text}");
        }
    }

    #[test]
    fn one_at_which_nobody_has_looked_says_so() {
        let new = with_status(json!({ "phase": "Pending", "decisions": [] }));
        let shown = text(&new, None, "heidi@contoso.com", &clock());
        assert!(shown.contains("  The operator has not looked at it yet."), "{shown}");
        // An older operator writes no deadline, and has looked at it all the same.
        let mut older = awaiting().printed();
        older["status"].as_object_mut().unwrap().remove("deadline");
        let shown = text(&record(older), None, "lea@contoso.com", &clock());
        assert!(!shown.contains("has not looked"), "{shown}");
    }

    #[test]
    fn one_of_another_version_says_so_and_nothing_that_may_be_wrong() {
        let mut novel = active().printed();
        novel["status"]["phase"] = "Novel".into();
        let mut unreadable = active().printed();
        unreadable["status"]["checks"] = json!([{ "name": "Novel", "result": "Novel" }]);
        for (object, state) in [(novel, "Novel"), (unreadable, "Unreadable")] {
            let shown = text(&record(object), None, "heidi@contoso.com", &clock());
            assert!(shown.contains(&format!("  State       {state}")), "{shown}");
            assert!(shown.contains("  What to do: use the kubectl-tap of the version"), "{shown}");
            assert!(!shown.contains("kubectl tap reveal"), "{shown}");
        }
    }

    #[test]
    fn whoever_approves_sees_what_for() {
        assert_eq!(
            summary(&awaiting(), &clock()),
            "alice-inc0012345: a pass for alice@contoso.com (1h, works once), asked for by heidi@contoso.com: INC0012345 lost phone"
        );
        let mut object = awaiting().printed();
        object["spec"]["user"] = "al@contoso.com".into();
        object["spec"]["startTime"] = "2026-11-30T08:00:00Z".into();
        object["spec"]["recipients"] =
            json!([include_str!("../../../tests/support/keys/ed25519.pub").trim()]);
        object["spec"]["onExistingPass"] = "Replace".into();
        object["status"]["decisions"] = json!([{ "by": "max@contoso.com", "decision": "Deny" }]);
        let told = summary(&record(object), &clock());
        for words in [
            "a pass for alice@contoso.com (1h, works once, from 2026-11-30 08:00 +00:00 (in 14h))",
            "; asked for as al@contoso.com",
            "; only these keys can read its code: SHA256:",
            "; it replaces a pass that the user has",
            "; denied by somebody already",
        ] {
            assert!(told.contains(words), "{words}: {told}");
        }
    }

    /// Whoever approves must see that the request may fail all the same, or that the pass may be of no use.
    #[test]
    fn what_must_be_confirmed_says_what_is_not_as_it_should_be() {
        let mut object = awaiting().printed();
        let live = "the user has a pass already: this request fails if it is still live";
        object["status"]["checks"].as_array_mut().unwrap().extend([
            json!({ "name": "OtherPasses", "result": "Waiting", "message": live }),
            json!({ "name": "SignIn", "result": "Warned" }),
        ]);
        let told = summary(&record(object), &clock());
        assert!(
            told.contains(&format!("; OtherPasses Waiting: {live}; SignIn Warned: it does not")),
            "{told}"
        );
        let told = summary(&awaiting(), &clock());
        assert!(!told.contains("Waiting") && !told.contains("Passed"), "{told}");
    }

    #[test]
    fn one_that_failed_says_why() {
        let text = text(&ended("Failed", "UserNotFound"), None, "heidi@contoso.com", &clock());
        for line in [
            "  State       Failed (UserNotFound)\n",
            "  Why         this is why\n",
            "  Ended       2026-11-29 17:00 +00:00 (30m ago)\n",
            "  This request has ended. Another one fails as well until the cause is gone.\n",
            "kubectl tap request alice@contoso.com --policy helpdesk -n helpdesk --reason 'INC0012345 lost phone'\n",
        ] {
            assert!(text.contains(line), "{line}{text}");
        }
    }

    #[test]
    fn what_is_asked_again_comes_no_sooner_and_is_no_easier_to_read() {
        let mut object = ended("Denied", "Denied").printed();
        let asked = json!({
            "startTime": "2026-11-30T08:00:00Z", "onExistingPass": "Wait",
            "recipients": ["age1lggyhqrw2nlhcxprm67z43rta597azn8gknawjehu9d9dl0jq3yqqvfafg"],
        });
        json_patch::merge(&mut object["spec"], &asked);
        let again = |object: &serde_json::Value| {
            let text = text(&record(object.clone()), None, "heidi@contoso.com", &clock());
            text.lines().find(|line| line.contains("tap request")).unwrap_or_default().to_owned()
        };
        let sealed = "--on-existing-pass wait --reason 'INC0012345 lost phone' --reveal";
        let told = again(&object);
        assert!(told.ends_with(&format!(" --at 2026-11-30T08:00:00Z {sealed}")), "{told}");
        // A start that is over is none.
        object["spec"]["startTime"] = "2026-11-29T08:00:00Z".into();
        let told = again(&object);
        assert!(told.ends_with(&format!(" -n helpdesk {sealed}")), "{told}");
    }
}

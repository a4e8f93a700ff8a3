//! Notices in words, and in each format.

use super::*;
use crate::notice::message::Message;

fn body(format: Format, notice: &Notice) -> Value {
    serde_json::from_slice(&format.body(notice, Some("/clusters/production"))).unwrap()
}

#[test]
fn each_kind_reads_like_this() {
    let words = |notice: &Notice| {
        let Message { title, facts, .. } = Message::of(notice, None);
        let facts = facts.iter().map(|(label, value)| format!("\n  {label}: {value}"));
        format!("{title}{}\n", facts.collect::<String>())
    };
    let told: String = every().iter().map(words).collect();
    assert_eq!(told, include_str!("words.txt"));
    let kinds: std::collections::BTreeSet<Kind> =
        every().iter().map(|notice| notice.kind).collect();
    assert_eq!(kinds.len(), Kind::ALL.len());
}

#[test]
fn each_kind_is_in_the_documentation() {
    let page = include_str!("../../../docs/notices.md");
    for kind in Kind::ALL {
        assert!(page.contains(&format!("\n| `{}` |", kind.name())), "{kind:?}");
    }
}

#[test]
fn a_cloud_event_has_what_its_specification_asks_for_and_what_the_audit_trail_says() {
    let event = body(Format::CloudEvents, &last(&request(AWAITING)));
    let expected = json!({
        "specversion": "1.0",
        "id": "u1.AwaitingApproval.1795507205",
        "source": "/clusters/production",
        "type": "io.tap-operator.AwaitingApproval",
        "subject": "helpdesk/lost-phone",
        "time": "2026-11-24T08:00:05Z",
        "datacontenttype": "application/json",
        "data": {
            "kind": "AwaitingApproval",
            "summary": "Awaiting approval: a pass for alice@contoso.com",
            "reason": "AwaitingApproval",
            "explanation": "0 of 1 approvals",
            "namespace": "helpdesk", "request": "lost-phone", "uid": "u1", "created": "2026-11-24T08:00:00Z",
            "policy": "contoso", "user": "alice@contoso.com", "requester": "rita@contoso.com",
            "ticket": "INC0012345 lost phone", "lifetime": "2h", "one_time_use": true, "delivery": "clear",
            "tenant_id": "t1", "user_id": "a1", "user_principal_name": "alice@contoso.com",
            "phase": "AwaitingApproval", "approvals": "0/1", "deadline": "2026-11-25T08:00:00Z",
            "how_to_approve": [
                "kubectl tap approve lost-phone -n helpdesk",
                "kubectl patch tap lost-phone -n helpdesk --subresource=status --type=json -p '[{\"op\":\"test\",\"path\":\"/metadata/uid\",\"value\":\"u1\"},{\"op\":\"add\",\"path\":\"/status/decisions/-\",\"value\":{\"by\":\"'\"$(kubectl auth whoami -o jsonpath='{.status.userInfo.username}')\"'\",\"decision\":\"Approve\"}}]'",
            ],
        },
    });
    assert_eq!(event, expected);
    for notice in every() {
        let event = body(Format::CloudEvents, &notice);
        assert_eq!(event["data"]["kind"], json!(notice.kind.name()));
        assert_eq!(event["id"], json!(notice.id));
        let source = Format::CloudEvents.body(&notice, None);
        let event: Value = serde_json::from_slice(&source).unwrap();
        assert_eq!(event["source"], json!("/tap-operator"));
    }
}

#[test]
fn a_message_to_slack_has_a_text_and_blocks_within_slacks_limits() {
    let message = body(Format::Slack, &last(&request(AWAITING)));
    assert_eq!(message["text"], json!("Awaiting approval: a pass for alice@contoso.com"));
    let blocks = message["blocks"].as_array().unwrap();
    assert_eq!(
        blocks[0]["text"]["text"],
        json!("*Awaiting approval: a pass for alice@contoso.com*")
    );
    assert_eq!(blocks[1]["fields"][0]["text"], json!("*Request*\nhelpdesk/lost-phone"));
    let command = "To see and approve it:\n```kubectl tap approve lost-phone -n helpdesk```";
    assert_eq!(blocks[2]["text"]["text"], json!(command));

    let mut largest = request(AWAITING);
    largest.spec.reason = Some("&".repeat(512));
    largest.spec.user = "<".repeat(1024);
    let mut largest = last(&largest);
    largest.explanation = Some(">".repeat(1000));
    for notice in every().into_iter().chain([largest]) {
        let message = body(Format::Slack, &notice);
        let blocks = message["blocks"].as_array().unwrap();
        assert!(blocks.len() <= 50);
        for block in blocks {
            let fields = block["fields"].as_array().cloned().unwrap_or_default();
            assert!(fields.len() <= 10, "{block}");
            let long = |of: &Value| of["text"].as_str().unwrap_or_default().chars().count();
            assert!(fields.iter().all(|field| long(field) <= 2000), "{block}");
            assert!(long(&block["text"]) <= 3000, "{block}");
        }
    }
}

#[test]
fn a_card_for_teams_has_the_same_words_in_runs_of_text() {
    let message = body(Format::Teams, &last(&request(AWAITING)));
    assert_eq!(message["type"], json!("message"));
    let attachment = &message["attachments"][0];
    assert_eq!(attachment["contentType"], json!("application/vnd.microsoft.card.adaptive"));
    let rows = attachment["content"]["body"].as_array().unwrap();
    let line = |row: &Value| {
        assert_eq!(row["type"], json!("RichTextBlock"), "other elements read markup");
        let inlines = row["inlines"].as_array().unwrap();
        inlines.iter().map(|run| run["text"].as_str().unwrap()).collect::<String>()
    };
    let lines: Vec<String> = rows.iter().map(line).collect();
    assert_eq!(lines[0], "Awaiting approval: a pass for alice@contoso.com");
    assert_eq!(lines[1], "Request: helpdesk/lost-phone");
    assert!(lines.contains(&"From: /clusters/production".to_owned()), "{lines:?}");
    assert!(lines.contains(&"kubectl tap approve lost-phone -n helpdesk".to_owned()), "{lines:?}");
}

#[test]
fn what_people_write_is_text_and_nothing_else() {
    let mut evil = request(AWAITING);
    evil.spec.reason =
        Some("<!channel> & <https://evil|click> @Here @channels a@here.com\n\u{202e}txt".into());
    let evil = last(&evil);
    let slack = Format::Slack.body(&evil, None);
    let slack = String::from_utf8(slack.to_vec()).unwrap();
    let expected = "*Why*\\n&lt;!channel&gt; &amp; &lt;https://evil|click&gt; @\u{2060}Here @\u{2060}channels a@here.com \u{fffd}txt";
    assert!(slack.contains(expected), "{slack}");
    for text in [&evil, &Notice { again: true, ..evil.clone() }] {
        let message: Value = serde_json::from_slice(&Format::Slack.body(text, None)).unwrap();
        let verbatim = message.to_string().matches("\"verbatim\":true").count();
        assert_eq!(verbatim, message.to_string().matches("\"type\":\"mrkdwn\"").count());
    }
    let teams = String::from_utf8(Format::Teams.body(&evil, None).to_vec()).unwrap();
    assert!(!teams.contains('\u{202e}') && teams.contains("<!channel> & <https://evil|click>"));
}

#[test]
fn who_is_not_told_the_user_finds_the_name_nowhere() {
    for notice in every() {
        let notice = notice.without_user();
        for format in [Format::CloudEvents, Format::Slack, Format::Teams] {
            let body = String::from_utf8(format.body(&notice, None).to_vec()).unwrap();
            let body = body.to_lowercase();
            for name in ["alice", "bob", "\"a1\""] {
                assert!(!body.contains(name), "{name}: {body}");
            }
        }
        if let Subject::Request(of_request) = &notice.subject {
            assert_eq!(of_request.about.ticket.as_deref(), Some("INC0012345 lost phone"));
            for decision in &of_request.decisions {
                assert_eq!(decision.comment.as_deref(), Some("called (user) back"));
            }
        }
    }
    let mut named = request(AWAITING);
    named.spec.reason = Some("ALICE@contoso.com, Alice, übung, malice".into());
    let Subject::Request(of_request) = last(&named).without_user().subject else { panic!() };
    assert_eq!(of_request.about.ticket.as_deref(), Some("(user), (user), übung, malice"));
}

#[test]
fn a_signature_is_the_hmac_of_time_and_body() {
    // As `printf '1764460800.{"a":1}' | openssl dgst -sha256 -hmac key` prints it.
    let expected = "sha256=fbc116b00af0e7ff248a81751fed47826f18c9451d973f20d307bb0f70022a50";
    assert_eq!(signature(b"key", 1_764_460_800, br#"{"a":1}"#), expected);
}

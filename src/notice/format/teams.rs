//! An Adaptive Card, as the trigger "When a Teams webhook request is received" of a workflow takes it
//! (<https://learn.microsoft.com/en-us/power-automate/teams/teams-app-create>).
//!
//! All text stands in runs of text, which have no markup: nothing that people write becomes a link or a mention.

use serde_json::{Value, json};

use crate::notice::message::Message;

pub fn of(message: &Message) -> Value {
    let title =
        json!({"type": "TextRun", "text": message.title, "weight": "Bolder", "size": "Medium"});
    let mut body = vec![paragraph(&[title])];
    for (label, value) in &message.facts {
        body.push(paragraph(&[bold(&format!("{label}: ")), run(value)]));
    }
    for (label, command) in &message.commands {
        let command = json!({"type": "TextRun", "text": command, "fontType": "Monospace"});
        body.push(paragraph(&[bold(&format!("{label}: "))]));
        body.push(paragraph(&[command]));
    }
    if let Some(remark) = message.remark {
        body.push(paragraph(&[json!({"type": "TextRun", "text": remark, "isSubtle": true})]));
    }
    let card = json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
        "msteams": {"width": "Full"},
    });
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null,
            "content": card,
        }],
    })
}

fn paragraph(inlines: &[Value]) -> Value {
    json!({"type": "RichTextBlock", "inlines": inlines})
}

fn run(text: &str) -> Value {
    json!({"type": "TextRun", "text": text})
}

fn bold(text: &str) -> Value {
    json!({"type": "TextRun", "text": text, "weight": "Bolder"})
}

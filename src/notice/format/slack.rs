//! The format of Slack's incoming webhooks (<https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks>).

use serde_json::{Value, json};

use crate::notice::message::Message;

/// How many fields a section takes (documented).
const FIELDS: usize = 10;
/// What mentions a whole channel where a workspace looks for names in text.
const CROWDS: [&str; 3] = ["@channel", "@everyone", "@here"];

pub fn of(message: &Message) -> Value {
    let mut blocks = vec![section(&format!("*{}*", escaped(&message.title)))];
    let fields: Vec<Value> = message
        .facts
        .iter()
        .map(|(label, value)| text(&format!("*{label}*\n{}", escaped(value))))
        .collect();
    blocks.extend(fields.chunks(FIELDS).map(|fields| json!({"type": "section", "fields": fields})));
    for (label, command) in &message.commands {
        blocks.push(section(&format!("{label}:\n```{}```", escaped(command))));
    }
    if let Some(remark) = message.remark {
        blocks.push(json!({"type": "context", "elements": [text(remark)]}));
    }
    // Notifications, and clients without blocks, show the text.
    json!({"text": escaped(&message.title), "blocks": blocks})
}

fn section(of: &str) -> Value {
    json!({"type": "section", "text": text(of)})
}

/// Text in which Slack looks for no names of people and channels.
fn text(text: &str) -> Value {
    json!({"type": "mrkdwn", "text": text, "verbatim": true})
}

/// A text that is nothing but text: no link, no mention, no entity
/// (<https://docs.slack.dev/messaging/formatting-message-text>).
fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let mut quiet = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(at) = rest.find('@') {
        let (before, from) = rest.split_at(at);
        quiet.push_str(before);
        quiet.push('@');
        // In the middle of a word it is a part of a mail address.
        let begins = !before.ends_with(char::is_alphanumeric);
        let mentions = |crowd: &str| {
            from.get(..crowd.len()).is_some_and(|start| start.eq_ignore_ascii_case(crowd))
        };
        if begins && CROWDS.into_iter().any(mentions) {
            // It looks the same, and is no name any more.
            quiet.push('\u{2060}');
        }
        rest = &from[1..];
    }
    quiet.push_str(rest);
    quiet
}

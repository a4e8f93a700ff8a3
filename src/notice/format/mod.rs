//! The formats of receivers.

mod cloud_event;
mod slack;
mod teams;

use bytes::Bytes;
use serde_json::Value;

use super::message::Message;
use super::{Format, Notice};

/// The `source` of notices if the configuration names none.
const SOURCE: &str = "/tap-operator";

impl Format {
    /// The body of a notice. `source` is where it comes from, if the configuration names it.
    pub fn body(self, notice: &Notice, source: Option<&str>) -> Bytes {
        let body: Value = match self {
            Self::CloudEvents => cloud_event::of(notice, source.unwrap_or(SOURCE)),
            Self::Slack => slack::of(&Message::of(notice, source)),
            Self::Teams => teams::of(&Message::of(notice, source)),
        };
        body.to_string().into()
    }

    /// The type of that body.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::CloudEvents => "application/cloudevents+json; charset=utf-8",
            Self::Slack | Self::Teams => "application/json",
        }
    }
}

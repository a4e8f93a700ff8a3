//! What the `ConfigMap` tap-operator-stop says. It is written in an emergency, by hand: any value but a clear no counts as
//! yes, and what is not understood is said loudly.

use k8s_openapi::api::core::v1::ConfigMap;

use super::situation::Stop;
use crate::api::names::{STOP_CONFIG_MAP, STOP_REVOKE_ACTIVE_KEY};

/// The values that mean no, in lower case. So do blanks alone.
const CLEAR_NO: [&str; 5] = ["false", "no", "off", "0", ""];
/// The values that mean yes, in lower case. Any other counts as yes, too, and is reported.
const CLEAR_YES: [&str; 4] = ["true", "yes", "on", "1"];
/// How many entries that are not understood are named. The others are counted.
const NAMED: usize = 3;
/// The longest key or value that is quoted whole, in characters.
const QUOTED: usize = 40;

/// What the stop `ConfigMap`, or its absence, orders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StopOrder {
    /// What it stops.
    pub stop: Stop,
    /// What in it is not understood, and how that counts. Absent if all of it is understood.
    pub not_understood: Option<String>,
}

impl StopOrder {
    /// The order while nothing says otherwise: not to stop anything.
    pub const OFF: Self = Self { stop: Stop::Off, not_understood: None };
    /// The order that counts while the `ConfigMap` cannot be read.
    pub const UNREAD: Self = Self { stop: Stop::On, not_understood: None };

    /// Reads the `ConfigMap`; `None` if it does not exist.
    pub fn of(config_map: Option<&ConfigMap>) -> Self {
        let Some(config_map) = config_map else { return Self::OFF };
        let text = config_map.data.iter().flatten().map(|(key, value)| (key, Some(value.as_str())));
        // What is no text is no clear no.
        let binary = config_map.binary_data.iter().flatten().map(|(key, _)| (key, None));
        let (mut revokes, mut remarks) = (false, Vec::new());
        for (key, value) in text.chain(binary) {
            let entry = Entry::of(key, value);
            revokes |= entry.revokes;
            remarks.extend(entry.remark);
        }
        let stop = if revokes { Stop::RevokeActive } else { Stop::On };
        Self { stop, not_understood: sentence(remarks) }
    }

    /// What it does, as a sentence for people; `None` if it stops nothing.
    pub fn sentence(&self) -> Option<String> {
        let effect = match self.stop {
            Stop::Off => return None,
            Stop::On => "active passes stay",
            Stop::RevokeActive => "active passes are revoked",
        };
        let stops = format!(
            "the ConfigMap {STOP_CONFIG_MAP} stops all issuing and all corrections, and {effect}"
        );
        Some(match &self.not_understood {
            Some(remarks) => format!("{stops}; {remarks}"),
            None => stops,
        })
    }
}

/// What one entry means.
struct Entry {
    revokes: bool,
    remark: Option<String>,
}

impl Entry {
    fn of(key: &str, value: Option<&str>) -> Self {
        let exact = key == STOP_REVOKE_ACTIVE_KEY;
        if !exact && letters(key) != letters(STOP_REVOKE_ACTIVE_KEY) {
            let remark = format!("the key {} means nothing", quoted(key));
            return Self { revokes: false, remark: Some(remark) };
        }
        let folded = value.map(|value| value.trim().to_lowercase());
        let is_one_of = |words: &[&str]| folded.as_deref().is_some_and(|v| words.contains(&v));
        let revokes = !is_one_of(&CLEAR_NO);
        let counts = if revokes { "yes" } else { "no" };
        let remark = if !exact {
            Some(format!("the misspelt key {} counts as {counts}", quoted(key)))
        } else if revokes && !is_one_of(&CLEAR_YES) {
            let value = value.map_or_else(|| "that is not text".to_owned(), quoted);
            Some(format!("the value {value} of {STOP_REVOKE_ACTIVE_KEY} counts as yes"))
        } else {
            None
        };
        Self { revokes, remark }
    }
}

/// A key without what people get wrong about it: case, and whatever is no letter.
fn letters(key: &str) -> String {
    key.chars().filter(|c| c.is_alphabetic()).flat_map(char::to_lowercase).collect()
}

fn quoted(text: &str) -> String {
    match text.char_indices().nth(QUOTED) {
        Some((end, _)) => format!("{:?}...", &text[..end]),
        None => format!("{text:?}"),
    }
}

fn sentence(mut remarks: Vec<String>) -> Option<String> {
    if remarks.is_empty() {
        return None;
    }
    let more = remarks.len().saturating_sub(NAMED);
    remarks.truncate(NAMED);
    if more > 0 {
        remarks.push(format!("{more} more entries are not understood"));
    }
    Some(format!(
        "{}: write only {STOP_REVOKE_ACTIVE_KEY}, and \"true\" or \"false\"",
        remarks.join("; ")
    ))
}

#[cfg(test)]
mod tests {
    use k8s_openapi::ByteString;

    use super::*;

    fn order(entries: &[(&str, &str)]) -> StopOrder {
        let entries = entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let data = Some(entries.collect());
        StopOrder::of(Some(&ConfigMap { data, ..ConfigMap::default() }))
    }

    /// Checks what these entries stop, and whether it is said that they are not understood.
    fn check(entries: &[(&str, &str)], stop: Stop, told: bool) {
        let order = order(entries);
        assert_eq!((order.stop, order.not_understood.is_some()), (stop, told), "{entries:?}");
    }

    #[test]
    fn its_existence_stops_and_its_absence_does_not() {
        assert_eq!(StopOrder::of(None), StopOrder::OFF);
        let empty = StopOrder::of(Some(&ConfigMap::default()));
        assert_eq!(empty, StopOrder { stop: Stop::On, not_understood: None });
    }

    #[test]
    fn any_value_but_a_clear_no_counts_as_yes() {
        for no in ["false", "no", "off", "0", "", " ", "False", "NO", "oFF", " false\n", "\t0"] {
            check(&[("revokeActive", no)], Stop::On, false);
        }
        for yes in ["true", "True", "TRUE", "yes", "on", "1", " true", "true\n"] {
            check(&[("revokeActive", yes)], Stop::RevokeActive, false);
        }
        for unclear in ["ture", "y", "n", "f", "2", "00", "null", "ja", "\"false\"", "fa lse"] {
            check(&[("revokeActive", unclear)], Stop::RevokeActive, true);
        }
    }

    #[test]
    fn a_misspelt_key_counts_like_the_right_one_and_is_reported() {
        for key in
            ["revokeactive", "RevokeActive", "REVOKE_ACTIVE", "revoke-active", "revoke.active"]
        {
            for (value, stop) in [("true", Stop::RevokeActive), ("ture", Stop::RevokeActive)] {
                check(&[(key, value)], stop, true);
            }
            check(&[(key, "false")], Stop::On, true);
            // Yes wins.
            check(&[(key, "true"), ("revokeActive", "false")], Stop::RevokeActive, true);
        }
    }

    #[test]
    fn an_unknown_key_revokes_nothing_and_is_reported() {
        for key in ["revoke", "revokeActives", "reason", "active"] {
            check(&[(key, "true")], Stop::On, true);
        }
    }

    #[test]
    fn what_is_not_text_is_no_clear_no() {
        let binary = |key: &str| {
            let binary_data = Some([(key.to_owned(), ByteString(vec![0xff]))].into());
            StopOrder::of(Some(&ConfigMap { binary_data, ..ConfigMap::default() }))
        };
        assert_eq!(binary("revokeActive").stop, Stop::RevokeActive);
        assert!(binary("revokeActive").not_understood.is_some());
        assert_eq!(binary("other").stop, Stop::On);
    }

    #[test]
    fn the_sentence_says_what_happens_and_is_bounded() {
        assert_eq!(StopOrder::OFF.sentence(), None);
        let stays = order(&[]).sentence().unwrap();
        assert!(stays.ends_with("and active passes stay"), "{stays}");
        let told = order(&[("revokeActive", "ture")]).sentence().unwrap();
        let right = "active passes are revoked; the value \"ture\" of revokeActive counts as yes: \
            write only revokeActive, and \"true\" or \"false\"";
        assert!(told.ends_with(right), "{told}");

        let long = "x".repeat(1000);
        let keys: Vec<String> = (0..20).map(|n| format!("{long}{n}")).collect();
        let many: Vec<(&str, &str)> = keys.iter().map(|key| (key.as_str(), "")).collect();
        let told = order(&many).not_understood.unwrap();
        assert!(told.contains("17 more entries") && told.len() < 400, "{told}");
        let controls = order(&[("revokeActive", "\u{1b}[2J\u{202e}")]).not_understood.unwrap();
        assert!(!controls.contains(['\u{1b}', '\u{202e}']), "{controls}");
    }
}

//! Splits command lines as people type them.

use anyhow::{Result, ensure};

/// The words of a command line. Spaces separate words, single quotes keep them together, and a backslash at the end of
/// a line joins it with the next one.
pub fn words(line: &str) -> Result<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    for c in line.replace("\\\n", " ").chars() {
        match c {
            '\'' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            ' ' if !quoted => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    ensure!(!quoted, "an open quote in: {line}");
    words.extend(word);
    Ok(words)
}

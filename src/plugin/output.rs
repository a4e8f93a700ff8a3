//! What people and scripts see: data on standard output, everything else on standard error.

use std::io::{self, IsTerminal as _, Write as _};

use serde::Serialize;
use serde_json::Value;

use super::failure::Failure;
use crate::api::yaml;
use crate::text::visible;

/// A machine-readable form of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// JSON, as the API has it
    Json,
    /// YAML, as the API has it
    Yaml,
    /// Only kind and name
    Name,
}

/// A form of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum ListFormat {
    /// More columns
    Wide,
    /// JSON, as the API has it
    Json,
    /// YAML, as the API has it
    Yaml,
    /// Only kind and name
    Name,
}

/// A form of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum ReportFormat {
    /// JSON
    Json,
    /// YAML
    Yaml,
}

/// Whether a person reads the data, and can answer.
pub fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Whether a person can be asked.
pub fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Writes data to standard output.
pub fn data(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    if !text.ends_with('\n') {
        out.write_all(b"\n")?;
    }
    Ok(out.flush()?)
}

/// Writes JSON or YAML to standard output.
pub fn document(value: &impl Serialize, as_yaml: bool) -> Result<(), Failure> {
    let text = if as_yaml {
        yaml::write(value).map_err(|error| Failure::error(error.to_string()))?
    } else {
        let text = serde_json::to_string_pretty(value);
        text.map_err(|error| Failure::error(error.to_string()))?
    };
    data(&text)
}

/// A list of objects as kubectl prints it.
pub fn list(items: &[Value]) -> Value {
    serde_json::json!({ "apiVersion": "v1", "kind": "List", "items": items })
}

/// Tells a person something. Nothing depends on whether anybody reads it.
pub fn say(text: &str) {
    // It may repeat what others wrote.
    for line in text.split('\n') {
        let _ = writeln!(io::stderr(), "{}", visible(line).collect::<String>());
    }
}

/// Asks a question that is answered with yes or no. Everything but a clear yes is a no.
pub fn confirm(question: &str) -> Result<bool, Failure> {
    let answer = answer(&format!("{question} [y/N]"))?;
    Ok(matches!(answer.as_str(), "y" | "yes"))
}

/// Asks a question to which yes is the usual answer. Everything but a clear no is a yes, and the end of the input is a no.
pub fn confirm_unless(question: &str) -> Result<bool, Failure> {
    let answer = answer(&format!("{question} [Y/n]"))?;
    Ok(!matches!(answer.as_str(), "n" | "no"))
}

fn answer(question: &str) -> Result<String, Failure> {
    let _ = write!(io::stderr(), "{question} ");
    let _ = io::stderr().flush();
    let mut answer = String::new();
    let read = io::stdin()
        .read_line(&mut answer)
        .map_err(|error| Failure::error(format!("the answer cannot be read: {error}")))?;
    // Nobody answers any more: that is no.
    Ok(if read == 0 { "no".to_owned() } else { answer.trim().to_lowercase() })
}

/// One line on a terminal that tells how far something is. Elsewhere it writes nothing.
pub struct Progress {
    shown: Option<String>,
    terminal: bool,
}

impl Progress {
    /// Nothing is shown yet.
    pub fn new() -> Self {
        Self { shown: None, terminal: io::stderr().is_terminal() }
    }

    /// Shows this line in place of the last one.
    pub fn show(&mut self, line: &str) {
        if !self.terminal || self.shown.as_deref() == Some(line) {
            return;
        }
        let _ = write!(
            io::stderr(),
            "\r\x1b[2K{}",
            fitting(&visible(line).collect::<String>(), width())
        );
        let _ = io::stderr().flush();
        self.shown = Some(line.to_owned());
    }

    /// Takes the line away.
    pub fn clear(&mut self) {
        if self.shown.take().is_some() {
            let _ = write!(io::stderr(), "\r\x1b[2K");
            let _ = io::stderr().flush();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

/// The columns of the terminal.
fn width() -> usize {
    let size = terminal_size::terminal_size_of(io::stderr());
    size.map_or(80, |(columns, _)| usize::from(columns.0))
}

/// As much of a line as fits, with an ellipsis in place of the rest. A line that wraps could not be taken away again.
fn fitting(line: &str, columns: usize) -> String {
    use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};
    let room = columns.saturating_sub(1);
    if line.width() <= room {
        return line.to_owned();
    }
    let mut left = room.saturating_sub(1);
    let mut text = String::new();
    for character in line.chars() {
        let width = character.width().unwrap_or(0);
        if width > left {
            break;
        }
        left -= width;
        text.push(character);
    }
    text.push('…');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_progress_never_wraps() {
        assert_eq!(fitting("waiting", 5), "wai…");
        assert_eq!(fitting("waiting", 8), "waiting");
        assert_eq!(fitting("waiting", 80), "waiting");
        // Two columns each.
        assert_eq!(fitting("漢字漢字", 6), "漢字…");
    }
}

//! The output of the demo: chapters, what people type, and what they see.
//!
//! The story goes to standard output, progress to standard error. No line is wider than 100 columns unless it cannot be
//! broken.

use std::fmt;
use std::io::{IsTerminal, Stdout, Write, stdout};

use anyhow::Result;

const WIDTH: usize = 100;

/// Colours, on a terminal and unless `NO_COLOR` is set (no-color.org).
#[derive(Clone, Copy)]
enum Style {
    Title,
    Who,
    Command,
    Dim,
    Good,
}

/// Standard output, with or without colours.
pub struct Terminal {
    out: Stdout,
    coloured: bool,
}

impl Terminal {
    pub fn new() -> Self {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || std::env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
        let out = stdout();
        let coloured = out.is_terminal() && !refused;
        Self { out, coloured }
    }

    /// The heading of a chapter.
    pub fn chapter(&self, title: &str) -> Result<()> {
        let line = "─".repeat(title.chars().count());
        self.print(format_args!(
            "\n{}\n{}\n",
            self.styled(Style::Title, title),
            self.styled(Style::Dim, &line)
        ))
    }

    /// Prints a sentence or two of the story.
    pub fn tell(&self, text: &str) -> Result<()> {
        self.print(format_args!("\n{}\n", wrapped(text, "", "")))
    }

    /// Prints a command that a person types. Further lines of a long command are indented.
    pub fn typed(&self, who: &str, command: &str) -> Result<()> {
        let command = command.replace('\n', "\n      ");
        let (who, command) = (self.styled(Style::Who, who), self.styled(Style::Command, &command));
        self.print(format_args!("\n  {who}$ {command}\n"))
    }

    /// Prints the output of a command.
    pub fn output(&self, text: &str) -> Result<()> {
        for line in text.trim_end().lines() {
            self.print(format_args!("{}\n", wrapped(line, "  ", "      ").trim_end()))?;
        }
        Ok(())
    }

    /// Prints an action that does not happen at a command line.
    pub fn elsewhere(&self, where_: &str, what: &str) -> Result<()> {
        self.print(format_args!(
            "\n  {} {}\n",
            self.styled(Style::Who, &format!("[{where_}]")),
            what
        ))
    }

    /// Prints that a check has succeeded.
    pub fn good(&self, text: &str) -> Result<()> {
        let text = wrapped(text, "  ", "  ");
        self.print(format_args!("\n{} {}\n", self.styled(Style::Good, "✓"), text.trim_start()))
    }

    /// Prints lines unchanged: tables, and text to be copied.
    pub fn verbatim(&self, text: &str) -> Result<()> {
        self.print(format_args!("\n{}\n", text.trim_end()))
    }

    fn print(&self, text: fmt::Arguments<'_>) -> Result<()> {
        let mut out = self.out.lock();
        out.write_fmt(text)?;
        out.flush()?;
        Ok(())
    }

    fn styled(&self, style: Style, text: &str) -> String {
        let code = match style {
            Style::Title | Style::Command => "1",
            Style::Who => "36",
            Style::Dim => "2",
            Style::Good => "32",
        };
        if self.coloured { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// Prints progress to standard error.
pub fn progress(text: &str) {
    // A demo must not end only because its progress cannot be shown.
    let _ = writeln!(std::io::stderr(), "==> {text}");
}

/// Breaks the text at spaces. A line that fits keeps its inner spaces, as in tables.
fn wrapped(text: &str, first: &str, further: &str) -> String {
    let mut lines = Vec::new();
    let (mut indentation, mut rest) = (first, text);
    loop {
        let room = WIDTH - indentation.len();
        let end = rest.char_indices().nth(room).map(|(end, _)| end);
        let Some(end) = end else { break };
        // Never break in the leading spaces, which are part of the text.
        let begin = rest.len() - rest.trim_start().len();
        let space = rest[..end].rfind(' ').filter(|space| *space > begin);
        let Some(space) = space.or_else(|| rest[end..].find(' ').map(|space| end + space)) else {
            break;
        };
        lines.push(format!("{indentation}{}", rest[..space].trim_end()));
        (indentation, rest) = (further, rest[space..].trim_start());
    }
    lines.push(format!("{indentation}{rest}"));
    lines.join("\n")
}

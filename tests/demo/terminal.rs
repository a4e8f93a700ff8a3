//! How the demo looks: chapters, what people type, and what they see.
//!
//! The story goes to standard output, progress to standard error. Nothing is wider than 100 columns unless it has no
//! place to break.

use std::fmt;
use std::io::{IsTerminal, Stdout, Write, stdout};

use anyhow::Result;

const WIDTH: usize = 100;

/// Colours, where they are wanted: on a terminal, unless `NO_COLOR` is set (no-color.org).
#[derive(Clone, Copy)]
enum Style {
    Title,
    Who,
    Command,
    Dim,
    Good,
}

/// Where the story is told.
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

    /// A sentence or two of the story.
    pub fn tell(&self, text: &str) -> Result<()> {
        self.print(format_args!("\n{}\n", wrapped(text, "", "")))
    }

    /// What somebody types. Further lines of a long command are indented.
    pub fn typed(&self, who: &str, command: &str) -> Result<()> {
        let command = command.replace('\n', "\n      ");
        let (who, command) = (self.styled(Style::Who, who), self.styled(Style::Command, &command));
        self.print(format_args!("\n  {who}$ {command}\n"))
    }

    /// What came of it.
    pub fn output(&self, text: &str) -> Result<()> {
        for line in text.trim_end().lines() {
            self.print(format_args!("{}\n", wrapped(line, "  ", "      ").trim_end()))?;
        }
        Ok(())
    }

    /// What somebody does elsewhere than at a command line.
    pub fn elsewhere(&self, where_: &str, what: &str) -> Result<()> {
        self.print(format_args!(
            "\n  {} {}\n",
            self.styled(Style::Who, &format!("[{where_}]")),
            what
        ))
    }

    /// That something holds, and was looked at.
    pub fn good(&self, text: &str) -> Result<()> {
        let text = wrapped(text, "  ", "  ");
        self.print(format_args!("\n{} {}\n", self.styled(Style::Good, "✓"), text.trim_start()))
    }

    /// Lines as they are: tables, and what is to be copied.
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

/// What is under way, for who waits.
pub fn progress(text: &str) {
    // Nobody is helped by a demo that ends because its progress cannot be shown.
    let _ = writeln!(std::io::stderr(), "==> {text}");
}

/// The text broken at spaces. What fits on a line keeps its inner spaces, as in tables.
fn wrapped(text: &str, first: &str, further: &str) -> String {
    let mut lines = Vec::new();
    let (mut indentation, mut rest) = (first, text);
    loop {
        let room = WIDTH - indentation.len();
        let end = rest.char_indices().nth(room).map(|(end, _)| end);
        let Some(end) = end else { break };
        // Never in the leading spaces, which are part of the text.
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

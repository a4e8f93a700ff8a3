//! Tables as kubectl prints them: columns that are as wide as they need to be, without lines.

use unicode_width::UnicodeWidthStr as _;

use crate::text::visible;

/// What a cell without content shows, as in kubectl.
const NOTHING: &str = "-";

/// Rows under headings. The last column is not padded.
pub struct Table {
    headings: Vec<&'static str>,
    rows: Vec<Vec<String>>,
    indent: usize,
}

impl Table {
    /// A table without rows.
    pub fn new(headings: &[&'static str]) -> Self {
        Self { headings: headings.to_vec(), rows: Vec::new(), indent: 0 }
    }

    /// The same, moved to the right.
    #[must_use]
    pub fn indented(mut self, indent: usize) -> Self {
        self.indent = indent;
        self
    }

    /// Adds a row, with one cell for each heading.
    pub fn row(&mut self, cells: impl IntoIterator<Item = impl Into<String>>) {
        self.rows.push(cells.into_iter().map(|cell| visible(&cell.into()).collect()).collect());
    }

    /// Whether it has no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The table as text.
    pub fn text(&self) -> String {
        let headings: Vec<String> = self.headings.iter().map(|h| (*h).to_owned()).collect();
        let lines: Vec<&Vec<String>> = std::iter::once(&headings).chain(&self.rows).collect();
        let widths: Vec<usize> = (0..headings.len())
            .map(|column| {
                let cells = lines.iter().filter_map(|line| line.get(column));
                cells.map(|cell| shown(cell).width()).max().unwrap_or(0)
            })
            .collect();
        let mut text = String::new();
        for line in lines {
            let mut row = " ".repeat(self.indent);
            for (cell, width) in line.iter().zip(&widths) {
                let cell = shown(cell);
                row.push_str(cell);
                row.push_str(&" ".repeat(width.saturating_sub(cell.width()) + 3));
            }
            text.push_str(row.trim_end());
            text.push('\n');
        }
        text
    }
}

fn shown(cell: &str) -> &str {
    if cell.is_empty() { NOTHING } else { cell }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_they_need_to_be() {
        let mut table = Table::new(&["NAME", "USER", "STATE"]);
        table.row(["alice", "", "Active"]);
        table.row(["漢字", "bob@contoso.com", "Pending"]);
        assert_eq!(
            table.text(),
            "NAME    USER              STATE\n\
             alice   -                 Active\n\
             漢字    bob@contoso.com   Pending\n"
        );
    }

    #[test]
    fn no_cell_controls_the_terminal() {
        let mut table = Table::new(&["REASON"]);
        table.row(["a\u{1b}[2Jb\nc\u{202e}d"]);
        assert_eq!(table.text(), "REASON\na\u{fffd}[2Jb c\u{fffd}d\n");
    }
}

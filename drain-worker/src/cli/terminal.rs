//! Output of the commands: the only place of the command line that writes to standard output and standard error.
//!
//! Names, reasons and details come from other people. A control character in them could clear the reader's terminal or
//! forge a line, so each is shown as `\u009b`. JSON stays valid: its strings have the same escapes.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write as _};

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use serde::Serialize;
use shared::order::moves_text;

/// Lines and tables, escaped.
#[derive(Default)]
pub(super) struct Page(String);

impl Page {
    /// A page of one line.
    pub(super) fn of(line: impl AsRef<str>) -> Self {
        let mut page = Self::default();
        page.line(line);
        page
    }

    /// Adds a line; a line feed in it is escaped too.
    pub(super) fn line(&mut self, line: impl AsRef<str>) {
        self.0.push_str(&escaped(line.as_ref()));
        self.0.push('\n');
    }

    /// Adds rows below `head`, in columns as wide as their widest cell. Columns of numbers are right-aligned.
    pub(super) fn table(&mut self, head: &[&str], rows: &[Vec<String>]) {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(head);
        for row in rows {
            table.add_row(row.iter().map(|cell| escaped(cell).into_owned()));
        }
        for (index, column) in table.column_iter_mut().enumerate() {
            column.set_padding((0, 2));
            if !rows.is_empty() && rows.iter().all(|row| row.get(index).is_some_and(|cell| is_number(cell))) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        // Cells have no line breaks, so a line of the text is a row.
        for line in table.to_string().lines() {
            self.0.push_str(line.trim_end());
            self.0.push('\n');
        }
    }

    #[cfg(test)]
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Writes the page to standard output.
    ///
    /// # Errors
    /// [`io::ErrorKind::BrokenPipe`] if the reader has gone, such as `head`.
    pub(super) fn print(&self) -> io::Result<()> {
        write_out(&self.0)
    }

    /// Clears the screen first, if standard output is a terminal.
    ///
    /// # Errors
    /// As [`Page::print`].
    pub(super) fn print_over(&self) -> io::Result<()> {
        // Clears the screen and moves the cursor to the top left.
        let clear = if io::stdout().is_terminal() { "\u{1b}[2J\u{1b}[H" } else { "" };
        write_out(&format!("{clear}{}", self.0))
    }
}

/// Prints `value` as JSON, or the page that `shown` makes of it.
///
/// # Errors
/// As [`print_json`].
pub(super) fn print<T: Serialize>(json: bool, value: &T, shown: impl FnOnce(&T) -> Page) -> io::Result<()> {
    if json { print_json(value) } else { shown(value).print() }
}

/// Prints JSON over several lines.
///
/// # Errors
/// As [`Page::print`]; also for a value that is no JSON.
pub(super) fn print_json(value: &impl Serialize) -> io::Result<()> {
    write_json(&serde_json::to_string_pretty(value)?)
}

/// Prints JSON as one line, for output that has one for each page.
///
/// # Errors
/// As [`print_json`].
pub(super) fn print_json_line(value: &impl Serialize) -> io::Result<()> {
    write_json(&serde_json::to_string(value)?)
}

fn write_json(text: &str) -> io::Result<()> {
    let lines: Vec<_> = text.lines().map(escaped).collect();
    write_out(&format!("{}\n", lines.join("\n")))
}

/// Prints a message, of one line or more, to standard error. A closed standard error is no error.
pub(super) fn complain(message: &str) {
    let mut err = io::stderr().lock();
    for line in message.lines() {
        let _is_closed = writeln!(err, "{}", escaped(line));
    }
}

/// Asks `question` on the terminal; `None`: standard input is no terminal.
///
/// # Errors
/// Those of the terminal.
pub(super) fn ask(question: &str) -> io::Result<Option<bool>> {
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        return Ok(None);
    }
    let mut err = io::stderr().lock();
    write!(err, "{}? [y/N] ", escaped(question))?;
    err.flush()?;
    let mut answer = String::new();
    stdin.read_line(&mut answer)?;
    Ok(Some(matches!(answer.trim(), "y" | "Y" | "yes")))
}

/// Writes `text` as it is.
///
/// # Errors
/// As [`Page::print`].
pub(super) fn write_out(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

pub(super) fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(moves_text) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        if moves_text(character) {
            let _to_memory = write!(safe, "\\u{:04x}", u32::from(character));
        } else {
            safe.push(character);
        }
    }
    Cow::Owned(safe)
}

fn is_number(cell: &str) -> bool {
    cell == "-" || cell.starts_with(|first: char| first.is_ascii_digit()) && !cell.contains(['T', ':', '-'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(row: &[&str]) -> Vec<String> {
        row.iter().map(|cell| (*cell).to_owned()).collect()
    }

    #[test]
    fn columns_are_aligned_also_with_wide_characters() {
        let mut page = Page::default();
        page.table(
            &["NAME", "N", "AT"],
            &[cells(&["a", "1,000", "2026-11-11T00:00:00Z"]), cells(&["张伟", "7", "-"])],
        );
        assert_eq!(
            page.as_str(),
            "NAME      N  AT\n\
             a     1,000  2026-11-11T00:00:00Z\n\
             张伟      7  -\n"
        );
    }

    #[test]
    fn control_characters_reach_no_terminal() {
        for (text, expected) in [
            ("plain 家 ü", "plain 家 ü"),
            ("\u{1b}[2Jann", "\\u001b[2Jann"),
            ("ann\n2026 root pause", "ann\\u000a2026 root pause"),
            ("\u{9b}2J\u{7f}\r\t", "\\u009b2J\\u007f\\u000d\\u0009"),
            ("a\u{202e}b\u{2066}\u{2028}\u{61c}", "a\\u202eb\\u2066\\u2028\\u061c"),
        ] {
            assert_eq!(escaped(text), expected);
            let mut page = Page::of(text);
            page.table(&["WHO"], &[cells(&[text])]);
            assert_eq!(page.as_str(), format!("{expected}\nWHO\n{expected}\n"));
        }
    }
}

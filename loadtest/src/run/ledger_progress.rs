//! Lines that show that a long ledger moves.

use std::io::{IsTerminal, Write};

use crate::ledger::SettleProgress;

/// Rows between two lines.
const ROWS: u64 = 200_000;

pub(super) fn settling(progress: SettleProgress) {
    show(&format!(
        "Waiting for {} accepted orders that the broker may hide; nothing was settled for {} s",
        progress.missing,
        progress.quiet.as_secs()
    ));
}

/// `rows`: rows of the database so far.
pub(super) fn reading(rows: u64) {
    if rows.is_multiple_of(ROWS) {
        show(&format!("Reading the ledger: {rows} orders"));
    }
}

fn show(line: &str) {
    let mut output = std::io::stdout();
    let line = if output.is_terminal() { format!("\r{line:<130}") } else { format!("{line}\n") };
    // A closed pipe does not stop the run.
    let _closed = output.write_all(line.as_bytes()).and_then(|()| output.flush());
}

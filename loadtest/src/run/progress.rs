//! The progress line: rewritten on a terminal, one line a second elsewhere.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use tokio::time::Instant;

use super::window::LiveWindow;

/// Time between two lines, and the length of a window.
pub(super) const INTERVAL: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct ProgressLine {
    started: Instant,
    /// The drain's cap; `None` if the database is not watched.
    rate: Option<u32>,
}

impl ProgressLine {
    /// `rate` is the drain's cap, if the database is watched.
    pub(super) fn new(rate: Option<u32>) -> Self {
        Self { started: Instant::now(), rate }
    }

    pub(super) fn show(&self, window: &LiveWindow, settled: Option<u64>, sending: bool) {
        show_line(&self.line(window, settled, sending));
    }

    fn line(&self, window: &LiveWindow, settled: Option<u64>, sending: bool) -> String {
        let LiveWindow { total, counts, .. } = window;
        let mut line = format!("{:6.1} s", self.started.elapsed().as_secs_f64());
        if sending {
            line.push_str(&format!(
                "  sent {:6.0}/s  accepted {:6.0}/s  shed {:6.0}/s  other {:5}  p99 {:>8}  delay {:>8}",
                window.per_second(counts.sent),
                window.per_second(counts.accepted),
                window.per_second(counts.shed),
                total.refused + total.unknown + total.unsent,
                duration(window.latency.value_at_quantile(0.99)),
                duration(window.send_delay.max()),
            ));
        } else {
            line.push_str(&format!(
                "  sent {}  accepted {}  shed {}",
                total.sent, total.accepted, total.shed
            ));
        }
        if let (Some(rate), Some(settled)) = (self.rate, settled) {
            let queued = total.accepted_own.saturating_sub(settled);
            let eta = if queued == 0 && !sending {
                "drained".to_owned()
            } else {
                format!("ETA {:.0} s", (queued as f64 / f64::from(rate)).ceil())
            };
            line.push_str(&format!("  queued {queued:6}  drained {settled:6}  {eta}"));
        }
        line
    }
}

/// Keeps the last line on a terminal.
pub(super) fn end_line() {
    if std::io::stdout().is_terminal() {
        println!();
    }
}

/// Replaces the previous line on a terminal, and follows it elsewhere.
pub(super) fn show_line(line: &str) {
    let mut output = std::io::stdout();
    let line = if output.is_terminal() { format!("\r{line:<130}") } else { format!("{line}\n") };
    // A closed pipe does not stop the run.
    let _closed = output.write_all(line.as_bytes()).and_then(|()| output.flush());
}

/// Formats with three digits and a unit.
pub(super) fn duration(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..10_000 => format!("{:.1} ms", us as f64 / 1_000.0),
        10_000..1_000_000 => format!("{:.0} ms", us as f64 / 1_000.0),
        _ => format!("{:.1} s", us as f64 / 1_000_000.0),
    }
}

//! The progress line: rewritten on a terminal, one line a second elsewhere.

use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::generator::LiveCounts;

#[derive(Debug)]
pub(super) struct ProgressLine {
    started: Instant,
    terminal: bool,
    /// The drain's cap; `None` if the database is not watched.
    rate: Option<u32>,
    last: Option<(Instant, ShownCounts)>,
}

#[derive(Clone, Copy, Debug, Default)]
struct ShownCounts {
    sent: u64,
    accepted: u64,
    shed: u64,
    failed: u64,
}

impl ProgressLine {
    /// `rate` is the drain's cap, if the database is watched.
    pub(super) fn new(rate: Option<u32>) -> Self {
        Self { started: Instant::now(), terminal: std::io::stdout().is_terminal(), rate, last: None }
    }

    pub(super) const fn interval(&self) -> Duration {
        if self.terminal { Duration::from_millis(500) } else { Duration::from_secs(1) }
    }

    pub(super) fn show(&mut self, live: &LiveCounts, settled: Option<u64>, sending: bool) {
        show_line(&self.line(live, settled, sending));
    }

    fn line(&mut self, live: &LiveCounts, settled: Option<u64>, sending: bool) -> String {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let now = Instant::now();
        let counts = ShownCounts {
            sent: load(&live.sent),
            accepted: load(&live.accepted),
            shed: load(&live.shed),
            failed: load(&live.refused) + load(&live.unknown) + load(&live.unsent),
        };
        let (then, before) =
            self.last.replace((now, counts)).unwrap_or((self.started, ShownCounts::default()));
        let seconds = (now - then).as_secs_f64().max(1e-3);
        let per_second = |now: u64, before: u64| ((now - before) as f64 / seconds).round();
        let mut line = format!("{:6.1} s", self.started.elapsed().as_secs_f64());
        if sending {
            let (p99_us, send_delay_us) = live.take_recent();
            line.push_str(&format!(
                "  sent {:6}/s  accepted {:6}/s  shed {:6}/s  other {:5}  p99 {:>8}  delay {:>8}",
                per_second(counts.sent, before.sent),
                per_second(counts.accepted, before.accepted),
                per_second(counts.shed, before.shed),
                counts.failed,
                duration(p99_us),
                duration(send_delay_us),
            ));
        } else {
            line.push_str(&format!(
                "  sent {}  accepted {}  shed {}",
                counts.sent, counts.accepted, counts.shed
            ));
        }
        if let (Some(rate), Some(settled)) = (self.rate, settled) {
            let queued = load(&live.accepted_own).saturating_sub(settled);
            let eta = if queued == 0 && !sending {
                "drained".to_owned()
            } else {
                format!("ETA {:.0} s", (queued as f64 / f64::from(rate)).ceil())
            };
            line.push_str(&format!("  queued {queued:6}  drained {settled:6}  {eta}"));
        }
        line
    }

    pub(super) fn end(&self) {
        if self.terminal {
            println!();
        }
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

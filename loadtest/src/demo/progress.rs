//! The progress line: rewritten on a terminal, a line a second elsewhere.

use std::io::{IsTerminal, Write};
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use crate::ledger::Settled;
use crate::play::Counters;

/// Shows how far a run is.
#[derive(Debug)]
pub(super) struct Progress {
    started: Instant,
    terminal: bool,
    rate: u32,
}

impl Progress {
    pub(super) fn new(rate: u32) -> Self {
        Self { started: Instant::now(), terminal: std::io::stdout().is_terminal(), rate }
    }

    /// Between two looks.
    pub(super) const fn interval(&self) -> Duration {
        if self.terminal { Duration::from_millis(250) } else { Duration::from_secs(1) }
    }

    pub(super) fn show(&self, counters: &Counters, settled: Settled, offering_is_over: bool) {
        let load = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        let queued = load(&counters.accepted_new).saturating_sub(settled.rows);
        let eta = if queued == 0 && offering_is_over {
            "drained".to_owned()
        } else {
            format!("ETA {:.0} s", (queued as f64 / f64::from(self.rate)).ceil())
        };
        let line = format!(
            "{:5.1} s  offered {:6}  accepted {:6}  shed {:5}  queued {queued:6}  drained {:6}  {eta}",
            self.started.elapsed().as_secs_f64(),
            load(&counters.offered),
            load(&counters.accepted),
            load(&counters.shed),
            settled.rows,
        );
        if self.terminal {
            print!("\r{line:<110}");
        } else {
            println!("{line}");
        }
        // A closed pipe does not stop the run.
        let _closed = std::io::stdout().flush();
    }

    pub(super) fn end(&self) {
        println!();
    }
}

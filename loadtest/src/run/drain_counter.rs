//! The drain's progress during a run, by the workers' own counters.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::timeout;

use crate::ledger::LedgerReader;

/// A look never delays the run for longer.
const LOOK_MAX: Duration = Duration::from_secs(1);

/// Orders that the workers have settled since the start of the run, duplicates and conflicts included. Reads one row per
/// worker, however large the tables are; a heartbeat old.
#[derive(Debug)]
pub(super) struct DrainCounter {
    reader: LedgerReader,
    /// Totals by lease: before the run and now. A restarted worker has another lease and starts at 0.
    totals: BTreeMap<String, (u64, u64)>,
}

impl DrainCounter {
    pub(super) async fn start(mut reader: LedgerReader) -> anyhow::Result<Self> {
        let before = reader.worker_totals().await?;
        let totals = before.into_iter().map(|(lease, total)| (lease, (total, total))).collect();
        Ok(Self { reader, totals })
    }

    /// The count so far. While the database does not answer it stays as it is, and the next call connects again.
    pub(super) async fn settled(&mut self) -> u64 {
        match timeout(LOOK_MAX, self.reader.worker_totals()).await {
            Ok(Ok(totals)) => {
                for (lease, total) in totals {
                    let known = self.totals.entry(lease).or_default();
                    known.1 = known.1.max(total);
                }
            }
            Ok(Err(_)) | Err(_) => {
                if let Ok(Ok(reader)) = timeout(LOOK_MAX, self.reader.another()).await {
                    self.reader = reader;
                }
            }
        }
        self.totals.values().map(|(before, now)| now - before).sum()
    }
}

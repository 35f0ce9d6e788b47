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

#[cfg(test)]
mod tests {
    use drain_worker::store::{Store, StoreConfig};
    use shared::testkit::TestDatabase;
    use sqlx::sqlite::SqliteConnection;
    use sqlx::{AssertSqlSafe, Connection};

    use super::*;

    const LEASE: &str = r#"INSERT INTO drain_leases
        (group_id, lease_id, worker, share, wanted, changes, joined_us, expires_us, report)
        VALUES ('drain', 'lease-1', 'worker', 0, 0, 0, 0, 0, '{"totals":{"confirmed":10}}')"#;

    #[tokio::test]
    async fn the_count_stays_while_the_database_fails_and_goes_on_afterwards() {
        let database = TestDatabase::sqlite();
        let store = Store::connect(&database.url, StoreConfig::default()).await.expect("connects");
        store.migrate().await.expect("migrates");
        store.close().await;
        let mut writer = SqliteConnection::connect(database.url.expose()).await.expect("connects");
        let mut run = async |text: &'static str| {
            sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut writer).await.expect(text);
        };
        run(LEASE).await;
        let reader = LedgerReader::connect(&database.url).await.expect("connects");
        let mut counter = DrainCounter::start(reader).await.expect("reads");
        assert_eq!(counter.settled().await, 0, "what was settled before the run does not count");
        run(r#"UPDATE drain_leases SET report = '{"totals":{"confirmed":25,"sold_out":5}}'"#).await;
        assert_eq!(counter.settled().await, 20);
        run("ALTER TABLE drain_leases RENAME TO away").await;
        assert_eq!(counter.settled().await, 20);
        run("ALTER TABLE away RENAME TO drain_leases").await;
        run(r#"UPDATE drain_leases SET report = '{"totals":{"confirmed":40,"sold_out":5}}'"#).await;
        assert_eq!(counter.settled().await, 35);
    }
}

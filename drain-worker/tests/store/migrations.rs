//! Migrations beside commits, dumps and other migrators. The waits of the server are in whole seconds, so these tests take
//! seconds of real time.

use std::time::Duration;

use drain_worker::store::{Fence, OrderStore, SchemaError, StoreConfig, StoreError};
use sqlx::SqlStr;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use tokio::time::Instant;

use crate::harness::{Harness, config, on_mysql};
use crate::orders::{CONFIRMED, catalogue, order, outcomes_of};

/// The shipped migrations and one more.
fn with(sql: &'static str) -> Migrator {
    let mut migrations: Vec<_> = sqlx::migrate!("migrations/mysql").iter().cloned().collect();
    let text = SqlStr::from_static(sql);
    migrations.push(Migration::new(1_000, "rehearsal".into(), MigrationType::Simple, text, false));
    Migrator::with_migrations(migrations)
}

/// Commits one order after the other until `migrating` ends; returns the longest commit.
async fn commit_beside<T>(harness: &Harness, migrating: impl Future<Output = T>) -> (T, Duration, u64) {
    let mut migrating = std::pin::pin!(migrating);
    let (mut longest, mut commits) = (Duration::ZERO, 0);
    loop {
        let began = Instant::now();
        let batch = [order(1_000 + commits, "ann", &[("a", 1)])];
        let committed = harness.store.commit(Fence::Open, &batch);
        tokio::select! {
            biased;
            done = &mut migrating => return (done, longest, commits),
            results = committed => {
                assert_eq!(outcomes_of(&results.expect("commits")), [CONFIRMED]);
                longest = longest.max(began.elapsed());
                commits += 1;
            }
        }
    }
}

/// A dump holds its tables' metadata locks for its whole transaction (MySQL 8.0 manual, 8.11.4).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commits_go_on_while_a_migration_waits_for_a_dump() {
    on_mysql(async |harness| {
        harness.store.apply_catalogue(&catalogue(&[("a", 9_000_000, None)])).await.expect("applies");
        let migrations = with("ALTER TABLE orders ADD COLUMN note INT NULL, ALGORITHM = INSTANT;");
        let mut dump = harness.begin("SELECT COUNT(*) FROM orders").await;
        let migrator = harness.open(config()).await;
        let migrating = async {
            let dumping = async {
                // The migration waits in vain twice, and tries again.
                tokio::time::sleep(Duration::from_secs(8)).await;
                dump.run("COMMIT").await;
            };
            tokio::join!(migrator.migrate_with(&migrations), dumping).0
        };
        let (migrated, longest, commits) = commit_beside(harness, migrating).await;
        migrated.expect("migrates once the dump has ended");
        println!("{commits} commits, the longest {longest:?}");
        // Each attempt keeps commits waiting for a second; the rest is for a busy machine.
        assert!(longest < Duration::from_secs(5), "a commit took {longest:?}");
        assert!(commits > 50, "{commits}");
        // The last commit was abandoned when the migration ended, and may have been done.
        let orders = harness.number("SELECT COUNT(*) FROM orders WHERE note IS NULL").await.cast_unsigned();
        assert!((commits..=commits + 1).contains(&orders), "{orders} of {commits}");
        migrator.close().await;
    })
    .await;
}

/// The statement takes longer than the server allows the session of a stalled worker to live.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_migrator_waits_for_a_long_first() {
    on_mysql(async |harness| {
        let migrations = with("ALTER TABLE orders COMMENT = 'x', ALGORITHM = INSTANT;\nDO SLEEP(3);");
        let config = StoreConfig { stall_timeout: Duration::from_secs(1), ..config() };
        let (first, second) = (harness.open(config).await, harness.open(config).await);
        let late = async {
            harness.until_at("DO SLEEP%").await;
            let found = harness.store.check_schema().await;
            assert!(matches!(found, Err(StoreError::Schema(SchemaError::Migrating))), "{found:?}");
            second.migrate_with(&migrations).await
        };
        let (first_result, second_result) = tokio::join!(first.migrate_with(&migrations), late);
        first_result.expect("migrates");
        second_result.expect("finds it applied");
        assert_eq!(harness.store.check_schema().await.expect("complete"), 1_000);
        first.close().await;
        second.close().await;
    })
    .await;
}

/// The server rejects the statement, so the database is unchanged, and a corrected migration can follow.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rejected_migration_is_not_half_way() {
    on_mysql(async |harness| {
        let rejected = with("ALTER TABLE orders DROP COLUMN no_such_column, ALGORITHM = INSTANT;");
        let result = harness.store.migrate_with(&rejected).await;
        assert!(matches!(result, Err(StoreError::Fatal(_))), "{result:?}");
        harness.store.check_schema().await.expect("as before");
        let corrected = with("ALTER TABLE orders ADD COLUMN note INT NULL, ALGORITHM = INSTANT;");
        harness.store.migrate_with(&corrected).await.expect("migrates");
    })
    .await;
}

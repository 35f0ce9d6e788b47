//! A database that is not the run's own, and orders that come late.

use std::time::Duration;

use loadtest::ledger::Attempts;
use loadtest::ledger::LedgerReader;
use shared::testkit::TestDatabase;
use tokio::time::Instant;

use crate::fixture::{PlayedRun, SoundRun, Sql, begin, commit, literal, prepare};

/// Two runs in one database, the first one before the second begins; each is judged on its own.
async fn two_runs(database: &TestDatabase) {
    let (first, second) = (PlayedRun::play(4), PlayedRun::play(5));
    let store = prepare(&database.url).await;
    let mut sql = Sql::connect(&database.url).await;
    let (early, own) = (begin(&first, &database.url, false).await, begin(&second, &database.url, true).await);
    commit(&first, &store, &mut sql).await;
    let late = begin(&second, &database.url, false).await;
    sql.run("DELETE FROM drain_groups").await;
    commit(&second, &store, &mut sql).await;
    // The fixture moves decisions into the past: here they count as decided now.
    sql.run("UPDATE orders SET decided_at = '2035-01-01 00:00:00.000'").await;
    sql.run("UPDATE order_conflicts SET first_seen_at = '2035-01-01 00:00:00.000'").await;
    sql.run(r#"UPDATE drain_groups SET settings = '{"default":1000}'"#).await;

    let of_first = first.judge(&database.url, &early, &first.attempts).await.verdict;
    assert!(of_first.adds_up(), "{of_first}");
    assert!(of_first.other_orders > 50 && of_first.rows > 50, "{of_first}");
    let of_second = second.judge(&database.url, &late, &second.attempts).await.verdict;
    // The rows of the first run are older than the second one's snapshot, but this test has dated them later.
    let names: Vec<_> = of_second.faults.iter().map(|fault| fault.code.as_ref()).collect();
    assert_eq!((names, of_second.other_orders), (vec!["oversold", "stock_counter_wrong"], of_first.rows));
    sql.run("UPDATE orders SET decided_at = '2020-01-01 00:00:00.000' WHERE user_id LIKE '00000004-%'").await;
    let of_second = second.judge(&database.url, &late, &second.attempts).await.verdict;
    assert!(of_second.adds_up(), "{of_second}");
    assert_eq!(of_second.other_orders, 0, "orders before the run are not read");
    let strangers = second.judge(&database.url, &own, &second.attempts).await.verdict;
    let strangers = strangers.faults.iter().find(|fault| fault.code == "row_without_request");
    assert_eq!(strangers.map(|fault| fault.count), Some(of_first.rows), "in a database of the run's own");

    // A row of this run's buyers is the run's, with any id.
    let order = literal(second.unknown);
    sql.run(&format!(
        "UPDATE orders SET order_id = x'00000000000000000000000000000001' WHERE order_id = {order}"
    ))
    .await;
    let forged = second.judge(&database.url, &late, &second.attempts).await.verdict;
    let names: Vec<_> = forged.faults.iter().map(|fault| fault.code.as_ref()).collect();
    assert!(names.contains(&"row_without_request"), "{forged}");
    store.close().await;
    sql.close().await;
}

#[tokio::test]
async fn runs_share_a_database_on_sqlite() {
    two_runs(&TestDatabase::sqlite()).await;
}

#[tokio::test]
async fn real_runs_share_a_database() {
    let Some(database) = TestDatabase::mysql().await else { return };
    two_runs(&database).await;
    database.remove().await;
}

#[tokio::test]
async fn a_late_order_is_waited_for_and_a_lost_one_only_as_long_as_it_can_be_hidden() {
    let sound = SoundRun::make().await;
    let url = sound.copy("late");
    let hide = "CREATE TABLE hidden AS SELECT * FROM orders WHERE reason = 1; \
                DELETE FROM orders WHERE reason = 1;";
    let mut sql = Sql::connect(&url).await;
    sql.run(hide).await;
    let attempts = Attempts::new(sound.run.attempts.clone(), Vec::new());
    let mut reader = LedgerReader::connect(&url).await.expect("connects");
    let settle = async |reader: &mut LedgerReader, hidden_us: i64| {
        let mut scope = sound.scope.clone();
        scope.hidden_us = hidden_us;
        let began = Instant::now();
        let missing =
            reader.settle(&sound.run.workload, &scope, &attempts, |_progress| {}).await.expect("reads");
        (missing, began.elapsed())
    };
    let (late, ()) = tokio::join!(settle(&mut reader, 20_000_000), async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        sql.run("INSERT INTO orders SELECT * FROM hidden").await;
    });
    assert_eq!(late.0, 0, "they came while they could have been hidden");
    assert!(late.1 < Duration::from_secs(20), "{:?}", late.1);
    sql.run("DELETE FROM orders WHERE order_id = (SELECT MIN(order_id) FROM hidden)").await;
    let lost = settle(&mut reader, 4_000_000).await;
    assert_eq!(lost.0, 1);
    assert!(lost.1 >= Duration::from_secs(4) && lost.1 < Duration::from_secs(8), "{:?}", lost.1);
    sql.close().await;
}

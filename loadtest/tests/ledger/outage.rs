//! The database fails during a run, or after it.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use loadtest::ledger::{Attempts, LedgerReader};
use serde_json::Value;
use shared::testkit::TestDatabase;

use crate::fixture::{PlayedRun, Sql, begin, commit, prepare};
use crate::stub_server::{answer, serve};

#[tokio::test]
async fn a_database_that_fails_in_the_middle_of_a_run_still_leaves_a_report() {
    let database = TestDatabase::sqlite();
    prepare(&database.url).await.close().await;
    let directory = tempfile::tempdir().expect("a directory");
    let report = directory.path().join("report");
    let target = format!("http://{}", serve(|_, _, stream| answer(stream, "202 Accepted", "", "{}")).address);
    let mut run = Command::new(env!("CARGO_BIN_EXE_loadtest"))
        .args(["run", "baseline", "--expect", "accepted_share=1..", "--set", "mix.invalid=0"])
        .args(["--phase", "constant:50:4s", "--target", &target, "--report"])
        .arg(&report)
        .env("SPILLWAY_DATABASE_URL", database.url.expose())
        .env("SPILLWAY_ORDER_ID_KEYS", format!("loadtest={}", "07".repeat(32)))
        .stdout(Stdio::piped())
        .spawn()
        .expect("runs");
    let mut lines = BufReader::new(run.stdout.take().expect("piped")).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.contains("sent")), "progress is shown");
    let mut sql = Sql::connect(&database.url).await;
    sql.run("ALTER TABLE orders RENAME TO away; ALTER TABLE drain_leases RENAME TO leases_away;").await;
    let printed: Vec<_> = lines.collect();
    assert_eq!(run.wait().expect("ends").code(), Some(3), "{printed:#?}");
    let json = std::fs::read(report.with_added_extension("json")).expect("a report was written");
    let report: Value = serde_json::from_slice(&json).expect("JSON");
    assert_eq!(report["totals"]["accepted"], 200, "every planned request was sent: {}", report["totals"]);
    assert_eq!(report["verdict"], "not_judged");
    assert!(report["ledger_error"].as_str().is_some_and(|error| error.contains("orders")), "{report}");
    assert_eq!(report["ledger"], Value::Null);
}

#[tokio::test]
async fn real_the_ledger_opens_a_killed_connection_again() {
    let Some(database) = TestDatabase::mysql().await else { return };
    let run = PlayedRun::play(6);
    let store = prepare(&database.url).await;
    let scope = begin(&run, &database.url, true).await;
    let mut sql = Sql::connect(&database.url).await;
    commit(&run, &store, &mut sql).await;
    store.close().await;
    let mut reader = LedgerReader::connect(&database.url).await.expect("connects");
    sql.run(
        "BEGIN NOT ATOMIC
            FOR victim IN (SELECT id FROM information_schema.processlist
                           WHERE db = DATABASE() AND id <> CONNECTION_ID())
            DO KILL victim.id; END FOR;
         END",
    )
    .await;
    reader.version().await.expect_err("the connection is gone");
    let attempts = Attempts::new(run.attempts.clone(), Vec::new());
    let missing = reader.settle(&run.workload, &scope, &attempts, |_progress| {}).await;
    assert_eq!(missing.expect("connects again"), 0);
    sql.close().await;
    database.remove().await;
}

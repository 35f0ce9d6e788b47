//! One worker that an operator cordons.

use serde_json::Value;
use shared::testkit::eventually;
use sqlx::Connection as _;
use sqlx::sqlite::SqliteConnection;

use crate::harness::{WholeWorker, WorkerFixture, orders};
use crate::health::{ask, get, json, until_ready};

/// The entry of `name` in the status that `worker` shows.
async fn entry(worker: &WholeWorker, name: &str) -> Value {
    let status = json(worker.admin, "/v1/status").await;
    let mut workers = status["workers"].as_array().into_iter().flatten();
    workers.find(|worker| worker["name"] == name).cloned().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cordoned_worker_finishes_stays_visible_and_gives_its_share_to_the_others() {
    let fixture = WorkerFixture::new().await;
    let flags = |name: &'static str| ["--initial-rate", "400", "--worker-name", name];
    let first = fixture.whole_worker(&flags("first")).await;
    let second = fixture.whole_worker(&flags("second")).await;
    until_ready(first.admin).await;
    until_ready(second.admin).await;
    fixture.publish(&orders(0..20_000, "PLENTY")).await;
    eventually("both drain", async || entry(&second, "first").await["held_orders"].as_u64() > Some(0)).await;

    let (status, body) = ask(first.admin, "POST", "/v1/worker/cordon").await;
    assert_eq!((status, body.as_str()), (200, r#"{"worker":"first","is_cordoned":true,"is_audited":true}"#));
    eventually("finished, without a share, and seen by the other", async || {
        let cordoned = entry(&second, "first").await;
        let (held, share) = (&cordoned["held_orders"], &cordoned["share"]);
        cordoned["state"] == "cordoned" && *held == 0 && *share == 0
    })
    .await;
    eventually("the other has the cap", async || entry(&second, "second").await["share"] == 400).await;
    assert_eq!(get(first.admin, "/readyz").await.0, 200, "the platform leaves it alone");
    let status = json(second.admin, "/v1/status").await;
    let warnings: Vec<_> =
        status["warnings"].as_array().into_iter().flatten().map(|warning| &warning["text"]).collect();
    assert!(warnings.iter().any(|text| *text == "cordoned: 1 of 2 workers"), "{warnings:?}");
    let is_cordoned = async |worker| json(worker, "/v1/status").await["is_cordoned"].as_bool();
    assert_eq!((is_cordoned(first.admin).await, is_cordoned(second.admin).await), (Some(true), Some(false)));
    assert!(status["lag"]["orders"].as_u64() > Some(0), "it did not take what waits: {status:#}");

    assert_eq!(ask(first.admin, "POST", "/v1/worker/uncordon").await.0, 200);
    eventually("it drains again", async || {
        let back = entry(&second, "first").await;
        back["state"] == "draining" && back["share"].as_u64() > Some(100)
    })
    .await;
    let audit = json(first.admin, "/v1/audit").await;
    let actions: Vec<_> =
        audit["entries"].as_array().into_iter().flatten().map(|entry| &entry["action"]).collect();
    assert_eq!(actions[..2], ["uncordon", "cordon"]);
    // A cordon holds without the audit trail, and the answer says so.
    let mut database = SqliteConnection::connect(fixture.database.url.expose()).await.expect("connects");
    sqlx::raw_sql("DROP TABLE drain_audit").execute(&mut database).await.expect("drops the table");
    let (status, body) = ask(first.admin, "POST", "/v1/worker/cordon").await;
    assert_eq!((status, body.as_str()), (200, r#"{"worker":"first","is_cordoned":true,"is_audited":false}"#));
    eventually("cordoned", async || entry(&second, "first").await["state"] == "cordoned").await;
    first.stop().await;
    second.stop().await;
}

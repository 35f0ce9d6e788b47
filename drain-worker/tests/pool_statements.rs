//! The pool's cost on a real database, by the server's own counters, which count everybody: a test by itself.

#![allow(clippy::expect_used, reason = "tests use expect with the expectation")]

use std::sync::Arc;
use std::time::Duration;

use drain_worker::adaptive_limit::AdaptiveLimit;
use drain_worker::control::{GroupSettings, Rate};
use drain_worker::pool::{Member, PoolConfig, WorkerSignals};
use drain_worker::rate::RateGate;
use drain_worker::store::{Store, StoreConfig};
use shared::testkit::{TestDatabase, eventually};
use sqlx::{Connection, MySqlConnection};
use tokio_util::sync::CancellationToken;

const MEMBERS: usize = 8;
const SECONDS: u64 = 10;

/// Statements that clients have sent to the server.
async fn questions(connection: &mut MySqlConnection) -> i64 {
    let (_name, questions): (String, String) =
        sqlx::query_as("SHOW GLOBAL STATUS LIKE 'Questions'").fetch_one(connection).await.expect("a counter");
    questions.parse().expect("a number")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_member_sends_three_statements_a_second() {
    let Some(database) = TestDatabase::mysql().await else { return };
    let mut counter = MySqlConnection::connect(database.url.expose()).await.expect("connects");
    let migrated = Store::connect(&database.url, StoreConfig::default()).await.expect("a valid address");
    migrated.migrate().await.expect("migrates");
    let (leave, mut members, mut snapshots) = (CancellationToken::new(), Vec::new(), Vec::new());
    for number in 0..MEMBERS {
        let store = Store::connect(&database.url, StoreConfig::default()).await.expect("a valid address");
        let config = PoolConfig {
            group: "drain".to_owned(),
            worker: format!("host:{number}"),
            seed: GroupSettings::new(Rate::new(2_000).expect("within bounds")),
            lease: Duration::from_secs(3),
            heartbeat_interval: Duration::from_millis(500),
            heartbeat_interval_fast: Duration::from_millis(30),
        };
        let (gate, limit) = (RateGate::closed(), AdaptiveLimit::new(None));
        let member = Member::new(Arc::new(store), config, gate, WorkerSignals::default(), limit);
        snapshots.push(member.snapshot());
        members.push(tokio::spawn(member.run(leave.clone())));
    }
    eventually("all have joined and have shares", async || {
        snapshots.iter().all(|snapshot| {
            snapshot.borrow().as_ref().is_some_and(|snapshot| {
                snapshot.group.leases.len() == MEMBERS
                    && snapshot.group.leases.iter().all(|lease| lease.share > 0)
            })
        })
    })
    .await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let leases = |snapshot: &tokio::sync::watch::Receiver<Option<Arc<drain_worker::pool::PoolSnapshot>>>| {
        snapshot.borrow().as_ref().map(|snapshot| snapshot.lease)
    };
    let joined: Vec<_> = snapshots.iter().map(leases).collect();
    let before = questions(&mut counter).await;
    tokio::time::sleep(Duration::from_secs(SECONDS)).await;
    let sent = questions(&mut counter).await - before;
    let each = sent as f64 / MEMBERS as f64 / SECONDS as f64;
    println!("{MEMBERS} idle members: {each:.2} statements a member a second");
    assert_eq!(snapshots.iter().map(leases).collect::<Vec<_>>(), joined, "no lease lapsed");
    leave.cancel();
    for member in members {
        member.await.expect("does not panic").expect("leaves");
    }
    // The counter's own statement, and a beat at either end.
    assert!(each <= 3.3, "{each:.2}: another program used the server, or a heartbeat has become larger");
    migrated.close().await;
    counter.close().await.expect("closes");
    database.remove().await;
}

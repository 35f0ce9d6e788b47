//! A commit to a file survives a SIGKILL of its process.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::{env, io};

use drain_worker::store::{Fence, OrderStore, Store};
use shared::order::AcceptedOrder;

use crate::harness::{address, config};
use crate::orders::{catalogue, id, order};

/// Passes the file to the process that the test kills.
const FILE: &str = "SPILLWAY_TEST_KILLED_FILE";
const BATCH: u64 = 20;
const BATCHES: u64 = 25;

async fn open(file: &str) -> Store {
    Store::connect(&address(&format!("sqlite:{file}")), config()).await.expect("a valid address")
}

fn batch(number: u64) -> Vec<AcceptedOrder> {
    let orders = number * BATCH..(number + 1) * BATCH;
    orders.map(|number| order(number, &format!("user{number}"), &[("a", 1)])).collect()
}

/// Commits until it is killed, and prints the number of commits after each batch.
#[tokio::test]
#[ignore = "runs as a separate process, started by the other test"]
async fn victim() {
    let Ok(file) = env::var(FILE) else { return };
    let store = open(&file).await;
    store.migrate().await.expect("migrates");
    store.apply_catalogue(&catalogue(&[("a", 1_000_000, Some(3))])).await.expect("applies");
    for number in 0.. {
        store.commit(Fence::Open, &batch(number)).await.expect("commits");
        println!("committed {number}");
    }
}

#[tokio::test]
async fn commits_survive_a_kill() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("orders.sqlite").display().to_string();
    let mut victim = Command::new(env::current_exe().expect("this program"))
        .args(["kill::victim", "--exact", "--ignored", "--nocapture"])
        .env(FILE, &file)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("starts");
    let lines = BufReader::new(victim.stdout.take().expect("piped")).lines();
    let lines: io::Result<Vec<_>> = lines
        .filter(|line| line.as_ref().is_ok_and(|line| line.contains("committed ")))
        .take(usize::try_from(BATCHES).expect("few"))
        .collect();
    // SIGKILL: nothing is flushed, closed or rolled back.
    victim.kill().expect("is killed");
    victim.wait().expect("ends");
    assert_eq!(lines.expect("lines").len() as u64, BATCHES);

    let store = open(&file).await;
    store.check_schema().await.expect("is whole");
    for number in 0..BATCHES * BATCH {
        assert!(store.find(id(number)).await.expect("reads").is_some(), "order {number} is lost");
    }
    // Batches committed after the last line are complete as well.
    let counts = store.counts().await.expect("counts");
    let reserved: i64 = store.stock().await.expect("reads").iter().map(|stock| stock.reserved).sum();
    assert_eq!(counts.confirmed, u64::try_from(reserved).expect("not negative"));
    assert_eq!(counts.confirmed % BATCH, 0, "a batch is complete or absent");
    store.close().await;
}

//! State that survives a restart.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use spillway_broker::{Broker, BrokerError, Flush};
use spillway_rocketmq::protocol::Code;
use tempfile::tempdir;
use tokio::task::JoinSet;

use crate::support::*;

#[tokio::test]
async fn a_dropped_broker_resumes_its_state() {
    let dir = tempdir().expect("a directory");
    let broker = open(&dir).await;
    let client = Client::consumer(&broker).await;
    client.start_group().await;
    client.send_bodies((0..6).map(|number| number.to_string())).await;
    let held = client.receive(4, LONG).await;
    client.ack_all(&held[..2]).await;
    let changed = client.change(&receipt(&held[2]), LONG).await.receipt_handle;
    drop(broker);

    let broker = open(&dir).await;
    let client = Client::consumer(&broker).await;
    // Two were never handed out; two are hidden still, by the receipts from before.
    let rest = client.receive(32, LONG).await;
    assert_eq!(rest.len(), 2);
    assert!(rest.iter().all(|message| attempt(message) == 1));
    assert_eq!(code(client.ack(&[receipt(&held[2])]).await.status), Code::INVALID_RECEIPT_HANDLE);
    assert_eq!(code(client.ack(&[changed, receipt(&held[3])]).await.status), Code::OK);
    client.ack_all(&rest).await;
    let stats = broker.stats().await.expect("open");
    let group = stats.group(TOPIC, GROUP).expect("known");
    assert_eq!((group.acked, group.in_flight, group.ready), (6, 0, 0));
}

#[tokio::test]
async fn hidden_messages_are_redelivered_after_a_restart() {
    let dir = tempdir().expect("a directory");
    let broker = open(&dir).await;
    let client = Client::consumer(&broker).await;
    client.start_group().await;
    client.send_bodies(["1".to_owned(), "2".to_owned()]).await;
    let held = client.receive(32, 4 * SHORT).await;
    client.ack_all(&held[..1]).await;
    broker.abort().await.expect("stopped");

    let broker = open(&dir).await;
    let client = Client::consumer(&broker).await;
    tokio::time::sleep(4 * SHORT).await;
    let again = client.receive(32, LONG).await;
    assert_eq!((bodies(&again), attempt(&again[0])), (bodies(&held[1..]), 2));
}

#[tokio::test]
async fn a_restart_preserves_a_groups_offsets() {
    let dir = tempdir().expect("a directory");
    let broker = open(&dir).await;
    let client = Client::consumer(&broker).await;
    client.start_group().await;
    broker.shutdown().await.expect("stopped");
    let broker = open(&dir).await;
    let client = Client::consumer(&broker).await;
    client.send_bodies(["1".to_owned()]).await;
    drop(broker);
    let broker = open(&dir).await;
    let client = Client::consumer(&broker).await;
    assert_eq!(bodies(&client.receive(32, LONG).await), ["1"]);
}

#[tokio::test]
async fn a_directory_is_locked_by_one_broker() {
    let dir = tempdir().expect("a directory");
    let _broker = open(&dir).await;
    assert!(matches!(Broker::open(config(&dir)).await, Err(BrokerError::Locked { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_when_the_broker_dies_under_load() {
    for flush in [Flush::OsCache, Flush::Sync] {
        let dir = tempdir().expect("a directory");
        let mut settings = config(&dir);
        settings.flush = flush;
        let broker = Broker::open(settings).await.expect("the broker opens");
        let client = Client::consumer(&broker).await;
        client.start_group().await;
        let stop = Arc::new(AtomicBool::new(false));
        let mut senders = JoinSet::new();
        for sender in 0..16 {
            let (client, stop) = (client.clone(), stop.clone());
            senders.spawn(async move {
                let mut stored = Vec::new();
                for number in 0.. {
                    let body = format!("{sender}-{number}");
                    match client.try_send(vec![message(&body, body.clone())]).await {
                        Ok(response) if code(response.status.clone()) == Code::OK => stored.push(body),
                        // Refused, or the connection broke: nothing was promised.
                        Ok(_) | Err(_) => break,
                    }
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                }
                stored
            });
        }
        // Some are acked on the way, the rest must be there afterwards.
        let mut acked = BTreeSet::new();
        for _ in 0..20 {
            let messages = client.receive(32, LONG).await;
            client.ack_all(&messages).await;
            acked.extend(bodies(&messages));
        }
        broker.abort().await.expect("stopped");
        stop.store(true, Ordering::Relaxed);
        let stored: BTreeSet<String> = senders.join_all().await.into_iter().flatten().collect();
        assert!(stored.len() > acked.len(), "the load went on to the end");

        let broker = open(&dir).await;
        let client = Client::consumer(&broker).await;
        let mut found = BTreeSet::new();
        loop {
            let messages = client.receive(32, LONG).await;
            if messages.is_empty() {
                break;
            }
            client.ack_all(&messages).await;
            found.extend(bodies(&messages));
        }
        let lost: Vec<_> =
            stored.iter().filter(|body| !acked.contains(*body) && !found.contains(*body)).collect();
        assert!(lost.is_empty(), "{} of {} lost, e.g. {:?}", lost.len(), stored.len(), lost.first());
        assert!(found.is_disjoint(&acked), "an acked message was redelivered");
    }
}

#[tokio::test]
async fn a_full_store_throttles_until_it_is_drained() {
    let dir = tempdir().expect("a directory");
    let mut settings = config(&dir);
    settings.bytes_max = 1 << 20;
    let broker = Broker::open(settings).await.expect("the broker opens");
    let client = Client::consumer(&broker).await;
    client.start_group().await;
    let body = "x".repeat(8 << 10);
    let fill = async || {
        let mut count = 0;
        loop {
            match code(client.send(vec![message("id", body.clone())]).await.status) {
                Code::OK => count += 1,
                Code::TOO_MANY_REQUESTS => return count,
                other => panic!("{other}"),
            }
        }
    };
    let first = fill().await;
    assert!((100..=128).contains(&first), "{first}");
    let mut drained = 0;
    while drained < first {
        let messages = client.receive(32, LONG).await;
        client.ack_all(&messages).await;
        drained += messages.len();
    }
    let second = fill().await;
    assert!(second > first / 2, "{second} after {first}");
    assert!(broker.stats().await.expect("open").log_bytes <= (1 << 20) + (64 << 10));
}

#[tokio::test]
async fn a_few_unsettled_messages_do_not_retain_the_whole_log() {
    let dir = tempdir().expect("a directory");
    let mut settings = config(&dir);
    settings.bytes_max = 1 << 20;
    let broker = Broker::open(settings.clone()).await.expect("the broker opens");
    let client = Client::consumer(&broker).await;
    client.start_group().await;
    let padding = "x".repeat(4 << 10);
    let mut held = Vec::new();
    // Five times the budget goes through; one message in sixteen stays.
    for round in 0..80 {
        client.send_bodies((0..16).map(|number| format!("{round}-{number}-{padding}"))).await;
        let mut messages = Vec::new();
        while messages.len() < 16 {
            messages.extend(client.receive(16, Duration::from_secs(600)).await);
        }
        held.extend(bodies(&messages[..1]));
        client.ack_all(&messages[1..]).await;
    }
    let stats = broker.stats().await.expect("open");
    assert!(stats.log_bytes <= 1 << 20, "{} bytes in {} segments", stats.log_bytes, stats.segments);
    drop(broker);

    let broker = Broker::open(settings).await.expect("the broker opens");
    let client = Client::consumer(&broker).await;
    assert_eq!(broker.faults().redeliver().await.expect("open"), held.len());
    let mut found = Vec::new();
    while found.len() < held.len() {
        found.extend(bodies(&client.receive(32, LONG).await));
    }
    held.sort();
    found.sort();
    assert_eq!(found, held);
}

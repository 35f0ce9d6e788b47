//! A pool behind a long path to the database: each packet to it is delayed.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use drain_worker::adaptive_limit::AdaptiveLimit;
use drain_worker::control::{GroupSettings, Rate};
use drain_worker::pool::{Member, PoolConfig, WorkerSignals};
use drain_worker::rate::{Grant, RateGate};
use drain_worker::store::{Fence, OrderStore, Store, StoreConfig, StoreError, measure_lock_wait};
use drain_worker::tune::orders::{Orders, catalogue};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::harness::{Harness, address, on_mysql};

const CAP: u32 = 2_000;
const WORKERS: usize = 2;
const WRITERS: usize = 4;
const BATCH: u32 = 200;
const SKUS: u32 = 64;

/// Time in which the pool joins, and finds out that lower rates do not help.
const WARM_UP: Duration = Duration::from_secs(60);
const MEASURED: Duration = Duration::from_secs(30);

/// Listens before `database`, and delays what clients send.
async fn delay(database: String, by: Duration) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let place = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let Ok(server) = TcpStream::connect(&database).await else { continue };
            client.set_nodelay(true).expect("set");
            server.set_nodelay(true).expect("set");
            let (mut from_client, mut to_client) = client.into_split();
            let (mut from_server, mut to_server) = server.into_split();
            let (sender, mut packets) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
            tokio::spawn(async move {
                let mut buffer = vec![0; 1 << 16];
                while let Ok(length @ 1..) = from_client.read(&mut buffer).await {
                    let _sent = sender.send((Instant::now() + by, buffer[..length].to_vec()));
                }
            });
            tokio::spawn(async move {
                while let Some((at, packet)) = packets.recv().await {
                    sleep_until(at).await;
                    if to_server.write_all(&packet).await.is_err() {
                        return;
                    }
                }
            });
            tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
        }
    });
    place
}

/// The SKUs of the writers' orders.
#[derive(Clone, Copy, Debug)]
enum Skus {
    /// Every full batch locks all of them, so the writers also wait for each other, the longer the longer the path is.
    Shared,
    /// Each writer has its own.
    Apart,
}

/// Writers of one worker that commit batches of new orders; `gate`: as it grants them, else full ones.
fn write(
    worker: usize,
    store: &Arc<Store>,
    skus: Skus,
    gate: Option<&RateGate>,
    signals: &WorkerSignals,
    done: &Arc<AtomicU64>,
) -> Vec<tokio::task::JoinHandle<()>> {
    (0..WRITERS)
        .map(|writer| {
            let (store, gate, signals, done) = (store.clone(), gate.cloned(), signals.clone(), done.clone());
            tokio::spawn(async move {
                let source = Orders::over(SKUS * (WORKERS * WRITERS) as u32).expect("valid");
                let first = match skus {
                    Skus::Shared => 0,
                    Skus::Apart => u64::from(SKUS) * (worker * WRITERS + writer) as u64,
                };
                // The source has as many times the SKUs as there are writers, one after the other.
                let number = |order: u64| {
                    let (round, sku) = (order / u64::from(SKUS), order % u64::from(SKUS));
                    round * u64::from(SKUS) * (WORKERS * WRITERS) as u64 + first + sku
                };
                let mut next = 0;
                loop {
                    let grant = match &gate {
                        Some(gate) => Some(gate.acquire(NonZeroU32::new(BATCH).expect("not 0")).await),
                        None => None,
                    };
                    let (orders, fence) = grant
                        .as_ref()
                        .map_or((BATCH, Fence::Open), |grant| (grant.orders().get(), grant.fence()));
                    let batch: Vec<_> = (next..next + u64::from(orders))
                        .map(|order| source.make(number(order)).expect("valid"))
                        .collect();
                    let began = Instant::now();
                    let (answer, lock_wait) = measure_lock_wait(store.commit(fence, &batch)).await;
                    match answer {
                        Ok(results) => {
                            signals.stats.record_commit(began.elapsed(), lock_wait);
                            done.fetch_add(results.len() as u64, Ordering::SeqCst);
                            next += results.len() as u64;
                            grant.into_iter().for_each(Grant::complete);
                        }
                        // Another writer kept a SKU's lock for too long.
                        Err(StoreError::Locked { .. }) => grant.into_iter().for_each(Grant::release),
                        Err(error) => {
                            println!("{error}");
                            signals.stats.record_failure();
                            grant.into_iter().for_each(Grant::complete);
                            sleep(Duration::from_millis(100)).await;
                        }
                    }
                }
            })
        })
        .collect()
}

/// `SPILLWAY_LONG_PATH_MS` is one delay; without it all are measured.
fn delays() -> Vec<u64> {
    match std::env::var("SPILLWAY_LONG_PATH_MS") {
        Ok(delay) => vec![delay.parse().expect("a number")],
        Err(_unset) => vec![5, 50, 100, 300],
    }
}

/// Prints the rate of a pool of two workers, and checks that no lease lapses.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement of a quarter of an hour"]
async fn a_pool_behind_a_long_path_uses_what_the_path_allows() {
    on_mysql(async |harness| {
        let all = SKUS * (WORKERS * WRITERS) as u32;
        harness.store.apply_catalogue(&catalogue(all, None).expect("valid")).await.expect("applies");
        for delay_ms in delays() {
            for skus in [Skus::Apart, Skus::Shared] {
                measure(harness, delay_ms, skus).await;
            }
        }
    })
    .await;
}

async fn measure(harness: &Harness, delay_ms: u64, skus: Skus) {
    let text = harness.url.expose();
    let (account, place) = text.rsplit_once('@').expect("an account");
    let (server, name) = place.split_once('/').expect("a database");
    let relay = delay(server.to_owned(), Duration::from_millis(delay_ms)).await;
    let url = address(&format!("{account}@{relay}/{name}?ssl-mode=disabled"));
    let mut stores = Vec::new();
    for _ in 0..WORKERS {
        let store = Store::connect(&url, StoreConfig::default()).await.expect("a valid address");
        stores.push(Arc::new(store));
    }
    let done = Arc::new(AtomicU64::new(0));
    let rate = async || {
        let before = done.load(Ordering::SeqCst);
        sleep(MEASURED).await;
        (done.load(Ordering::SeqCst) - before) as f64 / MEASURED.as_secs_f64()
    };
    let fixed_signals = WorkerSignals::default();
    let all = stores.iter().enumerate();
    let writers: Vec<_> =
        all.flat_map(|(worker, store)| write(worker, store, skus, None, &fixed_signals, &done)).collect();
    // Connections and statements first.
    sleep(WARM_UP / 4).await;
    let fixed = rate().await;
    let commit_s = f64::from(BATCH) * (WORKERS * WRITERS) as f64 / fixed;
    writers.iter().for_each(tokio::task::JoinHandle::abort);
    sleep(Duration::from_secs(5)).await;

    let (leave, mut members, mut snapshots, mut writers) =
        (CancellationToken::new(), Vec::new(), Vec::new(), Vec::new());
    for (number, store) in stores.iter().enumerate() {
        let (gate, signals) = (RateGate::closed(), WorkerSignals::default());
        let config = PoolConfig {
            group: format!("drain-{delay_ms}-{skus:?}"),
            worker: format!("host:{number}"),
            seed: GroupSettings::new(Rate::new(CAP).expect("within bounds")),
            lease: Duration::from_secs(3),
            heartbeat_interval: Duration::from_millis(500),
            heartbeat_interval_fast: Duration::from_millis(30),
        };
        let limit = AdaptiveLimit::new(Some(Duration::from_millis(250)));
        let member = Member::new(store.clone(), config, gate.clone(), signals.clone(), limit);
        snapshots.push(member.snapshot());
        members.push(tokio::spawn(member.run(leave.clone())));
        writers.extend(write(number, store, skus, Some(&gate), &signals, &done));
    }
    sleep(WARM_UP).await;
    let leases =
        || -> Vec<_> { snapshots.iter().map(|seen| seen.borrow().as_ref().map(|seen| seen.lease)).collect() };
    let joined = leases();
    let reached = rate().await;
    let lapsed = leases() != joined;
    writers.iter().for_each(tokio::task::JoinHandle::abort);
    leave.cancel();
    let possible = fixed.min(f64::from(CAP) / (1.0 + commit_s));
    println!(
        "+{delay_ms} ms, SKUs {skus:?}: fixed full batches {fixed:.0}/s, commits of {commit_s:.2} s, possible \
         {possible:.0}/s, the pool {reached:.0}/s, {:.2}; a lease lapsed: {lapsed}",
        reached / possible
    );
    assert!(!lapsed, "+{delay_ms} ms");
    for member in members {
        let _left = tokio::time::timeout(Duration::from_secs(10), member).await;
    }
}

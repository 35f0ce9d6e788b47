//! A pool behind a long path to the database: each packet to it is delayed.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use drain_worker::adaptive_limit::AdaptiveLimit;
use drain_worker::control::{GroupSettings, Rate};
use drain_worker::pool::{Member, PoolConfig, WorkerSignals};
use drain_worker::rate::RateGate;
use drain_worker::store::{Fence, OrderStore, Store, StoreConfig};
use drain_worker::tune::orders::{Orders, catalogue};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::harness::{address, on_mysql};

const CAP: u32 = 2_000;
const WORKERS: usize = 2;
const WRITERS: usize = 4;
const BATCH: u32 = 200;
const SKUS: u32 = 64;

/// Time in which the pool joins, and finds out that lower rates do not help.
const WARM_UP: Duration = Duration::from_secs(20);
const MEASURED: Duration = Duration::from_secs(15);

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

/// Writers of one worker that commit batches of new orders; `gate`: as it grants them, else full ones.
fn write(
    store: &Arc<Store>,
    gate: Option<&RateGate>,
    signals: &WorkerSignals,
    done: &Arc<AtomicU64>,
) -> Vec<tokio::task::JoinHandle<()>> {
    (0..WRITERS)
        .map(|_| {
            let (store, gate, signals, done) = (store.clone(), gate.cloned(), signals.clone(), done.clone());
            tokio::spawn(async move {
                let source = Orders::over(SKUS).expect("valid");
                let mut next = 0;
                loop {
                    let grant = match &gate {
                        Some(gate) => Some(gate.acquire(NonZeroU32::new(BATCH).expect("not 0")).await),
                        None => None,
                    };
                    let (orders, fence) = grant
                        .as_ref()
                        .map_or((BATCH, Fence::Open), |grant| (grant.orders().get(), grant.fence()));
                    let batch = source.batch(next..next + u64::from(orders)).expect("valid");
                    next += u64::from(orders);
                    let began = Instant::now();
                    // Another writer may keep a SKU's lock for too long.
                    while store.commit(fence, &batch).await.is_err() {
                        signals.stats.record_failure();
                        sleep(Duration::from_millis(100)).await;
                    }
                    signals.stats.record_commit(began.elapsed());
                    done.fetch_add(u64::from(orders), Ordering::SeqCst);
                    if let Some(grant) = grant {
                        grant.complete();
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

/// Prints the rate of a pool of two workers, and checks that no lease lapses. Every batch locks all SKUs, so the writers
/// also wait for each other, the longer the longer the path is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement of some minutes"]
async fn a_pool_behind_a_long_path_uses_what_the_path_allows() {
    on_mysql(async |harness| {
        harness.store.apply_catalogue(&catalogue(SKUS, None).expect("valid")).await.expect("applies");
        let text = harness.url.expose();
        let (account, place) = text.rsplit_once('@').expect("an account");
        let (server, name) = place.split_once('/').expect("a database");
        for delay_ms in delays() {
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
            let writers: Vec<_> =
                stores.iter().flat_map(|store| write(store, None, &fixed_signals, &done)).collect();
            // Connections and statements first.
            sleep(WARM_UP / 2).await;
            let fixed = rate().await;
            let commit_s = f64::from(BATCH) * (WORKERS * WRITERS) as f64 / fixed;
            writers.iter().for_each(tokio::task::JoinHandle::abort);
            sleep(Duration::from_secs(5)).await;

            let (leave, mut members, mut snapshots, mut writers) =
                (CancellationToken::new(), Vec::new(), Vec::new(), Vec::new());
            for (number, store) in stores.iter().enumerate() {
                let (gate, signals) = (RateGate::closed(), WorkerSignals::default());
                let config = PoolConfig {
                    group: format!("drain-{delay_ms}"),
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
                writers.extend(write(store, Some(&gate), &signals, &done));
            }
            sleep(WARM_UP).await;
            let leases = || -> Vec<_> {
                snapshots.iter().map(|seen| seen.borrow().as_ref().map(|seen| seen.lease)).collect()
            };
            let joined = leases();
            let reached = rate().await;
            let lapsed = leases() != joined;
            writers.iter().for_each(tokio::task::JoinHandle::abort);
            leave.cancel();
            let possible = fixed.min(f64::from(CAP) / (1.0 + commit_s));
            println!(
                "+{delay_ms} ms: fixed full batches {fixed:.0}/s, commits of {commit_s:.2} s, possible {possible:.0}/s, \
                 the pool {reached:.0}/s, {:.0} %; a lease lapsed: {lapsed}",
                reached / possible * 100.0
            );
            assert!(!lapsed, "+{delay_ms} ms");
            for member in members {
                let _left = tokio::time::timeout(Duration::from_secs(10), member).await;
            }
        }
    })
    .await;
}

//! The adaptive limit over real gates, in simulated time, against models of a database.

#![allow(clippy::expect_used, reason = "tests use expect with the expectation")]

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use drain_worker::adaptive_limit::{AdaptiveLimit, PoolLoad};
use drain_worker::control::RATE_MAX;
use drain_worker::pipeline::WriterStats;
use drain_worker::rate::RateGate;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

const CAP: u32 = 2_000;
const WORKERS: u32 = 2;
const WRITERS: u32 = 4;
const BATCH: u32 = 200;
const SLOW: Duration = Duration::from_millis(250);

/// The part of the path's time from the lock on stock on: the last two of five round trips.
const LOCKED_PART: f64 = 0.4;

/// A commit takes the path's time, and the time in the server's one queue; orders for one SKU wait for each other.
struct Model {
    begin: Instant,
    /// The path's time from each second on.
    path: Vec<(u64, Duration)>,
    /// Orders a second.
    capacity: u32,
    free_at: Mutex<Instant>,
    /// When the lock of each SKU is free; one order after the other is for the next SKU. Empty: SKUs without end.
    skus: Mutex<Vec<Instant>>,
    /// When each commit was answered, its orders and its latency.
    commits: Mutex<Vec<(Instant, u32, Duration)>>,
}

impl Model {
    /// Commits `orders` from this number on. Returns the time that it took, and how much of it was a wait for locks.
    async fn commit(&self, number: usize, orders: u32) -> (Duration, Duration) {
        let began = Instant::now();
        let second = (began - self.begin).as_secs();
        let path = self.path.iter().rev().find(|(from, _)| *from <= second).expect("from the start").1;
        sleep(path.mul_f64(1.0 - LOCKED_PART)).await;
        let (done_at, lock_wait) = {
            let mut free_at = self.free_at.lock().expect("not poisoned");
            *free_at = (*free_at).max(Instant::now())
                + Duration::from_secs_f64(f64::from(orders) / f64::from(self.capacity));
            let mut skus = self.skus.lock().expect("not poisoned");
            let count = skus.len();
            let mine: Vec<_> =
                (number..number + (orders as usize).min(count)).map(|order| order % count).collect();
            let locked_at = mine.iter().map(|&sku| skus[sku]).max().unwrap_or(*free_at).max(*free_at);
            let done_at = locked_at + path.mul_f64(LOCKED_PART);
            mine.into_iter().for_each(|sku| skus[sku] = done_at);
            (done_at, locked_at - *free_at)
        };
        sleep_until(done_at).await;
        let took = began.elapsed();
        self.commits.lock().expect("not poisoned").push((Instant::now(), orders, took));
        (took, lock_wait)
    }

    /// Orders a second from one second to another.
    fn rate(&self, from: u64, to: u64) -> f64 {
        let commits = self.commits.lock().expect("not poisoned");
        let within = |at: Instant| (from..to).contains(&(at - self.begin).as_secs());
        let orders: u32 = commits.iter().filter(|(at, ..)| within(*at)).map(|(_, orders, _)| orders).sum();
        f64::from(orders) / (to - from) as f64
    }

    /// The longest run of seconds with a commit slower than `bound`.
    fn slow_seconds(&self, bound: Duration, seconds: u64) -> u64 {
        let commits = self.commits.lock().expect("not poisoned");
        let is_slow = |second: u64| {
            commits.iter().any(|(at, _, took)| (*at - self.begin).as_secs() == second && *took > bound)
        };
        let (mut longest, mut now) = (0, 0);
        for second in 0..seconds {
            now = if is_slow(second) { now + 1 } else { 0 };
            longest = longest.max(now);
        }
        longest
    }
}

/// The properties of a model's database.
struct Server {
    path: Vec<(u64, Duration)>,
    capacity: u32,
    skus: usize,
}

impl Server {
    fn at(path: Duration) -> Self {
        Self { path: vec![(0, path)], capacity: 1_000_000, skus: 0 }
    }
}

/// Drains for `seconds`: as fast as the limits allow, or without any (`is_fixed`).
async fn drain(server: Server, is_fixed: bool, seconds: u64) -> Arc<Model> {
    let begin = Instant::now();
    let model = Arc::new(Model {
        begin,
        path: server.path,
        capacity: server.capacity,
        free_at: Mutex::new(begin),
        skus: Mutex::new(vec![begin; server.skus]),
        commits: Mutex::default(),
    });
    let mut tasks = JoinSet::new();
    for _ in 0..WORKERS {
        let (gate, stats) = (RateGate::standalone(NonZeroU32::MIN), WriterStats::default());
        gate.set_credits(if is_fixed { RATE_MAX } else { CAP / WORKERS });
        for _ in 0..WRITERS {
            let (gate, stats, model) = (gate.clone(), stats.clone(), model.clone());
            tasks.spawn(async move {
                let mut number = rand::random_range(0..1_000_000);
                loop {
                    let grant = gate.acquire(BATCH.try_into().expect("not 0")).await;
                    let orders = grant.orders().get();
                    let (took, lock_wait) = model.commit(number, orders).await;
                    stats.record_commit(took, lock_wait);
                    number += orders as usize;
                    grant.complete();
                }
            });
        }
        if is_fixed {
            continue;
        }
        tasks.spawn(async move {
            let mut adaptive = AdaptiveLimit::new(Some(SLOW));
            loop {
                sleep(Duration::from_millis(500)).await;
                let used = gate.take_usage().outstanding_peak;
                let load = PoolLoad { cap: CAP, workers: WORKERS, used };
                adaptive.observe(&stats.take_delta(), load, Instant::now());
                gate.set_credits((CAP / WORKERS).min(adaptive.limit()));
            }
        });
    }
    sleep(Duration::from_secs(seconds)).await;
    model
}

/// The rate of fixed full batches, or the cap's if each credit is out for a commit and a second.
fn reachable(commit: Duration) -> f64 {
    let fixed = f64::from(WORKERS * WRITERS * BATCH) / commit.as_secs_f64();
    fixed.min(f64::from(CAP) / (1.0 + commit.as_secs_f64()))
}

#[tokio::test(start_paused = true)]
async fn a_long_path_costs_little_of_what_it_allows() {
    for commit_ms in [35, 350, 700, 2_100] {
        let commit = Duration::from_millis(commit_ms);
        let model = drain(Server::at(commit), false, 120).await;
        let (reached, reachable) = (model.rate(0, 120), reachable(commit));
        println!("commits of {commit_ms} ms: {reached:.0}/s of {reachable:.0}/s");
        assert!(reached >= 0.8 * reachable, "{commit_ms} ms: {reached} of {reachable}");
    }
}

/// Every full batch locks all SKUs, so the writers wait for each other, the longer the longer the path is; smaller ones
/// wait less, and commit less.
#[tokio::test(start_paused = true)]
async fn commits_that_wait_for_each_other_keep_their_rate() {
    for path_ms in [25, 250, 500, 1_500] {
        let server = || Server { skus: 64, ..Server::at(Duration::from_millis(path_ms)) };
        let fixed = drain(server(), true, 60).await.rate(20, 60);
        let reachable = fixed.min(f64::from(CAP) / (1.0 + f64::from(WORKERS * WRITERS * BATCH) / fixed));
        let reached = drain(server(), false, 240).await.rate(30, 240);
        println!("a path of {path_ms} ms: {reached:.0}/s of {reachable:.0}/s, fixed {fixed:.0}/s");
        assert!(reached >= 0.8 * reachable, "{path_ms} ms: {reached} of {reachable}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_saturated_database_is_back_under_the_threshold_within_ten_seconds() {
    for capacity in [150, 300, 800] {
        let model = drain(Server { capacity, ..Server::at(Duration::from_millis(10)) }, false, 120).await;
        let slow = model.slow_seconds(SLOW * 3 / 2, 120);
        let reached = model.rate(20, 120);
        println!("{capacity}/s possible: {slow} s slow at most, {reached:.0}/s");
        assert!(slow <= 10, "{capacity}/s: slow for {slow} s");
        assert!(reached >= 0.5 * f64::from(capacity), "{capacity}/s: {reached}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_path_that_slows_and_recovers_is_followed() {
    let (quick, long) = (Duration::from_millis(10), Duration::from_millis(2_100));
    let model =
        drain(Server { path: vec![(0, quick), (20, long), (100, quick)], ..Server::at(quick) }, false, 120)
            .await;
    assert!(model.rate(5, 20) >= 0.9 * reachable(quick), "{}", model.rate(5, 20));
    assert!(model.rate(20, 100) >= 0.8 * reachable(long), "{}", model.rate(20, 100));
    assert!(model.rate(108, 120) >= 0.9 * reachable(quick), "{}", model.rate(108, 120));
}

/// On a long path the database saturates as well.
#[tokio::test(start_paused = true)]
async fn saturation_shows_behind_a_long_path() {
    let path = Duration::from_millis(400);
    let model = drain(Server { capacity: 250, ..Server::at(path) }, false, 120).await;
    let slow = model.slow_seconds(path * 3, 120);
    assert!(slow <= 15, "slow for {slow} s");
}

//! Throughput: `cargo test -p spillway-broker --release --test it -- --ignored
//! --nocapture throughput`

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use spillway_broker::{Broker, Flush};
use spillway_rocketmq::protocol::{
    Code, NotifyClientTerminationRequest, NotifyClientTerminationResponse, path,
};
use tempfile::tempdir;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::support::*;

const CALLERS: usize = 64;
const TIME: Duration = Duration::from_secs(4);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "prints figures, proves nothing"]
async fn throughput() {
    for (flush, body_bytes, per_call) in [
        (Flush::OsCache, 300, 1),
        (Flush::OsCache, 4096, 1),
        (Flush::OsCache, 300, 32),
        (Flush::Sync, 300, 1),
        (Flush::Sync, 4096, 1),
    ] {
        let dir = tempdir().expect("a directory");
        let mut settings = config(&dir);
        settings.flush = flush;
        settings.bytes_max = 8 << 30;
        let broker = Broker::open(settings).await.expect("the broker opens");
        let client = Client::consumer(&broker).await;
        client.start_group().await;
        let floor = repeat(&client, nothing).await;
        let body = "x".repeat(body_bytes);
        let sent = repeat(&client, move |client| {
            let messages = (0..per_call).map(|_| message("0123456789abcdef", body.clone())).collect();
            async move { assert_eq!(code(client.send(messages).await.status), Code::OK) }
        })
        .await;
        client.send_settings().await;
        let drained = drain(&client).await;
        println!(
            "{flush:?}, {body_bytes} bytes, {per_call} a call: {sent}; a call that does nothing: {floor}; \
             {:.0} messages/s in, {drained:.0} messages/s out",
            sent.calls_per_s * f64::from(u32::try_from(per_call).expect("small")),
        );
        broker.shutdown().await.expect("stopped");
    }
}

/// Calls a second, and CPU time of client and broker together, which a busy machine does not change.
struct Pace {
    calls_per_s: f64,
    cpu_us: f64,
}

impl fmt::Display for Pace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:.0} calls/s, {:.1} us of CPU each", self.calls_per_s, self.cpu_us)
    }
}

/// CPU time of this process so far, user and system; zero without `/proc`.
fn cpu_us() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The command, in parentheses, may hold spaces; user and system time are fields 14 and 15, in hundredths.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() * 10_000.0
}

/// The cost of gRPC alone: a call that neither reads nor writes.
async fn nothing(client: Client) {
    let request = NotifyClientTerminationRequest { group: None };
    let _answer: NotifyClientTerminationResponse =
        client.unary(path::NOTIFY_CLIENT_TERMINATION, request).await.expect("an answer");
}

/// Calls a second, by callers that wait for each response.
async fn repeat<F>(client: &Client, call: impl Fn(Client) -> F + Clone + Send + 'static) -> Pace
where
    F: Future<Output = ()> + Send + 'static,
{
    let (began, cpu_before_us) = (Instant::now(), cpu_us());
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let (client, call) = (client.clone(), call.clone());
        callers.spawn(async move {
            let mut calls = 0_u32;
            while began.elapsed() < TIME {
                call(client.clone()).await;
                calls += 1;
            }
            calls
        });
    }
    let calls: u32 = callers.join_all().await.into_iter().sum();
    let calls = f64::from(calls);
    Pace { calls_per_s: calls / began.elapsed().as_secs_f64(), cpu_us: (cpu_us() - cpu_before_us) / calls }
}

/// Eight consumers, 32 messages a receive, one ack for each receive.
async fn drain(client: &Client) -> f64 {
    let drained = Arc::new(AtomicU64::new(0));
    let began = Instant::now();
    let mut consumers = JoinSet::new();
    for _ in 0..8 {
        let (client, drained) = (client.clone(), drained.clone());
        consumers.spawn(async move {
            while began.elapsed() < TIME {
                let messages = client.receive(32, LONG).await;
                if messages.is_empty() {
                    return;
                }
                client.ack_all(&messages).await;
                drained.fetch_add(messages.len() as u64, Ordering::Relaxed);
            }
        });
    }
    while consumers.join_next().await.is_some() {}
    let drained = u32::try_from(drained.load(Ordering::Relaxed)).expect("small");
    f64::from(drained) / began.elapsed().as_secs_f64()
}

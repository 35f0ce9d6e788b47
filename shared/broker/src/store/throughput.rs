//! Throughput of the store without gRPC: `cargo test -p spillway-broker --release
//! --lib -- --ignored --nocapture store_throughput`

use std::time::Duration;

use bytes::Bytes;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{NewMessages, Placement, StopSignals, TagFilter};
use crate::{BrokerConfig, TopicConfig};

const TIME: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "prints figures, proves nothing"]
async fn store_throughput() {
    for (callers, body_bytes) in [(1, 300), (64, 300), (64, 4096), (512, 300)] {
        let dir = tempfile::tempdir().expect("a directory");
        let mut config = BrokerConfig::at(dir.path());
        config.bytes_max = 8 << 30;
        let stop_signals = StopSignals { drain: CancellationToken::new(), kill: CancellationToken::new() };
        let (store, worker) = super::open(&config, stop_signals.clone()).await.expect("the store opens");
        store.create_topic(TopicConfig::new("orders", 8)).await.expect("legal");
        store.create_group("drain".to_owned()).await.expect("legal");
        let hidden = Duration::from_secs(30);
        let nothing = store
            .receive("orders".to_owned(), "drain".to_owned(), TagFilter::All, 32, hidden, Instant::now())
            .await;
        assert!(nothing.expect("known").is_empty());
        let began = Instant::now();
        let mut tasks = JoinSet::new();
        for _ in 0..callers {
            let store = store.clone();
            tasks.spawn(async move {
                let mut sent = 0_u32;
                while began.elapsed() < TIME {
                    let raw = Bytes::from(vec![b'x'; body_bytes]);
                    let messages = NewMessages {
                        topic: "orders".to_owned(),
                        messages: vec![raw],
                        placement: Placement::Anywhere,
                    };
                    store.send(messages).await.expect("stored");
                    sent += 1;
                }
                sent
            });
        }
        let sent: u32 = tasks.join_all().await.into_iter().sum();
        println!(
            "{callers} callers, {body_bytes} bytes: {:.0} sends/s",
            f64::from(sent) / began.elapsed().as_secs_f64()
        );
        stop_signals.drain.cancel();
        worker.await.expect("no panic");
    }
}

//! The dead-letter queue of the real broker.

use std::time::Duration;

use drain_worker::dead_letters::broker_dlq::BrokerDlqConfig;
use shared::envelope::{EncodedOrder, encode_batch};
use shared::rocketmq::ClientConfig;
use shared::rocketmq::{Credentials, DefaultContext, FutureProducer, FutureRecord, ProducerConfig};
use shared::testkit::PATIENCE;
use tokio::process::Command;

use crate::dead_letters::{TakingOver, crash_once, receive_and_crash};
use crate::harness::{WorkerFixture, orders};

/// Apache's broker moves a message to the dead-letter queue at the first receive after its last invisible duration,
/// at least 10 s, and serves the new topic's route some seconds later.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_broker_dead_letters_are_stored() {
    let variable = |name: &str| std::env::var(name).ok();
    let (Some(endpoint), Some(stack)) =
        (variable("SPILLWAY_TEST_ROCKETMQ_ENDPOINT"), variable("SPILLWAY_TEST_STACK"))
    else {
        println!("skipped: SPILLWAY_TEST_ROCKETMQ_ENDPOINT or SPILLWAY_TEST_STACK is not set");
        return;
    };
    let mut client = ClientConfig::new(endpoint.parse().expect("an endpoint"));
    client.credentials = variable("SPILLWAY_TEST_ROCKETMQ_ACCESS_KEY")
        .zip(variable("SPILLWAY_TEST_ROCKETMQ_SECRET_KEY"))
        .map(|(access_key, secret_key)| Credentials { access_key, secret_key, session_token: None }.into());
    let (topic, group) =
        (format!("dead_{:08x}", rand::random::<u32>()), format!("g_{:08x}", rand::random::<u32>()));
    let call = async |arguments: &[&str]| {
        let output = Command::new(&stack).args(arguments).output().await.expect("the stack's script runs");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    let taker = BrokerDlqConfig::for_group(&group).group;
    call(&["topic", &topic, "--queues", "1", "--group", &taker]).await;
    call(&["group", &group, "--max-retries", "0"]).await;

    // Only the fixture's database is used.
    let fixture = WorkerFixture::new().await;
    let taking_over = TakingOver::start(fixture.store.clone(), client.clone(), &group);
    let crashing = receive_and_crash(&client, &group, &topic, Duration::from_secs(10)).await;
    crashing.initialize_offsets().await.expect("subscribed");
    let producer =
        FutureProducer::new(client, ProducerConfig::default(), DefaultContext).expect("a producer");
    let orders = orders(0..5, "PLENTY");
    let encoded: Vec<_> = orders.iter().map(EncodedOrder::new).collect();
    for body in [encode_batch(encoded.iter()).to_vec(), b"not an envelope".to_vec()] {
        producer.send(FutureRecord::to(topic.as_str()).payload(body), PATIENCE).await.expect("published");
    }
    let deadline = tokio::time::Instant::now() + 4 * PATIENCE;
    while fixture.counts().await.dead_letters_total() < 6 {
        assert!(tokio::time::Instant::now() < deadline, "not stored in time: {:?}", fixture.counts().await);
        crash_once(&crashing).await;
    }
    let letters = fixture.letters().await;
    assert_eq!(letters.iter().filter(|letter| letter.head.order_id.is_some()).count(), 5);
    assert!(letters.iter().all(|letter| letter.head.reason == "attempts_exhausted"), "{letters:?}");
    taking_over.stop().await;
}

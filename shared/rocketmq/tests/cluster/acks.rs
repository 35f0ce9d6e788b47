//! Acks and extensions while a broker fails.

use std::time::Duration;

use futures_util::future::join_all;
use spillway_broker::Call;
use spillway_rocketmq::protocol::Code;
use spillway_rocketmq::{Message, SettleError};
use tokio::time::{Instant, sleep, timeout};

use crate::fixture::{ClusterFixture, EACH_ACCESS, receive, until};

#[tokio::test]
async fn each_entry_of_a_mixed_ack_answer_has_its_own_result() {
    let fixture = ClusterFixture::start_with(|config| config.masters = 1).await;
    let consumer = fixture.consumer().await;
    let scripts = [
        [Code::INTERNAL_SERVER_ERROR, Code::OK, Code::INVALID_RECEIPT_HANDLE],
        [Code::INVALID_RECEIPT_HANDLE, Code::OK, Code::INTERNAL_SERVER_ERROR],
    ];
    for script in scripts {
        fixture.send(script.len()).await;
        let messages = receive(&consumer, script.len()).await;
        fixture.cluster.faults(0).answer_ack_entries(script);
        // Queued at once, so that they share a call.
        let results = join_all(messages.into_iter().map(Message::ack)).await;
        for (code, result) in script.into_iter().zip(&results) {
            let as_expected = match code {
                // A dead receipt is reported; the others are acked, one at the second attempt.
                Code::INVALID_RECEIPT_HANDLE => matches!(result, Err(SettleError::Expired(_))),
                _ => result.is_ok(),
            };
            assert!(as_expected, "{script:?}: {results:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_acks_of_a_broker_do_not_wait_for_another_that_fails() {
    for access in EACH_ACCESS {
        for hangs in [false, true] {
            let fixture = ClusterFixture::start_with(|config| config.access = access).await;
            let consumer = fixture.consumer().await;
            let (failing, mut healthy) = fixture.send_and_receive(&consumer, 24).await;
            let faults = fixture.cluster.faults(0);
            if hangs {
                faults.stall_call(Call::Ack);
            } else {
                faults.reject(Call::Ack, Some(Code::INTERNAL_SERVER_ERROR));
            }
            let mut acks = Vec::new();
            for message in failing {
                let calls = faults.calls(Call::Ack);
                acks.push(tokio::spawn(message.ack()));
                // One call each, as long as the client makes any.
                let called = until("the next call", || faults.calls(Call::Ack) > calls);
                let _all_places_taken = timeout(Duration::from_millis(100), called).await;
            }
            let message = healthy.pop().expect("at least 24");
            let acked = timeout(Duration::from_secs(1), message.ack()).await;
            acked.unwrap_or_else(|_| panic!("{access:?}, hangs {hangs}: late")).expect("acked");
            faults.reject(Call::Ack, None);
            faults.resume();
            for ack in acks {
                ack.await.expect("no panic").expect("acked in the end");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_extensions_of_a_broker_do_not_wait_for_another_that_hangs() {
    let mut fixture = ClusterFixture::start().await;
    fixture.client.request_timeout = Duration::from_secs(2);
    let consumer = fixture
        .consumer_with(|config| {
            config.invisible_duration = Duration::from_secs(3);
            config.extend_max = Some(Duration::from_secs(60));
        })
        .await;
    consumer.initialize_offsets().await.expect("initialized");
    fixture.cluster.faults(0).stall_call(Call::ChangeInvisibleDuration);
    let (hanging, healthy) = fixture.send_and_receive(&consumer, 40).await;
    sleep(Duration::from_secs(5)).await;
    let now = Instant::now();
    let expired = healthy.iter().filter(|message| message.hidden_until() < now).count();
    assert_eq!(expired, 0, "of {} on the healthy broker", healthy.len());
    drop(hanging);
}

#[tokio::test]
async fn a_dropped_ack_future_does_not_lose_the_ack() {
    let fixture = ClusterFixture::start_with(|config| config.masters = 1).await;
    let consumer = fixture
        .consumer_with(|config| {
            config.invisible_duration = Duration::from_secs(3);
            config.extend_max = Some(Duration::from_secs(60));
        })
        .await;
    consumer.initialize_offsets().await.expect("initialized");
    fixture.send(1).await;
    let message = receive(&consumer, 1).await.remove(0);
    // The extension in flight holds the receipt's handle, so the ack has to wait for it.
    let faults = fixture.cluster.faults(0);
    faults.stall_call(Call::ChangeInvisibleDuration);
    until("an extension", || faults.calls(Call::ChangeInvisibleDuration) > 0).await;
    let dropped = timeout(Duration::from_millis(50), message.ack()).await;
    assert!(dropped.is_err(), "{dropped:?}");
    faults.resume();
    until("the ack", || consumer.statistics().acked == 1).await;
}

#[tokio::test]
async fn a_consumer_forgets_a_message_when_it_is_settled() {
    let fixture = ClusterFixture::start().await;
    let consumer = fixture
        .consumer_with(|config| {
            // The first round of extensions would come after two hours.
            config.invisible_duration = Duration::from_secs(12 * 60 * 60);
            config.extend_max = Some(Duration::from_secs(24 * 60 * 60));
        })
        .await;
    consumer.initialize_offsets().await.expect("initialized");
    fixture.send(3).await;
    let mut messages = receive(&consumer, 3).await;
    assert_eq!(consumer.held(), 3);
    messages.pop().expect("the third").ack().await.expect("acked");
    messages.pop().expect("the second").nack(Duration::from_secs(60)).await.expect("nacked");
    drop(messages);
    assert_eq!(consumer.held(), 0);
}

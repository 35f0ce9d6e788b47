//! A 202 is sent only after the broker has acknowledged the order's own batch.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::time::Duration;

use axum::Router;
use http::StatusCode;
use ingest_fn::publish::{BatchLimits, Coalescer, PublishError};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::{JoinHandle, yield_now};

use crate::support::{Answer, HeldSink, LIMITS, Sent, app, order, post_order, router, send};

fn held() -> (Router, UnboundedReceiver<Sent>) {
    let (sink, sent) = HeldSink::new();
    let limits = BatchLimits {
        orders_max: NonZeroUsize::new(64).expect("positive"),
        bytes_max: 4_032,
        linger: Duration::from_millis(2),
    };
    (router(&app(Coalescer::new(sink, limits), LIMITS)), sent)
}

fn spawn_post(service: &Router, key: &str) -> JoinHandle<Answer> {
    let service = service.clone();
    let mut request = post_order(&order());
    request.headers_mut().insert("idempotency-key", key.parse().expect("a header"));
    tokio::spawn(async move { send(&service, request).await })
}

/// Runs all ready tasks without advancing the clock.
async fn settle() {
    for _ in 0..100 {
        yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn no_answer_is_sent_before_the_acknowledgement() {
    let (service, mut sent) = held();
    let answer = spawn_post(&service, "one");
    let batch = sent.recv().await.expect("sent");
    settle().await;
    tokio::time::sleep(LIMITS.request_timeout - Duration::from_millis(10)).await;
    assert!(!answer.is_finished(), "the broker has not acknowledged");
    let order_id = batch.order_ids[0];
    batch.acknowledge();
    let answer = answer.await.expect("an answer");
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    assert_eq!(answer.member("order_id"), order_id.to_string());
}

#[tokio::test(start_paused = true)]
async fn a_late_acknowledgement_is_answered_as_a_timeout() {
    let (service, mut sent) = held();
    let answer = spawn_post(&service, "one");
    let batch = sent.recv().await.expect("sent");
    // As after a freeze: the acknowledgement arrives after the client has timed out.
    tokio::time::advance(LIMITS.request_timeout).await;
    let order_id = batch.order_ids[0];
    batch.acknowledge();
    let answer = answer.await.expect("an answer");
    assert_eq!(answer.rejection(), (503, "publish_timeout".to_owned()));
    assert_eq!(answer.member("order_id"), order_id.to_string(), "a retry is this order");
}

#[tokio::test(start_paused = true)]
async fn each_request_gets_the_result_of_its_own_batch() {
    let (service, mut sent) = held();
    let first = spawn_post(&service, "first");
    let first_batch = sent.recv().await.expect("sent");
    let others = [spawn_post(&service, "second"), spawn_post(&service, "third")];
    let second_batch = sent.recv().await.expect("sent");
    assert_eq!((first_batch.order_ids.len(), second_batch.order_ids.len()), (1, 2));
    second_batch.answer.send(Err(PublishError::TimedOut)).expect("waited for");
    let mut failed = BTreeSet::new();
    for other in others {
        let answer = other.await.expect("an answer");
        assert_eq!(answer.rejection(), (503, "publish_timeout".to_owned()));
        assert!(answer.retry_after_s().is_some());
        failed.insert(answer.member("order_id"));
    }
    assert_eq!(failed.len(), 2);
    assert!(!first.is_finished(), "its own batch is still in flight");
    first_batch.acknowledge();
    assert_eq!(first.await.expect("an answer").status, StatusCode::ACCEPTED);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_hangs_up_does_not_unsend_its_order() {
    let (service, mut sent) = held();
    let busy = spawn_post(&service, "busy");
    let first_batch = sent.recv().await.expect("sent");
    let gone = spawn_post(&service, "gone");
    let stays = spawn_post(&service, "stays");
    settle().await;
    // Both orders gather now, and neither has been sent.
    gone.abort();
    assert!(gone.await.expect_err("aborted").is_cancelled());
    let batch = sent.recv().await.expect("sent");
    assert_eq!(batch.orders().len(), 2, "the order of the client that hung up is in it");
    batch.acknowledge();
    assert_eq!(stays.await.expect("an answer").status, StatusCode::ACCEPTED);
    first_batch.acknowledge();
    assert_eq!(busy.await.expect("an answer").status, StatusCode::ACCEPTED);
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_a_failure_carries_the_same_order() {
    let (service, mut sent) = held();
    let mut order_ids = BTreeSet::new();
    for end in [Err(PublishError::TimedOut), Err(PublishError::Failed), Ok(())] {
        let answer = spawn_post(&service, "again");
        let batch = sent.recv().await.expect("sent");
        order_ids.extend(batch.order_ids.iter().copied());
        batch.answer.send(end).expect("waited for");
        let answer = answer.await.expect("an answer");
        assert_eq!(answer.status.is_success(), end.is_ok());
        assert_eq!(answer.member("order_id"), order_ids.first().expect("one").to_string());
    }
    assert_eq!(order_ids.len(), 1);
}

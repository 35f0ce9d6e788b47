//! Overload: requests are rejected immediately, until a permit is released.

use std::num::NonZeroUsize;
use std::time::Duration;

use http::StatusCode;
use ingest_fn::limits::RequestLimits;
use ingest_fn::publish::{BatchLimits, Coalescer};
use tokio::time::Instant;

use crate::support::{End, HeldSink, LIMITS, app, chunked, get, order, post, post_order, router, send};

const TWO: RequestLimits = RequestLimits { requests_max: NonZeroUsize::new(2).unwrap(), ..LIMITS };

const ALONE: BatchLimits =
    BatchLimits { orders_max: NonZeroUsize::MIN, bytes_max: 4_032, linger: Duration::from_millis(2) };

#[tokio::test(start_paused = true)]
async fn beyond_the_bound_the_answer_is_an_immediate_429_and_nothing_is_sent() {
    let (sink, mut sent) = HeldSink::new();
    let app = app(Coalescer::new(sink, ALONE), TWO);
    let service = router(&app);
    let mut waiting = Vec::new();
    let mut batches = Vec::new();
    for key in ["one", "two"] {
        let (service, mut request) = (service.clone(), post_order(&order()));
        request.headers_mut().insert("idempotency-key", key.parse().expect("a header"));
        waiting.push(tokio::spawn(async move { send(&service, request).await }));
        batches.push(sent.recv().await.expect("sent"));
    }
    assert_eq!(app.instance.budget.requests_in_flight(), 2);

    let started = Instant::now();
    for _ in 0..100 {
        // The body is not read.
        let answer = send(&service, post(chunked([""; 0], End::Unread))).await;
        assert_eq!(answer.rejection(), (429, "overloaded".to_owned()));
        assert!((1..=3).contains(&answer.retry_after_s().expect("a wait")));
    }
    assert_eq!(started.elapsed(), Duration::ZERO);
    assert!(sent.try_recv().is_err(), "nothing more was sent");
    assert_eq!(send(&service, get("/healthz")).await.status, StatusCode::OK, "probes are not shed");

    for batch in batches {
        batch.acknowledge();
    }
    for answer in waiting {
        assert_eq!(answer.await.expect("an answer").status, StatusCode::ACCEPTED);
    }
    assert_eq!(app.instance.budget.requests_in_flight(), 0);
    let again = tokio::spawn(async move { send(&service, post_order(&order())).await });
    sent.recv().await.expect("sent").acknowledge();
    assert_eq!(again.await.expect("an answer").status, StatusCode::ACCEPTED);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_hangs_up_releases_its_permit() {
    let (sink, mut sent) = HeldSink::new();
    let app = app(Coalescer::new(sink, ALONE), TWO);
    let service = router(&app);
    let waiting = tokio::spawn(async move { send(&service, post_order(&order())).await });
    let _never_answered = sent.recv().await.expect("sent");
    assert_eq!(app.instance.budget.requests_in_flight(), 1);
    waiting.abort();
    assert!(waiting.await.expect_err("aborted").is_cancelled());
    assert_eq!(app.instance.budget.requests_in_flight(), 0);
}

#[tokio::test]
async fn a_stopping_instance_rejects_orders() {
    let (sink, mut sent) = HeldSink::new();
    let app = app(Coalescer::new(sink, ALONE), TWO);
    app.instance.stop();
    let answer = send(&router(&app), post(chunked([""; 0], End::Unread))).await;
    assert_eq!(answer.rejection(), (503, "stopping".to_owned()));
    assert_eq!(answer.retry_after_s(), Some(1));
    assert!(sent.try_recv().is_err());
}

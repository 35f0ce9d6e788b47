//! The platform's lifecycle hooks.

use std::num::NonZeroUsize;
use std::time::Duration;

use http::{HeaderValue, Method, StatusCode};
use ingest_fn::publish::{BatchLimits, Coalescer, PublishError};
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::support::{
    End, HeldSink, LIMITS, StubPublisher, app, chunked, get, order, post, post_order, router, send,
};

const ALONE: BatchLimits =
    BatchLimits { orders_max: NonZeroUsize::MIN, bytes_max: 4_032, linger: Duration::from_millis(2) };

#[tokio::test(start_paused = true)]
async fn pre_stop_answers_once_every_order_in_flight_has_its_answer() {
    let (sink, mut sent) = HeldSink::new();
    let app = app(Coalescer::new(sink, ALONE), LIMITS);
    let service = router(&app);
    let ask = || {
        let service = service.clone();
        tokio::spawn(async move { send(&service, get("/pre-stop")).await })
    };
    let order_service = service.clone();
    let waiting = tokio::spawn(async move { send(&order_service, post_order(&order())).await });
    let batch = sent.recv().await.expect("sent");

    let (first, second) = (ask(), ask());
    sleep(Duration::from_secs(3)).await;
    assert!(!first.is_finished() && !second.is_finished(), "an order is in flight");
    assert_eq!(app.instance.budget.requests_in_flight(), 1, "a pre-stop is not counted");
    let rejected = send(&service, post(chunked([""; 0], End::Unread))).await;
    assert_eq!(rejected.rejection(), (503, "stopping".to_owned()));
    assert_eq!(send(&service, get("/readyz")).await.status, StatusCode::SERVICE_UNAVAILABLE);

    batch.acknowledge();
    assert_eq!(waiting.await.expect("an answer").status, StatusCode::ACCEPTED);
    for answer in [first, second, ask()] {
        assert_eq!(answer.await.expect("an answer").status, StatusCode::OK);
    }
    assert_eq!(send(&service, get("/healthz")).await.status, StatusCode::OK, "it still answers");
    assert_eq!(send(&service, post_order(&order())).await.rejection(), (503, "stopping".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn pre_stop_waits_at_most_for_the_drain_timeout() {
    let (sink, mut sent) = HeldSink::new();
    let service = router(&app(Coalescer::new(sink, ALONE), LIMITS));
    let order_service = service.clone();
    let _waiting = tokio::spawn(async move { send(&order_service, post_order(&order())).await });
    let _never_answered = sent.recv().await.expect("sent");
    let started = Instant::now();
    assert_eq!(send(&service, get("/pre-stop")).await.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(started.elapsed(), LIMITS.drain_timeout);
}

#[tokio::test]
async fn failures_of_ours_alone_are_reported_to_the_platform() {
    let service = router(&app(StubPublisher::accepting(), LIMITS));
    let accepted = send(&service, post_order(&order())).await;
    assert_eq!((accepted.status, accepted.header("x-fc-status")), (StatusCode::ACCEPTED, None));
    for request in [post("{"), post_order(&json!({})), get("/nowhere"), get("/v1/orders")] {
        let rejected = send(&service, request).await;
        assert_eq!(rejected.header("x-fc-status"), None, "{rejected:?}");
    }
    let failing = router(&app(StubPublisher::failing(PublishError::TimedOut), LIMITS));
    assert_eq!(send(&failing, post_order(&order())).await.header("x-fc-status"), Some("503"));
}

#[tokio::test]
async fn requests_from_outside_get_404_for_hooks() {
    let app = app(StubPublisher::accepting(), LIMITS);
    app.instance.worker_started();
    let service = router(&app);
    for path in ["/pre-stop", "/readyz", "/healthz", "/metrics", "/openapi.json"] {
        let mut request = get(path);
        request.headers_mut().insert("x-fc-control-path", HeaderValue::from_static("/http-invoke"));
        assert_eq!(send(&service, request).await.rejection(), (404, "not_found".to_owned()), "{path}");
        // The platform's mark is only likely to be sent.
        for sign in ["x-ca-proxy-signature", "x-ca-request-id", "x-forwarded-for", "forwarded", "via"] {
            let mut request = get(path);
            request.headers_mut().insert(sign, HeaderValue::from_static("anything"));
            let answer = send(&service, request).await;
            // Without probes no instance would serve, and that the platform's own have no such header is only likely.
            let is_probe = matches!(path, "/readyz" | "/healthz");
            let expected = if is_probe { StatusCode::OK } else { StatusCode::NOT_FOUND };
            assert_eq!(answer.status, expected, "{path}, {sign}");
        }
    }
    let mut head = get("/pre-stop");
    *head.method_mut() = Method::HEAD;
    let answer = send(&service, head).await;
    assert_eq!((answer.status, answer.header("allow")), (StatusCode::METHOD_NOT_ALLOWED, Some("GET")));
    assert_eq!(send(&service, get("/readyz")).await.text, "ready\n", "nothing was stopped");
    let mut order = post_order(&order());
    order.headers_mut().insert("x-fc-control-path", HeaderValue::from_static("/http-invoke"));
    assert_eq!(send(&service, order).await.status, StatusCode::ACCEPTED);
}

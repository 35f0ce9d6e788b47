//! Dead letters, from the broker's dead-letter queue to the operator's routes.

use std::collections::BTreeMap;
use std::future::ready;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use drain_worker::admin::dead_letters::{self, DeadLetterDetailView, DeadLetterPage, RedriveView};
use drain_worker::dead_letters::broker_dlq::{BrokerDlqConfig, BrokerDlqConsumer};
use drain_worker::dead_letters::{RedriveConfig, Redriver};
use drain_worker::pipeline::GatedWriter;
use drain_worker::pipeline::{CircuitBreaker, WriterStats};
use drain_worker::rate::RateGate;
use drain_worker::store::{Fence, OrderStore, Store, StoredStatus};
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use shared::problem::Problem;
use shared::rocketmq::{ClientConfig, ConsumerConfig, DefaultContext, StreamConsumer};
use shared::telemetry::Capture;
use shared::testkit::{PATIENCE, catalogue, eventually};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::harness::{WorkerFixture, order, orders};

const DEAD_TOPIC: &str = "%DLQ%drain";

fn writer() -> GatedWriter {
    let gate = RateGate::standalone(NonZeroU32::new(100_000).expect("not 0"));
    GatedWriter::new(gate, WriterStats::default(), CircuitBreaker::default())
}

/// Returns the operators' routes, without authentication.
fn router(store: Arc<Store>) -> Router {
    let redriver =
        Redriver::new(store, writer(), Arc::new(|| Box::pin(ready(None))), "drain", RedriveConfig::default());
    dead_letters::router(redriver)
}

async fn call<T: DeserializeOwned>(router: &Router, request: Request<Body>) -> (StatusCode, T) {
    let response = router.clone().oneshot(request).await.expect("infallible");
    let status = response.status();
    let body = response.into_body().collect().await.expect("a body").to_bytes();
    (status, serde_json::from_slice(&body).expect("JSON"))
}

async fn get<T: DeserializeOwned>(router: &Router, path: &str) -> (StatusCode, T) {
    call(router, Request::get(path).body(Body::empty()).expect("a request")).await
}

async fn post<T: DeserializeOwned>(router: &Router, path: &str, body: &Value) -> (StatusCode, T) {
    call(router, Request::post(path).body(Body::from(body.to_string())).expect("a request")).await
}

/// A running consumer of the broker's dead-letter queue.
pub(crate) struct TakingOver(CancellationToken, JoinHandle<()>);

impl TakingOver {
    pub(crate) fn start(store: Arc<Store>, client: ClientConfig, group: &str) -> Self {
        Self::start_with(store, client, BrokerDlqConfig::for_group(group))
    }

    pub(crate) fn start_with(store: Arc<Store>, client: ClientConfig, mut config: BrokerDlqConfig) -> Self {
        config.pause = Duration::from_millis(50);
        config.absent_pause = Duration::from_millis(500);
        let broker_dlq =
            BrokerDlqConsumer::new(store, client, config, writer(), Arc::new(|| Box::pin(ready(None))));
        let shutdown = CancellationToken::new();
        Self(shutdown.clone(), tokio::spawn(broker_dlq.run(shutdown)))
    }

    pub(crate) async fn stop(self) {
        self.0.cancel();
        tokio::time::timeout(PATIENCE, self.1).await.expect("stops in time").expect("does not panic");
    }
}

/// Returns the levels and error codes of the consumer's log lines.
fn errors_logged(capture: &Capture) -> Vec<Value> {
    let lines = capture.lines();
    let about = lines.iter().filter(|line| line["target"] == "drain_worker::dead_letters::broker_dlq");
    about.map(|line| json!([line["level"], line["errorCode"]])).collect()
}

/// Runs on one thread, so that its log lines are captured.
#[tokio::test]
async fn an_unreadable_dead_letter_queue_is_an_error_until_it_recovers_but_a_missing_one_is_not() {
    let capture = Capture::current_thread("drain_worker=debug").expect("a filter");
    let fixture = WorkerFixture::new().await;
    let none_yet = TakingOver::start(fixture.store.clone(), fixture.client.clone(), "drain");
    eventually("an error is logged", async || !errors_logged(&capture).is_empty()).await;
    none_yet.stop().await;
    assert!(errors_logged(&capture).iter().all(|line| *line == json!(["DEBUG", null])), "{}", capture.text());

    let before = errors_logged(&capture).len();
    let mut config = BrokerDlqConfig::for_group("drain");
    // The topic exists, the group does not.
    config.topic = "orders".to_owned();
    config.group = "unknown-group".to_owned();
    let refused = TakingOver::start_with(fixture.store.clone(), fixture.client.clone(), config);
    let is_error = |line: &Value| *line == json!(["ERROR", "dead_letters_unreachable"]);
    eventually("an error", async || errors_logged(&capture)[before..].iter().any(is_error)).await;
    refused.stop().await;
    let failed: Vec<_> =
        errors_logged(&capture)[before..].iter().filter(|line| line[0] != "INFO").cloned().collect();
    assert_eq!(failed[0], json!(["WARN", null]), "the first error may be transient: {failed:?}");
    assert!(failed[1..].iter().all(is_error), "{failed:?}");
}

/// Receives all messages and settles none, as a worker that crashes each time.
pub(crate) async fn receive_and_crash(
    client: &ClientConfig,
    group: &str,
    topic: &str,
    invisible: Duration,
) -> StreamConsumer {
    let mut config = ConsumerConfig::new(group, [topic]);
    config.invisible_duration = invisible;
    config.long_polling_timeout = Duration::from_millis(200);
    config.extend_max = None;
    StreamConsumer::connect(client.clone(), config, DefaultContext).await.expect("a consumer")
}

pub(crate) async fn crash_once(consumer: &StreamConsumer) -> usize {
    let messages = consumer.receive(32).await.expect("received");
    let count = messages.len();
    messages.into_iter().for_each(std::mem::forget);
    count
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broker_dead_letters_are_stored_for_undecided_orders() {
    let fixture = WorkerFixture::with_attempts(1).await;
    // The consumer starts before there is a dead-letter queue, as in production.
    let taking_over = TakingOver::start(fixture.store.clone(), fixture.client.clone(), "drain");
    fixture.publish(&orders(0..10, "PLENTY")).await;
    fixture.publish_raw(b"not an envelope".to_vec()).await;
    // The acks of these orders were lost.
    fixture.store.commit(Fence::Open, &orders(0..4, "PLENTY")).await.expect("commits");
    let crashing = receive_and_crash(&fixture.client, "drain", "orders", Duration::from_millis(500)).await;
    eventually("stored", async || {
        crash_once(&crashing).await;
        fixture.counts().await.dead_letters_total() == 7
    })
    .await;
    let settled = async || {
        let stats = fixture.broker.broker.stats().await.expect("stats");
        let group = stats.group(DEAD_TOPIC, "drain-dead-letters");
        group.is_some_and(|group| group.ready + group.in_flight == 0)
    };
    eventually("acked", settled).await;

    let letters = fixture.letters().await;
    assert!(letters.iter().all(|letter| letter.head.reason == "attempts_exhausted"), "{letters:?}");
    assert!(letters.iter().all(|letter| letter.head.message_id.is_some()));
    for number in 4..10 {
        let found =
            fixture.store.find(order(number, "PLENTY").order_id).await.expect("reads").expect("is there");
        assert!(matches!(found.status, StoredStatus::DeadLettered { .. }), "{found:?}");
    }
    let decided = fixture.store.find(order(3, "PLENTY").order_id).await.expect("reads").expect("is there");
    assert!(matches!(decided.status, StoredStatus::Decided(_)), "{decided:?}");

    // Operators redrive; the unreadable letter stays.
    let (status, redriven): (_, RedriveView) =
        post(&router(fixture.store.clone()), "/v1/dead-letters/redrive", &json!({"all": true})).await;
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    redriven.outcomes.iter().for_each(|letter| *seen.entry(letter.outcome.as_str()).or_default() += 1);
    assert_eq!((status, seen), (StatusCode::OK, BTreeMap::from([("confirmed", 6), ("unreadable", 1)])));
    assert_eq!((fixture.counts().await.confirmed, fixture.counts().await.dead_letters_total()), (10, 1));
    taking_over.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redelivered_broker_dead_letter_changes_nothing() {
    let fixture = WorkerFixture::with_attempts(2).await;
    fixture.publish(&orders(0..10, "PLENTY")).await;
    let crashing = receive_and_crash(&fixture.client, "drain", "orders", Duration::from_millis(500)).await;
    let dead = async || {
        crash_once(&crashing).await;
        fixture
            .broker
            .broker
            .stats()
            .await
            .expect("stats")
            .topic(DEAD_TOPIC)
            .is_some_and(|topic| topic.stored > 0)
    };
    eventually("the dead-letter queue has messages", dead).await;
    // A worker stored it and was killed before the ack.
    let first =
        receive_and_crash(&fixture.client, "drain-dead-letters", DEAD_TOPIC, Duration::from_millis(500))
            .await;
    eventually("received", async || crash_once(&first).await > 0).await;
    fixture.store.commit(Fence::Open, &orders(0..2, "NOT-IN-THE-DATABASE")).await.expect("commits");
    let taking_over = TakingOver::start(fixture.store.clone(), fixture.client.clone(), "drain");
    eventually("stored", async || fixture.counts().await.dead_letters_total() == 10).await;
    taking_over.stop().await;
    let totals = fixture.store.dead_letter_totals().await.expect("counts");
    assert_eq!(totals.by_reason["attempts_exhausted"].letters, 8);
    assert_eq!(totals.by_reason["unknown_sku"].letters, 2, "the more specific reason stays");
}

#[tokio::test]
async fn operators_list_show_redrive_and_discard() {
    let fixture = WorkerFixture::new().await;
    let router = router(fixture.store.clone());
    fixture.store.commit(Fence::Open, &orders(0..5, "NEW-SKU")).await.expect("commits");

    let (_, page): (_, DeadLetterPage) =
        get(&router, "/v1/dead-letters?dead_letter_reason=unknown_sku&limit=2").await;
    assert_eq!((page.letters.len(), page.total), (2, 5));
    let next = page.next.expect("more pages");
    let (_, rest): (_, DeadLetterPage) = get(&router, &format!("/v1/dead-letters?after={next}")).await;
    assert_eq!((rest.letters.len(), rest.next), (3, None));
    let letter = &page.letters[0];
    assert_eq!(letter.order_id, Some(order(0, "NEW-SKU").order_id.to_string()));
    assert_eq!((letter.attempts, &letter.discarded_at), (1, &None));

    let path = format!("/v1/dead-letters/{}", letter.id);
    let (_, whole): (_, DeadLetterDetailView) = get(&router, &path).await;
    assert_eq!(whole.letter, *letter);
    let inside = &whole.orders.as_ref().expect("readable")[0];
    assert_eq!(
        (inside.sale_id.as_str(), inside.total_minor, inside.items[0].sku.as_str()),
        ("sale", Some(1_999), "NEW-SKU")
    );
    let (_, text): (_, Value) = get(&router, &path).await;
    for personal in ["张伟", "Nanjing", "user"] {
        assert!(!text.to_string().contains(personal), "{text}");
    }

    let (last, ids) = (rest.letters[2].id, [letter.id, rest.letters[2].id]);
    let body = json!({"ids": [last, 999_999], "who": "ann", "reason": "a test order"});
    let (_, discarded): (_, Value) = post(&router, "/v1/dead-letters/discard", &body).await;
    let expected = json!({"outcomes": [{"id": last, "outcome": "discarded"}, {"id": 999_999, "outcome": "gone"}], "next": null});
    assert_eq!(discarded, expected);
    let (_, gone): (_, DeadLetterDetailView) = get(&router, &format!("/v1/dead-letters/{last}")).await;
    assert_eq!((gone.orders, gone.payload_error), (None, None));
    assert!(gone.letter.restorable_until.is_some() && gone.letter.payload_bytes > 0, "until it is deleted");
    assert_eq!(
        (gone.letter.discarded_by.as_deref(), gone.letter.discarded_reason.as_deref()),
        (Some("ann"), Some("a test order"))
    );
    let (_, undone): (_, Value) = post(&router, "/v1/dead-letters/restore", &json!({"ids": [last]})).await;
    assert_eq!(undone, json!({"outcomes": [{"id": last, "outcome": "restored"}], "next": null}));
    let (_, again): (_, DeadLetterDetailView) = get(&router, &format!("/v1/dead-letters/{last}")).await;
    assert_eq!((again.letter, again.orders.is_some()), (rest.letters[2].clone(), true));
    let (_, discarded): (_, Value) = post(&router, "/v1/dead-letters/discard", &body).await;
    assert_eq!(discarded, expected);
    let (_, open): (_, DeadLetterPage) = get(&router, "/v1/dead-letters").await;
    let (_, all): (_, DeadLetterPage) = get(&router, "/v1/dead-letters?state=all").await;
    assert_eq!((open.total, all.total), (4, 5));

    fixture.store.apply_catalogue(&catalogue(&[("NEW-SKU", 10, None)])).await.expect("applies");
    let body = json!({"ids": ids, "who": "ann"});
    let (_, some): (_, RedriveView) = post(&router, "/v1/dead-letters/redrive", &body).await;
    let outcomes: Vec<_> = some.outcomes.iter().map(|letter| letter.outcome.as_str()).collect();
    assert_eq!(outcomes, ["confirmed", "discarded"]);
    let body = json!({"dead_letter_reason": "unknown_sku", "limit": 2});
    let (_, first): (_, RedriveView) = post(&router, "/v1/dead-letters/redrive", &body).await;
    assert_eq!((first.outcomes.len(), first.next), (2, Some(first.outcomes[1].id)));
    let body = json!({"all": true, "after": first.next});
    let (_, second): (_, RedriveView) = post(&router, "/v1/dead-letters/redrive", &body).await;
    assert_eq!((second.outcomes.len(), second.next, second.stopped), (1, None, None));
    assert_eq!(fixture.counts().await.confirmed, 4);
}

#[tokio::test]
async fn a_discard_of_all_takes_only_what_was_seen() {
    let fixture = WorkerFixture::new().await;
    let router = router(fixture.store.clone());
    fixture.store.commit(Fence::Open, &orders(0..5, "NEW-SKU")).await.expect("commits");
    let (_, seen): (_, DeadLetterPage) = get(&router, "/v1/dead-letters?limit=1").await;
    assert_eq!((seen.total, seen.letters.len()), (5, 1));
    // One arrives after the operator looked.
    fixture.store.commit(Fence::Open, &orders(5..6, "NEW-SKU")).await.expect("commits");

    let discard = async |body: &Value| post::<Value>(&router, "/v1/dead-letters/discard", body).await;
    let body = |after: i64, count: u64| {
        json!({"all": true, "after": after, "limit": 2, "newest_id": seen.newest_id, "count": count,
               "reason": "test orders"})
    };
    let (status, problem) = discard(&body(0, 6)).await;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &"dead_letters_changed".into()));
    let (status, problem) = discard(&json!({"all": true, "reason": "test orders"})).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{problem}");
    let (status, problem) = discard(&json!({"ids": [seen.newest_id]})).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{problem}");
    let (_, open): (_, DeadLetterPage) = get(&router, "/v1/dead-letters").await;
    assert_eq!(open.total, 6, "nothing is discarded yet");

    let (mut after, mut left) = (0, seen.total);
    loop {
        let (status, page) = discard(&body(after, left)).await;
        assert_eq!(status, StatusCode::OK, "{page}");
        left -= page["outcomes"].as_array().expect("outcomes").len() as u64;
        match page["next"].as_i64() {
            Some(next) => after = next,
            None => break,
        }
    }
    assert_eq!(left, 0);
    let (_, open): (_, DeadLetterPage) = get(&router, "/v1/dead-letters").await;
    let ids: Vec<_> = open.letters.iter().map(|letter| letter.order_id.clone()).collect();
    assert_eq!(ids, [Some(order(5, "NEW-SKU").order_id.to_string())], "the later one stays");
}

#[tokio::test]
async fn invalid_requests_return_a_problem() {
    let fixture = WorkerFixture::new().await;
    let router = router(fixture.store.clone());
    for (path, status, code) in [
        ("/v1/dead-letters?limit=0", StatusCode::BAD_REQUEST, "invalid_request"),
        ("/v1/dead-letters?limit=1000", StatusCode::BAD_REQUEST, "invalid_request"),
        ("/v1/dead-letters?limit=many", StatusCode::BAD_REQUEST, "invalid_request"),
        ("/v1/dead-letters?state=lost", StatusCode::BAD_REQUEST, "invalid_request"),
        ("/v1/dead-letters?reazon=x", StatusCode::BAD_REQUEST, "invalid_request"),
        ("/v1/dead-letters/first", StatusCode::BAD_REQUEST, "invalid_request"),
        ("/v1/dead-letters/7", StatusCode::NOT_FOUND, "dead_letter_not_found"),
    ] {
        let (found, problem): (_, Problem) = get(&router, path).await;
        assert_eq!((found, problem.code.as_str()), (status, code), "{path}");
    }
    for path in ["/v1/dead-letters/redrive", "/v1/dead-letters/discard"] {
        let (found, problem): (_, Problem) = post(&router, path, &json!({"after": 1})).await;
        assert_eq!((found, problem.code.as_str()), (StatusCode::BAD_REQUEST, "invalid_request"), "{path}");
    }
    fixture.store.close().await;
    let (found, problem): (_, Problem) = get(&router, "/v1/dead-letters").await;
    assert_eq!((found, problem.code.as_str()), (StatusCode::SERVICE_UNAVAILABLE, "database_unavailable"));
}

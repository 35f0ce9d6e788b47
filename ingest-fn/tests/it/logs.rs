//! Log lines, and the queries of operators.

use std::time::Duration;

use axum::Router;
use http::{HeaderValue, Request};
use ingest_fn::instance::InstanceState;
use ingest_fn::publish::PublishError;
use ingest_fn::request_logger::{FcLogFraming, RequestLogSettings};
use serde_json::{Value, json};
use sqlx::{Connection, Row, SqliteConnection};

use crate::support::{self, Logs, SteppedClock, StubPublisher, get, order, post, post_order, router, send};

const PLATFORM_ID: &str = "1-6744f3a5-15d4b2c8-0a1b2c3d4e5f";

/// A service that has started, at a time that the test advances.
fn observed(publisher: StubPublisher, clock: &SteppedClock, settings: RequestLogSettings) -> Router {
    let app = support::observed(publisher, clock, settings);
    app.instance.set_state(InstanceState::Ready);
    router(&app)
}

fn quiet() -> RequestLogSettings {
    RequestLogSettings { framing: FcLogFraming::Off, metrics_interval: Duration::ZERO }
}

fn with_platform_id(mut request: Request<axum::body::Body>) -> Request<axum::body::Body> {
    request.headers_mut().insert("x-fc-request-id", HeaderValue::from_static(PLATFORM_ID));
    request
}

/// The Log Service query `* and "level":"ERROR" | select "requestId","errorMessage",count(*) … group by …`, whose
/// first half is the condition here. Log Service makes columns of a line's members; the view does so for SQLite.
const COLUMNS: &str = r#"CREATE VIEW log AS SELECT line ->> '$.level' AS "level", line ->> '$.requestId' AS "requestId",
    line ->> '$.errorMessage' AS "errorMessage", line ->> '$.errorCode' AS "errorCode" FROM lines"#;

const QUERY: &str = r#"SELECT "requestId","errorMessage",count(*) AS times FROM log WHERE "level"='ERROR'
    GROUP BY "requestId","errorMessage" ORDER BY "errorMessage","requestId""#;

#[tokio::test]
async fn the_log_service_query_for_errors_works_unchanged() {
    let logs = Logs::capture_at("info");
    for (error, times) in [(PublishError::TimedOut, 1), (PublishError::Throttled, 2)] {
        let service = observed(StubPublisher::failing(error), &SteppedClock::default(), quiet());
        for _ in 0..times {
            send(&service, with_platform_id(post_order(&order()))).await;
        }
        send(&service, post("{}")).await;
        send(&service, get("/nowhere")).await;
    }
    let text = logs.text();

    let mut database = SqliteConnection::connect("sqlite::memory:").await.expect("SQLite");
    sqlx::query("CREATE TABLE lines (line TEXT NOT NULL)").execute(&mut database).await.expect("a table");
    sqlx::query(COLUMNS).execute(&mut database).await.expect("a view");
    for line in text.lines() {
        let insert = sqlx::query("INSERT INTO lines VALUES (json(?))").bind(line);
        insert.execute(&mut database).await.expect("a line is JSON");
    }
    let rows = sqlx::query(QUERY).fetch_all(&mut database).await.expect("an answer");
    let found: Vec<(String, String, i64)> =
        rows.iter().map(|row| (row.get("requestId"), row.get("errorMessage"), row.get("times"))).collect();
    let expected = [
        ("not published: The broker did not acknowledge the order in time", 1),
        ("not published: The broker throttles orders at the moment", 2),
    ];
    let expected: Vec<_> =
        expected.map(|(message, times)| (PLATFORM_ID.to_owned(), message.to_owned(), times)).into();
    assert_eq!(found, expected, "{text}");
    let codes = sqlx::query(r#"SELECT DISTINCT "errorCode" FROM log WHERE "level"='ERROR' ORDER BY 1"#);
    let codes: Vec<String> =
        codes.fetch_all(&mut database).await.expect("codes").iter().map(|row| row.get(0)).collect();
    assert_eq!(codes, ["broker_throttled", "publish_timeout"]);
}

#[tokio::test]
async fn an_accepted_request_or_a_client_error_has_no_line() {
    let logs = Logs::capture_at("info");
    let service = observed(StubPublisher::accepting(), &SteppedClock::default(), quiet());
    for request in [post_order(&order()), post("{}"), get("/v2"), get("/v1/orders"), get("/healthz")] {
        send(&service, with_platform_id(request)).await;
    }
    assert_eq!(logs.text(), "");
}

#[tokio::test]
async fn an_order_can_be_followed_by_its_trace_at_debug() {
    let logs = Logs::capture_at("ingest_fn=debug");
    let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let mut request = with_platform_id(post_order(&order()));
    request.headers_mut().insert("traceparent", HeaderValue::from_static(traceparent));
    let service = observed(StubPublisher::accepting(), &SteppedClock::default(), quiet());
    let order_id = send(&service, request).await.member("order_id");
    let lines = logs.lines();
    let line = lines.iter().find(|line| line["event"] == "order_validated").expect("a line");
    let expected = json!([PLATFORM_ID, order_id, traceparent]);
    assert_eq!(json!([line["requestId"], line["order_id"], line["traceparent"]]), expected);
}

/// The marker lines of a log, and `-` for each other line.
fn frames(text: &str) -> Vec<String> {
    let is_json = |line: &str| serde_json::from_str::<Value>(line).is_ok();
    text.lines().map(|line| if is_json(line) { "-".to_owned() } else { line.to_owned() }).collect()
}

#[tokio::test]
async fn log_markers_surround_the_lines_of_a_platform_request() {
    let frame = |what: &str| {
        [
            format!("FC {what} Start RequestId: {PLATFORM_ID}"),
            format!("FC {what} End RequestId: {PLATFORM_ID}"),
        ]
    };
    let around = |what: &str, lines: usize| {
        let [start, end] = frame(what);
        [vec![start], vec!["-".to_owned(); lines], vec![end]].concat()
    };
    let nothing: Vec<String> = Vec::new();
    let line = vec!["-".to_owned()];
    let cases = [
        (FcLogFraming::Auto, PublishError::Failed, true, around("Invoke", 1)),
        (FcLogFraming::Auto, PublishError::Failed, false, line.clone()),
        (FcLogFraming::Off, PublishError::Failed, true, line),
        (FcLogFraming::All, PublishError::Failed, true, around("Invoke", 1)),
    ];
    for (framing, error, by_platform, expected) in cases {
        let logs = Logs::capture_at("info");
        let settings = RequestLogSettings { framing, ..quiet() };
        let service = observed(StubPublisher::failing(error), &SteppedClock::default(), settings);
        let request = post_order(&order());
        send(&service, if by_platform { with_platform_id(request) } else { request }).await;
        assert_eq!(frames(&logs.text()), expected, "{framing:?}, by the platform: {by_platform}");
    }
    for (framing, expected) in [(FcLogFraming::Auto, nothing), (FcLogFraming::All, around("Invoke", 0))] {
        let logs = Logs::capture_at("info");
        let settings = RequestLogSettings { framing, ..quiet() };
        let service = observed(StubPublisher::accepting(), &SteppedClock::default(), settings);
        send(&service, with_platform_id(post_order(&order()))).await;
        assert_eq!(frames(&logs.text()), expected, "{framing:?}, an accepted order");
    }
    let logs = Logs::capture_at("info");
    let settings = RequestLogSettings { framing: FcLogFraming::Auto, ..quiet() };
    let service = observed(StubPublisher::accepting(), &SteppedClock::default(), settings);
    let initialize = Request::post("/initialize").body(axum::body::Body::empty()).expect("a request");
    send(&service, with_platform_id(initialize)).await;
    send(&service, with_platform_id(get("/pre-stop"))).await;
    let expected = [around("Initialize", 1), around("PreStop", 1)].concat();
    let mut lines = frames(&logs.text());
    // A pre-stop also logs what other tests of this process suppressed.
    lines.dedup();
    assert_eq!(lines, expected);
    for line in logs.lines().iter().filter(|line| line["level"] == "INFO") {
        assert_eq!(line["requestId"], PLATFORM_ID, "{line}");
    }
}

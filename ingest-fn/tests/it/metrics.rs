//! Metrics as log lines, for instances that cannot be scraped.

use std::time::Duration;

use axum::Router;
use ingest_fn::request_logger::RequestLogSettings;
use serde_json::Value;

use crate::support::{
    Logs, SteppedClock, StubPublisher, get, observed, order, post, post_order, router, send,
};

const INTERVAL: Duration = Duration::from_secs(10);

fn service(clock: &SteppedClock, metrics_interval: Duration) -> Router {
    let settings = RequestLogSettings { metrics_interval, ..RequestLogSettings::default() };
    router(&observed(StubPublisher::accepting(), clock, settings))
}

fn metrics_lines(logs: &Logs) -> Vec<Value> {
    logs.lines().into_iter().filter(|line| line["event"] == "metrics").collect()
}

#[tokio::test]
async fn a_request_logs_the_metrics_once_an_interval_has_passed() {
    let logs = Logs::capture_at("info");
    let clock = SteppedClock::default();
    let service = service(&clock, INTERVAL);
    let mut lines_after = Vec::new();
    // The last step is a freeze of an hour: one line, immediately.
    for step_s in [0, 5, 4, 1, 1, 9, 3_600] {
        clock.advance(Duration::from_secs(step_s));
        send(&service, post_order(&order())).await;
        lines_after.push(metrics_lines(&logs).len());
    }
    assert_eq!(lines_after, [0, 0, 0, 1, 1, 2, 3]);
    let lines = metrics_lines(&logs);
    let accepted = |line: &Value| line["metrics"]["counters"]["ingest_orders_accepted_total"].as_u64();
    // Other tests count in the same process.
    assert!(accepted(&lines[2]) >= accepted(&lines[0]).map(|first| first + 3), "{lines:?}");
    assert_eq!(lines[0]["instance"], lines[2]["instance"]);
    for line in lines {
        assert_eq!(line["level"], "INFO");
        let request_id = line["requestId"].as_str().expect("the request's");
        assert_eq!(request_id.len(), 32, "made here");
        let seconds = &line["metrics"]["histograms"]["ingest_request_duration_seconds"];
        assert!(seconds["count"].as_u64() >= seconds["buckets"]["1"].as_u64(), "{seconds}");
    }
}

#[tokio::test]
async fn an_interval_of_zero_means_no_line_and_a_pre_stop_writes_one() {
    let logs = Logs::capture_at("info");
    let clock = SteppedClock::default();
    let never = service(&clock, Duration::ZERO);
    for _ in 0..3 {
        clock.advance(INTERVAL);
        send(&never, post_order(&order())).await;
    }
    send(&never, get("/pre-stop")).await;
    assert_eq!(metrics_lines(&logs), [] as [Value; 0]);
    send(&service(&clock, INTERVAL), get("/pre-stop")).await;
    assert_eq!(metrics_lines(&logs).len(), 1);
}

#[tokio::test]
async fn the_log_line_and_the_metrics_page_have_the_same_series() {
    let logs = Logs::capture_at("info");
    let service = service(&SteppedClock::default(), INTERVAL);
    send(&service, post_order(&order())).await;
    send(&service, post("{}")).await;
    send(&service, get("/nowhere")).await;
    send(&service, get("/pre-stop")).await;
    let page = send(&service, get("/metrics")).await.text;
    let lines = metrics_lines(&logs);
    let [line] = lines.as_slice() else { panic!("one line: {lines:?}") };
    let mut series = 0;
    for kind in ["counters", "gauges"] {
        for name in line["metrics"][kind].as_object().expect("series").keys() {
            assert!(page.lines().any(|row| row.starts_with(&format!("{name} "))), "{name} in {page}");
            series += 1;
        }
    }
    assert!(series >= 20, "every code has its counter from the start: {series}");
    for name in line["metrics"]["histograms"].as_object().expect("series").keys() {
        let (name, labels) = name.split_once('{').unwrap_or((name, "}"));
        let labels = labels.trim_end_matches('}');
        let (all, separator) =
            if labels.is_empty() { (String::new(), "") } else { (format!("{{{labels}}}"), ",") };
        for row in [
            format!("{name}_bucket{{{labels}{separator}le=\"+Inf\"}} "),
            format!("{name}_sum{all} "),
            format!("{name}_count{all} "),
        ] {
            assert!(page.contains(&row), "{row} in {page}");
        }
    }
}

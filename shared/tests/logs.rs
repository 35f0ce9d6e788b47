//! The form of log lines.

#![allow(clippy::expect_used, reason = "a test says what it expects")]

use std::io;

use proptest::prelude::*;
use serde_json::{Value, json};
use shared::telemetry::{Capture, FcLogMarker, LINE_BYTES_MAX, json_subscriber};

/// Returns what `log` logs at `filter`.
fn text_of(filter: &str, log: impl FnOnce()) -> String {
    let capture = Capture::current_thread(filter).expect("a filter");
    log();
    capture.text()
}

/// Returns the only line that `log` writes, without its timestamp, which it checks.
fn line_of(log: impl FnOnce()) -> Value {
    let text = text_of("trace", log);
    assert_eq!(text.matches('\n').count(), 1, "{text}");
    let mut line: Value = serde_json::from_str(&text).expect("JSON");
    let timestamp = line.as_object_mut().and_then(|line| line.remove("timestamp")).expect("a timestamp");
    let timestamp = timestamp.as_str().expect("text");
    assert_eq!(timestamp.len(), "2026-11-11T00:00:00.123Z".len(), "{timestamp}");
    let format = &time::format_description::well_known::Rfc3339;
    time::OffsetDateTime::parse(timestamp, format).expect("RFC 3339");
    line
}

#[test]
fn a_line_has_the_members_that_queries_use() {
    let line = line_of(|| {
        tracing::error!(
            target: "t",
            request_id = "r-1",
            error = %io::Error::other("it \"broke\"\nbadly"),
            error_code = "publish_failed",
            attempts = 3_u64,
            delta = -1_i64,
            share = 0.5,
            infinite = f64::INFINITY,
            settled = true,
            outcome = ?Some("x"),
            level = "high",
            "not published"
        );
    });
    let expected = json!({
        "level": "ERROR", "target": "t", "message": "not published", "requestId": "r-1",
        "errorMessage": "it \"broke\"\nbadly", "errorCode": "publish_failed", "attempts": 3, "delta": -1,
        "share": 0.5, "infinite": null, "settled": true, "outcome": "Some(\"x\")", "level_": "high"
    });
    assert_eq!(line, expected);
}

#[test]
fn an_error_always_has_message_and_code() {
    let line = line_of(|| tracing::error!(target: "t", "a listener broke"));
    let expected = json!({
        "level": "ERROR", "target": "t", "message": "a listener broke", "errorMessage": "a listener broke",
        "errorCode": "internal"
    });
    assert_eq!(line, expected);
    let warning = line_of(|| tracing::warn!(target: "t", "slow"));
    assert_eq!(warning, json!({ "level": "WARN", "target": "t", "message": "slow" }));
}

#[test]
fn json_in_a_field_is_written_as_json_and_anything_else_as_text() {
    for (value, expected) in [
        (r#"{"a":[1]}"#, json!({ "metrics": { "a": [1] } })),
        (r#"{"a":1"#, json!({ "metrics_json": r#"{"a":1"# })),
        ("{\n}", json!({ "metrics_json": "{\n}" })),
    ] {
        let line = line_of(|| tracing::info!(metrics_json = value, "metrics"));
        for (name, value) in expected.as_object().expect("an object") {
            assert_eq!(&line[name], value, "{line}");
        }
    }
}

#[test]
fn the_filter_sets_the_level_and_never_removes_marker_lines() {
    for (filter, levels) in [
        ("off", ""),
        ("error", "ERROR"),
        ("info", "ERROR INFO"),
        ("warn,logs=debug", "ERROR INFO DEBUG"),
        ("trace", "ERROR INFO DEBUG"),
    ] {
        let text = text_of(filter, || {
            tracing::error!("e");
            tracing::info!("i");
            tracing::debug!("d");
            FcLogMarker::PreStop.start("r-1");
        });
        let (lines, marker) = text.trim_end().rsplit_once('\n').unwrap_or(("", text.trim_end()));
        let seen: Vec<_> = lines
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["level"].clone())
            .filter_map(|level| level.as_str().map(str::to_owned))
            .collect();
        assert_eq!(seen.join(" "), levels, "{filter}");
        assert_eq!(marker, "FC PreStop Start RequestId: r-1", "{filter}");
    }
    assert!(json_subscriber("ingest_fn=loud", io::sink).is_err());
}

#[test]
fn marker_lines_have_the_form_that_function_compute_reads() {
    let text = text_of("info", || {
        for marker in [FcLogMarker::Initialize, FcLogMarker::Invoke, FcLogMarker::PreStop] {
            marker.start("1-6a-5f");
            marker.end("1-6a-5f");
        }
    });
    let expected = "FC Initialize Start RequestId: 1-6a-5f\nFC Initialize End RequestId: 1-6a-5f\n\
                    FC Invoke Start RequestId: 1-6a-5f\nFC Invoke End RequestId: 1-6a-5f\n\
                    FC PreStop Start RequestId: 1-6a-5f\nFC PreStop End RequestId: 1-6a-5f\n";
    assert_eq!(text, expected);
}

proptest! {
    #[test]
    fn no_line_is_too_long_and_every_line_is_json(
        text in proptest::string::string_regex("(?s)([\\x00-\\x7f]|é|路|😀){0,40}").expect("a pattern"),
        times in 1_usize..2_000,
        json_bytes in 0_usize..60_000,
    ) {
        let long = text.repeat(times);
        let json_text = format!("\"{}\"", "j".repeat(json_bytes));
        let log = || tracing::error!(
            a = %long, b = long, c = ?long, d = long, e = long, raw_json = json_text, error = long, "{long}"
        );
        let written = text_of("info", log);
        prop_assert!(written.len() <= LINE_BYTES_MAX, "{} bytes", written.len());
        prop_assert!(written.ends_with('\n') && !written.trim_end_matches('\n').contains('\n'));
        let line: Value = serde_json::from_str(&written).expect("JSON");
        for name in ["timestamp", "level", "message", "errorMessage", "errorCode"] {
            prop_assert!(line[name].is_string(), "{}", name);
        }
        let is_whole = line["a"] == json!(long) && line["message"] == json!(long) && line.get("raw").is_some();
        prop_assert!(is_whole || line["truncated"] == json!(true), "what is cut is said to be cut");
    }
}

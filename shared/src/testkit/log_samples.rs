//! Compares log lines with a file of samples, which `infra/tests/logs` holds alerts and saved queries to.

use std::collections::BTreeMap;

use serde_json::Value;

/// By event: `level`, and the type of each field; `?`: absent or `null` in some lines.
type Samples = BTreeMap<String, BTreeMap<String, String>>;

/// Members of every line.
const COMMON: [&str; 5] = ["timestamp", "target", "message", "event", "level"];

/// Compares the lines of every event in `samples`, JSON of [`Samples`], with its sample. Ignores other events.
///
/// # Panics
/// If an event has no line, or a line has another level, lacks a field, has a further one, or one of another type.
pub fn assert_lines_match(samples: &str, lines: &[Value]) {
    let samples: Samples = serde_json::from_str(samples).expect("samples");
    for (event, sample) in &samples {
        let mut own = lines.iter().filter(|line| line["event"] == **event).peekable();
        assert!(own.peek().is_some(), "no line of {event}");
        own.for_each(|line| assert_line_matches(sample, line));
    }
}

fn assert_line_matches(sample: &BTreeMap<String, String>, line: &Value) {
    assert_eq!(line["level"], sample["level"], "{line}");
    let members = line.as_object().expect("an object");
    for (name, value) in members.iter().filter(|(name, _)| !COMMON.contains(&name.as_str())) {
        let expected = sample.get(name).map_or("no member", String::as_str);
        let is_absent = value.is_null() && expected.ends_with('?');
        assert!(is_absent || expected.trim_end_matches('?') == kind(value), "{name}: {expected} in {line}");
    }
    for (name, kind) in sample.iter().filter(|(_, kind)| !kind.ends_with('?')) {
        assert!(members.contains_key(name), "no {kind} {name} in {line}");
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Object(_) => "object",
        Value::Bool(_) => "boolean",
        Value::Null | Value::Array(_) => "none that a query can use",
    }
}

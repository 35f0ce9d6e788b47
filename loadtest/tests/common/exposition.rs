//! Prometheus' text format 0.0.4, read strictly: what the format does not allow is a panic.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};

/// Returns the samples by name and labels.
pub(crate) fn samples(text: &str) -> BTreeMap<String, f64> {
    assert!(text.ends_with('\n'), "the last line ends");
    let (mut families, mut samples) = (BTreeMap::new(), BTreeMap::new());
    let mut current = ("", "");
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            assert!(
                rest.split_once(' ').is_some_and(|(name, text)| is_name(name) && !text.is_empty()),
                "{line}"
            );
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            current = rest.split_once(' ').expect("a name and a type");
            assert!(is_name(current.0) && ["counter", "gauge", "histogram"].contains(&current.1), "{line}");
            assert_eq!(families.insert(current.0, current.1), None, "one family in one place: {line}");
        } else {
            let (series, value) = line.rsplit_once(' ').expect("a series and a value");
            let name = series.split('{').next().expect("a name");
            let suffix = name.strip_prefix(current.0).unwrap_or_else(|| panic!("{line} in {current:?}"));
            let suffixes = if current.1 == "histogram" { &["_bucket", "_sum", "_count"][..] } else { &[""] };
            assert!(suffixes.contains(&suffix), "{line} in {current:?}");
            assert!(current.1 != "counter" || name.ends_with("_total"), "{line}");
            check_labels(&series[name.len()..]);
            let value: f64 = value.parse().unwrap_or_else(|_| panic!("{line}"));
            assert_eq!(samples.insert(series.to_owned(), value), None, "{line}");
        }
    }
    for (name, _) in families.iter().filter(|(_, kind)| **kind == "histogram") {
        check_histogram(name, &samples);
    }
    read_by_prometheus(text, samples.len());
    samples
}

fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic())
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Labels here need no escapes.
fn check_labels(labels: &str) {
    if labels.is_empty() {
        return;
    }
    let inner = labels.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).expect("braces");
    for label in inner.split(',') {
        let (name, value) = label.split_once('=').expect("a label");
        let value = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).expect("quotes");
        assert!(is_name(name) && !value.contains(['"', '\\', '\n']), "{label}");
    }
}

fn check_histogram(name: &str, samples: &BTreeMap<String, f64>) {
    let mut buckets: Vec<(f64, f64)> = samples
        .iter()
        .filter_map(|(series, count)| {
            let bound = series.strip_prefix(name)?.strip_prefix("_bucket{le=\"")?.strip_suffix("\"}")?;
            Some((bound.replace("+Inf", "inf").parse().expect("a bound"), *count))
        })
        .collect();
    buckets.sort_by(|left, right| left.0.total_cmp(&right.0));
    assert!(buckets.is_sorted_by(|left, right| left.1 <= right.1), "{name} is cumulative: {buckets:?}");
    assert_eq!(buckets.last(), Some(&(f64::INFINITY, samples[&format!("{name}_count")])), "{name}");
    assert!(samples.contains_key(&format!("{name}_sum")), "{name}");
}

/// Prometheus' own Python parser, if `SPILLWAY_TEST_PROMETHEUS_PYTHON` names a Python that has `prometheus_client`.
fn read_by_prometheus(text: &str, expected: usize) {
    let Some(python) = std::env::var_os("SPILLWAY_TEST_PROMETHEUS_PYTHON") else { return };
    let code = "import sys; from prometheus_client.parser import text_string_to_metric_families as families; \
                print(sum(len(family.samples) for family in families(sys.stdin.read())))";
    let mut parser = Command::new(python)
        .args(["-c", code])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("Python runs");
    parser.stdin.take().expect("piped").write_all(text.as_bytes()).expect("written");
    let output = parser.wait_with_output().expect("ends");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), expected.to_string(), "{text}");
}

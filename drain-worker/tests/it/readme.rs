//! The names of metrics: the README lists each, and they follow Prometheus' conventions.

use std::collections::BTreeMap;

const README: &str = include_str!("../../README.md");
const SOURCE: &str = include_str!("../../src/metrics.rs");

/// Name and kind of each metric: counter, gauge or histogram.
fn metrics() -> BTreeMap<&'static str, &'static str> {
    let constants: BTreeMap<_, _> = SOURCE
        .lines()
        .filter_map(|line| line.strip_prefix("const ")?.split_once(": &str = \""))
        .map(|(constant, name)| (constant, name.trim_end_matches("\";")))
        .collect();
    let described = SOURCE.split("describe_").skip(1).filter_map(|rest| {
        let (kind, rest) = rest.split_once("!(")?;
        let constant = rest.trim_start().split(',').next()?;
        Some((*constants.get(constant)?, kind))
    });
    let metrics: BTreeMap<_, _> = described.collect();
    assert_eq!(metrics.len(), constants.len(), "each is described: {metrics:?}");
    metrics
}

#[test]
fn every_metric_is_listed() {
    for name in metrics().keys() {
        let listed = [format!("`{name}`"), format!("`{name}{{")];
        assert!(listed.iter().any(|listed| README.contains(listed)), "{name}");
    }
}

/// In OpenMetrics a counter's family is its name without `_total`, and must differ from other families.
#[test]
fn names_follow_the_conventions_of_prometheus() {
    let metrics = metrics();
    for (name, kind) in &metrics {
        let family = name.strip_suffix("_total");
        assert_eq!(*kind == "counter", family.is_some(), "{name}: a counter ends in _total, others do not");
        assert!(family.is_none_or(|family| !metrics.contains_key(family)), "{name}: its family exists twice");
        assert!(*kind != "histogram" || name.ends_with("_seconds"), "{name}: base units");
        for suffix in ["_ms", "_us", "_milliseconds", "_minutes", "_percent", "_count", "_sum", "_bucket"] {
            assert!(!name.ends_with(suffix), "{name}: base units, and no suffix of a histogram");
        }
    }
    assert!(metrics.len() > 20, "{metrics:?}");
}

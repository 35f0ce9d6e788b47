//! The README lists every metric of the code.

const README: &str = include_str!("../../README.md");

#[test]
fn every_metric_is_listed() {
    let source = include_str!("../../src/metrics.rs");
    let names: Vec<_> = source.split('"').filter(|part| part.starts_with("drain_")).collect();
    assert!(names.len() > 20, "{names:?}");
    for name in names {
        let listed = [format!("`{name}`"), format!("`{name}{{")];
        assert!(listed.iter().any(|listed| README.contains(listed)), "{name}");
    }
}

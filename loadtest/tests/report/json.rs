use loadtest::report::{read, schema_json, write_json};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::runs;

const PUBLISHED: &str = include_str!("../../report.schema.json");

#[test]
fn the_published_schema_matches_the_types() {
    assert_eq!(
        PUBLISHED,
        schema_json().expect("a schema"),
        "loadtest/report.schema.json is stale: cargo run -p loadtest -- report schema > loadtest/report.schema.json"
    );
}

fn validator() -> jsonschema::Validator {
    let schema: Value = serde_json::from_str(PUBLISHED).expect("JSON");
    jsonschema::validator_for(&schema).expect("a schema")
}

#[test]
fn reports_of_every_kind_are_valid_and_round_trip() {
    let validator = validator();
    let directory = TempDir::new().expect("a directory");
    let path = directory.path().join("report.json");
    for report in [
        runs::good(),
        runs::void(),
        runs::failed(),
        runs::aborted(),
        runs::external(),
        runs::single(),
        runs::empty(),
        runs::long(),
    ] {
        write_json(&report, &path).expect("written");
        let json: Value = serde_json::from_slice(&std::fs::read(&path).expect("a file")).expect("JSON");
        let faults: Vec<_> = validator.iter_errors(&json).map(|fault| fault.to_string()).collect();
        assert!(faults.is_empty(), "{faults:?}");
        assert_eq!(read(&path).expect("a report"), report);
    }
}

#[test]
fn a_report_with_a_wrong_field_is_not_valid() {
    let validator = validator();
    let good = serde_json::to_value(runs::good()).expect("JSON");
    assert!(validator.is_valid(&good));
    for (pointer, wrong) in [
        ("/format", json!("1")),
        ("/totals/accepted", json!(-1)),
        ("/run/stack", json!("imaginary")),
        ("/timeline/0/p99_us", json!(null)),
        ("/latency/accepted/curve/0", json!([0.5, 12])),
        ("/scenario/phases/0/shape", json!("sawtooth")),
        ("/generator/latencies_valid", json!("yes")),
    ] {
        let mut report = good.clone();
        *report.pointer_mut(pointer).expect(pointer) = wrong;
        assert!(!validator.is_valid(&report), "{pointer}");
    }
    for object in [
        "",
        "/run",
        "/totals",
        "/timeline/0",
        "/generator",
        "/processes/0/samples/0",
        "/scenario/clients",
        "/scenario/phases/0",
    ] {
        let mut report = good.clone();
        let fields = report.pointer_mut(object).and_then(Value::as_object_mut).expect(object);
        fields.insert("unheard_of".to_owned(), json!(1));
        assert!(!validator.is_valid(&report), "an additional field in {object:?}");
        let mut report = good.clone();
        let fields = report.pointer_mut(object).and_then(Value::as_object_mut).expect(object);
        fields.remove("unheard_of");
        let first = fields.keys().find(|name| *name != "aborted").cloned().expect("a field");
        if object != "/scenario/clients" {
            fields.remove(&first);
            assert!(!validator.is_valid(&report), "{first} missing in {object:?}");
        }
    }
}

#[test]
fn files_that_are_not_reports_are_rejected() {
    let directory = TempDir::new().expect("a directory");
    let path = directory.path().join("report.json");
    let mut newer = serde_json::to_value(runs::good()).expect("JSON");
    newer["format"] = json!(2);
    newer["run"] = json!("all different");
    for (content, told) in [
        ("no JSON".to_owned(), "not a JSON object"),
        ("[1]".to_owned(), "not a JSON object"),
        ("{\"requests\": 3}".to_owned(), "has no `format`"),
        ("{\"format\": 1}".to_owned(), "missing field"),
        ("{\"format\": \"one\"}".to_owned(), "reads version 1"),
        (newer.to_string(), "format version 2; this loadtest reads version 1"),
    ] {
        std::fs::write(&path, content).expect("written");
        let error = format!("{:#}", read(&path).expect_err("no report"));
        assert!(error.contains(told) && error.contains("report.json"), "{error}");
    }
    let error = format!("{:#}", read(&directory.path().join("nowhere.json")).expect_err("no file"));
    assert!(error.contains("nowhere.json"), "{error}");
}

#[test]
fn numbers_that_json_cannot_hold_are_not_written() {
    let directory = TempDir::new().expect("a directory");
    let path = directory.path().join("report.json");
    let mut report = runs::good();
    report.generator.cpu_us_per_request = f64::NAN;
    assert!(write_json(&report, &path).is_err());
    assert!(!path.exists(), "no partial report");
}

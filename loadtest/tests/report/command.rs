//! `loadtest report` and `loadtest compare`, as a user runs them.

use std::path::Path;
use std::process::{Command, Output};

use loadtest::report::{RunReport, schema_json, write_json};
use serde_json::Value;
use tempfile::TempDir;

use super::fixture::{Knobs, flash_sale};
use super::runs;

fn loadtest(directory: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_loadtest"))
        .current_dir(directory)
        .args(arguments)
        .output()
        .expect("loadtest runs")
}

fn directory(reports: &[(&str, RunReport)]) -> TempDir {
    let directory = TempDir::new().expect("a directory");
    for (name, report) in reports {
        write_json(report, &directory.path().join(name)).expect("written");
    }
    directory
}

/// A run with intervals of half a second, whose 99th percentiles are multiplied by `p99`.
fn fine(p99: f64) -> RunReport {
    flash_sale(Knobs { p99, interval_ms: 500, ..Knobs::default() })
}

#[test]
fn the_page_is_rendered_again_from_json() {
    let report = runs::good();
    let directory = directory(&[("run.json", report.clone())]);
    let expected = loadtest::report::html(&report).expect("a page");

    let output = loadtest(directory.path(), &["report", "run.json"]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "run.html\n");
    assert_eq!(std::fs::read_to_string(directory.path().join("run.html")).expect("a page"), expected);

    let output = loadtest(directory.path(), &["report", "run.json", "--html", "other.html"]);
    assert!(output.status.success());
    assert_eq!(std::fs::read_to_string(directory.path().join("other.html")).expect("a page"), expected);
}

#[test]
fn junit_and_csv_are_written_from_json_without_the_page() {
    let report = runs::failed();
    let directory = directory(&[("run.json", report.clone())]);
    let output =
        loadtest(directory.path(), &["report", "run.json", "--junit", "run.xml", "--csv", "timeline.csv"]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "run.xml\ntimeline.csv\n");
    let written = |name: &str| std::fs::read_to_string(directory.path().join(name)).expect("a file");
    assert_eq!(written("run.xml"), loadtest::report::junit(&report));
    assert_eq!(written("timeline.csv"), loadtest::report::csv(&report));
    assert!(!directory.path().join("run.html").exists());
}

#[test]
fn the_schema_is_printed() {
    let output = loadtest(Path::new("."), &["report", "schema"]);
    assert!(output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stdout), schema_json().expect("a schema"));
}

#[test]
fn exit_codes_report_the_result() {
    let mut other_scenario = runs::good();
    other_scenario.scenario.clients.connections_max = 64;
    let directory = directory(&[
        ("a.json", runs::good()),
        ("fast.json", fine(1.0)),
        ("slow.json", fine(1.3)),
        ("failed.json", runs::failed()),
        ("void.json", runs::void()),
        ("other.json", other_scenario),
        ("noisy.json", flash_sale(Knobs { noise: 0.02, ..Knobs::default() })),
    ]);
    std::fs::write(directory.path().join("none.json"), "{}").expect("written");
    for (arguments, code, told) in [
        (&["compare", "a.json", "a.json"][..], 0, "Nothing is worse beyond noise."),
        (&["compare", "fast.json", "slow.json"], 1, "slower"),
        (&["compare", "slow.json", "fast.json"], 0, "faster"),
        (&["compare", "a.json", "failed.json"], 1, "B failed where A did not"),
        (&["compare", "a.json", "void.json"], 3, "not compared: void in B"),
        (&["compare", "a.json", "other.json"], 3, "clients.connections_max  A 512  B 64"),
        (&["compare", "a.json", "none.json"], 2, "no `format`"),
        (&["compare", "a.json", "nowhere.json"], 2, "nowhere.json"),
        (&["compare", "a.json"], 2, "<B>"),
        (&["compare", "--before", "a.json", "--after", "noisy.json"], 3, "1 against 1 runs reach p = 1.000"),
        (
            &["compare", "--before", "a.json", "--after", "failed.json"],
            1,
            "a run after failed, and none before",
        ),
        (&["compare", "--before", "a.json", "--after", "a.json"], 2, "is given twice"),
        (&["compare", "--before", "a.json"], 2, "--after"),
        (
            &["compare", "a.json", "a.json", "--before", "a.json", "--after", "a.json"],
            2,
            "cannot be used with",
        ),
        (&["compare", "a.json", "a.json", "--effect=-1"], 2, "--effect"),
        (&["report", "none.json"], 1, "no `format`"),
        (&["report"], 2, "<FILE>"),
    ] {
        let output = loadtest(directory.path(), arguments);
        let said =
            [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(told), "{arguments:?}: {said}");
    }
}

#[test]
fn the_comparison_is_written_as_json() {
    let directory = directory(&[("a.json", fine(1.0)), ("b.json", fine(1.3))]);
    let output = loadtest(directory.path(), &["compare", "a.json", "b.json", "--json", "diff.json"]);
    assert_eq!(output.status.code(), Some(1));
    let json = std::fs::read(directory.path().join("diff.json")).expect("a file");
    let comparison: Value = serde_json::from_slice(&json).expect("JSON");
    assert_eq!(comparison["outcome"], "worse");
    let tested = comparison["tested"].as_array().expect("figures");
    let p99 = tested.iter().find(|figure| figure["name"] == "p99_us").expect("p99");
    assert_eq!(p99["finding"], "worse");
    let change = p99["change"].as_f64().expect("a number");
    assert!((0.25..0.35).contains(&change), "{change}");
}

//! JUnit XML and CSV, read by a reader of this test's own.

use std::collections::BTreeMap;

use loadtest::ledger::LedgerVerdict;
use loadtest::report::{ExpectationResult, RunReport, csv, junit};

use super::runs;

#[derive(Debug, Default)]
struct Element {
    name: String,
    attributes: BTreeMap<String, String>,
    children: Vec<Element>,
    text: String,
}

impl Element {
    fn number(&self, attribute: &str) -> f64 {
        self.attributes[attribute].parse().expect("a number")
    }

    fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }
}

/// Reads the subset of XML that the report uses, and panics where a strict reader would refuse the document.
fn parse_xml(text: &str) -> Element {
    for character in text.chars() {
        // The production `Char` of XML 1.0.
        let allowed = matches!(character, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
        assert!(allowed, "{character:?} is not a character of XML");
    }
    let text = text.strip_prefix("<?xml version=\"1.0\" encoding=\"UTF-8\"?>").expect("a declaration").trim();
    let mut open = vec![Element::default()];
    let mut rest = text;
    while !rest.is_empty() {
        let (before, after) = rest.split_once('<').unwrap_or((rest, ""));
        open.last_mut().expect("the document").text.push_str(&unescape(before));
        if after.is_empty() {
            break;
        }
        let (tag, after) = after.split_once('>').expect("the tag ends");
        rest = after;
        if let Some(name) = tag.strip_prefix('/') {
            let element = open.pop().expect("an open element");
            assert_eq!(element.name, name, "the innermost element is closed first");
            open.last_mut().expect("a parent").children.push(element);
            continue;
        }
        let (tag, is_empty) = tag.strip_suffix('/').map_or((tag, false), |tag| (tag, true));
        let (name, mut attributes) = tag.split_once(' ').unwrap_or((tag, ""));
        let mut element = Element { name: name.to_owned(), ..Element::default() };
        while !attributes.trim().is_empty() {
            let (name, after) = attributes.trim_start().split_once("=\"").expect("a quoted value");
            let (value, after) = after.split_once('"').expect("the value ends");
            assert!(after.is_empty() || after.starts_with(' '), "attributes are separated");
            assert!(!value.contains(['\n', '\t']), "a reader would turn it into a space");
            let twice = element.attributes.insert(name.to_owned(), unescape(value));
            assert_eq!(twice, None, "{name} twice");
            attributes = after;
        }
        if is_empty {
            open.last_mut().expect("a parent").children.push(element);
        } else {
            open.push(element);
        }
    }
    let mut document = open.pop().expect("the document");
    assert!(open.is_empty(), "every element is closed");
    assert_eq!(document.children.len(), 1, "one root");
    document.children.remove(0)
}

fn unescape(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        let (name, after) = after.split_once(';').expect("a reference ends");
        plain.push_str(before);
        plain.push(match name {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            number => {
                let number = number.strip_prefix('#').expect("a known reference").parse().expect("a number");
                char::from_u32(number).expect("a character")
            }
        });
        rest = after;
    }
    plain + rest
}

fn suite(report: &RunReport) -> Element {
    let suite = parse_xml(&junit(report));
    assert_eq!(suite.name, "testsuite");
    let count = |name: &str| suite.children.iter().filter(|case| case.child(name).is_some()).count() as f64;
    assert_eq!(suite.number("tests"), suite.children.len() as f64);
    assert_eq!(suite.number("failures"), count("failure"));
    assert_eq!(suite.number("skipped"), count("skipped"));
    let time: f64 = suite.children.iter().map(|case| case.number("time")).sum();
    assert!((suite.number("time") - time).abs() < 1e-6, "the times add up");
    suite
}

fn case<'a>(suite: &'a Element, name: &str) -> &'a Element {
    suite.children.iter().find(|case| case.attributes["name"] == name).unwrap_or_else(|| panic!("no {name}"))
}

#[test]
fn a_run_that_passed_has_a_passed_test_case_for_each_judgement() {
    let report = runs::good();
    let suite = suite(&report);
    assert_eq!(suite.attributes["name"], "loadtest flash-sale");
    assert_eq!(suite.attributes["timestamp"], "2026-11-24T20:04:11Z");
    let names: Vec<_> = suite.children.iter().map(|case| case.attributes["name"].as_str()).collect();
    assert_eq!(
        names,
        [
            "requests",
            "ledger",
            "surprises",
            "accepted_p99_us=..250000",
            "accepted_share=0.4..",
            "committed_per_s_max=1800..2000"
        ]
    );
    assert!(suite.children.iter().all(|case| case.children.is_empty()), "{suite:?}");
    let seconds = (report.run.played_ms + report.run.drained_ms) as f64 / 1_000.0;
    assert!((suite.number("time") - seconds).abs() < 1e-6);
}

#[test]
fn failures_carry_their_reasons_with_any_characters() {
    let mut report = runs::failed();
    report.surprises.push("a\u{1b}[31mb\u{0}\tc ]]> \u{ffff} \"&amp;'".to_owned());
    let suite = suite(&report);
    assert_eq!(suite.number("failures"), 3.0, "{suite:?}");
    let failure = |name: &str| case(&suite, name).child("failure").expect("a failure");
    let lost = failure("ledger");
    assert_eq!(lost.attributes["message"], "the ledger does not add up: accepted_order_lost, oversold");
    assert!(lost.text.contains("accepted_order_lost: 3, such as 018f6b1e7a3c; 018f6b1e7a41"), "{lost:?}");
    assert_eq!(
        failure("surprises").text,
        format!("200 OK {}\na\u{fffd}[31mb\u{fffd}\tc ]]> \u{fffd} \"&amp;'", runs::HOSTILE)
    );
    let missed = failure("accepted_p99_us=..250000");
    assert_eq!(missed.attributes["message"], "412000 is not within ..250000");
}

#[test]
fn an_aborted_run_fails_a_test_case_of_its_own() {
    let mut report = runs::aborted();
    let message = |report: &RunReport| {
        let suite = suite(report);
        case(&suite, "abort").child("failure").map(|failure| failure.attributes["message"].clone())
    };
    let expected = "shed_share was 0.9300 at 14.1 s, outside ..0.5 for 10.1 s";
    assert_eq!(message(&report).as_deref(), Some(expected));
    report.run.aborted = None;
    assert_eq!(message(&report), None, "passed");
}

#[test]
fn what_was_not_judged_is_skipped() {
    let external = suite(&runs::external());
    assert!(case(&external, "ledger").child("skipped").is_some());
    let mut unread = runs::external();
    unread.ledger_error = Some("the database cannot be read".to_owned());
    let skipped = suite(&unread);
    let skipped = case(&skipped, "ledger").child("skipped").expect("skipped").attributes["message"].clone();
    assert_eq!(skipped, "the database cannot be read");
    let nothing = suite(&runs::empty());
    let skipped = case(&nothing, "requests").child("skipped").expect("skipped");
    assert_eq!(skipped.attributes["message"], "nothing was sent");
    let mut unjudged = runs::good();
    unjudged.expectations[0].result = ExpectationResult::NotJudged;
    unjudged.expectations[1].result = ExpectationResult::NotJudged;
    unjudged.expectations[1].actual = None;
    let unjudged = suite(&unjudged);
    for (name, why) in
        [("accepted_p99_us=..250000", "latencies are void"), ("accepted_share=0.4..", "it was not measured")]
    {
        assert_eq!(case(&unjudged, name).child("skipped").expect("skipped").attributes["message"], why);
    }
    let mut cut = runs::good();
    let why = "losses: the wait for the drain was interrupted".to_owned();
    cut.ledger = Some(LedgerVerdict { not_judged: vec![why.clone()], ..LedgerVerdict::default() });
    let cut = suite(&cut);
    assert_eq!(case(&cut, "ledger").child("skipped").expect("skipped").attributes["message"], why);
}

fn rows(report: &RunReport) -> Vec<BTreeMap<String, String>> {
    let text = csv(report);
    let mut lines = text.lines().map(|line| line.split(',').map(str::to_owned).collect::<Vec<_>>());
    let names = lines.next().expect("a head");
    lines
        .map(|cells| {
            assert_eq!(cells.len(), names.len(), "{cells:?}");
            names.iter().cloned().zip(cells).collect()
        })
        .collect()
}

#[test]
fn every_interval_is_a_row_and_every_figure_a_column() {
    let report = runs::good();
    let rows = rows(&report);
    assert_eq!(rows.len(), report.timeline.len());
    for (row, interval) in rows.iter().zip(&report.timeline) {
        let interval = serde_json::to_value(interval).expect("JSON");
        let fields = interval.as_object().expect("an object");
        assert_eq!(row.len(), fields.len());
        for (field, value) in fields {
            let (_, cell) = row
                .iter()
                .find(|(name, _)| *name == field || name.strip_prefix(field.as_str()).is_some_and(is_unit))
                .unwrap_or_else(|| panic!("no column for {field}"));
            let expected =
                if field.ends_with("_us") && *value == 0 { String::new() } else { value.to_string() };
            assert_eq!(*cell, expected, "{field}");
        }
    }
    assert!(rows.iter().any(|row| !row["p99_us"].is_empty()));
}

fn is_unit(rest: &str) -> bool {
    ["_requests", "_orders"].contains(&rest)
}

#[test]
fn void_latencies_are_not_in_the_timeline() {
    let report = runs::void();
    for row in rows(&report) {
        for (name, cell) in &row {
            assert_eq!(cell.is_empty(), name.ends_with("_us"), "{name} {cell}");
        }
    }
}

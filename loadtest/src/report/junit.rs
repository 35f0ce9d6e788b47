//! The verdict as JUnit XML, which CI systems show as tests.

use std::fmt::{self, Display, Formatter, Write as _};
use std::fs;
use std::path::Path;

use anyhow::Context;

use super::{AbortedRun, Expectation, ExpectationResult, RunReport};
use crate::scenario::ExpectedRange;

struct TestCase {
    class: &'static str,
    name: String,
    time_ms: u64,
    result: CaseResult,
}

enum CaseResult {
    Passed,
    Skipped(String),
    Failed { message: String, details: Vec<String> },
}

/// One test suite: a test case each for the requests, the ledger, the surprises, the abort rules if there are any, and
/// every expectation. What was not judged is skipped. The times add up to the suite's.
pub fn junit(report: &RunReport) -> String {
    let mut cases = vec![requests(report), ledger(report), surprises(report)];
    cases.extend((!report.scenario.abort.is_empty()).then(|| abort(report)));
    cases.extend(report.expectations.iter().map(expectation));
    let failures = cases.iter().filter(|case| matches!(case.result, CaseResult::Failed { .. })).count();
    let skipped = cases.iter().filter(|case| matches!(case.result, CaseResult::Skipped(_))).count();
    let time_ms = cases.iter().map(|case| case.time_ms).sum();
    let mut xml = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned();
    // Writing to a String cannot fail.
    let _written = writeln!(
        xml,
        "<testsuite name=\"loadtest {}\" tests=\"{}\" failures=\"{failures}\" errors=\"0\" skipped=\"{skipped}\" \
         time=\"{}\" timestamp=\"{}\">",
        Escaped(&report.scenario.name),
        cases.len(),
        Seconds(time_ms),
        Escaped(&report.run.started_at),
    );
    for case in &cases {
        let _written = write!(xml, "{case}");
    }
    xml.push_str("</testsuite>\n");
    xml
}

/// # Errors
/// If the file cannot be written.
pub fn write_junit(report: &RunReport, path: &Path) -> anyhow::Result<()> {
    fs::write(path, junit(report)).with_context(|| format!("writing {}", path.display()))
}

fn requests(report: &RunReport) -> TestCase {
    let unjudged = report.totals.unjudged();
    let result = unjudged.map_or(CaseResult::Passed, |reason| CaseResult::Skipped(reason.to_owned()));
    TestCase { class: "loadtest", name: "requests".to_owned(), time_ms: report.run.played_ms, result }
}

fn ledger(report: &RunReport) -> TestCase {
    let result = match &report.ledger {
        None => CaseResult::Skipped(
            report
                .ledger_error
                .clone()
                .unwrap_or_else(|| "no ledger: nothing was read from the system".to_owned()),
        ),
        Some(verdict) if !verdict.adds_up() => {
            let codes: Vec<_> = verdict.faults.iter().map(|fault| fault.code.as_ref()).collect();
            let details = verdict.faults.iter().map(|fault| {
                format!("{}: {}, such as {}", fault.code, fault.count, fault.examples.join("; "))
            });
            CaseResult::Failed {
                message: format!("the ledger does not add up: {}", codes.join(", ")),
                details: details.collect(),
            }
        }
        Some(verdict) if !verdict.not_judged.is_empty() => CaseResult::Skipped(verdict.not_judged.join("; ")),
        Some(_) => CaseResult::Passed,
    };
    TestCase { class: "loadtest", name: "ledger".to_owned(), time_ms: report.run.drained_ms, result }
}

fn surprises(report: &RunReport) -> TestCase {
    let result = if report.surprises.is_empty() {
        CaseResult::Passed
    } else {
        CaseResult::Failed {
            message: "responses that no rule allows".to_owned(),
            details: report.surprises.clone(),
        }
    };
    TestCase { class: "loadtest", name: "surprises".to_owned(), time_ms: 0, result }
}

fn abort(report: &RunReport) -> TestCase {
    let failed =
        |aborted: &AbortedRun| CaseResult::Failed { message: aborted.to_string(), details: Vec::new() };
    let result = report.run.aborted.as_ref().map_or(CaseResult::Passed, failed);
    TestCase { class: "loadtest", name: "abort".to_owned(), time_ms: 0, result }
}

fn expectation(expectation: &Expectation) -> TestCase {
    let range = ExpectedRange { min: expectation.min, max: expectation.max };
    let result = match expectation.unjudged() {
        Some(reason) => CaseResult::Skipped(reason.to_owned()),
        None if expectation.result == ExpectationResult::Holds => CaseResult::Passed,
        None => CaseResult::Failed {
            message: format!("{} is not within {range}", expectation.actual.unwrap_or_default()),
            details: Vec::new(),
        },
    };
    let name = format!("{}={range}", expectation.name);
    TestCase { class: "loadtest.expect", name, time_ms: 0, result }
}

impl Display for TestCase {
    fn fmt(&self, to: &mut Formatter<'_>) -> fmt::Result {
        let Self { class, name, time_ms, result } = self;
        let (name, time) = (Escaped(name), Seconds(*time_ms));
        write!(to, "  <testcase classname=\"{class}\" name=\"{name}\" time=\"{time}\"")?;
        match result {
            CaseResult::Passed => writeln!(to, "/>"),
            CaseResult::Skipped(reason) => {
                writeln!(to, "><skipped message=\"{}\"/></testcase>", Escaped(reason))
            }
            CaseResult::Failed { message, details } => {
                let (message, details) = (Escaped(message), details.join("\n"));
                writeln!(to, "><failure message=\"{message}\">{}</failure></testcase>", Escaped(&details))
            }
        }
    }
}

struct Seconds(u64);

impl Display for Seconds {
    fn fmt(&self, to: &mut Formatter<'_>) -> fmt::Result {
        write!(to, "{}.{:03}", self.0 / 1_000, self.0 % 1_000)
    }
}

/// Text for an attribute or an element. XML 1.0 has no way to write most control characters; they become U+FFFD.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, to: &mut Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '&' => to.write_str("&amp;")?,
                '<' => to.write_str("&lt;")?,
                '>' => to.write_str("&gt;")?,
                '"' => to.write_str("&quot;")?,
                // Written as they are, a reader would turn them into spaces in an attribute.
                '\t' | '\n' | '\r' => write!(to, "&#{};", u32::from(character))?,
                '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => to.write_char('\u{fffd}')?,
                other => to.write_char(other)?,
            }
        }
        Ok(())
    }
}

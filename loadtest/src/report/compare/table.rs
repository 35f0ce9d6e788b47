//! A comparison as text.

use std::fmt::{self, Display, Formatter};

use super::{
    ComparedRun, Comparison, ComparisonOutcome, Finding, MetricUnit, ScenarioDifference, TestedMetric,
};
use crate::report::RunVerdict;
use crate::report::TestedStack;

impl Display for Comparison {
    fn fmt(&self, to: &mut Formatter<'_>) -> fmt::Result {
        writeln!(to, "A  {}\nB  {}", self.a, self.b)?;
        for difference in &self.scenario_differences {
            writeln!(to, "   {difference}")?;
        }
        for note in &self.notes {
            writeln!(to, "   note: {note}")?;
        }
        let labels =
            self.tested.iter().map(|row| &row.label).chain(self.informational.iter().map(|row| &row.label));
        let width = labels.map(|label| label.chars().count()).max().unwrap_or(0);
        writeln!(
            to,
            "\n{:<width$}  {:>12}  {:>12}  {:>9}  {:>7}  {:>5}",
            "Over paired intervals", "A, median", "B, median", "change", "p", "pairs"
        )?;
        for row in &self.tested {
            write!(
                to,
                "{:<width$}  {:>12}  {:>12}  {:>9}  {:>7}  {:>5}",
                row.label,
                value(row.unit, row.a),
                value(row.unit, row.b),
                change(row),
                probability(row.p),
                row.pairs
            )?;
            writeln!(to, "  {}{}", mark(row.finding), row.summary)?;
        }
        writeln!(to, "\n{:<width$}  {:>12}  {:>12}", "Single values: no claim", "A", "B")?;
        for row in &self.informational {
            writeln!(
                to,
                "{:<width$}  {:>12}  {:>12}",
                row.label,
                value(row.unit, row.a),
                value(row.unit, row.b)
            )?;
        }
        write!(
            to,
            "\n{}",
            self.outcome.message(self.b.failed_newly(&self.a).then_some("B failed where A did not"))
        )
    }
}

impl Display for ScenarioDifference {
    fn fmt(&self, to: &mut Formatter<'_>) -> fmt::Result {
        let Self { parameter, a, b, decisive } = self;
        let harmless = if *decisive { "" } else { "  (the same load)" };
        write!(to, "scenario: {parameter}  A {a}  B {b}{harmless}")
    }
}

impl Display for ComparedRun {
    fn fmt(&self, to: &mut Formatter<'_>) -> fmt::Result {
        let stack = match self.stack {
            TestedStack::Embedded => "embedded broker, SQLite",
            TestedStack::Real => "RocketMQ, MariaDB",
            TestedStack::RealProxy => "RocketMQ, MariaDB behind a proxy",
            TestedStack::External => "external",
        };
        let verdict = match self.verdict {
            RunVerdict::Passed => "passed",
            RunVerdict::Failed => "FAILED",
            RunVerdict::NotJudged => "not judged",
        };
        write!(to, "{}, {}, {stack}, Spillway {}: {verdict}", self.scenario, self.started_at, self.version)
    }
}

impl ComparisonOutcome {
    /// `failure`: the new failure that makes it worse.
    pub(super) fn message(self, failure: Option<&str>) -> String {
        let message = match (self, failure) {
            (Self::NothingWorse, _) => "Nothing is worse beyond noise.",
            (Self::Worse, Some(failure)) => return format!("WORSE: {failure}."),
            (Self::Worse, None) => "WORSE: something is worse beyond noise.",
            (Self::Incomplete, _) => "Nothing was found worse, but not everything could be compared.",
        };
        message.to_owned()
    }
}

pub(super) fn mark(finding: Finding) -> &'static str {
    match finding {
        Finding::Better => "+ ",
        Finding::Worse => "! ",
        Finding::NoChange | Finding::TooFewIntervals | Finding::TooFewRuns | Finding::NotCompared => "  ",
    }
}

fn change(row: &TestedMetric) -> String {
    match (row.change, row.unit) {
        (None, _) => "-".to_owned(),
        (Some(change), MetricUnit::Share) => format!("{:+.1} pt", change * 100.0),
        (Some(change), _) => format!("{:+.1} %", change * 100.0),
    }
}

pub(super) fn probability(p: Option<f64>) -> String {
    match p {
        None => "-".to_owned(),
        Some(p) if p < 0.001 => "<0.001".to_owned(),
        Some(p) => format!("{p:.3}"),
    }
}

pub(super) fn value(unit: MetricUnit, value: Option<f64>) -> String {
    let Some(value) = value else { return "-".to_owned() };
    match unit {
        MetricUnit::Count => grouped(value),
        MetricUnit::PerSecond => format!("{}/s", grouped(value)),
        MetricUnit::Seconds => format!("{value:.1} s"),
        MetricUnit::Share => format!("{:.1} %", value * 100.0),
        MetricUnit::Bytes => format!("{:.1} MiB", value / f64::from(1 << 20)),
        MetricUnit::Milliseconds => self::value(MetricUnit::Microseconds, Some(value * 1e3)),
        MetricUnit::Microseconds if value < 1_000.0 => format!("{value:.1} µs"),
        MetricUnit::Microseconds if value < 1_000_000.0 => format!("{:.2} ms", value / 1e3),
        MetricUnit::Microseconds => format!("{:.2} s", value / 1e6),
    }
}

fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

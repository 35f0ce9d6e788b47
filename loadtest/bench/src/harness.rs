//! Shared by all benchmarks: rounds, conditions, statistics, tables, goals, JSON.

use std::fmt::{self, Write};
use std::path::Path;

use loadtest::report::Machine;
use loadtest::run::describe_machine;
use serde::Serialize;

/// When, with what build and on which machine a benchmark ran.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Conditions {
    date: String,
    version: &'static str,
    optimised: bool,
    machine: Machine,
}

impl Conditions {
    pub(crate) fn now() -> Self {
        Self {
            date: time::OffsetDateTime::now_utc().date().to_string(),
            version: env!("CARGO_PKG_VERSION"),
            optimised: !cfg!(debug_assertions),
            machine: describe_machine(),
        }
    }
}

impl fmt::Display for Conditions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { date, version, optimised, machine } = self;
        let build = if *optimised { "" } else { " (built without optimisation: do not quote)" };
        write!(
            formatter,
            "{date}, Spillway {version}{build}, {} × {}, {}",
            machine.cpus, machine.cpu_model, machine.kernel
        )
    }
}

/// Plays every subject once a round. The order rotates, because the first subject of a round meets another machine
/// state than the last.
pub(crate) fn rounds<S: Copy>(rounds: u32, subjects: &[S]) -> impl Iterator<Item = (u32, S)> {
    (1..=rounds).flat_map(move |round| {
        let mut order = subjects.to_vec();
        let first = (round as usize - 1) % order.len().max(1);
        order.rotate_left(first);
        order.into_iter().map(move |subject| (round, subject))
    })
}

/// Returns `only`, or all if it is empty, in the order of `all` and each once.
pub(crate) fn selected<S: Copy + PartialEq>(all: &[S], only: &[S]) -> Vec<S> {
    all.iter().copied().filter(|subject| only.is_empty() || only.contains(subject)).collect()
}

pub(crate) fn write_json(path: Option<&Path>, results: &impl Serialize) -> anyhow::Result<()> {
    match path {
        Some(path) => Ok(std::fs::write(path, serde_json::to_vec_pretty(results)?)?),
        None => Ok(()),
    }
}

/// Median with minimum and maximum.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Spread {
    /// For an even number of values, the upper of the two middle ones.
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// `None` if there are no values.
    pub(crate) fn compute(values: impl Iterator<Item = f64>) -> Option<Self> {
        let values = sorted(values);
        let (min, max) = (*values.first()?, *values.last()?);
        Some(Self { median: values[values.len() / 2], min, max })
    }

    /// The median, and in brackets minimum and maximum if they differ.
    pub(crate) fn cell(spread: Option<Self>, digits: usize) -> String {
        match spread {
            None => String::new(),
            Some(Self { median, min, max }) if min == max => format!("{median:.digits$}"),
            Some(Self { median, min, max }) => format!("{median:.digits$} ({min:.digits$}–{max:.digits$})"),
        }
    }
}

/// The value that a share of `quantile` does not exceed, by nearest rank.
pub(crate) fn quantile(values: impl Iterator<Item = f64>, quantile: f64) -> Option<f64> {
    let values = sorted(values);
    let rank = (quantile * values.len() as f64).ceil() as usize;
    values.get(rank.max(1) - 1).copied()
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

pub(crate) fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// Columns with their heads; a row is a subject with its cells.
#[derive(Debug, Default)]
pub(crate) struct Table {
    pub(crate) heads: Vec<String>,
    pub(crate) rows: Vec<(String, Vec<String>)>,
}

impl Table {
    /// One block per subject, one line per column.
    pub(crate) fn blocks(&self) -> String {
        let mut text = String::new();
        for (subject, cells) in &self.rows {
            let _infallible = writeln!(text, "{subject}");
            for (head, cell) in self.heads.iter().zip(cells) {
                let _infallible = writeln!(text, "    {head:<38}{cell}");
            }
        }
        text
    }

    /// One line per subject, columns right-aligned.
    pub(crate) fn lines(&self) -> String {
        let longest = |cells: &mut dyn Iterator<Item = &String>| {
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let first = longest(&mut self.rows.iter().map(|(subject, _)| subject));
        let widths: Vec<_> = (0..self.heads.len())
            .map(|at| {
                let cells = self.rows.iter().filter_map(|(_, cells)| cells.get(at));
                longest(&mut std::iter::once(&self.heads[at]).chain(cells))
            })
            .collect();
        let line = |subject: &str, cells: &[String]| {
            let mut text = format!("{subject:<first$}");
            for (cell, width) in cells.iter().zip(&widths) {
                let _infallible = write!(text, "  {cell:>width$}");
            }
            text
        };
        let rows = self.rows.iter().map(|(subject, cells)| line(subject, cells));
        std::iter::once(line("", &self.heads)).chain(rows).collect::<Vec<_>>().join("\n")
    }

    pub(crate) fn markdown(&self) -> String {
        let mut text =
            format!("| | {} |\n|---|{}\n", self.heads.join(" | "), "---|".repeat(self.heads.len()));
        for (subject, cells) in &self.rows {
            let _infallible = writeln!(text, "| {subject} | {} |", cells.join(" | "));
        }
        text
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Goal {
    what: String,
    bound: String,
    actual: String,
    pub(crate) reached: bool,
}

impl Goal {
    pub(crate) fn at_most(what: String, actual: f64, bound: f64, unit: &str, digits: usize) -> Self {
        Self {
            what,
            bound: format!("at most {bound} {unit}"),
            actual: format!("{actual:.digits$} {unit}"),
            reached: actual <= bound,
        }
    }

    pub(crate) fn at_least(what: String, actual: f64, bound: f64, unit: &str, digits: usize) -> Self {
        Self {
            what,
            bound: format!("at least {bound}{unit}"),
            actual: format!("{actual:.digits$}{unit}"),
            reached: actual >= bound,
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reached = if self.reached { "reached    " } else { "NOT reached" };
        write!(formatter, "{reached}  {}: {} (goal {})", self.what, self.actual, self.bound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_quantiles_of_few_and_many_values() {
        let cases: [(&[f64], Option<f64>, Option<f64>); 4] = [
            (&[], None, None),
            (&[7.0], Some(7.0), Some(7.0)),
            (&[3.0, 1.0, 2.0], Some(2.0), Some(3.0)),
            (&[4.0, 1.0, 3.0, 2.0], Some(3.0), Some(4.0)),
        ];
        for (values, middle, p95) in cases {
            assert_eq!(quantile(values.iter().copied(), 0.95), p95, "{values:?}");
            let spread = Spread::compute(values.iter().copied());
            assert_eq!(spread.map(|spread| spread.median), middle, "{values:?}");
        }
        let hundred = || (1..=100).rev().map(f64::from);
        assert_eq!(quantile(hundred(), 0.95), Some(95.0));
        assert_eq!(quantile(hundred(), 0.0), Some(1.0));
        assert_eq!(Spread::compute(hundred()), Some(Spread { median: 51.0, min: 1.0, max: 100.0 }));
    }

    #[test]
    fn the_order_of_subjects_rotates() {
        let order: Vec<_> = rounds(2, &['a', 'b', 'c']).collect();
        assert_eq!(order, [(1, 'a'), (1, 'b'), (1, 'c'), (2, 'b'), (2, 'c'), (2, 'a')]);
        assert_eq!(rounds(2, &[] as &[char]).count(), 0);
        assert_eq!(selected(&['a', 'b', 'c'], &['c', 'a', 'c']), ['a', 'c']);
    }

    #[test]
    fn a_table_is_the_same_in_every_form() {
        let table = Table {
            heads: vec!["rate".to_owned(), "ms".to_owned()],
            rows: vec![("x".to_owned(), vec!["10".to_owned(), "2.5".to_owned()])],
        };
        assert_eq!(table.markdown(), "| | rate | ms |\n|---|---|---|\n| x | 10 | 2.5 |\n");
        assert_eq!(table.lines(), "   rate   ms\nx    10  2.5");
        assert!(table.blocks().starts_with("x\n    rate"));
    }
}

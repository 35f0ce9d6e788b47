//! The printed formulas, read by a second implementation: each must give the printed number.

#![allow(clippy::expect_used, reason = "expect() messages state the expectation")]

use std::process::Command;

use serde_json::Value;

/// Reads `the greater of A and B`, sums, products, brackets, ⌈…⌉ and numbers with units; words after a number count as
/// its unit.
struct Formula<'a> {
    rest: &'a str,
    operations: usize,
}

impl Formula<'_> {
    fn take(&mut self, token: &str) -> bool {
        let rest = self.rest.trim_start();
        let taken = rest.strip_prefix(token);
        self.rest = taken.unwrap_or(rest);
        taken.is_some()
    }

    fn sum(&mut self) -> Option<f64> {
        let mut value = self.product()?;
        loop {
            if self.take("+ ") {
                value += self.product()?;
            } else if self.take("− ") {
                value -= self.product()?;
            } else {
                return Some(value);
            }
            self.operations += 1;
        }
    }

    fn product(&mut self) -> Option<f64> {
        let mut value = self.atom()?;
        loop {
            if self.take("× ") {
                value *= self.atom()?;
            } else if self.take("/ ") {
                value /= self.atom()?;
            } else {
                return Some(value);
            }
            self.operations += 1;
        }
    }

    fn atom(&mut self) -> Option<f64> {
        if self.take("(") {
            let value = self.sum();
            return value.filter(|_| self.take(")"));
        }
        if self.take("⌈") {
            let value = self.sum().map(|value| (value - 1e-9).ceil());
            self.operations += 1;
            return value.filter(|_| self.take("⌉"));
        }
        let length = self.rest.find(|c: char| !c.is_ascii_digit() && c != ',' && c != '.')?;
        let (number, rest) = self.rest.split_at(length);
        let number: f64 = number.trim_end_matches(['.', ',']).replace(',', "").parse().ok()?;
        let end = rest.find(['×', '+', '−', ')', '⌉', ':', ';', ',']).unwrap_or(rest.len());
        // A division has spaces around its sign, a unit such as "/s" has none before it.
        let end = rest.find(" / ").map_or(end, |division| end.min(division));
        let end = rest.find(" and ").map_or(end, |word| end.min(word));
        let (unit, rest) = rest.split_at(end);
        self.rest = rest;
        let factor = match unit.split_whitespace().next() {
            Some("µs") => 1e-6,
            Some("ms") => 1e-3,
            _ => 1.0,
        };
        Some(number * factor)
    }
}

/// `None` if the text is no arithmetic.
fn evaluate(text: &str) -> Option<f64> {
    // The end of the text ends the last number.
    let text = format!("{text};");
    let mut formula = Formula { rest: &text, operations: 0 };
    let mut value = if formula.take("the greater of ") {
        formula.operations += 1;
        let first = formula.sum()?;
        if !formula.take("and ") {
            return None;
        }
        first.max(formula.sum()?)
    } else {
        formula.sum()?
    };
    if formula.operations == 0 {
        return None;
    }
    for (clause, bound) in [("at least ", f64::max as fn(f64, f64) -> f64), ("at most ", f64::min)] {
        if let Some((_, rest)) = formula.rest.split_once(clause) {
            let mut limit = Formula { rest, operations: 0 };
            value = bound(value, limit.atom()?);
        }
    }
    Some(value)
}

#[test]
fn every_printed_formula_gives_its_number() {
    for flags in [
        "--peak-rps=50000 --orders=3000000 --duration=60s",
        "--peak-rps=1200 --orders=30000 --duration=40s --drain-rate=500 --concurrency=20",
        "--peak-rps=200000 --orders=9000000 --duration=90s --vcpu=2 --headroom=0.5 --quota=small-region",
    ] {
        let directory = tempfile::TempDir::new().expect("a directory");
        let json = directory.path().join("plan.json");
        let mut command = Command::new(env!("CARGO_BIN_EXE_loadtest"));
        command.arg("plan").args(flags.split(' ')).arg("--json").arg(&json);
        assert!(command.output().expect("it runs").status.success(), "{flags}");
        let plan: Value =
            serde_json::from_slice(&std::fs::read(&json).expect("the plan")).expect("valid JSON");
        let sections = plan["sections"].as_array().expect("sections");
        let mut evaluated = 0;
        for figure in sections.iter().flat_map(|section| section["figures"].as_array().expect("figures")) {
            let (Some(value), Some(formula)) = (figure["value"].as_f64(), figure["formula"].as_str()) else {
                continue;
            };
            let Some(result) = evaluate(formula) else { continue };
            evaluated += 1;
            // Operands are printed with three digits; a rounded operand may move a rounded-up result by one.
            let slack = if formula.contains('⌈') { 1.0 } else { 0.0 } + value.abs() * 0.005;
            assert!(
                (result - value).abs() <= slack,
                "{}: {formula} is {result}, not {value}",
                figure["name"]
            );
        }
        assert!(evaluated >= 20, "{evaluated} formulas were read: {flags}");
    }
}

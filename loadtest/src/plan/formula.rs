//! Figures whose number, formula and sources come from one expression.

use std::ops::{Add, Div, Mul, Sub};

use fc_model::{Basis, Certainty, Fact};
use serde::Serialize;

/// A number with the formula that produced it and the facts that it rests on. Arithmetic on terms extends all three.
#[derive(Clone, Debug)]
pub(super) struct Term {
    pub(super) value: f64,
    text: String,
    /// Priority of the outermost operation.
    priority: u8,
    bases: Vec<Basis>,
}

const SUM: u8 = 1;
const PRODUCT: u8 = 2;
const ATOM: u8 = 3;

impl Term {
    /// A fact, shown with `unit`, for example " ms". `factor` converts it to the unit of the arithmetic.
    pub(super) fn scaled(fact: &Fact, unit: &str, factor: f64) -> Self {
        Self::computed(fact.value * factor, format!("{}{unit}", number(fact.value)), vec![fact.basis()])
    }

    pub(super) fn fact(fact: &Fact) -> Self {
        Self::scaled(fact, "", 1.0)
    }

    /// A number that is not an expression here, such as the result of a search.
    pub(super) fn computed(value: f64, text: String, bases: Vec<Basis>) -> Self {
        Self { value, text, priority: ATOM, bases }
    }

    pub(super) fn constant(value: f64) -> Self {
        Self::computed(value, number(value), Vec::new())
    }

    pub(super) fn ceil(self) -> Self {
        // 10.000000000001 is 10.
        let value = (self.value - 1e-9).ceil();
        Self { value, text: format!("⌈{}⌉", self.text), priority: ATOM, bases: self.bases }
    }

    pub(super) fn at_least(self, min: f64) -> Self {
        let text = format!("{}, at least {}", self.text, number(min));
        Self { value: self.value.max(min), text, ..self }
    }

    pub(super) fn max(self, other: Self) -> Self {
        let text = format!("the greater of {} and {}", self.text, other.text);
        let value = self.value.max(other.value);
        Self { value, text, priority: SUM, bases: union(self.bases, other.bases) }
    }

    /// The same formula with the value that other limits leave of it.
    pub(super) fn valued(self, value: f64) -> Self {
        Self { value, ..self }
    }

    /// Adds words to the formula.
    pub(super) fn note(self, note: &str) -> Self {
        Self { text: format!("{}{note}", self.text), ..self }
    }

    /// Adds facts that the number rests on without appearing in the formula.
    pub(super) fn resting_on(self, bases: impl IntoIterator<Item = Basis>) -> Self {
        Self { bases: union(self.bases, bases.into_iter().collect()), ..self }
    }

    pub(super) fn bases(&self) -> &[Basis] {
        &self.bases
    }

    fn within(&self, priority: u8) -> String {
        if self.priority < priority { format!("({})", self.text) } else { self.text.clone() }
    }

    fn operate(self, other: Self, value: f64, sign: &str, priority: u8, right: u8) -> Self {
        let text = format!("{}{sign}{}", self.within(priority), other.within(right));
        Self { value, text, priority, bases: union(self.bases, other.bases) }
    }
}

fn union(mut bases: Vec<Basis>, others: Vec<Basis>) -> Vec<Basis> {
    for other in others {
        if !bases.contains(&other) {
            bases.push(other);
        }
    }
    bases
}

impl Mul for Term {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        let value = self.value * other.value;
        self.operate(other, value, " × ", PRODUCT, PRODUCT)
    }
}

impl Div for Term {
    type Output = Self;

    fn div(self, other: Self) -> Self {
        let value = self.value / other.value;
        self.operate(other, value, " / ", PRODUCT, ATOM)
    }
}

impl Add for Term {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        let value = self.value + other.value;
        self.operate(other, value, " + ", SUM, SUM)
    }
}

impl Sub for Term {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        let value = self.value - other.value;
        self.operate(other, value, " − ", SUM, PRODUCT)
    }
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlanFigure {
    /// Name in the JSON file, unit last.
    pub name: &'static str,
    pub label: String,
    /// `None` if no known size fits, or a price is not known.
    pub value: Option<f64>,
    /// The number with its unit, or a name such as a specification's.
    pub shown: String,
    pub formula: String,
    /// The least certain of its sources.
    pub certainty: Certainty,
    /// Ids of [`FigureSource`]s.
    pub sources: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FigureSource {
    /// The letter of the certainty and a number.
    pub id: String,
    #[serde(flatten)]
    pub basis: Basis,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlanSection {
    pub title: &'static str,
    pub figures: Vec<PlanFigure>,
    pub notes: Vec<String>,
}

/// Collects sections, and each source once.
#[derive(Debug, Default)]
pub(super) struct ReportBuilder {
    pub(super) sections: Vec<PlanSection>,
    /// In the order of first use.
    pub(super) sources: Vec<FigureSource>,
}

impl ReportBuilder {
    /// Starts a section; figures and notes that follow belong to it.
    pub(super) fn section(&mut self, title: &'static str) {
        self.sections.push(PlanSection { title, figures: Vec::new(), notes: Vec::new() });
    }

    /// Adds a number with its unit.
    pub(super) fn amount(&mut self, name: &'static str, label: &str, unit: &str, term: &Term) {
        let space = if unit.is_empty() { "" } else { " " };
        self.term(name, label, format!("{}{space}{unit}", number(term.value)), term);
    }

    /// Adds a duration in seconds.
    pub(super) fn duration(&mut self, name: &'static str, label: &str, term: &Term) {
        let shown = match term.value {
            s if s >= 7200.0 => format!("{} h", number(s / 3600.0)),
            s if s >= 120.0 => format!("{} min", number(s / 60.0)),
            s => format!("{} s", number(s)),
        };
        self.term(name, label, shown, term);
    }

    /// Adds a number that is shown as `shown`.
    pub(super) fn term(&mut self, name: &'static str, label: &str, shown: String, term: &Term) {
        // The formula of a bare number is the number, which is shown already.
        let bare = term.text.starts_with(&number(term.value)) && term.priority == ATOM;
        let formula = if bare && !term.text.contains(' ') { String::new() } else { term.text.clone() };
        self.figure(name, label, (Some(term.value), shown), formula, &term.bases);
    }

    /// Adds a figure without an expression, such as the name of a specification.
    pub(super) fn figure(
        &mut self,
        name: &'static str,
        label: &str,
        (value, shown): (Option<f64>, String),
        formula: String,
        bases: &[Basis],
    ) {
        let sources = bases.iter().map(|basis| self.cite(basis)).collect();
        let certainty = bases.iter().map(|basis| basis.certainty).max().unwrap_or(Certainty::Given);
        let figure = PlanFigure { name, label: label.to_owned(), value, shown, formula, certainty, sources };
        if let Some(section) = self.sections.last_mut() {
            section.figures.push(figure);
        }
    }

    pub(super) fn note(&mut self, note: impl Into<String>) {
        if let Some(section) = self.sections.last_mut() {
            section.notes.push(note.into());
        }
    }

    fn cite(&mut self, basis: &Basis) -> String {
        if let Some(known) = self.sources.iter().find(|source| source.basis == *basis) {
            return known.id.clone();
        }
        let alike = self.sources.iter().filter(|source| source.basis.certainty == basis.certainty);
        let id = format!("{}{}", basis.certainty.letter(), alike.count() + 1);
        self.sources.push(FigureSource { id: id.clone(), basis: basis.clone() });
        id
    }
}

/// Formats a number with separated thousands and three significant decimals at most.
pub fn number(value: f64) -> String {
    let decimals = match value.abs() {
        size if size >= 100.0 || (size - size.round()).abs() < 1e-9 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        size if size >= 0.01 => 3,
        _ => 6,
    };
    let text = format!("{:.decimals$}", value.abs());
    let (whole, fraction) = text.split_once('.').map_or((text.as_str(), ""), |parts| parts);
    let mut grouped = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    let fraction = fraction.trim_end_matches('0');
    let sign = if value < 0.0 { "-" } else { "" };
    if fraction.is_empty() { format!("{sign}{grouped}") } else { format!("{sign}{grouped}.{fraction}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_formatted_with_separators() {
        for (value, expected) in [
            (0.0, "0"),
            (50_000.0, "50,000"),
            (1_234_567.8, "1,234,568"),
            (999.0, "999"),
            (22.46, "22.5"),
            (2.0, "2"),
            (0.45, "0.45"),
            (0.0001, "0.0001"),
            (-1_500.0, "-1,500"),
        ] {
            assert_eq!(number(value), expected);
        }
    }

    #[test]
    fn the_formula_is_the_expression_that_gives_the_number() {
        let constant = Term::constant;
        for (term, value, text) in [
            (constant(2.0) * (constant(3.0) + constant(4.0)), 14.0, "2 × (3 + 4)"),
            (constant(12.0) / (constant(2.0) * constant(3.0)), 2.0, "12 / (2 × 3)"),
            (constant(9.0) - (constant(4.0) - constant(1.0)), 6.0, "9 − (4 − 1)"),
            ((constant(7.0) / constant(2.0)).ceil(), 4.0, "⌈7 / 2⌉"),
            ((constant(1.0) - constant(2.0)).at_least(0.0), 0.0, "1 − 2, at least 0"),
            (constant(3.0).max(constant(5.0)), 5.0, "the greater of 3 and 5"),
        ] {
            assert_eq!((term.value, term.text.as_str()), (value, text));
        }
        let us = Fact { value: 17.0, certainty: Certainty::Measured, source: "a bench".to_owned() };
        let cpu = Term::scaled(&us, " µs", 1e-6) * constant(1e6);
        assert_eq!((cpu.value, cpu.text.as_str(), cpu.bases().len()), (17.0, "17 µs × 1,000,000", 1));
    }

    #[test]
    fn a_figure_is_as_certain_as_its_least_certain_source_and_sources_are_cited_once() {
        let fact = |certainty, source: &str| Fact { value: 1.0, certainty, source: source.to_owned() };
        let [given, likely, other] = [
            fact(Certainty::Given, "--a"),
            fact(Certainty::Likely, "hearsay"),
            fact(Certainty::Likely, "other"),
        ]
        .map(|fact| Term::fact(&fact));
        let mut builder = ReportBuilder::default();
        builder.section("one");
        builder.amount("a", "a", "", &(given + likely.clone()));
        builder.amount("b", "b", "", &(likely + other));
        let figures = &builder.sections[0].figures;
        assert_eq!(figures[0].certainty, Certainty::Likely);
        assert_eq!(figures[0].sources, ["G1", "L1"]);
        assert_eq!(figures[1].sources, ["L1", "L2"]);
        assert_eq!(builder.sources.len(), 3);
    }
}

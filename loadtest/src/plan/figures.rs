//! Figures that say where they come from.

use serde::Serialize;

use super::facts::{Basis, Certainty};

/// A figure of the plan.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figure {
    /// Its name in the JSON file, unit last.
    pub name: &'static str,
    /// What it is, for people.
    pub label: String,
    /// The number; absent where nothing fits, or a price is not known.
    pub value: Option<f64>,
    /// The number as it is printed, with its unit; or a name such as a specification's.
    pub shown: String,
    /// How it was reckoned, with the numbers that went in.
    pub how: String,
    /// The doubt that its most doubtful source leaves.
    pub certainty: Certainty,
    /// What it rests on, by [`Source::id`].
    pub sources: Vec<String>,
}

/// A source that figures name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Source {
    /// The letter of its certainty and a number.
    pub id: String,
    /// How sure it is, and where it comes from.
    #[serde(flatten)]
    pub basis: Basis,
}

/// Figures that belong together.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Section {
    /// What they are about.
    pub title: &'static str,
    /// In the order of reading.
    pub figures: Vec<Figure>,
    /// What else there is to say.
    pub remarks: Vec<String>,
}

/// Collects sections, and each source once.
#[derive(Debug, Default)]
pub struct Book {
    /// So far.
    pub sections: Vec<Section>,
    /// So far, in the order in which they were first named.
    pub sources: Vec<Source>,
}

impl Book {
    /// Begins a section; what follows belongs to it.
    pub fn section(&mut self, title: &'static str) {
        self.sections.push(Section { title, figures: Vec::new(), remarks: Vec::new() });
    }

    /// Adds a figure to the section. Its doubt is that of the most doubtful of `bases`.
    pub fn figure(
        &mut self,
        (name, label): (&'static str, &str),
        (value, shown): (Option<f64>, String),
        how: String,
        bases: &[&Basis],
    ) {
        let sources = bases.iter().map(|basis| self.cite(basis)).collect();
        let certainty = bases.iter().map(|basis| basis.certainty).max().unwrap_or(Certainty::Given);
        let figure = Figure { name, label: label.to_owned(), value, shown, how, certainty, sources };
        if let Some(section) = self.sections.last_mut() {
            section.figures.push(figure);
        }
    }

    /// Adds a remark to the section.
    pub fn remark(&mut self, remark: impl Into<String>) {
        if let Some(section) = self.sections.last_mut() {
            section.remarks.push(remark.into());
        }
    }

    fn cite(&mut self, basis: &Basis) -> String {
        if let Some(known) = self.sources.iter().find(|source| source.basis == *basis) {
            return known.id.clone();
        }
        let alike = self.sources.iter().filter(|source| source.basis.certainty == basis.certainty);
        let id = format!("{}{}", basis.certainty.letter(), alike.count() + 1);
        self.sources.push(Source { id: id.clone(), basis: basis.clone() });
        id
    }
}

/// A number with thousands separated, and as many decimals as tell something.
#[must_use]
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

/// A number with its unit, as a figure takes it.
#[must_use]
pub fn amount(value: f64, unit: &str) -> (Option<f64>, String) {
    let space = if unit.is_empty() { "" } else { " " };
    (Some(value), format!("{}{space}{unit}", number(value)))
}

/// Seconds as people say them.
#[must_use]
pub fn span(seconds: f64) -> (Option<f64>, String) {
    let shown = match seconds {
        s if s >= 7200.0 => format!("{} h", number(s / 3600.0)),
        s if s >= 120.0 => format!("{} min", number(s / 60.0)),
        s => format!("{} s", number(s)),
    };
    (Some(seconds), shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
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
    fn a_figure_is_as_doubtful_as_its_most_doubtful_source_and_sources_are_named_once() {
        let basis = |certainty, source: &str| Basis { certainty, source: source.to_owned() };
        let (given, likely) = (basis(Certainty::Given, "--a"), basis(Certainty::Likely, "hearsay"));
        let mut book = Book::default();
        book.section("one");
        book.figure(("a", "a"), amount(1.0, ""), String::new(), &[&given, &likely]);
        book.figure(
            ("b", "b"),
            amount(1.0, ""),
            String::new(),
            &[&likely, &basis(Certainty::Likely, "other")],
        );
        let figures = &book.sections[0].figures;
        assert_eq!(figures[0].certainty, Certainty::Likely);
        assert_eq!(figures[0].sources, ["G1", "L1"]);
        assert_eq!(figures[1].sources, ["L1", "L2"]);
        assert_eq!(book.sources.len(), 3);
    }
}

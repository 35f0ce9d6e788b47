//! Facts with their source and certainty, read from data files.

use serde::{Deserialize, Serialize};

use crate::platform;

/// How sure a fact is, the surest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Certainty {
    /// Whoever asked said so, by a flag.
    Given,
    /// Measured here, by a command that is named.
    Measured,
    /// Read in official documentation, an SDK or a source file.
    Certain,
    /// Partial text, inference or a third party.
    Likely,
    /// A choice of ours.
    Assumed,
    /// Nobody here knows.
    Unknown,
}

impl Certainty {
    /// Its letter in the text.
    #[must_use]
    pub fn letter(self) -> char {
        match self {
            Self::Given => 'G',
            Self::Measured => 'M',
            Self::Certain => 'C',
            Self::Likely => 'L',
            Self::Assumed => 'A',
            Self::Unknown => 'U',
        }
    }

    /// Its name in the text.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Given => "given",
            Self::Measured => "measured",
            Self::Certain => "certain",
            Self::Likely => "likely",
            Self::Assumed => "assumed",
            Self::Unknown => "unknown",
        }
    }
}

/// A number with its source.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fact {
    /// The number, in the unit that the fact's name ends with.
    pub value: f64,
    /// How sure it is.
    pub certainty: Certainty,
    /// Where it comes from.
    pub source: String,
}

impl Fact {
    /// What a flag said.
    #[must_use]
    pub fn given(flag: &str, value: f64) -> Self {
        Self { value, certainty: Certainty::Given, source: format!("{flag} {value}") }
    }

    /// Where it comes from, without the number.
    #[must_use]
    pub fn basis(&self) -> Basis {
        Basis { certainty: self.certainty, source: self.source.clone() }
    }
}

impl From<platform::Certainty> for Certainty {
    fn from(certainty: platform::Certainty) -> Self {
        match certainty {
            platform::Certainty::Certain => Self::Certain,
            platform::Certainty::Likely => Self::Likely,
            platform::Certainty::Unknown => Self::Unknown,
        }
    }
}

impl From<&platform::Fact> for Fact {
    fn from(fact: &platform::Fact) -> Self {
        Self { value: fact.value.into(), certainty: fact.certainty.into(), source: fact.source.clone() }
    }
}

/// What a figure rests on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Basis {
    /// How sure it is.
    pub certainty: Certainty,
    /// Where it comes from.
    pub source: String,
}

/// Everything the data files hold.
#[derive(Clone, Debug)]
pub struct Facts {
    /// What the platform charges.
    pub prices: super::cost::Prices,
    /// What the managed services allow.
    pub specs: super::specs::Specs,
    /// What was measured or is assumed of Spillway.
    pub measured: super::specs::Measured,
    /// What Function Compute does with instances.
    pub platform: platform::Facts,
}

impl Facts {
    /// The files that ship with the program, with `prices` in place of its own price table if given.
    ///
    /// # Errors
    /// A file that is not what its type says, or whose numbers make no sense.
    pub fn load(prices: Option<&str>) -> anyhow::Result<Self> {
        use anyhow::Context;
        let prices: super::cost::Prices =
            toml::from_str(prices.unwrap_or(include_str!("../../data/prices.toml"))).context("prices")?;
        prices.check().context("prices")?;
        Ok(Self {
            prices,
            specs: toml::from_str(include_str!("../../data/specs.toml")).context("specifications")?,
            measured: toml::from_str(include_str!("../../data/measured.toml")).context("measurements")?,
            platform: platform::Facts::shipped().context("platform")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_files_can_be_read() {
        let facts = Facts::load(None).expect("the shipped files");
        assert_eq!(facts.prices.cu.invocations_10000.value, 75.0);
        assert!(facts.specs.gateway.windows(2).all(|pair| pair[0].rps < pair[1].rps), "smallest first");
        let specs = &facts.specs.rocketmq.specs;
        assert!(specs.windows(2).all(|pair| pair[0].tps < pair[1].tps), "smallest first");
    }

    #[test]
    fn certainty_is_ordered_by_doubt() {
        assert!(Certainty::Given < Certainty::Certain && Certainty::Certain < Certainty::Unknown);
    }
}

//! The facts that a plan rests on, read from data files.

use anyhow::Context;
use fc_model::PlatformFacts;

use super::cost::Prices;
use super::specs::{MeasuredFacts, ServiceSpecs};

#[derive(Clone, Debug)]
pub struct PlanFacts {
    pub prices: Prices,
    /// Sizes and limits of the managed services.
    pub specs: ServiceSpecs,
    /// Measurements and assumptions about Spillway.
    pub measured: MeasuredFacts,
    pub platform: PlatformFacts,
}

impl PlanFacts {
    /// Reads the shipped files; `prices` replaces the shipped price table.
    ///
    /// # Errors
    ///
    /// If a file does not match its type, or its numbers are inconsistent.
    pub fn load(prices: Option<&str>, platform: PlatformFacts) -> anyhow::Result<Self> {
        let prices: Prices =
            toml::from_str(prices.unwrap_or(include_str!("../../data/prices.toml"))).context("prices")?;
        prices.check().context("prices")?;
        Ok(Self {
            prices,
            specs: toml::from_str(include_str!("../../data/specs.toml")).context("specifications")?,
            measured: toml::from_str(include_str!("../../data/measured.toml")).context("measurements")?,
            platform,
        })
    }
}

#[cfg(test)]
mod tests {
    use fc_model::Certainty;

    use super::*;

    #[test]
    fn the_shipped_files_can_be_read() {
        let facts =
            PlanFacts::load(None, PlatformFacts::shipped().expect("shipped")).expect("the shipped files");
        assert_eq!(facts.prices.cu.invocations_10000.value, 75.0);
        assert!(facts.specs.gateway.windows(2).all(|pair| pair[0].rps < pair[1].rps), "smallest first");
        let specs = &facts.specs.rocketmq.specs;
        assert!(specs.windows(2).all(|pair| pair[0].tps < pair[1].tps), "smallest first");
    }

    #[test]
    fn certainty_is_ordered_from_given_to_unknown() {
        assert!(Certainty::Given < Certainty::Certain && Certainty::Certain < Certainty::Unknown);
    }
}

//! Every parameter of a scenario as a flag.

use std::str::FromStr;

use crate::scenario::{PHASE_SYNTAX, Phase, Range, Scenario};

/// Flags that change the scenario.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Scenario (each flag overrides the file)")]
pub struct Overrides {
    /// Seed of every choice
    #[arg(long)]
    pub seed: Option<u64>,
    /// Phases, instead of the file's.
    #[arg(long = "phase", value_name = "PHASE", help = format!("Phase of rate, instead of the file's; repeat for more: {PHASE_SYNTAX}"))]
    pub phases: Vec<Phase>,
    /// Multiply every rate of every phase
    #[arg(long, value_name = "FACTOR")]
    pub rps_scale: Option<f64>,
    /// Different SKUs
    #[arg(long, value_name = "COUNT")]
    pub skus: Option<u32>,
    /// Units of each SKU that is not hot
    #[arg(long, value_name = "UNITS")]
    pub stock: Option<u32>,
    /// SKUs that everybody wants
    #[arg(long, value_name = "COUNT")]
    pub hot_skus: Option<u32>,
    /// Units of each hot SKU
    #[arg(long, value_name = "UNITS")]
    pub hot_stock: Option<u32>,
    /// Most units of a hot SKU for one buyer; 0: no limit
    #[arg(long, value_name = "UNITS")]
    pub hot_limit: Option<u32>,
    /// Different buyers
    #[arg(long, value_name = "COUNT")]
    pub users: Option<u32>,
    /// Exponent of the Zipf law over buyers; 0: all alike
    #[arg(long, value_name = "EXPONENT")]
    pub user_zipf: Option<f64>,
    /// Exponent of the Zipf law over SKUs
    #[arg(long, value_name = "EXPONENT")]
    pub sku_zipf: Option<f64>,
    /// Most lines of an order
    #[arg(long, value_name = "COUNT")]
    pub lines_max: Option<u32>,
    /// Most units of a line
    #[arg(long, value_name = "UNITS")]
    pub quantity_max: Option<u32>,
    /// Share of requests that repeat an earlier order, 0 to 1
    #[arg(long, value_name = "SHARE")]
    pub replays: Option<f64>,
    /// Share that bear an earlier order's key and another body
    #[arg(long, value_name = "SHARE")]
    pub changed: Option<f64>,
    /// Share that must be refused
    #[arg(long, value_name = "SHARE")]
    pub invalid: Option<f64>,
    /// Share whose client hangs up
    #[arg(long, value_name = "SHARE")]
    pub hang_ups: Option<f64>,
    /// Share whose body trickles in
    #[arg(long, value_name = "SHARE")]
    pub slow_bodies: Option<f64>,
    /// Most connections open at once
    #[arg(long, value_name = "COUNT")]
    pub connections: Option<u32>,
    /// Requests after which a connection is renewed; 0: never
    #[arg(long, value_name = "COUNT")]
    pub requests_per_connection: Option<u32>,
    /// Longest wait for an answer
    #[arg(long, value_name = "MS")]
    pub timeout_ms: Option<u32>,
    /// Retries of what was shed or not answered, with the same key
    #[arg(long, value_name = "COUNT")]
    pub retries: Option<u32>,
    /// Least wait before a retry; doubles with each
    #[arg(long, value_name = "MS")]
    pub retry_backoff_ms: Option<u32>,
    /// When a client that hangs up does so
    #[arg(long, value_name = "MS")]
    pub hang_up_after_ms: Option<u32>,
    /// How long a slow body takes
    #[arg(long, value_name = "MS")]
    pub slow_body_ms: Option<u32>,
    /// Most orders that the drain commits in any one second
    #[arg(long, value_name = "ORDERS")]
    pub rate: Option<u32>,
    /// Sending threads; 0: as many as the peak needs
    #[arg(long, value_name = "COUNT")]
    pub threads: Option<u32>,
    /// Latencies are void if more than one request in 1,000 was taken up later than this
    #[arg(long, value_name = "US")]
    pub slip_p999_us_max: Option<u32>,
    /// Length of the timeline's intervals
    #[arg(long, value_name = "MS")]
    pub interval_ms: Option<u32>,
    /// Expected range, added to the file's or instead of it: NAME=MIN..MAX, either end may be left out; `loadtest scenarios --measures` lists the names
    #[arg(long = "expect", value_name = "NAME=MIN..MAX")]
    pub expect: Vec<NamedRange>,
    /// Expect nothing of what the file expects
    #[arg(long)]
    pub no_expect: bool,
}

/// `p99_ms=..250`
#[derive(Clone, Debug, PartialEq)]
pub struct NamedRange {
    /// What is measured.
    pub name: String,
    /// What is expected.
    pub range: Range,
}

impl FromStr for NamedRange {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let syntax = "write NAME=MIN..MAX, such as p99_ms=..250";
        let (name, range) = text.split_once('=').ok_or(syntax)?;
        let (min, max) = range.split_once("..").ok_or(syntax)?;
        let end = |text: &str| match text {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(|_| syntax),
        };
        Ok(Self { name: name.to_owned(), range: Range { min: end(min)?, max: end(max)? } })
    }
}

macro_rules! apply {
    ($($flag:expr => $field:expr),* $(,)?) => {
        $(if let Some(value) = $flag { $field = value; })*
    };
}

impl Overrides {
    /// Changes `scenario`.
    pub fn apply(&self, scenario: &mut Scenario) {
        apply! {
            self.seed => scenario.seed,
            self.skus => scenario.sale.skus,
            self.stock => scenario.sale.stock,
            self.hot_skus => scenario.sale.hot_skus,
            self.hot_stock => scenario.sale.hot_stock,
            self.hot_limit => scenario.sale.hot_limit,
            self.users => scenario.buyers.users,
            self.user_zipf => scenario.buyers.user_zipf,
            self.sku_zipf => scenario.buyers.sku_zipf,
            self.lines_max => scenario.buyers.lines_max,
            self.quantity_max => scenario.buyers.quantity_max,
            self.replays => scenario.mix.replays,
            self.changed => scenario.mix.changed,
            self.invalid => scenario.mix.invalid,
            self.hang_ups => scenario.mix.hang_ups,
            self.slow_bodies => scenario.mix.slow_bodies,
            self.connections => scenario.clients.connections_max,
            self.requests_per_connection => scenario.clients.requests_per_connection,
            self.timeout_ms => scenario.clients.timeout_ms,
            self.retries => scenario.clients.retries_max,
            self.retry_backoff_ms => scenario.clients.retry_backoff_ms,
            self.hang_up_after_ms => scenario.clients.hang_up_after_ms,
            self.slow_body_ms => scenario.clients.slow_body_ms,
            self.rate => scenario.drain.rate,
            self.threads => scenario.generator.threads,
            self.slip_p999_us_max => scenario.generator.slip_p999_us_max,
            self.interval_ms => scenario.generator.interval_ms,
        }
        if !self.phases.is_empty() {
            scenario.phases.clone_from(&self.phases);
        }
        if let Some(factor) = self.rps_scale {
            for phase in &mut scenario.phases {
                phase.scale(factor);
            }
        }
        if self.no_expect {
            scenario.expect.clear();
        }
        for NamedRange { name, range } in &self.expect {
            scenario.expect.insert(name.clone(), *range);
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::scenario;

    #[derive(clap::Parser)]
    struct Flags {
        #[command(flatten)]
        overrides: Overrides,
    }

    #[test]
    fn every_parameter_of_a_scenario_has_a_flag() {
        let flags = "x --seed 9 --phase constant:7:1s --phase spike:1:2:2s --rps-scale 2 --skus 9 --stock 9 --hot-skus 9 \
            --hot-stock 9 --hot-limit 9 --users 9 --user-zipf 0.9 --sku-zipf 0.9 --lines-max 9 --quantity-max 9 \
            --replays 0.09 --changed 0.09 --invalid 0.09 --hang-ups 0.09 --slow-bodies 0.09 --connections 9 \
            --requests-per-connection 9 --timeout-ms 9 --retries 9 --retry-backoff-ms 9 --hang-up-after-ms 9 \
            --slow-body-ms 9 --rate 9 --threads 9 --slip-p999-us-max 9 --interval-ms 9 --no-expect --expect p99_ms=1..2 \
            --expect retries=..5";
        let flags = Flags::parse_from(flags.split_whitespace());
        let mut scenario = scenario::load("hostile").expect("ships");
        let before = serde_json::to_value(&scenario).expect("serialises");
        flags.overrides.apply(&mut scenario);
        let after = serde_json::to_value(&scenario).expect("serialises");
        for (section, value) in after.as_object().expect("an object") {
            if ["name", "about"].contains(&section.as_str()) {
                continue;
            }
            let Some(fields) = value.as_object() else {
                assert_ne!(before[section], *value, "{section}");
                continue;
            };
            for (field, value) in fields {
                assert_ne!(before[section].get(field), Some(value), "{section}.{field} has no flag");
            }
        }
        assert_eq!(scenario.phases[0], Phase::Constant { rps: 14.0, seconds: 1.0 });
        assert_eq!(scenario.expect["retries"], Range { min: None, max: Some(5.0) });
        assert_eq!(scenario.expect.len(), 2);
    }

    #[test]
    fn a_range_that_cannot_be_read_is_refused() {
        for text in ["p99_ms", "p99_ms=3", "p99_ms=a..b"] {
            assert!(text.parse::<NamedRange>().is_err(), "{text}");
        }
    }
}

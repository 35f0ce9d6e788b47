//! Loads a scenario by its name or from a file, and validates all of it at once.

use std::path::Path;

use shared::config::ConfigErrors;

use super::{
    ABORT_METRICS, EXPECTABLE_METRICS, ExpectedRange, PHASE_METRICS, RatePhase, Scenario, SendSchedule,
};

/// The shipped scenarios: name and TOML text.
pub const SHIPPED: [(&str, &str); 5] = [
    ("baseline", include_str!("../../scenarios/baseline.toml")),
    ("flash-sale", include_str!("../../scenarios/flash-sale.toml")),
    ("retry-storm", include_str!("../../scenarios/retry-storm.toml")),
    ("sold-out", include_str!("../../scenarios/sold-out.toml")),
    ("hostile", include_str!("../../scenarios/hostile.toml")),
];

const LENGTH_S_MAX: f64 = 4.0 * 3_600.0;

const PHASES_MAX: usize = 100;

/// Maximum rate, requests a second: more than one machine can send.
const RPS_MAX: f64 = 1_000_000.0;

/// Maximum requests of a run: the ledger writes 48 bytes of each to a temporary file.
const REQUESTS_MAX: u64 = 50_000_000;

const INTERVALS_MAX: f64 = 3_600.0;

#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// Neither a shipped scenario nor a file.
    #[error("no scenario `{name}`: use a file, or one of {shipped}")]
    Unknown { name: String, shipped: String },
    #[error("{name}: {source}")]
    Read { name: String, source: std::io::Error },
    #[error("{name}: {message}")]
    Syntax { name: String, message: String },
    #[error("{0}")]
    Invalid(#[from] ConfigErrors),
}

/// Loads the scenario `name`: a shipped one, or a TOML file. Does not validate it: flags may still change it.
pub fn load(name: &str) -> Result<Scenario, ScenarioError> {
    if let Some((_, text)) = SHIPPED.iter().find(|(shipped, _)| *shipped == name) {
        return parse(name, text);
    }
    if !Path::new(name).exists() {
        let shipped = SHIPPED.map(|(name, _)| name).join(", ");
        return Err(ScenarioError::Unknown { name: name.to_owned(), shipped });
    }
    let text = std::fs::read_to_string(name)
        .map_err(|source| ScenarioError::Read { name: name.to_owned(), source })?;
    parse(name, &text)
}

fn parse(name: &str, text: &str) -> Result<Scenario, ScenarioError> {
    toml::from_str(text)
        .map_err(|error| ScenarioError::Syntax { name: name.to_owned(), message: error.to_string() })
}

impl Scenario {
    pub fn check(&self) -> Result<(), ConfigErrors> {
        let mut errors = ConfigErrors::default();
        let name_fits = (1..=64).contains(&self.name.len())
            && self.name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        errors.require(name_fits, "name: 1 to 64 letters, digits and '-'");
        self.check_phases(&mut errors);
        self.check_sale(&mut errors);
        self.check_mix(&mut errors);
        self.check_clients(&mut errors);
        self.check_expected(&mut errors);
        errors.into_result()
    }

    fn check_expected(&self, errors: &mut ConfigErrors) {
        let known = EXPECTABLE_METRICS.map(|(name, _)| name);
        for (name, range) in &self.expect {
            check_range(&format!("expect.{name}"), name, range, &known, errors);
        }
        for (name, abort) in &self.abort {
            check_range(&format!("abort.{name}"), name, &abort.range(), &ABORT_METRICS, errors);
            errors.require(
                (0.0..=LENGTH_S_MAX).contains(&abort.for_s),
                format_args!("abort.{name}: for_s is 0 to {LENGTH_S_MAX}"),
            );
        }
        for (number, phase) in (1..).zip(&self.phases) {
            let name = phase.name.as_deref().unwrap_or_default();
            let fits = (1..=32).contains(&name.len())
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
            errors.require(
                fits || phase.name.is_none(),
                format_args!("phase {number}: a name has 1 to 32 letters, digits and '-'"),
            );
            let same = self.phases.iter().filter(|other| other.name.is_some() && other.name == phase.name);
            errors
                .require(same.count() <= 1, format_args!("phase {number}: another phase is called `{name}`"));
            errors.require(
                phase.name.is_some() || phase.expect.is_empty(),
                format_args!("phase {number}: expected ranges of a phase need its name"),
            );
            for (metric, range) in &phase.expect {
                check_range(&format!("expect {metric}@{name}"), metric, range, &PHASE_METRICS, errors);
            }
        }
    }

    fn check_phases(&self, errors: &mut ConfigErrors) {
        errors.require(
            (1..=PHASES_MAX).contains(&self.phases.len()),
            format_args!("phases: give 1 to {PHASES_MAX}"),
        );
        let faults_before = errors.len();
        for (number, phase) in (1..).zip(&self.phases) {
            check_phase(number, &phase.rate, errors);
        }
        if errors.len() > faults_before {
            return;
        }
        let schedule = SendSchedule::new(&self.rates());
        let length_s = schedule.length().as_secs_f64();
        errors.require(length_s <= LENGTH_S_MAX, format_args!("phases: at most {LENGTH_S_MAX} s in all"));
        errors.require(
            (1..=REQUESTS_MAX).contains(&schedule.requests()),
            format_args!("phases: 1 to {REQUESTS_MAX} requests in all; these plan {}", schedule.requests()),
        );
        let intervals = length_s * 1_000.0 / f64::from(self.generator.interval_ms.max(1));
        errors.require(
            intervals <= INTERVALS_MAX,
            format_args!(
                "generator.interval_ms: at most {INTERVALS_MAX} intervals; these are {intervals:.0}"
            ),
        );
    }

    fn check_sale(&self, errors: &mut ConfigErrors) {
        let (sale, buyers) = (self.sale, self.buyers);
        let skus_max = shared::catalogue::SKUS_MAX as u32;
        let stock_max = shared::catalogue::STOCK_MAX;
        errors.require((1..=skus_max).contains(&sale.skus), format_args!("sale.skus: 1 to {skus_max}"));
        errors.require(sale.hot_skus <= sale.skus, "sale.hot_skus: at most sale.skus");
        errors.require(
            sale.stock.max(sale.hot_stock) <= stock_max,
            format_args!("sale.stock, sale.hot_stock: at most {stock_max}"),
        );
        errors.require(buyers.users >= 1, "buyers.users: at least 1");
        for (name, exponent) in [("user_zipf", buyers.user_zipf), ("sku_zipf", buyers.sku_zipf)] {
            errors.require((0.0..=5.0).contains(&exponent), format_args!("buyers.{name}: 0 to 5"));
        }
        errors.require((1..=20).contains(&buyers.lines_max), "buyers.lines_max: 1 to 20");
        errors.require((1..=10_000).contains(&buyers.quantity_max), "buyers.quantity_max: 1 to 10000");
    }

    fn check_mix(&self, errors: &mut ConfigErrors) {
        let mix = self.mix;
        let shares = [
            ("replays", mix.replays),
            ("changed", mix.changed),
            ("invalid", mix.invalid),
            ("hang_ups", mix.hang_ups),
            ("slow_bodies", mix.slow_bodies),
        ];
        for (name, share) in shares {
            errors.require((0.0..=1.0).contains(&share), format_args!("mix.{name}: 0 to 1"));
        }
        let sum: f64 = shares.iter().map(|(_, share)| share).sum();
        errors.require(sum <= 1.0 + 1e-9, format_args!("mix: the shares add up to {sum}, more than 1"));
    }

    fn check_clients(&self, errors: &mut ConfigErrors) {
        let (clients, bounds) = (self.clients, self.generator);
        errors
            .require((1..=20_000).contains(&clients.connections_max), "clients.connections_max: 1 to 20000");
        errors.require((50..=600_000).contains(&clients.timeout_ms), "clients.timeout_ms: 50 to 600000");
        errors.require(clients.retries_max <= 20, "clients.retries_max: at most 20");
        errors.require(
            (1..=60_000).contains(&clients.retry_backoff_ms),
            "clients.retry_backoff_ms: 1 to 60000",
        );
        for (name, wait_ms) in
            [("hang_up_after_ms", clients.hang_up_after_ms), ("slow_body_ms", clients.slow_body_ms)]
        {
            errors.require(
                wait_ms < clients.timeout_ms,
                format_args!("clients.{name}: less than clients.timeout_ms"),
            );
        }
        errors.require(self.drain.rate >= 1, "drain.rate: at least 1");
        errors.require(bounds.threads <= 64, "generator.threads: at most 64");
        errors.require((50..=60_000).contains(&bounds.interval_ms), "generator.interval_ms: 50 to 60000");
        errors.require(bounds.send_delay_p999_us_max >= 1, "generator.send_delay_p999_us_max: at least 1");
    }
}

/// Checks a phase; `number` counts from 1.
pub(crate) fn check_phase(number: usize, phase: &RatePhase, errors: &mut ConfigErrors) {
    let (from, to, seconds) = match *phase {
        RatePhase::Constant { rps, seconds } => (rps, rps, seconds),
        RatePhase::Linear { from_rps, to_rps, seconds } => (from_rps, to_rps, seconds),
        RatePhase::Exponential { from_rps, to_rps, seconds } => {
            errors.require(
                from_rps > 0.0 && to_rps > 0.0,
                format_args!("phase {number}: an exponential ramp's rates are above 0"),
            );
            (from_rps, to_rps, seconds)
        }
        RatePhase::Spike { base_rps, peak_rps, seconds } => (base_rps, peak_rps, seconds),
    };
    for rps in [from, to] {
        errors.require(
            (0.0..=RPS_MAX).contains(&rps),
            format_args!("phase {number}: rates are 0 to {RPS_MAX} requests a second"),
        );
    }
    errors.require(
        seconds > 0.0 && seconds <= LENGTH_S_MAX,
        format_args!("phase {number}: seconds are above 0 and at most {LENGTH_S_MAX}"),
    );
}

/// `place`: the range's own name in an error; `known`: the metrics that it may have.
fn check_range(place: &str, metric: &str, range: &ExpectedRange, known: &[&str], errors: &mut ConfigErrors) {
    errors.require(
        known.contains(&metric),
        format_args!("{place}: unknown metric; use one of {}", known.join(", ")),
    );
    let empty = matches!((range.min, range.max), (Some(min), Some(max)) if min > max);
    errors.require(!empty, format_args!("{place}: min is above max"));
    errors
        .require(range.min.is_some() || range.max.is_some(), format_args!("{place}: give min, max or both"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_scenario_is_valid_and_named_like_its_file() {
        for (name, _) in SHIPPED {
            let scenario = load(name).expect("parses");
            assert_eq!(scenario.name, name);
            assert!(!scenario.description.is_empty(), "{name} has a description");
            assert!(!scenario.expect.is_empty(), "{name} has expectations");
            scenario.check().unwrap_or_else(|errors| panic!("{name}: {errors}"));
            shared::catalogue::Catalogue::from_toml(&scenario.catalogue_toml())
                .expect("its catalogue is valid");
        }
    }

    #[test]
    fn all_errors_are_listed_at_once() {
        let text = "name = 'a b'\n\
            phases = [{ name = 'x', shape = 'exponential', from_rps = 0, to_rps = 10, seconds = 0 },\n\
            { name = 'x', shape = 'constant', rps = 1, seconds = 1, expect.conflicts.max = 0 },\n\
            { name = 'a b', shape = 'constant', rps = 1, seconds = 1, expect.p50_ms = {} },\n\
            { shape = 'constant', rps = 1, seconds = 1, expect.p50_ms.max = 5 }]\n\
            [sale]\nskus = 0\n[mix]\ninvalid = 0.9\nreplays = 0.9\n[buyers]\nlines_max = 21\n\
            [clients]\ntimeout_ms = 10\n[expect]\nluck = { min = 1 }\np99_ms = { min = 2, max = 1 }\n\
            [abort]\ncap_use = { max = 1, for_s = -1 }\n";
        let errors = parse("x", text).expect("parses").check().expect_err("faulty").to_string();
        for fault in [
            "name:",
            "phase 1: an exponential",
            "phase 1: seconds",
            "sale.skus",
            "sale.hot_skus",
            "mix: the shares add up",
            "buyers.lines_max",
            "clients.timeout_ms",
            "clients.slow_body_ms",
            "expect.luck",
            "expect.p99_ms",
            "phase 2: another phase is called `x`",
            "expect conflicts@x: unknown metric; use one of accepted_share",
            "phase 3: a name has",
            "expect p50_ms@a b: give min",
            "phase 4: expected ranges",
            "abort.cap_use: unknown metric; use one of accepted_share",
            "abort.cap_use: for_s is 0 to",
        ] {
            assert!(errors.contains(fault), "{fault} is missing in {errors}");
        }
    }

    #[test]
    fn a_misspelt_parameter_is_named_in_the_error() {
        let error = parse("x", "name = 'x'\nphases = []\n[clients]\nretries = 3\n").expect_err("unknown");
        assert!(error.to_string().contains("retries"), "{error}");
        let error =
            parse("x", "name = 'x'\nphases = [{ shape = 'constant', rps = 1, seconds = 1, step = 2 }]")
                .expect_err("unknown");
        assert!(error.to_string().contains("step"), "{error}");
        let error = load("flashsale").expect_err("no such scenario");
        assert!(error.to_string().contains("flash-sale"), "{error}");
    }
}

//! Flags that change a scenario.

use std::str::FromStr;

use serde_json::Value;

use crate::scenario::{
    AbortRange, ExpectedRange, PHASE_SYNTAX, Scenario, ScenarioError, ScenarioPhase, parse_seconds,
};

#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Scenario (each flag overrides the file)")]
pub struct Overrides {
    /// Phases, instead of the file's.
    #[arg(long = "phase", value_name = "[NAME=]PHASE", help = format!("Phase that replaces the file's and their expected ranges; may be repeated: {PHASE_SYNTAX}"))]
    phases: Vec<ScenarioPhase>,
    /// Multiply the rates of all phases
    #[arg(long, value_name = "FACTOR")]
    rps_scale: Option<f64>,
    /// Maximum orders that the drain commits in one second; the same as --set drain.rate=ORDERS
    #[arg(long, value_name = "ORDERS")]
    drain_rate: Option<u32>,
    /// Set a parameter by its name in the scenario file, such as mix.invalid=0 or sale.hot_stock=50; --print-scenario
    /// lists the names
    #[arg(long, value_name = "NAME=VALUE")]
    set: Vec<Assignment>,
    /// Add or replace an expected range, of the run or of the requests planned in one phase; either end may be empty;
    /// `loadtest scenarios --measures` lists the names
    #[arg(long = "expect", value_name = "NAME[@PHASE]=MIN..MAX")]
    expect: Vec<NamedRange>,
    /// Ignore the file's expected ranges, those of its phases too
    #[arg(long)]
    no_expect: bool,
    /// End the run once a metric was outside a range for that long, such as shed_share=..0.5:10s; without a time, at
    /// once. What was accepted is still drained and judged
    #[arg(long = "abort-on", value_name = "NAME=MIN..MAX[:TIME]")]
    abort_on: Vec<NamedAbort>,
}

/// `sale.hot_stock=50`
#[derive(Clone, Debug, PartialEq)]
struct Assignment {
    path: String,
    value: Value,
}

/// `p99_ms=..250`
#[derive(Clone, Debug, PartialEq)]
struct NamedRange {
    name: String,
    range: ExpectedRange,
}

/// `shed_share=..0.5:10s`
#[derive(Clone, Debug, PartialEq)]
struct NamedAbort {
    name: String,
    abort: AbortRange,
}

impl FromStr for Assignment {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let (path, value) = text.split_once('=').ok_or("expected NAME=VALUE, such as mix.invalid=0")?;
        // What is not a JSON number or literal is a string.
        let value = serde_json::from_str(value).unwrap_or_else(|_text| Value::String(value.to_owned()));
        Ok(Self { path: path.to_owned(), value })
    }
}

impl FromStr for NamedRange {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let syntax = "expected NAME=MIN..MAX, such as p99_ms=..250";
        let (name, range) = text.split_once('=').ok_or(syntax)?;
        let (min, max) = range.split_once("..").ok_or(syntax)?;
        let end = |text: &str| match text {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(|_| syntax),
        };
        Ok(Self { name: name.to_owned(), range: ExpectedRange { min: end(min)?, max: end(max)? } })
    }
}

impl FromStr for NamedAbort {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let (range, time) = text.rsplit_once(':').unwrap_or((text, "0"));
        let NamedRange { name, range } = range.parse()?;
        let for_s = parse_seconds(time).ok_or("expected a time such as 10s or 500ms after the colon")?;
        Ok(Self { name, abort: AbortRange { min: range.min, max: range.max, for_s } })
    }
}

impl Overrides {
    /// # Errors
    /// If `--set` names an unknown parameter, or its value has the wrong type.
    pub fn apply(&self, mut scenario: Scenario) -> Result<Scenario, ScenarioError> {
        for assignment in &self.set {
            scenario = assignment.apply(&scenario)?;
        }
        if let Some(rate) = self.drain_rate {
            scenario.drain.rate = rate;
        }
        if !self.phases.is_empty() {
            scenario.phases.clone_from(&self.phases);
        }
        if let Some(factor) = self.rps_scale {
            for phase in &mut scenario.phases {
                phase.rate.scale(factor);
            }
        }
        if self.no_expect {
            scenario.expect.clear();
            scenario.phases.iter_mut().for_each(|phase| phase.expect.clear());
        }
        for NamedRange { name, range } in &self.expect {
            let ranges = match name.split_once('@') {
                None => Some((name.as_str(), &mut scenario.expect)),
                Some((metric, phase)) => {
                    let mut phases = scenario.phases.iter_mut();
                    let phase = phases.find(|known| known.name.as_deref() == Some(phase));
                    phase.map(|phase| (metric, &mut phase.expect))
                }
            };
            let (metric, ranges) = ranges.ok_or_else(|| ScenarioError::Syntax {
                name: format!("--expect {name}"),
                message: "no phase has this name".to_owned(),
            })?;
            ranges.insert(metric.to_owned(), *range);
        }
        scenario.abort.extend(self.abort_on.iter().map(|NamedAbort { name, abort }| (name.clone(), *abort)));
        Ok(scenario)
    }
}

impl Assignment {
    /// Sets the value through the scenario's serde model, which knows names and types.
    fn apply(&self, scenario: &Scenario) -> Result<Scenario, ScenarioError> {
        let syntax =
            |message: String| ScenarioError::Syntax { name: format!("--set {}", self.path), message };
        let mut fields = serde_json::to_value(scenario).map_err(|error| syntax(error.to_string()))?;
        let pointer = format!("/{}", self.path.replace('.', "/"));
        let parameter = fields.pointer_mut(&pointer);
        *parameter.ok_or_else(|| syntax("no such parameter".to_owned()))? = self.value.clone();
        serde_json::from_value(fields).map_err(|error| syntax(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::scenario::{self, RatePhase};

    #[derive(clap::Parser)]
    struct OverrideFlags {
        #[command(flatten)]
        overrides: Overrides,
    }

    fn apply(flags: &[String]) -> Result<Scenario, ScenarioError> {
        let flags = OverrideFlags::parse_from(std::iter::once("x".to_owned()).chain(flags.iter().cloned()));
        flags.overrides.apply(scenario::load("hostile").expect("ships"))
    }

    #[test]
    fn every_parameter_of_a_scenario_can_be_set() {
        let before = serde_json::to_value(scenario::load("hostile").expect("ships")).expect("serialises");
        let sections = ["sale", "buyers", "mix", "clients", "drain", "generator"];
        let names = sections.iter().flat_map(|section| {
            let fields = before[section].as_object().expect("an object").keys();
            fields.map(move |field| format!("{section}.{field}"))
        });
        let mut flags = ["--set", "seed=9", "--set", "arrivals=poisson"].map(str::to_owned).to_vec();
        for name in names {
            let value = match before.pointer(&format!("/{}", name.replace('.', "/"))).expect("there") {
                Value::Bool(_) => "true",
                value if value.is_f64() => "0.09",
                _ => "9",
            };
            flags.extend(["--set".to_owned(), format!("{name}={value}")]);
        }
        flags.extend(
            "--phase constant:7:1s --phase top=spike:1:2:2s --rps-scale 2 --no-expect --expect p99_ms=1..2 \
             --expect retries=..5 --expect p50_ms@top=..9 --abort-on shed_share=..0.5:1500ms --abort-on p99_ms=1.."
                .split_whitespace()
                .map(str::to_owned),
        );
        let scenario = apply(&flags).expect("valid flags");
        let after = serde_json::to_value(&scenario).expect("serialises");
        for (section, value) in after.as_object().expect("an object") {
            if ["name", "description"].contains(&section.as_str()) {
                continue;
            }
            let Some(fields) = value.as_object() else {
                assert_ne!(before[section], *value, "{section}");
                continue;
            };
            for (field, value) in fields {
                assert_ne!(before[section].get(field), Some(value), "{section}.{field} was not set");
            }
        }
        assert_eq!(scenario.phases[0], RatePhase::Constant { rps: 14.0, seconds: 1.0 }.into());
        assert_eq!(scenario.phases[1].expect["p50_ms"], ExpectedRange { min: None, max: Some(9.0) });
        assert_eq!(scenario.expect["retries"], ExpectedRange { min: None, max: Some(5.0) });
        assert_eq!(scenario.expect.len(), 2);
        let half = AbortRange { min: None, max: Some(0.5), for_s: 1.5 };
        assert_eq!(scenario.abort["shed_share"], half);
        assert_eq!(scenario.abort["p99_ms"].for_s, 0.0);
        assert_eq!(apply(&["--drain-rate=77".to_owned()]).expect("a flag").drain.rate, 77);
    }

    #[test]
    fn an_unknown_parameter_and_a_value_of_the_wrong_type_are_errors() {
        for (flag, message) in [
            ("sale.units=3", "no such parameter"),
            ("sale.skus=many", "invalid type"),
            ("sale.skus=-1", "invalid value"),
        ] {
            let error = apply(&["--set".to_owned(), flag.to_owned()]).expect_err(flag).to_string();
            assert!(error.contains("--set sale.") && error.contains(message), "{error}");
        }
        let error = apply(&["--expect=p99_ms@peak=..1".to_owned()]).expect_err("no such phase").to_string();
        assert!(error.contains("--expect p99_ms@peak: no phase"), "{error}");
    }

    #[test]
    fn an_unreadable_range_is_an_error() {
        for text in ["p99_ms", "p99_ms=3", "p99_ms=a..b"] {
            assert!(text.parse::<NamedRange>().is_err(), "{text}");
        }
        for text in ["p99_ms=..3:", "p99_ms=..3:soon", "p99_ms:3s"] {
            assert!(text.parse::<NamedAbort>().is_err(), "{text}");
        }
    }
}

//! A phase as a flag writes it.

use std::fmt;
use std::str::FromStr;

use super::{RatePhase, ScenarioPhase};

pub const PHASE_SYNTAX: &str = "constant:RPS:LENGTH, linear:FROM:TO:LENGTH, exponential:FROM:TO:LENGTH or spike:BASE:PEAK:LENGTH, such as linear:100:50000:1s";

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a phase; expected {PHASE_SYNTAX}")]
pub struct PhaseSyntaxError;

fn number(text: &str) -> Option<f64> {
    text.parse::<f64>().ok().filter(|number| number.is_finite())
}

/// Seconds of `3s`, `250ms` or `3`.
pub(crate) fn parse_seconds(text: &str) -> Option<f64> {
    match text.strip_suffix("ms") {
        Some(milliseconds) => number(milliseconds).map(|milliseconds| milliseconds / 1_000.0),
        None => number(text.strip_suffix('s').unwrap_or(text)),
    }
}

impl RatePhase {
    pub fn scale(&mut self, factor: f64) {
        match self {
            Self::Constant { rps, .. } => *rps *= factor,
            Self::Linear { from_rps: from, to_rps: to, .. }
            | Self::Exponential { from_rps: from, to_rps: to, .. }
            | Self::Spike { base_rps: from, peak_rps: to, .. } => {
                *from *= factor;
                *to *= factor;
            }
        }
    }
}

impl FromStr for RatePhase {
    type Err = PhaseSyntaxError;

    fn from_str(text: &str) -> Result<Self, PhaseSyntaxError> {
        let parts: Vec<_> = text.split(':').collect();
        let phase = match parts.as_slice() {
            ["constant", rps, seconds] => {
                number(rps).zip(parse_seconds(seconds)).map(|(rps, seconds)| Self::Constant { rps, seconds })
            }
            [shape, from, to, seconds] => {
                let (Some(from), Some(to), Some(seconds)) =
                    (number(from), number(to), parse_seconds(seconds))
                else {
                    return Err(PhaseSyntaxError);
                };
                match *shape {
                    "linear" => Some(Self::Linear { from_rps: from, to_rps: to, seconds }),
                    "exponential" => Some(Self::Exponential { from_rps: from, to_rps: to, seconds }),
                    "spike" => Some(Self::Spike { base_rps: from, peak_rps: to, seconds }),
                    _ => None,
                }
            }
            _ => None,
        };
        phase.ok_or(PhaseSyntaxError)
    }
}

/// `NAME=constant:100:3s`, or without a name.
impl FromStr for ScenarioPhase {
    type Err = PhaseSyntaxError;

    fn from_str(text: &str) -> Result<Self, PhaseSyntaxError> {
        let (name, rate) = text.split_once('=').map_or((None, text), |(name, rate)| (Some(name), rate));
        Ok(Self { name: name.map(str::to_owned), ..rate.parse::<RatePhase>()?.into() })
    }
}

impl fmt::Display for RatePhase {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Constant { rps, seconds } => write!(formatter, "constant:{rps}:{seconds}s"),
            Self::Linear { from_rps, to_rps, seconds } => {
                write!(formatter, "linear:{from_rps}:{to_rps}:{seconds}s")
            }
            Self::Exponential { from_rps, to_rps, seconds } => {
                write!(formatter, "exponential:{from_rps}:{to_rps}:{seconds}s")
            }
            Self::Spike { base_rps, peak_rps, seconds } => {
                write!(formatter, "spike:{base_rps}:{peak_rps}:{seconds}s")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_parse_and_print_alike() {
        for text in ["constant:100:3s", "linear:100:50000:1s", "exponential:1:10:0.5s", "spike:0:9:2s"] {
            assert_eq!(text.parse::<RatePhase>().expect("a phase").to_string(), text);
        }
        assert_eq!("constant:5:250ms".parse(), Ok(RatePhase::Constant { rps: 5.0, seconds: 0.25 }));
        let named: ScenarioPhase = "peak=constant:5:1s".parse().expect("a phase");
        assert_eq!(named.name.as_deref(), Some("peak"));
        assert_eq!("constant:5:1s".parse(), Ok(ScenarioPhase { name: None, ..named }));
        for text in [
            "",
            "constant:1",
            "constant:x:1s",
            "linear:1:2",
            "wave:1:2:3s",
            "spike:1:2:3h",
            "constant:inf:1s",
        ] {
            assert_eq!(text.parse::<RatePhase>(), Err(PhaseSyntaxError), "{text}");
        }
    }
}

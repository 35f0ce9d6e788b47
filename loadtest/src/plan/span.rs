//! Durations on the command line.

use std::str::FromStr;

/// A duration: `90`, `90s`, `500ms`, `10m`, `1h`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Seconds(pub f64);

impl FromStr for Seconds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
        let factor = match &text[digits.len()..] {
            "ms" => 0.001,
            "" | "s" => 1.0,
            "m" | "min" => 60.0,
            "h" => 3600.0,
            _ => return Err("a duration is a number with ms, s, m or h".to_owned()),
        };
        let number: f64 = digits.parse().map_err(|_| "a duration starts with a number".to_owned())?;
        if number.is_finite() && number >= 0.0 {
            Ok(Self(number * factor))
        } else {
            Err("a duration is 0 or more".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_parsed() {
        for (text, seconds) in [("60", 60.0), ("60s", 60.0), ("500ms", 0.5), ("10m", 600.0), ("1.5h", 5400.0)]
        {
            assert_eq!(text.parse(), Ok(Seconds(seconds)));
        }
        for text in ["", "s", "-1s", "10 m", "1d", "inf", "NaN"] {
            assert!(text.parse::<Seconds>().is_err(), "{text}");
        }
    }
}

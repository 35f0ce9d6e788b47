//! Latency by rate, one line per step.

use std::fmt::Write;

use super::knee::{Knee, Reason, Step};

/// Maximum bar, characters.
const BAR_CHARS: usize = 40;

/// Powers of ten over the length of a bar: it ends at 10 seconds.
const DECADES: f64 = 4.0;

#[must_use]
pub fn head() -> String {
    let mut scale = String::new();
    for (place, mark) in ["1", "10", "100", "1,000 ms"].iter().enumerate() {
        let column = place * BAR_CHARS / DECADES as usize;
        let _to_memory = write!(scale, "{:width$}{mark}", "", width = column.saturating_sub(scale.len()));
    }
    format!("{:>10}{:>12}{:>10}{:>10}  {scale}", "offered/s", "committed/s", "p50 ms", "p99 ms")
}

/// The values of a step, then its latency as a bar: `=` up to the median, `-` up to the p99.
#[must_use]
pub fn line(step: &Step, verdict: Option<Reason>) -> String {
    let (half, most) = (length(step.p50_ms), length(step.p99_ms));
    let note = match verdict {
        None => "",
        Some(Reason::FallsBehind) => "  falls behind",
        Some(Reason::Slow) => "  slow",
    };
    format!(
        "{:>10.0}{:>12.0}{:>10.1}{:>10.1}  {}{}{note}",
        step.offered_per_s,
        step.committed_per_s,
        step.p50_ms,
        step.p99_ms,
        "=".repeat(half),
        "-".repeat(most.saturating_sub(half)),
    )
}

/// Logarithmic: doubling the latency adds the same length everywhere.
fn length(ms: f64) -> usize {
    let share = ms.max(1.0).log10() / DECADES;
    ((share * BAR_CHARS as f64).round() as usize).clamp(1, BAR_CHARS)
}

/// The conclusion as text.
#[must_use]
pub fn conclusion(knee: Option<&Knee>, margin_percent: u32) -> String {
    let Some(knee) = knee else {
        return "The lowest rate already overloads this database: start lower, with --from.".to_owned();
    };
    let why = match (knee.too_much_per_s, knee.reason) {
        (Some(rate), Some(Reason::FallsBehind)) => format!("at {rate:.0}/s it fell behind"),
        (Some(rate), _) => {
            format!("at {rate:.0}/s commits were too slow (p99 is {:.1} ms at low rates)", knee.base_ms)
        }
        (None, _) => "the ramp ended there: it may sustain more, see --to".to_owned(),
    };
    format!(
        "The database kept up with {:.0} orders/s; {why}.\nRecommended cap for all workers together, {margin_percent} % \
         below that: {cap}\n  drain-worker rate set {cap}\nA ceiling, so that no cap is above what the database kept up \
         with:\n  drain-worker rate ceiling {ceiling}",
        knee.keeps_up_per_s,
        cap = knee.recommended_per_s,
        ceiling = (knee.keeps_up_per_s.floor() as u32).max(knee.recommended_per_s),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_grow_by_the_logarithm_and_stay_in_their_column() {
        let at = |ms: f64| {
            let step = Step { offered_per_s: 1.0, committed_per_s: 1.0, p50_ms: ms, p99_ms: ms };
            line(&step, None).matches('=').count()
        };
        assert_eq!([0.1, 1.0, 10.0, 100.0, 1e3, 1e4, 1e9].map(at), [1, 1, 10, 20, 30, 40, 40]);
        let step = Step { offered_per_s: 2e3, committed_per_s: 1.9e3, p50_ms: 10.0, p99_ms: 100.0 };
        let line = line(&step, Some(Reason::Slow));
        assert!(line.ends_with(&format!("{}{}  slow", "=".repeat(10), "-".repeat(10))), "{line}");
        // The scale's marks are at the ends of bars of that length.
        let column = line.find('=').expect("a bar");
        assert_eq!(head().find("100").map(|at| at - column), Some(20));
    }

    #[test]
    fn the_conclusion_names_the_cap_and_the_reason() {
        let knee = Knee {
            keeps_up_per_s: 10_000.0,
            too_much_per_s: Some(12_000.0),
            reason: Some(Reason::FallsBehind),
            base_ms: 3.0,
            recommended_per_s: 7_000,
        };
        let text = conclusion(Some(&knee), 30);
        assert!(
            text.contains("rate set 7000")
                && text.contains("rate ceiling 10000")
                && text.contains("fell behind")
                && text.contains("30 %"),
            "{text}"
        );
        assert!(conclusion(None, 30).contains("--from"));
    }
}

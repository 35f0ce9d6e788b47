//! The goals, each with the figure that was reached.

use super::contender::Contender;
use super::figures::{Figures, mib};
use super::window::Kind;

/// Most CPU a request, as a multiple of the bare handler's.
const UNPUBLISHED_RATIO_MAX: f64 = 1.15;
const REAL_RATIO_MAX: f64 = 1.35;

/// Most latency at the share of the peak, 99 of 100, milliseconds.
const REAL_P99_MS_MAX: f64 = 15.0;

/// Most memory at full load, MiB.
const RSS_MIB_MAX: f64 = 64.0;

/// Least accepted orders a second with the embedded broker.
const EMBEDDED_RPS_MIN: f64 = 50_000.0;

/// A goal and what came of it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Goal {
    what: String,
    bound: String,
    reached: String,
    holds: bool,
}

impl std::fmt::Display for Goal {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let holds = if self.holds { "reached    " } else { "NOT reached" };
        write!(formatter, "{holds}  {}: {} (goal {})", self.what, self.reached, self.bound)
    }
}

/// Every goal whose contenders were measured.
pub(super) fn judge(figures: &Figures) -> Vec<Goal> {
    let mut goals = Vec::new();
    let bare_us = figures.cpu_us(Contender::Bare, Kind::Equal);
    for (contender, ratio_max) in
        [(Contender::Unpublished, UNPUBLISHED_RATIO_MAX), (Contender::Real, REAL_RATIO_MAX)]
    {
        if let (Some(cpu_us), Some(bare_us)) = (figures.cpu_us(contender, Kind::Equal), bare_us) {
            goals.push(at_most(
                format!("CPU of {contender} by the bare handler's"),
                cpu_us / bare_us,
                ratio_max,
                "×",
            ));
        }
    }
    if let Some(p99) = figures.of(Contender::Real, Kind::Share, |window| Some(window.p99_us as f64 / 1e3)) {
        let what = format!("p99 of {} at {} % of its peak", Contender::Real, figures.share_percent);
        goals.push(at_most(what, p99.median, REAL_P99_MS_MAX, "ms"));
    }
    for contender in [Contender::Unpublished, Contender::Real, Contender::Embedded] {
        if let Some(bytes) = figures.rss_most_bytes(contender) {
            goals.push(at_most(format!("memory of {contender}"), mib(bytes), RSS_MIB_MAX, "MiB"));
        }
    }
    if let Some(peak) = figures.of(Contender::Embedded, Kind::Saturated, |window| Some(window.accepted_per_s))
    {
        goals.push(Goal {
            what: format!("accepted by {}", Contender::Embedded),
            bound: format!("at least {EMBEDDED_RPS_MIN:.0}/s"),
            reached: format!("{:.0}/s", peak.median),
            holds: peak.median >= EMBEDDED_RPS_MIN,
        });
    }
    goals
}

fn at_most(what: String, reached: f64, bound: f64, unit: &str) -> Goal {
    Goal {
        what,
        bound: format!("at most {bound} {unit}"),
        reached: format!("{reached:.2} {unit}"),
        holds: reached <= bound,
    }
}

#[cfg(test)]
mod tests {
    use super::super::figures::sample;
    use super::*;

    /// CPU of (a), (b), (c) in µs; p99 of (c) in µs; memory in MiB; peak of (d); which goals hold.
    type Case = ([f64; 3], u64, u64, f64, [bool; 5]);

    #[test]
    fn each_goal_holds_up_to_its_bound_and_no_further() {
        let cases: [Case; 3] = [
            ([20.0, 23.0, 27.0], 15_000, 64, 50_000.0, [true; 5]),
            ([20.0, 23.1, 27.1], 15_001, 65, 49_999.0, [false; 5]),
            ([20.0, 19.0, 40.0], 900, 10, 60_000.0, [true, false, true, true, true]),
        ];
        for ([bare_us, unpublished_us, real_us], p99_us, rss_mib, peak, holds) in cases {
            let mut figures = sample();
            figures.add(Contender::Bare, Kind::Equal, |window| window.server_cpu_us = bare_us);
            figures.add(Contender::Unpublished, Kind::Equal, |window| window.server_cpu_us = unpublished_us);
            figures.add(Contender::Real, Kind::Equal, |window| window.server_cpu_us = real_us);
            figures.add(Contender::Real, Kind::Share, |window| window.p99_us = p99_us);
            figures.add(Contender::Embedded, Kind::Saturated, |window| window.accepted_per_s = peak);
            figures.rss_high_bytes = vec![(Contender::Real, rss_mib << 20), (Contender::Bare, 900 << 20)];
            let judged: Vec<_> = judge(&figures).iter().map(|goal| goal.holds).collect();
            assert_eq!(judged, holds, "{:?}", judge(&figures));
        }
    }

    #[test]
    fn what_was_not_measured_is_not_judged() {
        let mut figures = sample();
        assert_eq!(judge(&figures), []);
        figures.add(Contender::Unpublished, Kind::Equal, |window| window.server_cpu_us = 1.0);
        assert_eq!(judge(&figures), [], "there is nothing to compare it with");
    }
}

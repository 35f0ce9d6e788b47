//! When each request is to be sent: fixed in advance, whatever the server does (an open model).

use std::time::Duration;

/// A stretch of constant or linearly changing rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Phase {
    /// How long.
    pub length: Duration,
    /// Requests a second at its beginning.
    pub from: f64,
    /// Requests a second at its end.
    pub to: f64,
}

impl Phase {
    /// Requests of this phase.
    fn requests(&self) -> f64 {
        (self.from + self.to) / 2.0 * self.length.as_secs_f64()
    }
}

/// Planned send times, from the start.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// Ascending.
    pub send_at: Vec<Duration>,
}

impl Schedule {
    /// Spreads requests evenly under the curve of the rate.
    #[must_use]
    pub fn new(phases: &[Phase]) -> Self {
        let mut send_at = Vec::new();
        let mut start = Duration::ZERO;
        // Requests already sent, in fractions, so that phases join without a gap.
        let mut sent = 0.0_f64;
        for phase in phases {
            let end = sent + phase.requests();
            while send_at.len() as f64 + 1.0 <= end + 1e-9 {
                let within = send_at.len() as f64 + 1.0 - sent;
                send_at.push(start + time_of(phase, within));
            }
            sent = end;
            start += phase.length;
        }
        Self { send_at }
    }

    /// From the first instant to the last request.
    #[must_use]
    pub fn length(&self) -> Duration {
        self.send_at.last().copied().unwrap_or_default()
    }
}

/// When request number `count` of `phase` is due: the rate's integral, inverted.
fn time_of(phase: &Phase, count: f64) -> Duration {
    let length = phase.length.as_secs_f64();
    let slope = (phase.to - phase.from) / length;
    let seconds = if slope.abs() < 1e-9 {
        count / phase.from
    } else {
        // from·t + slope/2·t² = count
        ((phase.from * phase.from + 2.0 * slope * count).max(0.0).sqrt() - phase.from) / slope
    };
    Duration::from_secs_f64(seconds.clamp(0.0, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phase(length_s: f64, from: f64, to: f64) -> Phase {
        Phase { length: Duration::from_secs_f64(length_s), from, to }
    }

    #[test]
    fn a_constant_rate_is_evenly_spaced() {
        let schedule = Schedule::new(&[phase(2.0, 100.0, 100.0)]);
        assert_eq!(schedule.send_at.len(), 200);
        for pair in schedule.send_at.windows(2) {
            let gap = (pair[1] - pair[0]).as_secs_f64();
            assert!((gap - 0.01).abs() < 1e-6, "{gap}");
        }
    }

    #[test]
    fn a_ramp_sends_its_integral_and_phases_join_in_order() {
        let schedule = Schedule::new(&[
            phase(1.0, 100.0, 100.0),
            phase(1.0, 100.0, 5_000.0),
            phase(1.0, 5_000.0, 5_000.0),
        ]);
        assert_eq!(schedule.send_at.len(), 100 + 2_550 + 5_000);
        assert!(schedule.send_at.is_sorted());
        let in_ramp = schedule.send_at.iter().filter(|at| (1.0..1.5).contains(&at.as_secs_f64())).count();
        // Half of the ramp's time carries 100·0.5 + 4900/8 of its requests.
        assert!((660..=665).contains(&in_ramp), "{in_ramp}");
    }
}

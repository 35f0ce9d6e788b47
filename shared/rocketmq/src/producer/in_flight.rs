//! The places for sends in flight. A message that cannot be acknowledged in time gets none.

use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};

/// Bounds the sends in flight, and estimates how long one takes.
#[derive(Debug)]
pub(super) struct InFlightGate {
    places: Semaphore,
    latency_max: Duration,
    /// Smoothed latency and its deviation, in seconds.
    estimate: Mutex<Option<(f64, f64)>>,
}

impl InFlightGate {
    /// `latency_max` bounds the estimate.
    pub(super) const fn new(places: NonZeroUsize, latency_max: Duration) -> Self {
        Self { places: Semaphore::const_new(places.get()), latency_max, estimate: Mutex::new(None) }
    }

    /// Waits for a place, first come first served. Returns `None` when a send could no longer end before `deadline`. A
    /// free place is given at any estimate, so that a wrong estimate corrects itself.
    pub(super) async fn place(&self, deadline: Instant) -> Option<SemaphorePermit<'_>> {
        if let Ok(place) = self.places.try_acquire() {
            return Some(place);
        }
        let place = timeout_at(self.latest_start(deadline), self.places.acquire()).await.ok()?.ok()?;
        // The estimate may have grown meanwhile.
        self.fits(deadline).then_some(place)
    }

    /// The last instant at which a send can start and end before `deadline`.
    pub(super) fn latest_start(&self, deadline: Instant) -> Instant {
        deadline - self.latency()
    }

    /// True if a message that has a place may keep it for another attempt: the attempt can end before `deadline`, or no
    /// other message needs the place.
    pub(super) fn may_retry(&self, deadline: Instant) -> bool {
        self.places.available_permits() > 0 || self.fits(deadline)
    }

    fn fits(&self, deadline: Instant) -> bool {
        Instant::now() <= self.latest_start(deadline)
    }

    /// Time within which nearly every send ends, as RFC 6298 estimates it; zero before the first.
    fn latency(&self) -> Duration {
        let estimate = *self.estimate.lock().unwrap_or_else(PoisonError::into_inner);
        estimate.map_or(Duration::ZERO, |(smoothed, deviation)| {
            Duration::try_from_secs_f64(smoothed + 4.0 * deviation)
                .map_or(self.latency_max, |latency| latency.min(self.latency_max))
        })
    }

    /// Notes how long a send took.
    pub(super) fn record(&self, latency: Duration) {
        let sample = latency.as_secs_f64();
        let mut estimate = self.estimate.lock().unwrap_or_else(PoisonError::into_inner);
        *estimate = Some(match *estimate {
            None => (sample, sample / 2.0),
            Some((smoothed, deviation)) => (
                smoothed + (sample - smoothed) / 8.0,
                deviation + ((sample - smoothed).abs() - deviation) / 4.0,
            ),
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::time::sleep;

    use super::*;

    const ONE: NonZeroUsize = NonZeroUsize::new(1).unwrap();
    const LATENCY: Duration = Duration::from_millis(150);
    const DEADLINE: Duration = Duration::from_secs(2);

    #[tokio::test(start_paused = true)]
    async fn a_place_comes_in_time_or_not_at_all() {
        let gate = InFlightGate::new(ONE, DEADLINE);
        for _ in 0..50 {
            gate.record(LATENCY);
        }
        assert!((LATENCY..LATENCY * 11 / 10).contains(&gate.latency()), "{:?}", gate.latency());
        let place = gate.place(Instant::now() + LATENCY / 2).await;
        assert!(place.is_some(), "a free place");
        let began = Instant::now();
        assert!(gate.place(began + DEADLINE).await.is_none());
        let waited = began.elapsed();
        assert!((DEADLINE - LATENCY * 11 / 10..=DEADLINE - LATENCY).contains(&waited), "{waited:?}");
        assert!(gate.may_retry(Instant::now() + DEADLINE) && !gate.may_retry(Instant::now() + LATENCY / 2));
        drop(place);
        assert!(gate.may_retry(Instant::now() + LATENCY / 2), "a free place");
        assert!(gate.place(Instant::now() + DEADLINE).await.is_some());
    }

    /// More work than places, each send of a fixed length: every place is used for sends that end in time.
    #[tokio::test(start_paused = true)]
    async fn every_place_is_used_for_sends_that_end_in_time() {
        const PLACES: u32 = 8;
        let places = usize::try_from(PLACES).ok().and_then(NonZeroUsize::new).expect("not zero");
        let gate = Arc::new(InFlightGate::new(places, DEADLINE));
        let (in_time, late) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        // 167 messages a second where 53 fit, 9.6 seconds long.
        for _ in 0..1_600 {
            let (gate, in_time, late) = (gate.clone(), in_time.clone(), late.clone());
            tokio::spawn(async move {
                let began = Instant::now();
                let deadline = began + DEADLINE;
                let Some(_place) = gate.place(deadline).await else { return };
                let sent_at = Instant::now();
                sleep(LATENCY).await;
                gate.record(sent_at.elapsed());
                let counter = if Instant::now() <= deadline { in_time } else { late };
                counter.fetch_add(1, Ordering::Relaxed);
            });
            sleep(Duration::from_millis(6)).await;
        }
        let (in_time, late) = (in_time.load(Ordering::Relaxed), late.load(Ordering::Relaxed));
        assert_eq!(late, 0);
        // 64 sends of 150 ms, one after another, on each place.
        assert!(in_time >= PLACES * 60, "{in_time} of about {}", PLACES * 64);
    }
}

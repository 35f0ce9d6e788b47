//! Admission: a request is taken on at once or refused at once. There is no queue here that could grow.

use std::convert::Infallible;
use std::future::Future;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use axum::response::IntoResponse;
use http::{HeaderMap, Request};
use pin_project_lite::pin_project;
use tower::Service;

use super::{Response, announced_bytes};
use crate::error::ApiError;
use crate::instance::Instance;
use crate::summary;

/// Seconds a refused client is asked to wait: spread, so that those refused together do not return together.
pub(crate) fn retry_after_s() -> u32 {
    rand::random_range(1..=3)
}

/// How much is under way: requests, and bytes of their bodies.
#[derive(Debug)]
pub struct RequestBudget {
    /// Requests in the upper half, bytes in the lower: one atomic step takes both in, or lets both go.
    in_flight: AtomicU64,
    requests_max: u32,
    bytes_max: u32,
}

/// One request and `bytes` of body.
const fn packed(bytes: u32) -> u64 {
    1 << 32 | bytes as u64
}

impl RequestBudget {
    /// Takes on at most `requests_max` requests, whose bodies have at most `bytes_max` bytes together. Both are
    /// capped where the counters end, at half of what 32 bits hold.
    #[must_use]
    pub fn new(requests_max: NonZeroUsize, bytes_max: NonZeroUsize) -> Self {
        // Half, so that the requests that are about to be refused cannot carry over either.
        let cap = |value: NonZeroUsize| u32::try_from(value.get()).unwrap_or(u32::MAX).min(u32::MAX / 2);
        Self { in_flight: AtomicU64::new(0), requests_max: cap(requests_max), bytes_max: cap(bytes_max) }
    }

    /// Requests under way.
    pub fn requests_in_flight(&self) -> usize {
        (self.in_flight.load(Ordering::SeqCst) >> 32) as usize
    }

    /// Bytes of bodies under way, as announced.
    pub fn bytes_in_flight(&self) -> usize {
        (self.in_flight.load(Ordering::SeqCst) & u64::from(u32::MAX)) as usize
    }

    /// Whether there was room; then it is taken.
    fn try_acquire(&self, bytes: u32) -> bool {
        let before = self.in_flight.fetch_add(packed(bytes), Ordering::SeqCst);
        let (requests, bytes_before) = (before >> 32, before & u64::from(u32::MAX));
        let fits = requests < u64::from(self.requests_max)
            && bytes_before + u64::from(bytes) <= u64::from(self.bytes_max);
        if !fits {
            self.release(bytes);
        }
        fits
    }

    fn release(&self, bytes: u32) {
        self.in_flight.fetch_sub(packed(bytes), Ordering::SeqCst);
    }
}

/// Lets a request in if there is room. It holds its room until its answer is there, or its client has hung up.
#[derive(Clone, Debug)]
pub struct LoadShed<S> {
    inner: S,
    instance: Arc<Instance>,
    body_bytes_max: usize,
}

impl<S> LoadShed<S> {
    /// In front of `inner`, which reads at most `body_bytes_max` bytes of a body.
    pub const fn new(instance: Arc<Instance>, body_bytes_max: usize, inner: S) -> Self {
        Self { inner, instance, body_bytes_max }
    }
}

impl<S, B> Service<Request<B>> for LoadShed<S>
where
    S: Service<Request<B>, Response = Response, Error = Infallible>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = LoadShedFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let bytes = bytes_needed(request.headers(), self.body_bytes_max);
        if !self.instance.admission.try_acquire(bytes) {
            summary::shed();
            return LoadShedFuture::refused(ApiError::Overloaded { retry_after_s: retry_after_s() });
        }
        let room = Permit { instance: self.instance.clone(), bytes };
        // Asked with the room taken: a drain that has not seen the request has been seen here.
        if self.instance.is_stopping() {
            return LoadShedFuture::refused(ApiError::Stopping);
        }
        LoadShedFuture { state: State::Inside { future: self.inner.call(request), _room: room } }
    }
}

/// What a body will need: what it says, or the most that is read of one that does not say. One that says more is
/// refused before a byte of it is read.
fn bytes_needed(headers: &HeaderMap, max: usize) -> u32 {
    announced_bytes(headers).unwrap_or(max).min(max) as u32
}

#[derive(Debug)]
struct Permit {
    instance: Arc<Instance>,
    bytes: u32,
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.instance.admission.release(self.bytes);
    }
}

pin_project! {
    /// The answer of [`LoadShed`].
    #[derive(Debug)]
    pub struct LoadShedFuture<F> {
        #[pin]
        state: State<F>,
    }
}

pin_project! {
    #[derive(Debug)]
    #[project = StateProjection]
    enum State<F> {
        Inside { #[pin] future: F, _room: Permit },
        Refused { refusal: Option<Response> },
    }
}

impl<F> LoadShedFuture<F> {
    fn refused(error: ApiError) -> Self {
        Self { state: State::Refused { refusal: Some(error.into_response()) } }
    }
}

impl<F: Future<Output = Result<Response, Infallible>>> Future for LoadShedFuture<F> {
    type Output = Result<Response, Infallible>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProjection::Inside { future, .. } => Poll::Ready(ready!(future.poll(context))),
            // Polled again after its end it has nothing to say, as any future.
            StateProjection::Refused { refusal } => {
                refusal.take().map_or(Poll::Pending, |it| Poll::Ready(Ok(it)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn admission(requests_max: usize, bytes_max: usize) -> RequestBudget {
        let max = |value| NonZeroUsize::new(value).expect("positive");
        RequestBudget::new(max(requests_max), max(bytes_max))
    }

    #[test]
    fn both_bounds_hold_and_what_leaves_makes_room() {
        let admission = admission(2, 100);
        assert!(admission.try_acquire(60));
        assert!(!admission.try_acquire(41), "one byte too many");
        assert!(admission.try_acquire(40));
        assert!(!admission.try_acquire(0), "one request too many");
        assert_eq!((admission.requests_in_flight(), admission.bytes_in_flight()), (2, 100));
        admission.release(60);
        assert!(admission.try_acquire(60));
        admission.release(60);
        admission.release(40);
        assert_eq!((admission.requests_in_flight(), admission.bytes_in_flight()), (0, 0));
    }

    proptest! {
        #[test]
        fn the_bounds_hold_whatever_comes_and_goes(
            steps in prop::collection::vec((any::<bool>(), 0_u32..=16_384), 1..200),
            requests_max in 1_usize..8,
            bytes_max in 1_usize..50_000,
        ) {
            let admission = admission(requests_max, bytes_max);
            let mut inside: Vec<u32> = Vec::new();
            for (enters, bytes) in steps {
                let sum: usize = inside.iter().map(|bytes| *bytes as usize).sum();
                if enters {
                    let fits = inside.len() < requests_max && sum + bytes as usize <= bytes_max;
                    prop_assert_eq!(admission.try_acquire(bytes), fits);
                    if fits {
                        inside.push(bytes);
                    }
                } else if let Some(bytes) = inside.pop() {
                    admission.release(bytes);
                }
                let sum: usize = inside.iter().map(|bytes| *bytes as usize).sum();
                prop_assert_eq!(admission.requests_in_flight(), inside.len());
                prop_assert_eq!(admission.bytes_in_flight(), sum);
            }
        }
    }
}

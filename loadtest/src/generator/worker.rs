//! One sending thread: an event loop over its share of the plan and of the connections.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use mio::event::Event;
use mio::{Events, Poll, Token};
use shared::order::{OrderId, PayloadDigest};

use super::clock::PlanClock;
use super::codes::CodeTable;
use super::connection::{ClientConnection, IoProgress};
use super::in_flight::{InFlight, NoResponseCause, RequestEnd};
use super::live::{LiveCounts, ThreadTally};
use super::pool::ConnectionPool;
use super::record::{SendRecord, ThreadRecord};
use super::timers::{ConnectionSlot, TimedTask, TimerQueue};
use super::wake_timer::{self, TICK_NS, WakeTimer};
use super::{SendPlan, accepted_body, thread};
use crate::target::{HttpResponse, problem_code};
use crate::workload::{RequestKind, RequestRenderer};

/// Maximum events handled before the plan is checked again, so that a burst of responses does not delay due requests.
const EVENTS_MAX: usize = 32;

/// Interval of the live counts' updates, nanoseconds.
const PUBLISH_NS: u64 = 100_000_000;

/// Due requests within a tick from which a thread waits for the tick: 20,000 a second.
const BUSY_REQUESTS: u64 = 4;

/// Parts of a slow body after its first half.
const TRICKLES: usize = 5;

/// Size of the read buffer. Responses are far smaller.
const SCRATCH_BYTES: usize = 16 * 1024;

/// Maximum reserved places of requests that wait for a connection.
const WAITING_RESERVED: f64 = 1_000_000.0;

const WAKE_TIMER: Token = Token(usize::MAX);

pub(super) struct SendLoop {
    plan: Arc<SendPlan>,
    live: Arc<LiveCounts>,
    clock: PlanClock,
    poll: Poll,
    wake_timer: WakeTimer,
    pool: ConnectionPool,
    /// Due requests without a connection.
    waiting: VecDeque<InFlight>,
    timers: TimerQueue,
    /// Number of the next planned request, and the distance to the one after it.
    next_number: u64,
    step: u64,
    flights: u64,
    renderer: RequestRenderer,
    scratch: Box<[u8]>,
    record: ThreadRecord,
    tally: ThreadTally,
    published_at_ns: u64,
    ticks: bool,
}

/// The contents of a response, copied out of the buffer.
struct ParsedResponse {
    end: RequestEnd,
    close: bool,
    retry_after_s: Option<u32>,
    code: Option<String>,
    names: Option<(OrderId, PayloadDigest)>,
}

impl SendLoop {
    /// Creates thread `index` of the plan's threads, which share the requests of the plan's shard evenly.
    pub(super) fn new(
        plan: Arc<SendPlan>,
        live: Arc<LiveCounts>,
        codes: Arc<CodeTable>,
        index: u64,
    ) -> std::io::Result<Self> {
        let poll = Poll::new()?;
        let wake_timer = WakeTimer::new(&poll, WAKE_TIMER)?;
        let (next_number, step) = plan.shard.numbers(index, plan.threads as u64);
        // As many as can wait until their time-out: the queue never moves. Memory that is not used is not touched.
        let waiting_max =
            plan.schedule.peak_rps() / step as f64 * f64::from(plan.clients.timeout_ms) / 1_000.0;
        let waiting_max = waiting_max.min(plan.schedule.requests() as f64).min(WAITING_RESERVED);
        let connections_max = (u64::from(plan.clients.connections_max) / step).max(1);
        Ok(Self {
            pool: ConnectionPool::new(
                plan.target.clone(),
                connections_max as usize,
                plan.clients.connection_per_buyer,
            ),
            record: ThreadRecord::new(&plan, codes),
            plan,
            live,
            clock: PlanClock::starting_in(Duration::ZERO),
            poll,
            wake_timer,
            waiting: VecDeque::with_capacity(waiting_max as usize),
            timers: TimerQueue::new(waiting_max as usize),
            next_number,
            step,
            flights: 0,
            renderer: RequestRenderer::default(),
            scratch: vec![0; SCRATCH_BYTES].into_boxed_slice(),
            tally: ThreadTally::new(),
            published_at_ns: 0,
            ticks: false,
        })
    }

    pub(super) fn run(mut self, clock: PlanClock) -> std::io::Result<SendRecord> {
        self.clock = clock;
        std::thread::park_timeout(self.clock.until_start());
        let cpu_before = thread::cpu_ns();
        let mut events = Events::with_capacity(EVENTS_MAX);
        let mut next_due = self.next_due();
        loop {
            let mut now = self.clock.now_ns();
            while let Some(due_ns) = next_due.filter(|due_ns| *due_ns <= now) {
                self.start_planned(due_ns, now);
                next_due = self.next_due();
                now = self.clock.now_ns();
            }
            self.run_timers(now);
            if self.live.stop.load(Ordering::Relaxed) {
                next_due = None;
                self.next_number = u64::MAX;
                self.drop_waiting(now);
            }
            if now >= self.published_at_ns + PUBLISH_NS {
                self.tally.publish(&self.live);
                self.published_at_ns = now;
            }
            if next_due.is_none() && self.is_idle() {
                break;
            }
            let wake = [next_due, self.timers.next_ns()].into_iter().flatten().min();
            let wake = wake.unwrap_or(u64::MAX).min(now + PUBLISH_NS);
            // A full set of events may not be all of them.
            let more = events.iter().count() == EVENTS_MAX;
            let waited = if more {
                self.poll.poll(&mut events, Some(Duration::ZERO))
            } else if self.is_busy(now) {
                self.ticks = true;
                wake_timer::sleep_until_tick(&mut self.poll, &mut events, now)
            } else {
                self.wake_timer.wait(&mut self.poll, &mut events, now, wake)
            };
            match waited {
                Err(error) if error.kind() != std::io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            for event in &events {
                if event.token() != WAKE_TIMER {
                    self.event(event);
                }
            }
        }
        self.tally.publish(&self.live);
        let sums = &mut self.record.sums;
        sums.resolution_ns = if self.ticks { TICK_NS } else { 0 };
        sums.cpu_ns = thread::cpu_ns() - cpu_before;
        (sums.connections_opened, sums.connections_most) = self.pool.opened();
        Ok(self.record.finish())
    }

    fn next_due(&self) -> Option<u64> {
        (self.next_number < self.plan.schedule.requests())
            .then(|| self.plan.schedule.due_ns(self.next_number))
    }

    fn is_busy(&self, now: u64) -> bool {
        let number = self.next_number.saturating_add(self.step * (BUSY_REQUESTS - 1));
        number < self.plan.schedule.requests() && self.plan.schedule.due_ns(number) <= now + TICK_NS
    }

    fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.pool.under_way() == 0 && self.timers.retries() == 0
    }

    /// Starts the next planned request, due at `due_ns`.
    fn start_planned(&mut self, due_ns: u64, now: u64) {
        let spec = self.plan.workload.request_spec(self.next_number);
        self.next_number += self.step;
        self.start_request(
            InFlight { id: 0, spec, attempt: 0, due_ns, first_due_ns: due_ns, sent: false },
            now,
        );
    }

    /// Sends a due request on a free connection, or queues it.
    fn start_request(&mut self, mut flight: InFlight, now: u64) {
        self.flights += 1;
        flight.id = self.flights;
        let send_delay_ns = now.saturating_sub(flight.due_ns);
        self.record.delayed(send_delay_ns);
        self.tally.delayed(send_delay_ns / 1_000);
        if let Some(slot) = self.pool.take_idle(flight.spec.user) {
            self.send(slot, flight, now);
        } else {
            self.waiting.push_back(flight);
            self.open_for_waiting(now);
        }
    }

    /// The request that waits for longest and may use a connection of `buyer`.
    fn next_waiting(&mut self, buyer: u32) -> Option<InFlight> {
        let is_other = |flight: &InFlight| self.pool.is_per_buyer() && flight.spec.user != buyer;
        if self.waiting.front().is_none_or(is_other) {
            return None;
        }
        self.waiting.pop_front()
    }

    /// Opens a connection if requests wait and the maximum allows one more.
    fn open_for_waiting(&mut self, now: u64) {
        if self.waiting.is_empty() {
            return;
        }
        match self.pool.open(self.poll.registry()) {
            None => {}
            Some(Ok(slot)) => {
                if let Some(flight) = self.waiting.pop_front() {
                    self.send(slot, flight, now);
                }
            }
            // No descriptors or ports are left: this request is not sent.
            Some(Err(_)) => {
                if let Some(flight) = self.waiting.pop_front() {
                    self.end(flight, RequestEnd::Unsent, now, None);
                }
            }
        }
    }

    /// Writes a request to a connection, which may still be connecting.
    fn send(&mut self, slot: usize, mut flight: InFlight, now: u64) {
        let Some(connection) = self.pool.get(slot) else { return };
        connection.out.clear();
        let head = self.renderer.render(
            &self.plan.workload,
            &flight.spec,
            &self.plan.target.head,
            &mut connection.out,
        );
        let whole = connection.out.len();
        let slow = flight.is_slow();
        let allowed = if slow { head + (whole - head) / 2 } else { whole };
        flight.sent = connection.is_open();
        connection.part = (whole - allowed).div_ceil(TRICKLES);
        connection.flight = Some(flight);
        let progress = connection.send(allowed);
        if flight.sent {
            self.record.sent(&flight);
            self.tally.sent += 1;
        }
        let place = ConnectionSlot { slot, flight_id: flight.id };
        // The deadline counts from the send: waiting for a connection is part of the latency but not of the time-out.
        self.timers.set_deadline(now + u64::from(self.plan.clients.timeout_ms) * 1_000_000, place);
        if slow {
            self.timers.set(now + self.trickle_ns(), TimedTask::Trickle(place));
        }
        if flight.spec.kind == RequestKind::HangUp && flight.attempt == 0 {
            let after = u64::from(self.plan.clients.hang_up_after_ms) * 1_000_000;
            self.timers.set(now + after, TimedTask::HangUp(place));
        }
        if let IoProgress::Broken(cause) = progress {
            self.fail(slot, cause, now);
        }
    }

    fn trickle_ns(&self) -> u64 {
        u64::from(self.plan.clients.slow_body_ms) * 1_000_000 / TRICKLES as u64
    }

    fn event(&mut self, event: &Event) {
        let (slot, now) = (event.token().0, self.clock.now_ns());
        if event.is_writable() {
            self.writable(slot, now);
        }
        if event.is_readable() || event.is_read_closed() {
            self.readable(slot, event.is_read_closed(), now);
        }
    }

    fn writable(&mut self, slot: usize, now: u64) {
        let Some(connection) = self.pool.get(slot) else { return };
        if connection.is_open() && connection.is_written() {
            return;
        }
        match connection.writable() {
            IoProgress::Broken(cause) => self.fail(slot, cause, now),
            IoProgress::Nothing => self.opened(slot),
        }
    }

    /// Records the send of a request that has waited for its connection to open.
    fn opened(&mut self, slot: usize) {
        if let Some(connection) = self.pool.get(slot)
            && connection.is_open()
            && let Some(flight) = &mut connection.flight
            && !flight.sent
        {
            flight.sent = true;
            self.record.sent(flight);
            self.tally.sent += 1;
        }
    }

    /// `closed`: the server has closed its side, perhaps together with its response.
    fn readable(&mut self, slot: usize, closed: bool, now: u64) {
        let Some(connection) = self.pool.get(slot) else { return };
        let read = connection.readable(&mut self.scratch, |answer| parse_response(&answer));
        // The last message of a handshake may have arrived.
        self.opened(slot);
        match read {
            Ok(None) => {}
            Ok(Some(mut parsed)) => {
                parsed.close |= closed;
                self.answered(slot, &parsed, now);
            }
            Err(cause) => self.fail(slot, cause, now),
        }
    }

    fn answered(&mut self, slot: usize, parsed: &ParsedResponse, now: u64) {
        let Some(connection) = self.pool.get(slot) else { return };
        let Some(flight) = connection.flight.take() else { return };
        connection.answered += 1;
        let used_up = self.plan.clients.requests_per_connection;
        // A response before the whole request was written leaves the connection unusable.
        let spent =
            parsed.close || !connection.is_written() || (used_up > 0 && connection.answered >= used_up);
        self.end(flight, parsed.end, now, Some(parsed));
        let buyer = flight.spec.user;
        if spent {
            self.pool.close(slot, self.poll.registry());
            self.open_for_waiting(now);
        } else if let Some(next) = self.next_waiting(buyer) {
            self.send(slot, next, now);
        } else {
            self.pool.release(slot, buyer);
            self.open_for_waiting(now);
        }
    }

    /// Closes a broken connection; its request ends without a response, or is sent again if the server had closed the
    /// connection before.
    fn fail(&mut self, slot: usize, cause: NoResponseCause, now: u64) {
        let unprocessed = cause == NoResponseCause::Reset
            && self.pool.get(slot).is_some_and(ClientConnection::closed_before_request);
        if let Some(mut flight) = self.pool.close(slot, self.poll.registry()) {
            if unprocessed && !flight.is_slow() {
                if std::mem::take(&mut flight.sent) {
                    self.record.unsent(&flight);
                    // Wraps if it was published already, as does the sum.
                    self.tally.sent = self.tally.sent.wrapping_sub(1);
                }
                self.waiting.push_front(flight);
            } else {
                let end = if flight.sent { RequestEnd::Unknown(cause) } else { RequestEnd::Unsent };
                self.end(flight, end, now, None);
            }
        }
        self.open_for_waiting(now);
    }

    /// Records a request's end and schedules its retry.
    fn end(&mut self, flight: InFlight, end: RequestEnd, now: u64, parsed: Option<&ParsedResponse>) {
        let latency_us = now.saturating_sub(flight.due_ns) / 1_000;
        self.tally.ended(&flight, end, latency_us);
        let (code, names) = parsed.map_or((None, None), |parsed| (parsed.code.as_deref(), parsed.names));
        self.record.ended(&flight, end, now, code, names);
        let again = match end {
            RequestEnd::Accepted | RequestEnd::Refused => false,
            RequestEnd::Shed | RequestEnd::Unknown(_) | RequestEnd::Unsent => {
                u32::from(flight.attempt) < self.plan.clients.retries_max
                    && !matches!(flight.spec.kind, RequestKind::Invalid(_))
                    && !self.live.stop.load(Ordering::Relaxed)
            }
        };
        if again {
            let wait_ns = self.backoff_ns(&flight, parsed.and_then(|parsed| parsed.retry_after_s));
            let due_ns = now + wait_ns;
            let retry = InFlight { attempt: flight.attempt + 1, due_ns, sent: false, ..flight };
            self.timers.set(due_ns, TimedTask::Retry(Box::new(retry)));
        } else {
            self.record.settled(&flight, end == RequestEnd::Accepted, now);
        }
    }

    /// Doubles with each attempt, with jitter over half of it; `Retry-After` is the minimum.
    fn backoff_ns(&self, flight: &InFlight, retry_after_s: Option<u32>) -> u64 {
        let base_ns = u64::from(self.plan.clients.retry_backoff_ms) * 1_000_000;
        let backoff_ns = base_ns.saturating_mul(1 << flight.attempt.min(20)).min(60_000_000_000);
        let jitter = self.plan.workload.retry_jitter(flight.spec.number, flight.attempt);
        let jittered_ns = (backoff_ns as f64 * (0.5 + jitter / 2.0)) as u64;
        let asked_ns = u64::from(retry_after_s.unwrap_or(0).min(60)) * 1_000_000_000;
        jittered_ns.max(asked_ns + jittered_ns / 4)
    }

    fn run_timers(&mut self, now: u64) {
        while let Some(task) = self.timers.due(now) {
            match task {
                TimedTask::Retry(flight) => self.start_request(*flight, now),
                TimedTask::HangUp(place) => {
                    if self.pool.is_under_way(place) {
                        self.fail(place.slot, NoResponseCause::HangUp, now);
                    }
                }
                TimedTask::Trickle(place) => self.trickle(place, now),
            }
        }
        while let Some(place) = self.timers.expired(now, |place| self.pool.is_under_way(place)) {
            self.fail(place.slot, NoResponseCause::Timeout, now);
        }
        let patience_ns = u64::from(self.plan.clients.timeout_ms) * 1_000_000;
        while self.waiting.front().is_some_and(|flight| flight.due_ns + patience_ns <= now) {
            if let Some(flight) = self.waiting.pop_front() {
                self.end(flight, RequestEnd::Unsent, now, None);
            }
        }
    }

    /// Sends the next part of a slow body.
    fn trickle(&mut self, place: ConnectionSlot, now: u64) {
        if !self.pool.is_under_way(place) {
            return;
        }
        let trickle_ns = self.trickle_ns();
        let Some(connection) = self.pool.get(place.slot) else { return };
        let whole = connection.out.len();
        let allowed = (connection.allowed() + connection.part).min(whole);
        let progress = connection.allow(allowed);
        if let IoProgress::Broken(cause) = progress {
            self.fail(place.slot, cause, now);
        } else if allowed < whole {
            self.timers.set(now + trickle_ns, TimedTask::Trickle(place));
        }
    }

    fn drop_waiting(&mut self, now: u64) {
        for flight in self.timers.drop_retries() {
            self.record.settled(&flight, false, now);
        }
        while let Some(flight) = self.waiting.pop_front() {
            self.end(flight, RequestEnd::Unsent, now, None);
        }
    }
}

fn parse_response(response: &HttpResponse<'_>) -> ParsedResponse {
    let end = match response.status {
        202 => RequestEnd::Accepted,
        429 | 503 => RequestEnd::Shed,
        _ => RequestEnd::Refused,
    };
    let accepted = end == RequestEnd::Accepted;
    let code = (!accepted).then(|| match problem_code(&response.body) {
        Some(code) => code.to_owned(),
        None => format!("status_{}", response.status),
    });
    ParsedResponse {
        end,
        close: response.close,
        retry_after_s: response.retry_after_s,
        code,
        names: accepted.then(|| accepted_body::read(&response.body)).flatten(),
    }
}

impl std::fmt::Debug for SendLoop {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("SendLoop").field("next_number", &self.next_number).finish_non_exhaustive()
    }
}

impl ClientConnection {
    pub(super) fn carries(&self, place: ConnectionSlot) -> bool {
        self.flight.is_some_and(|flight| flight.id == place.flight_id)
    }
}

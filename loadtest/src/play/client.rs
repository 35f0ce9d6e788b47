//! Sends the requests at their planned times over many kept-alive connections, and notes how each ended.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use ingest_fn::handlers::orders::Accepted;
use shared::order::{OrderId, PayloadDigest};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use super::{Kind, Planned, Schedule};
use crate::ledger::{Attempt, Ending};

/// Where to send, and by how many connections.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// ingest-fn.
    pub address: SocketAddr,
    /// Connections kept open.
    pub connections: usize,
    /// Longest wait for an answer.
    pub timeout: Duration,
}

/// Live counts for the progress line.
#[derive(Debug, Default)]
pub struct Counters {
    /// Requests sent.
    pub offered: AtomicU64,
    /// 202.
    pub accepted: AtomicU64,
    /// 429 or 503: shed.
    pub shed: AtomicU64,
    /// Other refusals.
    pub refused: AtomicU64,
    /// No answer.
    pub unknown: AtomicU64,
    /// 202 to orders of their own, which makes a row each.
    pub accepted_new: AtomicU64,
}

/// Plays a plan.
#[derive(Debug)]
pub struct Player {
    plan: Vec<Planned>,
    schedule: Schedule,
    target: Target,
    next: AtomicUsize,
    /// Live counts.
    pub counters: Counters,
}

/// What a run brought.
#[derive(Debug, Default)]
pub struct Played {
    /// Requests that could have made an order.
    pub attempts: Vec<Attempt>,
    /// Answers that were not as expected: an invalid order accepted, a valid one called invalid.
    pub surprises: Vec<String>,
    /// From the planned send time to the answer, microseconds; refusals and failures included.
    pub latencies_us: Vec<u64>,
    /// The longest that a request was sent late.
    pub slip_max: Duration,
}

impl Player {
    /// A player of `plan`: request number n is sent at the schedule's n-th time.
    #[must_use]
    pub fn new(plan: Vec<Planned>, schedule: Schedule, target: Target) -> Arc<Self> {
        Arc::new(Self { plan, schedule, target, next: AtomicUsize::new(0), counters: Counters::default() })
    }

    /// Plays to the end.
    pub async fn play(self: Arc<Self>) -> Played {
        let start = Instant::now() + Duration::from_millis(50);
        let mut connections = JoinSet::new();
        for _ in 0..self.target.connections {
            connections.spawn(self.clone().drive(start));
        }
        let mut all = Played::default();
        for played in connections.join_all().await {
            all.attempts.extend(played.attempts);
            all.surprises.extend(played.surprises);
            all.latencies_us.extend(played.latencies_us);
            all.slip_max = all.slip_max.max(played.slip_max);
        }
        all
    }

    /// One connection: takes the next request, waits for its time, sends it, notes the end.
    async fn drive(self: Arc<Self>, start: Instant) -> Played {
        let mut played = Played::default();
        let mut connection = None;
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let (Some(planned), Some(send_at)) = (self.plan.get(number), self.schedule.send_at.get(number))
            else {
                return played;
            };
            let send_at = start + *send_at;
            sleep_until(send_at).await;
            played.slip_max = played.slip_max.max(send_at.elapsed());
            self.counters.offered.fetch_add(1, Ordering::Relaxed);
            let answer = timeout(self.target.timeout, self.send(&mut connection, planned)).await;
            // The time since the plan, not since the sending: a late sender must not flatter the server.
            played.latencies_us.push(u64::try_from(send_at.elapsed().as_micros()).unwrap_or(u64::MAX));
            let answer = answer.ok().and_then(Result::ok);
            if answer.is_none() {
                connection = None;
            }
            self.note(planned, answer.as_ref(), &mut played);
        }
    }

    async fn send(
        &self,
        connection: &mut Option<SendRequest<Full<Bytes>>>,
        planned: &Planned,
    ) -> anyhow::Result<(StatusCode, Bytes)> {
        let sender = match connection {
            Some(sender) if !sender.is_closed() => sender,
            _ => connection.insert(connect(self.target.address).await?),
        };
        sender.ready().await?;
        let request = Request::post("/v1/orders")
            .header("host", "spillway")
            .header("content-type", "application/json")
            .header("idempotency-key", &planned.idempotency_key)
            .body(Full::new(planned.body.clone()))?;
        let response: Response<Incoming> = sender.send_request(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        Ok((status, body))
    }

    fn note(&self, planned: &Planned, answer: Option<&(StatusCode, Bytes)>, played: &mut Played) {
        let count = |counter: &AtomicU64| counter.fetch_add(1, Ordering::Relaxed);
        let ending = match answer {
            None => {
                count(&self.counters.unknown);
                Ending::Unknown
            }
            Some((StatusCode::ACCEPTED, _)) => {
                count(&self.counters.accepted);
                Ending::Accepted
            }
            Some((StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE, _)) => {
                count(&self.counters.shed);
                Ending::Refused
            }
            Some(_) => {
                count(&self.counters.refused);
                Ending::Refused
            }
        };
        let Some((order_id, digest)) = planned.expected else {
            if let Some((status, _)) =
                answer.filter(|(status, _)| *status != StatusCode::UNPROCESSABLE_ENTITY)
                && ending != Ending::Refused
            {
                played.surprises.push(format!("an invalid order was answered {status}"));
            }
            return;
        };
        let shed = |status: StatusCode| matches!(status.as_u16(), 429 | 503);
        if let Some((status, _)) = answer.filter(|(status, _)| ending == Ending::Refused && !shed(*status)) {
            played.surprises.push(format!("a valid order was answered {status}"));
        }
        if ending == Ending::Accepted && planned.kind == Kind::New {
            count(&self.counters.accepted_new);
        }
        let answered =
            answer.filter(|_| ending == Ending::Accepted).and_then(|(_, body)| read_accepted(body));
        played.attempts.push(Attempt { order_id, digest, ending, answered });
    }
}

async fn connect(address: SocketAddr) -> anyhow::Result<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    // Ends with the connection; what it says, the request on it says as well.
    tokio::spawn(connection);
    Ok(sender)
}

fn read_accepted(body: &[u8]) -> Option<(OrderId, PayloadDigest)> {
    let accepted: Accepted = serde_json::from_slice(body).ok()?;
    Some((accepted.order_id.parse().ok()?, accepted.digest.parse().ok()?))
}

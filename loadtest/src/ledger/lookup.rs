//! The public look-up of single orders, `GET /v1/orders/{order_id}`.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail};
use serde::Deserialize;
use shared::order::{OrderId, PayloadDigest};
use shared::retry::Backoff;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::fault::FaultCollector;
use super::judge::Judgement;
use super::rows::SampledRow;
use crate::generator::{RESPONSE_BYTES_MAX, ResponseParse, parse_response};
use crate::target::TargetUrl;

/// Look-ups in flight.
const CONNECTIONS: usize = 8;

const TRIES: u32 = 6;

const RETRY: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2));

const RESPONSE_WAIT: Duration = Duration::from_secs(10);

#[derive(Clone, Debug)]
pub struct LookUpClient {
    /// `http`; its prefix precedes `/v1/orders`.
    url: TargetUrl,
}

/// An order as the look-up shows it.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct OrderAnswer {
    pub(super) order_id: String,
    pub(super) state: String,
    pub(super) reason: Option<String>,
    digest: Option<String>,
    pub(super) conflicts: u64,
    decided_at: String,
}

#[derive(Clone, Debug)]
pub(super) enum LookUp {
    Found(Box<OrderAnswer>),
    Unknown,
    /// No usable answer after several tries.
    Failed(String),
}

impl OrderAnswer {
    pub(super) fn digest(&self) -> Option<PayloadDigest> {
        self.digest.as_ref()?.parse().ok()
    }

    pub(super) fn names(&self, order_id: OrderId) -> bool {
        self.order_id.parse() == Ok(order_id)
    }

    /// Milliseconds since 1970.
    fn decided_ms(&self) -> Option<i64> {
        let at = OffsetDateTime::parse(&self.decided_at, &Rfc3339).ok()?;
        Some((at.unix_timestamp_nanos() / 1_000_000) as i64)
    }

    /// The first member that differs from the database's row. Later payloads may have arrived meanwhile.
    fn difference(&self, row: &SampledRow) -> Option<&'static str> {
        let decided_ms = row.decided_us.div_euclid(1_000);
        let members = [
            ("state", self.state == row.state),
            ("reason", self.reason == row.reason),
            ("digest", self.digest() == Some(row.digest)),
            ("conflicts", self.conflicts >= row.conflicts),
            ("decided_at", self.decided_ms().is_some_and(|ms| (ms - decided_ms).abs() <= 1)),
        ];
        members.into_iter().find(|(_, same)| !same).map(|(name, _)| name)
    }
}

impl LookUpClient {
    /// `url`: `http://host:port`, and a path that precedes `/v1/orders`.
    pub fn new(url: &str) -> anyhow::Result<Self> {
        match url.parse::<TargetUrl>() {
            Ok(url) if !url.is_tls => Ok(Self { url }),
            _ => bail!("--lookup-url {url}: use http://host:port; for TLS, run a local proxy"),
        }
    }

    pub fn at(address: SocketAddr) -> Self {
        Self { url: TargetUrl::plain(address) }
    }

    /// Looks all of `ids` up; the answers are in their order.
    pub(super) async fn look_up(&self, ids: &[OrderId]) -> anyhow::Result<Vec<LookUp>> {
        let mut tasks = JoinSet::new();
        let share = ids.len().div_ceil(CONNECTIONS).max(1);
        for (part, ids) in ids.chunks(share).enumerate() {
            let (client, ids) = (self.clone(), ids.to_vec());
            tasks.spawn(async move {
                let (mut connection, mut answers) = (None, Vec::with_capacity(ids.len()));
                for order_id in ids {
                    answers.push(client.persist(&mut connection, order_id).await);
                }
                (part, answers)
            });
        }
        let mut parts = Vec::new();
        while let Some(part) = tasks.join_next().await {
            parts.push(part.context("a look-up")?);
        }
        parts.sort_unstable_by_key(|(part, _)| *part);
        Ok(parts.into_iter().flat_map(|(_, answers)| answers).collect())
    }

    async fn persist(&self, connection: &mut Option<TcpStream>, order_id: OrderId) -> LookUp {
        let mut reason = String::new();
        for tries in 1..=TRIES {
            match timeout(RESPONSE_WAIT, self.exchange(connection, order_id)).await {
                Ok(Ok((200, body))) => match serde_json::from_slice(&body) {
                    Ok(answer) => return LookUp::Found(Box::new(answer)),
                    Err(error) => return LookUp::Failed(format!("status 200 without an order: {error}")),
                },
                Ok(Ok((404, _))) => return LookUp::Unknown,
                Ok(Ok((status, _))) => reason = format!("status {status}"),
                Ok(Err(error)) => {
                    *connection = None;
                    reason = format!("{error:#}");
                }
                Err(_elapsed) => {
                    *connection = None;
                    reason = format!("no response within {} s", RESPONSE_WAIT.as_secs());
                }
            }
            sleep(RETRY.delay(tries)).await;
        }
        LookUp::Failed(reason)
    }

    /// Returns the status and the body.
    async fn exchange(
        &self,
        connection: &mut Option<TcpStream>,
        order_id: OrderId,
    ) -> anyhow::Result<(u16, Vec<u8>)> {
        let stream = match connection {
            Some(stream) => stream,
            None => connection.insert(TcpStream::connect((self.url.host.as_str(), self.url.port)).await?),
        };
        let TargetUrl { authority, prefix, .. } = &self.url;
        let request = format!("GET {prefix}/v1/orders/{order_id} HTTP/1.1\r\nhost: {authority}\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut input = Vec::new();
        loop {
            if stream.read_buf(&mut input).await? == 0 {
                bail!("the connection ended before the response");
            }
            match parse_response(&input) {
                ResponseParse::Complete(response) => {
                    let answer = (response.status, response.body.into_owned());
                    if response.close {
                        *connection = None;
                    }
                    return Ok(answer);
                }
                ResponseParse::Partial if input.len() <= RESPONSE_BYTES_MAX => {}
                _ => bail!("the response is not HTTP/1.1"),
            }
        }
    }

    /// Compares the look-up of each row that `judgement` sampled with the row.
    ///
    /// # Errors
    /// If a task of the look-ups ends early.
    pub async fn check(&self, judgement: &mut Judgement) -> anyhow::Result<()> {
        let mut faults = FaultCollector::default();
        let ids: Vec<_> = judgement.sample.iter().map(|row| row.order_id).collect();
        for (row, answer) in judgement.sample.iter().zip(self.look_up(&ids).await?) {
            match answer {
                LookUp::Failed(reason) => faults.add("lookup_failed", format!("{}: {reason}", row.order_id)),
                LookUp::Unknown => faults.add("lookup_unknown", row.order_id),
                LookUp::Found(answer) if !answer.names(row.order_id) => {
                    faults.add("lookup_names_another_order", row.order_id);
                }
                LookUp::Found(answer) => {
                    if let Some(member) = answer.difference(row) {
                        faults.add("lookup_differs", format!("{}: {member}", row.order_id));
                    }
                }
            }
        }
        judgement.verdict.looked_up = ids.len();
        judgement.verdict.faults.extend(faults.into_faults());
        Ok(())
    }
}

//! The public look-up of single orders, `GET /v1/orders/{order_id}`.

use std::time::Duration;

use anyhow::Context;
use http::Method;
use serde::Deserialize;
use shared::order::{OrderId, PayloadDigest};
use shared::retry::Backoff;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::task::JoinSet;

use super::fault::FaultCollector;
use super::judge::Judgement;
use super::rows::SampledRow;
use crate::target::{RequestFields, Target, TargetConnection};
use crate::workload::{RequestSpec, Workload};

/// Look-ups in flight.
const CONNECTIONS: usize = 8;

const TRIES: u32 = 6;

const RETRY: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2));

const RESPONSE_WAIT: Duration = Duration::from_secs(10);

/// Looks orders up, with the headers, tokens and signature of the target's requests.
#[derive(Clone, Debug)]
pub struct LookUpClient {
    /// The prefix precedes `/v1/orders`.
    target: Target,
}

/// An order to look up, and a request for it: its buyer is the one that asks.
pub(super) type LookUpOrder = (OrderId, RequestSpec);

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
    pub const fn new(target: Target) -> Self {
        Self { target }
    }

    /// Looks all of `orders` up; the answers are in their order.
    pub(super) async fn look_up(
        &self,
        workload: &Workload,
        orders: &[LookUpOrder],
    ) -> anyhow::Result<Vec<LookUp>> {
        let mut tasks = JoinSet::new();
        let share = orders.len().div_ceil(CONNECTIONS).max(1);
        for (part, orders) in orders.chunks(share).enumerate() {
            let requests: Vec<_> = orders.iter().map(|order| self.request(workload, order)).collect();
            let client = self.clone();
            tasks.spawn_blocking(move || {
                let mut connection = None;
                let answers: Vec<_> =
                    requests.iter().map(|request| client.persist(&mut connection, request)).collect();
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

    fn request(&self, workload: &Workload, (order_id, spec): &LookUpOrder) -> Vec<u8> {
        self.target.head.get(&RequestFields {
            method: Method::GET,
            path: &format!("{}/v1/orders/{order_id}", self.target.head.prefix),
            body: b"",
            is_form: false,
            has_key: false,
            number: spec.number,
            buyer: spec.user,
            user_id: &workload.user_id(spec),
            idempotency_key: &workload.idempotency_key(spec),
            uuid: rand::random(),
        })
    }

    fn persist(&self, connection: &mut Option<TargetConnection>, request: &[u8]) -> LookUp {
        let mut reason = String::new();
        for tries in 1..=TRIES {
            let open = || TargetConnection::open(&self.target, RESPONSE_WAIT);
            let exchanged =
                connection.take().map_or_else(open, Ok).and_then(|connection| connection.exchange(request));
            match exchanged {
                Ok((status, body, open)) => {
                    *connection = open;
                    match status {
                        200 => match serde_json::from_slice(&body) {
                            Ok(answer) => return LookUp::Found(Box::new(answer)),
                            Err(error) => {
                                return LookUp::Failed(format!("status 200 without an order: {error}"));
                            }
                        },
                        404 => return LookUp::Unknown,
                        status => reason = format!("status {status}"),
                    }
                }
                Err(error) => reason = format!("{error:#}"),
            }
            std::thread::park_timeout(RETRY.delay(tries));
        }
        LookUp::Failed(reason)
    }

    /// Looks `orders` up as another buyer each, which must not see them. Without an identity in the requests' headers
    /// there is nothing to check.
    pub(super) async fn check_other_buyers(
        &self,
        workload: &Workload,
        orders: &[LookUpOrder],
        faults: &mut FaultCollector,
    ) -> anyhow::Result<()> {
        let as_another = |(order_id, spec): &LookUpOrder| {
            let user = self.target.head.another_buyer(spec.user, workload.users())?;
            Some((*order_id, RequestSpec { user, ..*spec }))
        };
        let orders: Vec<_> = orders.iter().filter_map(as_another).collect();
        for ((order_id, _), answer) in orders.iter().zip(self.look_up(workload, &orders).await?) {
            match answer {
                LookUp::Unknown => {}
                LookUp::Found(_) => faults.add("lookup_answers_another_buyer", order_id),
                LookUp::Failed(reason) => {
                    faults.add("lookup_failed", format!("{order_id} by another buyer: {reason}"));
                }
            }
        }
        Ok(())
    }

    /// Compares the look-up of each row that `judgement` sampled with the row, and checks that another buyer gets none.
    ///
    /// # Errors
    /// If a task of the look-ups ends early.
    pub async fn check(&self, workload: &Workload, judgement: &mut Judgement) -> anyhow::Result<()> {
        let mut faults = FaultCollector::default();
        let order = |row: &SampledRow| (row.order_id, workload.request_spec(u64::from(row.number)));
        let orders: Vec<_> = judgement.sample.iter().map(order).collect();
        for (row, answer) in judgement.sample.iter().zip(self.look_up(workload, &orders).await?) {
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
        self.check_other_buyers(workload, &orders, &mut faults).await?;
        judgement.verdict.looked_up = orders.len();
        judgement.verdict.faults.extend(faults.into_faults());
        Ok(())
    }
}

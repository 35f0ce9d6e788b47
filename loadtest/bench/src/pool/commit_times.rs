//! Bounds of each order's commit time: after the statement that wrote it, before the database's response, which the
//! workers log.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, ErrorKind};
use std::path::Path;

use anyhow::Context;
use serde::Deserialize;
use shared::order::OrderId;

use super::SECOND_US;
use loadtest::ledger::DecidedOrder;

/// The environment that makes a worker log each settled order.
pub(super) const LOG_ENVIRONMENT: [(&str, &str); 2] =
    [("SPILLWAY_LOG", "info,drain_worker::pipeline=debug"), ("SPILLWAY_LOG_FORMAT", "json")];

/// Bounds of a commit's time, microseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CommitBounds {
    pub(super) from_us: i64,
    pub(super) to_us: i64,
}

#[derive(Clone, Copy, Debug)]
struct CommitResponse {
    at_us: i64,
    /// True if the response says that the order was already decided.
    is_duplicate: bool,
}

#[derive(Debug, Default)]
pub(super) struct CommitResponses(HashMap<OrderId, CommitResponse>);

#[derive(Deserialize)]
struct LogLine {
    event: Option<String>,
    order_id: Option<String>,
    outcome: Option<String>,
    answered_us: Option<i64>,
}

impl CommitResponses {
    /// Reads the workers' log. Lines that a kill has truncated are skipped.
    pub(super) fn read(log: &Path) -> anyhow::Result<Self> {
        let mut lines = BufReader::new(std::fs::File::open(log)?);
        let mut responses = Self::default();
        let mut text = String::new();
        loop {
            text.clear();
            match lines.read_line(&mut text) {
                Ok(0) => return Ok(responses),
                Ok(_) => responses.add(&text),
                Err(error) if error.kind() == ErrorKind::InvalidData => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn add(&mut self, text: &str) {
        let Ok(LogLine { event, order_id: Some(order_id), outcome, answered_us: Some(at_us) }) =
            serde_json::from_str(text)
        else {
            return;
        };
        let Ok(order_id) = order_id.parse() else { return };
        if event.as_deref() != Some("order_settled") {
            return;
        }
        let response = CommitResponse { at_us, is_duplicate: outcome.as_deref() == Some("duplicate") };
        let known = self.0.entry(order_id).or_insert(response);
        if (response.is_duplicate, response.at_us) < (known.is_duplicate, known.at_us) {
            *known = response;
        }
    }

    /// Returns the bounds of the row's commit. `clock_us` is the resolution of the clock of `decided_at`. A worker
    /// killed at one of `kills_us` did not log the response, and sent no commit afterwards.
    pub(super) fn bounds(
        &self,
        row: &DecidedOrder,
        clock_us: i64,
        kills_us: &[i64],
    ) -> anyhow::Result<CommitBounds> {
        let response = self.0.get(&row.order_id);
        let killed_us = kills_us.iter().copied().filter(|kill| *kill >= row.decided_at_us).min();
        let to_us = match (response, killed_us) {
            (Some(response), Some(killed_us)) if response.is_duplicate => response.at_us.min(killed_us),
            (Some(response), _) => response.at_us,
            (None, killed_us) => killed_us.context("no worker logged the commit of an order")?,
        };
        let from_us = (row.decided_at_us + clock_us - 1).min(to_us);
        Ok(CommitBounds { from_us, to_us })
    }
}

/// The maximum number of orders committed within one second, if each was committed at the worst time within its bounds.
pub(super) fn busiest_second(commits: impl Iterator<Item = CommitBounds>) -> u64 {
    // Counts the orders that can share a second with a commit at an instant. At one instant, orders that leave come
    // first.
    let mut steps: Vec<(i64, i64)> =
        commits.flat_map(|commit| [(commit.from_us, 1), (commit.to_us + SECOND_US, -1)]).collect();
    steps.sort_unstable();
    let (mut now, mut most) = (0_i64, 0_i64);
    for (_at, step) in steps {
        now += step;
        most = most.max(now);
    }
    most.unsigned_abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(number: u8, decided_at_us: i64) -> DecidedOrder {
        DecidedOrder { order_id: OrderId::from_bytes([number; 16]), decided_at_us }
    }

    fn line(number: u8, outcome: &str, answered_us: i64) -> String {
        let order_id = OrderId::from_bytes([number; 16]);
        format!(
            r#"{{"level":"DEBUG","event":"order_settled","order_id":"{order_id}","outcome":"{outcome}","answered_us":{answered_us}}}"#
        )
    }

    fn responses(lines: &[String]) -> CommitResponses {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("log");
        std::fs::write(&path, lines.join("\n")).expect("written");
        CommitResponses::read(&path).expect("a log")
    }

    #[test]
    fn a_commit_lies_between_its_statement_and_its_response() {
        let responses = responses(&[
            r#"{"event":"worker_started"}"#.to_owned(),
            line(1, "confirmed", 1_500),
            line(1, "duplicate", 9_000),
            line(2, "duplicate", 9_000),
            line(2, "sold_out", 1_700),
            line(3, "duplicate", 9_000),
            line(4, "confirmed", 900)[..40].to_owned(),
        ]);
        let bounds =
            |number, kills: &[i64]| responses.bounds(&row(number, 1_000), 1, kills).map(|it| it.to_us).ok();
        let cases: [(u8, &[i64], Option<i64>, &str); 7] = [
            (1, &[], Some(1_500), "the first response counts"),
            (2, &[], Some(1_700), "in any order of the lines"),
            (3, &[], Some(9_000), "the response was lost, the second attempt has one"),
            (3, &[900, 3_000, 4_000], Some(3_000), "the worker was killed"),
            (1, &[1_100], Some(1_500), "another worker was killed"),
            (4, &[2_000], Some(2_000), "killed while it logged"),
            (4, &[], None, "without a bound"),
        ];
        for (number, kills, expected, reason) in cases {
            assert_eq!(bounds(number, kills), expected, "{reason}");
        }
        let coarse = responses.bounds(&row(1, 1_000), 1_000, &[]).expect("bounds");
        assert_eq!(coarse, CommitBounds { from_us: 1_500, to_us: 1_500 }, "a clock of milliseconds");
    }

    #[test]
    fn orders_that_may_share_a_second_are_counted() {
        let exact = |at_us| CommitBounds { from_us: at_us, to_us: at_us };
        let cases = [
            (vec![exact(0), exact(SECOND_US)], 1, "a second apart"),
            (vec![exact(0), exact(SECOND_US - 1)], 2, "less than a second apart"),
            (
                vec![exact(0), CommitBounds { from_us: SECOND_US - 1, to_us: 3 * SECOND_US }],
                2,
                "perhaps less",
            ),
            (
                vec![CommitBounds { from_us: 0, to_us: 5 }, exact(SECOND_US + 4), exact(SECOND_US + 5)],
                2,
                "to the microsecond",
            ),
        ];
        for (commits, expected, reason) in cases {
            assert_eq!(busiest_second(commits.into_iter()), expected, "{reason}");
        }
    }
}

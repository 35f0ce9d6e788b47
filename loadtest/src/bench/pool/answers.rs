//! When orders were committed, from both sides: not before the statement that wrote them, not after the database had
//! answered. The workers' log tells the latter.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, ErrorKind};
use std::path::Path;

use anyhow::Context;
use serde::Deserialize;
use shared::order::OrderId;

use super::SECOND_US;
use crate::ledger::OrderRow;

/// The environment that makes a worker say so, order by order.
pub(super) const LOGS: [(&str, &str); 2] =
    [("SPILLWAY_LOG", "info,drain_worker::pipeline=debug"), ("SPILLWAY_LOG_FORMAT", "json")];

/// Between these its commit lies, microseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bracket {
    pub(super) from_us: i64,
    pub(super) to_us: i64,
}

/// When the database had answered for an order.
#[derive(Clone, Copy, Debug)]
struct Answer {
    at_us: i64,
    /// The answer was that the order had been decided before.
    is_late: bool,
}

/// Answers by order.
#[derive(Debug, Default)]
pub(super) struct Answers(HashMap<OrderId, Answer>);

#[derive(Deserialize)]
struct Line {
    message: String,
    order_id: Option<String>,
    outcome: Option<String>,
    answered_us: Option<i64>,
}

impl Answers {
    /// Of the workers' log. Lines that a kill has cut off tell nothing.
    pub(super) fn read(log: &Path) -> anyhow::Result<Self> {
        let mut lines = BufReader::new(std::fs::File::open(log)?);
        let mut answers = Self::default();
        let mut text = String::new();
        loop {
            text.clear();
            match lines.read_line(&mut text) {
                Ok(0) => return Ok(answers),
                Ok(_) => answers.add(&text),
                Err(error) if error.kind() == ErrorKind::InvalidData => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn add(&mut self, text: &str) {
        let Ok(Line { message, order_id: Some(order_id), outcome, answered_us: Some(at_us) }) =
            serde_json::from_str(text)
        else {
            return;
        };
        let Ok(order_id) = order_id.parse() else { return };
        if message != "order settled" {
            return;
        }
        let answer = Answer { at_us, is_late: outcome.as_deref() == Some("duplicate") };
        let known = self.0.entry(order_id).or_insert(answer);
        if (answer.is_late, answer.at_us) < (known.is_late, known.at_us) {
            *known = answer;
        }
    }

    /// The row's bracket. `clock_us` is the step of the clock that `decided_at` is from. A worker that was killed, at
    /// one of `kills_us`, did not hear the answer, and sent no commit afterwards.
    pub(super) fn bracket(&self, row: &OrderRow, clock_us: i64, kills_us: &[i64]) -> anyhow::Result<Bracket> {
        let answer = self.0.get(&row.order_id);
        let killed_us = kills_us.iter().copied().filter(|kill| *kill >= row.decided_at_us).min();
        let to_us = match (answer, killed_us) {
            (Some(answer), Some(killed_us)) if answer.is_late => answer.at_us.min(killed_us),
            (Some(answer), _) => answer.at_us,
            (None, killed_us) => killed_us.context("no worker has said when an order was committed")?,
        };
        let from_us = (row.decided_at_us + clock_us - 1).min(to_us);
        Ok(Bracket { from_us, to_us })
    }
}

/// The most orders that may have been committed within any one second, wherever in its bracket each was.
pub(super) fn busiest_second(brackets: impl Iterator<Item = Bracket>) -> u64 {
    // Orders that can share a second with what is committed at an instant: begun by then, and ended less than a second
    // before. At one instant those that leave go first.
    let mut steps: Vec<(i64, i64)> =
        brackets.flat_map(|bracket| [(bracket.from_us, 1), (bracket.to_us + SECOND_US, -1)]).collect();
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
    use shared::order::PayloadDigest;

    use super::*;

    fn row(number: u8, decided_at_us: i64) -> OrderRow {
        OrderRow {
            order_id: OrderId::from_bytes([number; 16]),
            digest: PayloadDigest::from_bytes([0; 32]),
            user_id: "buyer".to_owned(),
            confirmed: true,
            reason: None,
            decided_at_us,
        }
    }

    fn line(number: u8, outcome: &str, answered_us: i64) -> String {
        let order_id = OrderId::from_bytes([number; 16]);
        format!(
            r#"{{"level":"DEBUG","message":"order settled","order_id":"{order_id}","outcome":"{outcome}","answered_us":{answered_us}}}"#
        )
    }

    fn answers(lines: &[String]) -> Answers {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("log");
        std::fs::write(&path, lines.join("\n")).expect("written");
        Answers::read(&path).expect("a log")
    }

    #[test]
    fn a_commit_lies_between_its_statement_and_its_answer() {
        let answers = answers(&[
            r#"{"message":"draining"}"#.to_owned(),
            line(1, "confirmed", 1_500),
            line(1, "duplicate", 9_000),
            line(2, "duplicate", 9_000),
            line(2, "sold_out", 1_700),
            line(3, "duplicate", 9_000),
            line(4, "confirmed", 900)[..40].to_owned(),
        ]);
        let bracket =
            |number, kills: &[i64]| answers.bracket(&row(number, 1_000), 1, kills).map(|it| it.to_us).ok();
        let cases: [(u8, &[i64], Option<i64>, &str); 7] = [
            (1, &[], Some(1_500), "the first answer counts"),
            (2, &[], Some(1_700), "whichever is read first"),
            (3, &[], Some(9_000), "the answer was lost, the second try has one"),
            (3, &[900, 3_000, 4_000], Some(3_000), "whoever wrote it was killed"),
            (1, &[1_100], Some(1_500), "another was killed"),
            (4, &[2_000], Some(2_000), "killed while it told"),
            (4, &[], None, "nobody knows"),
        ];
        for (number, kills, expected, why) in cases {
            assert_eq!(bracket(number, kills), expected, "{why}");
        }
        let coarse = answers.bracket(&row(1, 1_000), 1_000, &[]).expect("a bracket");
        assert_eq!(coarse, Bracket { from_us: 1_500, to_us: 1_500 }, "a clock of milliseconds");
    }

    #[test]
    fn orders_that_may_share_a_second_are_counted() {
        let exact = |at_us| Bracket { from_us: at_us, to_us: at_us };
        let cases = [
            (vec![exact(0), exact(SECOND_US)], 1, "a second apart"),
            (vec![exact(0), exact(SECOND_US - 1)], 2, "less than a second apart"),
            (vec![exact(0), Bracket { from_us: SECOND_US - 1, to_us: 3 * SECOND_US }], 2, "perhaps less"),
            (
                vec![Bracket { from_us: 0, to_us: 5 }, exact(SECOND_US + 4), exact(SECOND_US + 5)],
                2,
                "to the microsecond",
            ),
        ];
        for (brackets, expected, why) in cases {
            assert_eq!(busiest_second(brackets.into_iter()), expected, "{why}");
        }
    }
}

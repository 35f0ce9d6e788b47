//! The ledger: what was asked for against what the database holds.
//!
//! Each request ended as accepted (a 202 and nothing else), refused (any other answer), or unknown (no answer). The
//! ledger adds up if every accepted order is in the database once, an unknown one at most once, nothing else is
//! there, and the database's own promises (stock, limits, conflicts, the cap) hold.

mod check;
mod read;

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shared::order::{OrderId, PayloadDigest};

pub use check::{busiest_window, check};
pub use read::{DrainProgress, LedgerReader};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptEnding {
    Accepted,
    Refused,
    /// No answer: the order may be there, or not.
    Unknown,
}

#[derive(Clone, Debug)]
pub struct Attempt {
    /// The id it must get, derived here and not taken from the answer.
    pub order_id: OrderId,
    pub digest: PayloadDigest,
    pub ending: AttemptEnding,
    /// What a refusal was called: the problem's code, or `status_NNN`.
    pub code: Option<Arc<str>>,
    /// The id and digest that the answer gave, if it gave any.
    pub answered: Option<(OrderId, PayloadDigest)>,
}

/// Rows and conflicts that the accepted requests must have become once the queue is empty: each different payload
/// that was answered 202 is either the one decided or on record as another.
pub fn settlements_expected(attempts: &[Attempt]) -> u64 {
    let accepted: HashSet<_> = attempts
        .iter()
        .filter(|attempt| attempt.ending == AttemptEnding::Accepted)
        .map(|attempt| (attempt.order_id, attempt.digest))
        .collect();
    accepted.len() as u64
}

#[derive(Clone, Debug, Default)]
pub struct DatabaseSnapshot {
    pub orders: Vec<LedgerOrder>,
    pub items: HashMap<OrderId, Vec<(String, u64)>>,
    pub stock: BTreeMap<String, LedgerStock>,
    /// Other payloads that arrived under an order's id.
    pub conflicts: HashSet<(OrderId, PayloadDigest)>,
    /// Dead letters: the order, where it has one.
    pub dead_letters: Vec<(Option<OrderId>, String)>,
}

#[derive(Clone, Debug)]
pub struct LedgerOrder {
    pub order_id: OrderId,
    pub digest: PayloadDigest,
    pub user_id: String,
    pub confirmed: bool,
    pub reason: Option<String>,
    /// When it was decided, microseconds since 1970 by the database's clock.
    pub decided_at_us: i64,
}

#[derive(Clone, Copy, Debug)]
pub struct LedgerStock {
    pub total: u64,
    pub reserved: u64,
    pub per_user_limit: Option<u64>,
}

/// What the ledger says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LedgerVerdict {
    /// Requests that could have made an order.
    pub requests: usize,
    /// Requests answered 202.
    pub accepted: usize,
    /// Requests answered otherwise.
    pub refused: usize,
    /// Of these, by the problem's code.
    #[serde(default)]
    pub refused_by_code: BTreeMap<String, usize>,
    /// Requests without an answer.
    pub unknown: usize,
    /// Different orders among the accepted.
    pub accepted_orders: usize,
    /// Orders in the database.
    pub rows: usize,
    /// Of these, confirmed.
    pub confirmed: usize,
    /// Of these, rejected, by reason.
    pub rejected: BTreeMap<String, usize>,
    /// Orders in the database that came from requests without an answer alone.
    pub rows_of_unknown: usize,
    /// Other payloads on record.
    pub conflicts: usize,
    /// Dead letters.
    pub dead_letters: usize,
    /// The most orders decided within any one second.
    pub busiest_second: usize,
    /// What that may be; absent: not judged.
    pub cap: Option<u32>,
    /// What does not add up; empty: it all does.
    pub faults: Vec<LedgerFault>,
}

/// Something that does not add up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LedgerFault {
    /// Stable name.
    pub code: Cow<'static, str>,
    /// How many.
    pub count: usize,
    /// The first few, for whoever looks.
    pub examples: Vec<String>,
}

impl LedgerVerdict {
    pub fn adds_up(&self) -> bool {
        self.faults.is_empty()
    }
}

impl std::fmt::Display for LedgerVerdict {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut line =
            |name: &str, value: &dyn std::fmt::Display| writeln!(formatter, "  {name:<34}{value:>9}");
        line("requests", &self.requests)?;
        line("  accepted (202)", &self.accepted)?;
        line("  refused", &self.refused)?;
        for (code, requests) in &self.refused_by_code {
            line(&format!("    {code}"), requests)?;
        }
        line("  unknown (no answer)", &self.unknown)?;
        line("different orders accepted", &self.accepted_orders)?;
        line("orders in the database", &self.rows)?;
        line("  confirmed", &self.confirmed)?;
        for (reason, orders) in &self.rejected {
            line(&format!("  rejected: {reason}"), orders)?;
        }
        line("  from unknown requests", &self.rows_of_unknown)?;
        line("other payloads under a used key", &self.conflicts)?;
        line("dead letters", &self.dead_letters)?;
        match self.cap {
            Some(cap) => line("busiest second (cap)", &format!("{} ({cap})", self.busiest_second))?,
            None => line("busiest second", &self.busiest_second)?,
        }
        if self.adds_up() {
            return write!(
                formatter,
                "The ledger adds up: every accepted order is in the database exactly once, and nothing else is."
            );
        }
        write!(formatter, "THE LEDGER DOES NOT ADD UP:")?;
        for fault in &self.faults {
            write!(formatter, "\n  {} × {}, such as {}", fault.count, fault.code, fault.examples.join(", "))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;

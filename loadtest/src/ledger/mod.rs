//! The ledger: all requests against the contents of the database.
//!
//! Each request ended as accepted (202 only), refused (any other response) or unknown (no response). The ledger adds
//! up if every accepted order is in the database once, an unknown one at most once, nothing else is there, and the
//! database's own promises (stock, limits, conflicts, the cap) hold.

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
    /// No response: the order may or may not exist.
    Unknown,
}

#[derive(Clone, Debug)]
pub struct Attempt {
    /// The expected id, derived here and not taken from the response.
    pub order_id: OrderId,
    pub digest: PayloadDigest,
    pub ending: AttemptEnding,
    /// The problem code of a rejection, or `status_NNN`.
    pub code: Option<Arc<str>>,
    /// True if the response has the expected id and digest; `None` if it has none.
    pub answered_as_expected: Option<bool>,
}

/// The rows and conflicts that the accepted requests must have become once the queue is empty: each distinct accepted
/// payload is either the decided one or recorded as a conflict.
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
    /// Other payloads that arrived with an order's id.
    pub conflicts: HashSet<(OrderId, PayloadDigest)>,
    /// Dead letters: the order, if known, and the reason.
    pub dead_letters: Vec<(Option<OrderId>, String)>,
}

#[derive(Clone, Debug)]
pub struct LedgerOrder {
    pub order_id: OrderId,
    pub digest: PayloadDigest,
    pub user_id: String,
    pub confirmed: bool,
    pub reason: Option<String>,
    /// Decision time, microseconds since 1970 by the database's clock.
    pub decided_at_us: i64,
}

#[derive(Clone, Copy, Debug)]
pub struct LedgerStock {
    pub total: u64,
    pub reserved: u64,
    pub per_user_limit: Option<u64>,
}

/// The result of the ledger's checks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LedgerVerdict {
    /// Requests that could have created an order.
    pub requests: usize,
    /// Requests with the response 202.
    pub accepted: usize,
    /// Requests with any other response.
    pub refused: usize,
    /// Refused requests by problem code.
    #[serde(default)]
    pub refused_by_code: BTreeMap<String, usize>,
    /// Requests without a response.
    pub unknown: usize,
    /// Distinct accepted orders.
    pub accepted_orders: usize,
    /// Orders in the database.
    pub rows: usize,
    /// Confirmed orders in the database.
    pub confirmed: usize,
    /// Rejected orders in the database, by reason.
    pub rejected: BTreeMap<String, usize>,
    /// Orders in the database whose requests all ended without a response.
    pub rows_of_unknown: usize,
    /// Recorded conflicts.
    pub conflicts: usize,
    /// Dead letters in the database.
    pub dead_letters: usize,
    /// Maximum orders decided within one second.
    pub busiest_second: usize,
    /// Maximum that is allowed; absent: not checked.
    pub cap: Option<u32>,
    /// Violations; empty if the ledger adds up.
    pub faults: Vec<LedgerFault>,
}

/// A violation of one rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LedgerFault {
    /// Stable name.
    pub code: Cow<'static, str>,
    /// Number of violations.
    pub count: usize,
    /// The first few violations.
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
        line("  unknown (no response)", &self.unknown)?;
        line("distinct orders accepted", &self.accepted_orders)?;
        line("orders in the database", &self.rows)?;
        line("  confirmed", &self.confirmed)?;
        for (reason, orders) in &self.rejected {
            line(&format!("  rejected: {reason}"), orders)?;
        }
        line("  from unknown requests", &self.rows_of_unknown)?;
        line("conflicts (other payload, used key)", &self.conflicts)?;
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

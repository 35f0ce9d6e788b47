//! The result of the ledger's checks.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fault::LedgerFault;

/// In [`LedgerVerdict::not_judged`] if the second interrupt ended the wait for the drain.
pub(super) const LOSSES_NOT_JUDGED: &str = "losses: the wait for the drain was interrupted";

/// The source that the ledger compares the requests with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LedgerSource {
    /// The database's rows.
    #[default]
    Database,
    /// The public look-up of single orders.
    LookUp,
}

/// The result of the ledger's checks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LedgerVerdict {
    /// The source that the requests are compared with.
    pub source: LedgerSource,
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
    /// Orders of this run in the database.
    pub rows: usize,
    /// Orders in the database that are another run's or buyer's; they are no fault.
    pub other_orders: usize,
    /// Confirmed orders of this run.
    pub confirmed: usize,
    /// Rejected orders of this run, by reason.
    pub rejected: BTreeMap<String, usize>,
    /// Orders of this run whose requests all ended without a response.
    pub rows_of_unknown: usize,
    /// Recorded conflicts.
    pub conflicts: usize,
    /// Dead letters.
    pub dead_letters: usize,
    /// Maximum orders of the sale decided within one second.
    pub busiest_second: usize,
    /// Maximum that the system's own settings allow; absent: not judged.
    pub cap: Option<u32>,
    /// Orders that were looked up.
    pub looked_up: usize,
    /// Checks that could not be made, and why.
    pub not_judged: Vec<String>,
    /// Violations; empty if the ledger adds up.
    pub faults: Vec<LedgerFault>,
}

impl LedgerVerdict {
    pub fn adds_up(&self) -> bool {
        self.faults.is_empty()
    }

    /// The statement that a ledger without faults supports.
    fn conclusion(&self) -> String {
        let all = self.looked_up >= self.accepted_orders;
        match self.source {
            LedgerSource::Database => {
                let others =
                    if self.other_orders == 0 { "nothing else is" } else { "nothing else of this run is" };
                format!("every accepted order is in the database exactly once and as ordered, and {others}")
            }
            LedgerSource::LookUp if all => {
                "the look-up knows every accepted order, with a payload that was sent".to_owned()
            }
            LedgerSource::LookUp => format!(
                "the look-up knows each of {} sampled orders of {}, with a payload that was sent",
                self.looked_up, self.accepted_orders
            ),
        }
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
        if self.source == LedgerSource::Database {
            line("orders in the database", &self.rows)?;
        }
        line("  confirmed", &self.confirmed)?;
        for (reason, orders) in &self.rejected {
            line(&format!("  rejected: {reason}"), orders)?;
        }
        if self.source == LedgerSource::Database {
            line("  from unknown requests", &self.rows_of_unknown)?;
            if self.other_orders > 0 {
                line("orders of others, not judged", &self.other_orders)?;
            }
        }
        line("conflicts (other payload, used key)", &self.conflicts)?;
        line("dead letters", &self.dead_letters)?;
        if self.source == LedgerSource::Database {
            match self.cap {
                Some(cap) => line("busiest second (cap)", &format!("{} ({cap})", self.busiest_second))?,
                None => line("busiest second", &self.busiest_second)?,
            }
        }
        if self.looked_up > 0 {
            line("orders looked up", &self.looked_up)?;
        }
        for check in &self.not_judged {
            writeln!(formatter, "  not judged: {check}")?;
        }
        if self.adds_up() {
            return write!(formatter, "The ledger adds up: {}.", self.conclusion());
        }
        write!(formatter, "THE LEDGER DOES NOT ADD UP:")?;
        for fault in &self.faults {
            write!(formatter, "\n  {} × {}, such as {}", fault.count, fault.code, fault.examples.join(", "))?;
        }
        Ok(())
    }
}

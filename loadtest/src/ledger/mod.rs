//! The ledger: all requests against the contents of the database.
//!
//! Each request ended as accepted (202 only), refused (any other response) or unknown (no response). The ledger adds
//! up if every accepted order is in the database once, an unknown one at most once, nothing else of the run is there,
//! each is as ordered, and the database's own promises (stock, limits, conflicts, the cap) hold.
//!
//! The contents of an order follow from the request's number, prices and stock from the catalogue: nothing is taken from the
//! responses or from the database. Requests and rows are both sorted by order id and merged; neither is held in memory.

mod attempt;
mod attempts;
mod contents;
mod decision_times;
mod fault;
mod judge;
mod lookup;
mod lookup_ledger;
mod read;
mod rows;
mod sample;
mod scope;
mod settle;
mod stock;
mod verdict;

pub use attempt::{AnswerMatch, Attempt, AttemptEnding, Payload, nothing_was_published};
pub(crate) use attempts::AttemptSorter;
pub use attempts::{Attempts, OrderAttempts};
pub use decision_times::DecisionTimes;
pub use fault::{FAULT_CODES, LedgerFault};
pub use judge::{Judgement, RunFacts};
pub use lookup::LookUpClient;
pub use read::{DecidedOrder, LedgerReader, LedgerSystem};
pub use rows::SampledRow;
pub use scope::{RunScope, hidden_at_most};
pub use settle::SettleProgress;
pub use verdict::{LedgerSource, LedgerVerdict};

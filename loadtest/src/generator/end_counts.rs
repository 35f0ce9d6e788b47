use serde::{Deserialize, Serialize};

use super::in_flight::{InFlight, RequestEnd};
use crate::report::RequestTotals;

/// Requests by the way in which they ended.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct EndCounts {
    pub(super) accepted: u64,
    /// Accepted new orders: each becomes one row.
    pub(super) accepted_own: u64,
    pub(super) shed: u64,
    pub(super) refused: u64,
    pub(super) unknown: u64,
    pub(super) unsent: u64,
}

impl EndCounts {
    pub(super) fn count(&mut self, flight: &InFlight, end: RequestEnd) {
        match end {
            RequestEnd::Accepted => {
                self.accepted += 1;
                self.accepted_own += u64::from(flight.is_own());
            }
            RequestEnd::Shed => self.shed += 1,
            RequestEnd::Refused => self.refused += 1,
            RequestEnd::Unknown(_) => self.unknown += 1,
            RequestEnd::Unsent => self.unsent += 1,
        }
    }

    pub(super) const fn count_into(&self, totals: &mut RequestTotals) {
        totals.accepted = self.accepted;
        totals.shed = self.shed;
        totals.refused = self.refused;
        totals.unknown = self.unknown;
        totals.unsent = self.unsent;
    }

    pub(super) const fn add(&mut self, other: &Self) {
        self.accepted += other.accepted;
        self.accepted_own += other.accepted_own;
        self.shed += other.shed;
        self.refused += other.refused;
        self.unknown += other.unknown;
        self.unsent += other.unsent;
    }
}

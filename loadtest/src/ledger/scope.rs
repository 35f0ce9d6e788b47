//! The part of the database that is not the run's: its state before the first request.

use std::collections::BTreeMap;
use std::time::Duration;

use drain_worker::control::GroupSettings;
use serde::{Deserialize, Serialize};

use super::rows::SkuRow;

/// Maximum time from a statement that decides an order to its commit; the drain's transactions end earlier.
const TRANSACTION_US: i64 = 60_000_000;

/// Maximum time for which a message is out of reach beyond its invisible duration: the broker's own delay until the
/// redelivery, the restart of a worker, and the end of a killed worker's lease.
const REDELIVERY: Duration = Duration::from_secs(30);

/// The system as it was before the first request.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunScope {
    /// True if the system was started for this run, with an empty database: every row is the run's.
    pub is_own: bool,
    /// The database's clock minus this machine's, microseconds.
    pub clock_offset_us: i64,
    /// Time of the snapshot by the database's clock, microseconds since 1970.
    pub began_us: i64,
    pub(super) skus_before: Vec<SkuRow>,
    pub(super) groups_before: Vec<DrainGroup>,
    /// Maximum time for which a published order can be hidden, microseconds.
    pub hidden_us: i64,
    /// The drain's consumer group; `None`: the only one in the database.
    pub group: Option<String>,
}

/// The settings of a consumer group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct DrainGroup {
    pub group_id: String,
    pub revision: i64,
    pub settings: String,
}

/// The time after which a published order that nothing has settled is lost: workers hide a received message for
/// `invisible`.
pub fn hidden_at_most(invisible: Duration) -> Duration {
    invisible + REDELIVERY
}

impl RunScope {
    /// The database's time from which rows are read.
    pub(super) const fn since_us(&self) -> i64 {
        if self.is_own { i64::MIN } else { self.began_us - TRANSACTION_US }
    }

    /// True if the snapshot may contain an order that was decided at `decided_us`.
    pub(super) const fn may_precede(&self, decided_us: i64) -> bool {
        decided_us <= self.began_us
    }

    /// The largest cap that was in force at any time of the run.
    ///
    /// # Errors
    /// The reason why it is not known.
    pub(super) fn cap(&self, after: &[DrainGroup]) -> Result<u32, String> {
        let ours = |group: &&DrainGroup| self.group.as_ref().is_none_or(|ours| *ours == group.group_id);
        let mut groups = after.iter().filter(ours);
        let (Some(group), None) = (groups.next(), groups.next()) else {
            return Err("the cap: the database does not have exactly one consumer group".to_owned());
        };
        let before = self.groups_before.iter().find(|before| before.group_id == group.group_id);
        let changes = group.revision - before.map_or(0, |before| before.revision);
        if changes > 1 {
            return Err(format!("the cap: an operator changed it {changes} times during the run"));
        }
        let caps = before.into_iter().chain([group]).map(|group| cap_at_most(&group.settings));
        caps.max_by_key(|cap| cap.unwrap_or(u32::MAX))
            .flatten()
            .ok_or_else(|| "the cap: the group's settings are not readable".to_owned())
    }
}

/// The largest cap that `settings` can put in force.
fn cap_at_most(settings: &str) -> Option<u32> {
    let settings: GroupSettings = serde_json::from_str(settings).ok()?;
    if let Some(manual) = settings.manual {
        return Some(manual.from.get().max(manual.to.get()));
    }
    let scheduled = settings.schedule.iter().flat_map(|schedule| schedule.entries());
    scheduled.map(|entry| entry.rate.get()).chain([settings.default.get()]).max()
}

/// Orders that a worker has settled since its start, by the report in its lease.
pub(super) fn settled_in_report(report: &str) -> u64 {
    #[derive(serde::Deserialize)]
    struct Report {
        #[serde(default)]
        totals: BTreeMap<String, u64>,
    }
    serde_json::from_str::<Report>(report).map_or(0, |report| report.totals.values().sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(before: &[DrainGroup]) -> RunScope {
        RunScope {
            is_own: false,
            clock_offset_us: 0,
            began_us: 0,
            skus_before: Vec::new(),
            groups_before: before.to_vec(),
            hidden_us: 0,
            group: None,
        }
    }

    fn group(group_id: &str, revision: i64, settings: &str) -> DrainGroup {
        DrainGroup { group_id: group_id.to_owned(), revision, settings: settings.to_owned() }
    }

    #[test]
    fn the_cap_is_the_largest_in_force() {
        let schedule = r#"{"default":500,"schedule":{"time_zone":"UTC","entries":[{"from":"00:00","rate":900},{"from":"12:00","rate":100}]}}"#;
        let ramp = r#"{"default":500,"manual":{"from":3000,"to":2000,"began_us":0,"ends_us":9}}"#;
        let default = r#"{"default":500}"#;
        let cases = [
            (default, default, Some(500)),
            (schedule, schedule, Some(900)),
            (default, ramp, Some(3_000)),
            (ramp, default, Some(3_000)),
            (default, "{", None),
        ];
        for (before, after, expected) in cases {
            let cap = scope(&[group("a", 4, before)]).cap(&[group("a", 5, after)]);
            assert_eq!(cap.ok(), expected, "{before} {after}");
        }
    }

    #[test]
    fn a_cap_that_is_not_certain_is_not_judged() {
        let default = r#"{"default":500}"#;
        let before = scope(&[group("a", 4, default)]);
        assert!(before.cap(&[group("a", 6, default)]).is_err(), "two changes: one of them is unknown");
        assert!(before.cap(&[]).is_err());
        let two = [group("a", 4, default), group("b", 0, default)];
        assert!(before.cap(&two).is_err(), "the orders of two groups are in one table");
        assert_eq!(RunScope { group: Some("a".to_owned()), ..before }.cap(&two), Ok(500));
    }
}

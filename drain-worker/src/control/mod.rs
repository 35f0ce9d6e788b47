//! What operators set: the cap in force at any instant, and how it is changed.
//!
//! # Precedence
//! pause > manual rate (with its ramp) > schedule > default. The default is seeded by the first worker's flags when the
//! group is new to the database, and never again. Below the cap that comes out of this, a worker's own back-off may
//! only lower what it commits.
//!
//! Everything here is pure. Instants are microseconds since 1970 by the database's clock, so that all workers of a pool
//! come to the same cap however their own clocks are set.

mod change;
mod schedule;
mod settings;

pub use change::{AuditContext, NAME_CHARS_MAX, REASON_CHARS_MAX, SettingsChange, SettingsChangeError};
pub use schedule::{ENTRIES_MAX, Schedule, ScheduleEntry, ScheduleError, Weekday};
pub use settings::{Cap, CapSource, GroupSettings, ManualRate, PauseSetting, RATE_MAX, Rate};

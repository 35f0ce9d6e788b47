//! Operators' settings: the cap in force at any instant, and changes of it.
//!
//! # Precedence
//! pause > manual rate (with its ramp) > schedule > default. The first worker's flags set the default when the group
//! is new to the database, and never again. A worker's adaptive limit can only lower what it commits below this cap.
//!
//! Everything here is pure. Instants are microseconds since 1970 by the database's clock, so that all workers compute
//! the same cap independent of their own clocks.

mod change;
mod schedule;
mod settings;

pub use change::{AuditContext, NAME_CHARS_MAX, REASON_CHARS_MAX, SettingsChange, SettingsChangeError};
pub use schedule::{ENTRIES_MAX, Schedule, ScheduleEntry, ScheduleError, Weekday};
pub use settings::{Cap, CapSource, GroupSettings, ManualRate, PauseSetting, RATE_MAX, Rate};

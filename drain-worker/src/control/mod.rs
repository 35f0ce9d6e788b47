//! Operators' settings: the cap in force at any instant, and changes of it.
//!
//! # Precedence
//! any hold (a pause) > manual rate (with its ramp) > schedule > default. The first worker's flags set the default when the group
//! is new to the database, and never again. No cap is above the ceiling, if one is set. A worker's adaptive limit can only lower what it commits below this cap.
//!
//! Everything here is pure. Instants are microseconds since 1970 by the database's clock, so that all workers compute
//! the same cap independent of their own clocks.

mod change;
mod context;
mod hold;
mod schedule;
mod settings;

pub use change::{AppliedChange, CONFIRM_ABOVE, SettingsChange, SettingsChangeError};
pub use context::{AuditContext, AuditContextError, NAME_CHARS_MAX, REASON_CHARS_MAX, author};
pub use hold::{HOLDS_MAX, Hold};
pub use schedule::{ENTRIES_MAX, Schedule, ScheduleEntry, ScheduleError, Weekday};
pub use settings::{Cap, CapSource, GroupSettings, ManualRate, RATE_MAX, Rate};

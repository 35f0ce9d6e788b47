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

pub use change::{Change, ChangeError, NAME_CHARS_MAX, Origin, WHY_CHARS_MAX};
pub use schedule::{ENTRIES_MAX, Entry, Schedule, ScheduleError, Weekday};
pub use settings::{Cap, Manual, Pause, RATE_MAX, Rate, Settings, Source};

//! The description of a sale: rate phases, buyers, client behaviour, bounds and expected ranges, in a TOML file.

mod catalogue;
mod file;
mod list;
mod measure;
mod model;
mod phase_syntax;
mod schedule;

pub use catalogue::SALE_ID;
pub(crate) use file::check_phase;
pub use file::{SHIPPED, ScenarioError, load};
pub use list::ScenariosArgs;
pub use measure::{ABORT_METRICS, EXPECTABLE_METRICS, PHASE_METRICS};
pub use model::*;
pub(crate) use phase_syntax::parse_seconds;
pub use phase_syntax::{PHASE_SYNTAX, PhaseSyntaxError};
pub use schedule::SendSchedule;

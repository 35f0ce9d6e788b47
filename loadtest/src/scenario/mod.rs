//! What a sale looks like: phases of rate, buyers, mishaps, bounds and expected ranges, in a TOML file.

mod catalogue;
mod file;
mod measure;
mod model;
mod schedule;

pub use catalogue::SALE_ID;
pub use file::{SHIPPED, ScenarioError, load};
pub use measure::MEASURES;
pub use model::*;
pub use schedule::Schedule;

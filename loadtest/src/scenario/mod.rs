//! What a sale looks like: phases of rate, buyers, mishaps, bounds and expected ranges, in a TOML file.

mod model;

pub use model::*;

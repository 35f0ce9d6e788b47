//! What a run says of itself: one JSON document with a published schema, and one HTML page that needs nothing else.

mod model;

pub use model::*;

//! The report of a run: one JSON document with a published schema, and one self-contained HTML page.

mod command;
pub mod compare;
mod html;
mod json;
mod model;

pub use command::{CompareArgs, ReportArgs, compare as run_compare, report as run_report};
pub use html::{html, write_html};
pub use json::{read, schema_json, write_json};
pub use model::*;

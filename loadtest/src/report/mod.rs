//! The report of a run: one JSON document with a published schema, one self-contained HTML page, JUnit
//! XML and CSV.

mod command;
pub mod compare;
mod csv;
mod html;
mod json;
mod junit;
mod model;

pub use command::{CompareArgs, ReportArgs, ReportExports, compare as run_compare, report as run_report};
pub use csv::{csv, write_csv};
pub use html::{html, write_html};
pub use json::{read, schema_json, write_json};
pub use junit::{junit, write_junit};
pub use model::*;

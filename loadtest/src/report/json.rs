//! The report as JSON, and its schema.

use std::fs;
use std::path::Path;

use anyhow::{Context, bail};
use serde_json::{Map, Value};

use super::{FORMAT, RunReport};

/// Writes `report` to `path`.
///
/// # Errors
///
/// If the file cannot be written, or if the report holds a number that is not finite, which JSON cannot represent.
pub fn write_json(report: &RunReport, path: &Path) -> anyhow::Result<()> {
    let mut json = serde_json::to_vec_pretty(report)?;
    serde_json::from_slice::<RunReport>(&json)
        .context("the report would not be readable: a number may not be finite")?;
    json.push(b'\n');
    fs::write(path, json).with_context(|| format!("writing {}", path.display()))
}

/// Reads a report from `path`.
///
/// # Errors
///
/// If the file cannot be read, is not a report, or has another format version than [`FORMAT`].
pub fn read(path: &Path) -> anyhow::Result<RunReport> {
    let json = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    parse(&json).with_context(|| path.display().to_string())
}

fn parse(json: &[u8]) -> anyhow::Result<RunReport> {
    // The version is checked first: a newer report must be rejected as newer, not for some field that differs.
    let fields: Map<String, Value> =
        serde_json::from_slice(json).context("not a report of loadtest: not a JSON object")?;
    match fields.get("format") {
        None => bail!("not a report of loadtest: it has no `format`"),
        Some(format) if *format == FORMAT => {}
        Some(format) => bail!("format version {format}; this loadtest reads version {FORMAT}"),
    }
    serde_json::from_slice(json).context("not a report of loadtest, although its format version matches")
}

/// The report's JSON Schema, published as `report.schema.json`.
pub fn schema_json() -> anyhow::Result<String> {
    let mut json = serde_json::to_string_pretty(&schemars::schema_for!(RunReport))?;
    json.push('\n');
    Ok(json)
}

//! The report as one HTML page that fetches nothing: it can be mailed, archived, and opened without a network.
//!
//! The page's sources are separate files in `page/`, joined here. A content security policy forbids the page to load
//! anything or to run any other script.

use std::fs;
use std::path::Path;

use anyhow::Context;

use super::{RunReport, RunVerdict};

const PAGE: &str = include_str!("page/page.html");
const CSS: &str = include_str!("page/page.css");

/// In dependency order.
const JS: [&str; 8] = [
    include_str!("page/format.js"),
    include_str!("page/dom.js"),
    include_str!("page/scale.js"),
    include_str!("page/chart.js"),
    include_str!("page/series.js"),
    include_str!("page/charts.js"),
    include_str!("page/tables.js"),
    include_str!("page/page.js"),
];

pub fn html(report: &RunReport) -> anyhow::Result<String> {
    let json = script_safe(&serde_json::to_string(report)?);
    let script = shared::web::chart_js_inline() + &JS.concat();
    let title = text_safe(&format!(
        "{}: {}",
        report.scenario.name,
        match report.verdict {
            RunVerdict::Passed => "passed",
            RunVerdict::Failed => "failed",
            RunVerdict::NotJudged => "not judged",
        }
    ));
    let mut page = String::with_capacity(PAGE.len() + CSS.len() + script.len() + json.len());
    // One pass, so that a value that looks like a placeholder stays a value.
    let mut rest = PAGE;
    while let Some((before, after)) = rest.split_once("{{") {
        let (mark, after) = after.split_once("}}").context("the page's placeholders are closed")?;
        page.push_str(before);
        page.push_str(match mark {
            "title" => &title,
            "css" => CSS,
            "json" => &json,
            "js" => &script,
            other => anyhow::bail!("the page has an unknown placeholder: {other}"),
        });
        rest = after;
    }
    page.push_str(rest);
    Ok(page)
}

pub fn write_html(report: &RunReport, path: &Path) -> anyhow::Result<()> {
    fs::write(path, html(report)?).with_context(|| format!("writing {}", path.display()))
}

/// Escapes JSON for a `<script>` element: no string in it can end the element or start a comment. These characters
/// occur only within JSON strings, where an escape has the same meaning.
fn script_safe(json: &str) -> String {
    json.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

/// Escapes text for an element.
fn text_safe(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

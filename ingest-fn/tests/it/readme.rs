//! The README lists exactly the codes, settings and metrics of the code.

use std::collections::BTreeMap;

use clap::CommandFactory;
use ingest_fn::config::Config;
use ingest_fn::error::ErrorCode;

const README: &str = include_str!("../../README.md");

/// The rows of the table under `heading`, each a list of cells without their back-ticks.
fn table(heading: &str) -> Vec<Vec<String>> {
    let start = README.find(heading).unwrap_or_else(|| panic!("{heading} in the README"));
    let rows = README[start..]
        .lines()
        .skip_while(|line| !line.starts_with('|'))
        .take_while(|line| line.starts_with('|'))
        .skip(2)
        .map(|line| {
            line.trim()
                .trim_start_matches('|')
                .trim_end_matches('|')
                .split('|')
                .map(|cell| cell.trim().replace('`', ""))
                .collect()
        });
    rows.collect()
}

#[test]
fn every_error_code_is_listed_with_its_status_and_retryability() {
    let listed: BTreeMap<_, _> = table("## Errors")
        .into_iter()
        .map(|row| {
            let [status, code, retry, advice] = row.as_slice() else { panic!("four cells: {row:?}") };
            assert!(!advice.is_empty(), "{code} says what to do");
            (code.clone(), (status.clone(), retry.clone()))
        })
        .collect();
    let has: BTreeMap<_, _> = ErrorCode::ALL
        .iter()
        .map(|code| {
            let retry = if code.is_retryable() { "yes" } else { "no" };
            (code.as_str().to_owned(), (code.status().as_u16().to_string(), retry.to_owned()))
        })
        .collect();
    assert_eq!(listed, has);
}

#[test]
fn every_setting_is_listed_with_its_variable_and_default() {
    let listed: BTreeMap<_, _> = table("## Configuration")
        .into_iter()
        .map(|row| {
            let [flag, variable, default, meaning] = row.as_slice() else { panic!("four cells: {row:?}") };
            assert!(!meaning.is_empty(), "{flag} says what it means");
            (flag.clone(), (variable.clone(), default.clone()))
        })
        .collect();
    let command = Config::command();
    let has: BTreeMap<_, _> = command
        .get_arguments()
        .filter(|argument| argument.get_env().is_some())
        .map(|argument| {
            let flag = format!("--{}", argument.get_long().expect("a long flag"));
            let variable = argument.get_env().and_then(|name| name.to_str()).expect("UTF-8").to_owned();
            let defaults = argument.get_default_values();
            let default = defaults.first().map(|value| value.to_string_lossy().into_owned());
            let default = default.filter(|default| !default.is_empty() && default != "false");
            (flag, (variable, default.unwrap_or_default()))
        })
        .collect();
    assert_eq!(listed, has);
}

#[test]
fn every_metric_is_listed() {
    let source = include_str!("../../src/metrics.rs");
    let has: Vec<_> = source.split('"').filter(|part| part.starts_with("ingest_")).collect();
    let listed: Vec<_> = table("## Metrics").into_iter().map(|row| row[0].clone()).collect();
    assert_eq!(listed, has);
}

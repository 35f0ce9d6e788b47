//! The demo as a user runs it: processes, a sale, a ledger. Always embedded; also against the real stack where
//! `infra/local/stack env` is set.

#![allow(clippy::expect_used, reason = "expect() messages state the expectation")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// Runs `loadtest demo` with `flags`; returns its output and its verdict.
fn demo(flags: &[&str]) -> (Output, Value) {
    let directory = TempDir::new().expect("a directory");
    let json = directory.path().join("ledger.json");
    let output = Command::new(env!("CARGO_BIN_EXE_loadtest"))
        .arg("demo")
        .args(flags)
        .arg("--json")
        .arg(&json)
        .output()
        .expect("the demo runs");
    print!("{}", String::from_utf8_lossy(&output.stdout));
    eprint!("{}", String::from_utf8_lossy(&output.stderr));
    (output, read(&json))
}

fn read(path: &Path) -> Value {
    std::fs::read(path).ok().and_then(|json| serde_json::from_slice(&json).ok()).unwrap_or_default()
}

/// Asserts that the ledger adds up and that at least `orders` are in the database.
fn assert_adds_up(flags: &[&str], orders: u64) {
    let (output, verdict) = demo(flags);
    assert!(output.status.success(), "{}: {verdict}", output.status);
    assert_eq!(verdict["faults"], Value::Array(Vec::new()));
    assert!(verdict["rows"].as_u64() >= Some(orders), "{verdict}");
    assert!(verdict["confirmed"].as_u64() > Some(0));
    let rejected = verdict["rejected"].as_object().expect("an object");
    assert!(rejected.contains_key("sold_out"), "the hot SKU sells out: {verdict}");
}

fn stack_is_up() -> bool {
    let there = std::env::var_os("SPILLWAY_TEST_ROCKETMQ_ENDPOINT").is_some();
    if !there {
        println!("skipped: SPILLWAY_TEST_ROCKETMQ_ENDPOINT is not set");
    }
    there
}

/// The page is there while the sale plays.
#[test]
fn the_console_is_named_before_the_sale() {
    let mut demo = Command::new(env!("CARGO_BIN_EXE_loadtest"))
        .args(["demo", "--orders=2000", "--burst=1000"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the demo runs");
    let mut lines = BufReader::new(demo.stdout.take().expect("piped")).lines().map_while(Result::ok);
    let address = lines.find_map(|line| {
        Some(line.strip_prefix("Console: http://")?.strip_suffix('/').expect("a path").to_owned())
    });
    let mut console = TcpStream::connect(address.expect("an address")).expect("connected");
    console.write_all(b"GET / HTTP/1.0\r\nhost: localhost\r\n\r\n").expect("written");
    let mut page = String::new();
    console.read_to_string(&mut page).expect("a page");
    assert!(page.starts_with("HTTP/1.0 200") || page.starts_with("HTTP/1.1 200"), "{page}");
    assert!(page.contains("<!doctype html>") || page.contains("<!DOCTYPE html>"), "{page}");
    let rest: Vec<_> = lines.collect();
    assert!(demo.wait().expect("it ends").success(), "{rest:#?}");
}

#[test]
fn a_worker_killed_in_the_middle_leaves_the_ledger_exact() {
    assert_adds_up(&["--orders=6000", "--burst=2000", "--drain-rate=1000", "--kill-worker"], 5_500);
}

#[test]
fn a_broker_killed_in_the_middle_loses_no_accepted_order() {
    let (output, verdict) = demo(&["--orders=6000", "--burst=1500", "--drain-rate=1000", "--kill-broker"]);
    // While the broker is down, orders are rejected or unknown; every accepted one is in the database.
    assert!(output.status.success(), "{}: {verdict}", output.status);
    assert_eq!(verdict["faults"], Value::Array(Vec::new()));
    assert!(verdict["rows"].as_u64() > Some(1_000), "{verdict}");
}

#[test]
fn real_twenty_thousand_orders_through_the_real_stack() {
    if stack_is_up() {
        assert_adds_up(&["--real", "--orders=21000"], 20_000);
    }
}

#[test]
fn real_a_worker_killed_in_the_middle_leaves_the_ledger_exact() {
    if stack_is_up() {
        assert_adds_up(
            &["--real", "--orders=8000", "--burst=2000", "--drain-rate=1000", "--kill-worker"],
            7_500,
        );
    }
}

#[test]
fn real_the_ledger_is_exact_through_the_database_proxy() {
    if stack_is_up() {
        assert_adds_up(&["--real", "--proxy", "--orders=8000", "--burst=2000"], 7_500);
    }
}

#[test]
fn invalid_flags_exit_with_code_2() {
    for flags in
        [vec!["--orders=1"], vec!["--proxy"], vec!["--real", "--kill-broker"], vec!["--drain-rate=0"]]
    {
        let (output, _verdict) = demo(&flags);
        assert_eq!(output.status.code(), Some(2), "{flags:?}");
    }
}

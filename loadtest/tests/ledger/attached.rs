//! A run against a system that was already running and already has orders.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

/// `loadtest demo --keep`, stopped also by a panic.
struct KeptDemo(Child);

impl KeptDemo {
    fn interrupt(&self) {
        let killed = Command::new("kill").arg("-INT").arg(self.0.id().to_string()).status();
        assert!(killed.expect("kill runs").success());
    }
}

impl Drop for KeptDemo {
    fn drop(&mut self) {
        if self.0.try_wait().is_ok_and(|ended| ended.is_none()) {
            self.interrupt();
            let _ended = self.0.wait();
        }
    }
}

/// The address in the line that starts with `name`.
fn after<'a>(lines: &'a [String], name: &str) -> &'a str {
    let line = lines.iter().find(|line| line.trim_start().starts_with(name)).expect("an address is shown");
    let rest = line.split("http://").nth(1).expect("an address");
    rest.split(['/', ' ']).next().unwrap_or_default()
}

#[test]
fn the_look_up_alone_judges_a_run_on_a_busy_system() {
    let binary = env!("CARGO_BIN_EXE_loadtest");
    let mut demo = Command::new(binary)
        .args(["demo", "--keep", "--orders", "200", "--burst", "100"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("runs");
    let stdout = demo.stdout.take();
    let mut demo = KeptDemo(demo);
    let mut output = BufReader::new(stdout.expect("piped")).lines().map_while(Result::ok);
    let mut lines = Vec::new();
    while !lines.last().is_some_and(|line: &String| line.trim_start().starts_with("logs")) {
        lines.push(output.next().expect("the demo starts"));
    }
    let (orders, look_up) = (after(&lines, "orders      curl"), after(&lines, "look-up     curl"));
    let directory = tempfile::tempdir().expect("a directory");
    let report = directory.path().join("report");
    let played = Command::new(binary)
        .args(["run", "baseline", "--no-expect", "--phase", "constant:60:2s", "--sale", "demo-sale"])
        .args(["--catalogue", concat!(env!("CARGO_MANIFEST_DIR"), "/catalogues/demo.toml")])
        .args(["--target", &format!("http://{orders}"), "--lookup-url", &format!("http://{look_up}")])
        .arg("--report")
        .arg(&report)
        .env_remove("SPILLWAY_DATABASE_URL")
        .env_remove("SPILLWAY_ORDER_ID_KEYS")
        .output()
        .expect("runs");
    let printed = String::from_utf8_lossy(&played.stdout);
    demo.interrupt();
    // The pipe must not fill while the demo stops.
    drop(output.collect::<Vec<_>>());
    assert!(demo.0.wait().expect("ends").success());
    let json = std::fs::read(report.with_added_extension("json")).expect("a report was written");
    let ledger = &serde_json::from_slice::<Value>(&json).expect("JSON")["ledger"];
    assert_eq!(ledger["faults"], Value::Array(Vec::new()), "{printed}");
    assert_eq!(ledger["source"], "look_up", "{printed}");
    assert!(ledger["accepted_orders"].as_u64().is_some_and(|orders| orders > 80), "{ledger}");
    assert_eq!(ledger["looked_up"], ledger["accepted_orders"]);
    assert!(ledger["not_judged"][0].as_str().is_some_and(|what| what.contains("stock")), "{ledger}");
}

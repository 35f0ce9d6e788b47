//! One scenario played by three processes at once, as three machines would, and merged.

#![allow(clippy::expect_used, reason = "expect() messages state the expectation")]

#[path = "common/services.rs"]
mod services;
#[path = "common/stub_server.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod stub_server;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::Ordering;

use serde_json::Value;
use tempfile::TempDir;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use services::{ORDER_ID_KEYS, Service, drain, front, loadtest};
use stub_server::{answer, serve};

/// Requests: 900, of every kind.
const SCENARIO: &str = "baseline --no-expect --expect sent_share=1.. --phase constant:300:3s --set seed=5 --set \
     mix.replays=0.1 --set mix.changed=0.05 --set mix.invalid=0.05 --set sale.hot_stock=50 --drain-rate 2000";

/// Time until the common start. Longer than the processes take to start.
const START_IN: time::Duration = time::Duration::seconds(6);

struct RunningSystem {
    directory: TempDir,
    ingest: SocketAddr,
    query: SocketAddr,
    database_url: String,
    _services: Vec<Service>,
}

fn flags(text: &str) -> impl Iterator<Item = &str> {
    text.split_ascii_whitespace()
}

fn system() -> RunningSystem {
    let directory = TempDir::new().expect("a directory");
    let printed = loadtest().arg("run").args(flags(SCENARIO)).arg("--print-scenario").output().expect("runs");
    let file = directory.path().join("scenario.toml");
    std::fs::write(&file, printed.stdout).expect("written");
    let scenario = loadtest::scenario::load(&file.display().to_string()).expect("a scenario");
    let insecure = [("SPILLWAY_INSECURE_DEV", "true")];
    let (broker, ingest, services) = front(directory.path(), &scenario.catalogue_toml(), &insecure);
    let mut services = Vec::from(services);
    let (query, database_url, worker) = drain(directory.path(), broker, &[]);
    services.push(worker);
    RunningSystem { directory, ingest, query, database_url, _services: services }
}

fn start_at() -> String {
    (OffsetDateTime::now_utc() + START_IN).format(&Rfc3339).expect("a time")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

impl RunningSystem {
    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn command(&self, name: &str) -> Command {
        let mut command = loadtest();
        command.arg(name).env("SPILLWAY_DATABASE_URL", &self.database_url);
        command.env("SPILLWAY_ORDER_ID_KEYS", ORDER_ID_KEYS).current_dir(self.directory.path());
        command
    }

    /// Returns the run's id.
    fn prepare(&self, before: &str) -> String {
        let mut command = self.command("prepare");
        let prepared =
            command.args(flags(SCENARIO)).arg("--before").arg(self.path(before)).output().expect("runs");
        let printed = text(&prepared.stdout);
        assert!(prepared.status.success(), "{printed}{}", text(&prepared.stderr));
        let id = printed.lines().find_map(|line| line.strip_prefix("Run id: ")).expect("an id");
        id.to_owned()
    }

    /// Starts a generator that has neither database nor keys.
    fn shard(&self, shard: &str, run_id: &str, start_at: &str, part: &str) -> Child {
        let target = format!("http://{}", self.ingest);
        loadtest()
            .arg("run")
            .args(flags(SCENARIO))
            .args(["--target", &target, "--shard", shard, "--run-id", run_id, "--start-at", start_at])
            .arg("--part")
            .arg(self.path(part))
            .env_remove("SPILLWAY_DATABASE_URL")
            .env_remove("SPILLWAY_ORDER_ID_KEYS")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("starts")
    }

    fn merge(&self, parts: &[&str], further: &[&str]) -> Output {
        let paths = parts.iter().map(|part| self.path(part));
        let mut command = self.command("merge");
        command.args(paths).arg("--report").arg(self.path("report")).args(further);
        let output = command.output().expect("runs");
        println!("{}{}", text(&output.stdout), text(&output.stderr));
        output
    }

    fn report(&self) -> Value {
        let json = std::fs::read(self.path("report.json")).expect("a report was written");
        serde_json::from_slice(&json).expect("JSON")
    }
}

fn count(report: &Value, path: &str) -> u64 {
    report.pointer(path).and_then(Value::as_u64).unwrap_or_else(|| panic!("{path} in {report}"))
}

fn sum(list: &Value, path: &str) -> u64 {
    list.as_array().expect("an array").iter().map(|item| count(item, path)).sum()
}

#[test]
fn three_processes_play_one_sale_and_keep_one_ledger() {
    let system = system();
    let (run_id, other_id) = (system.prepare("before"), system.prepare("other-before"));
    let start_at = start_at();
    let shards = [
        ("1/3", &run_id, "1.part"),
        ("2/3", &run_id, "2.part"),
        ("3/3", &run_id, "3.part"),
        // A part of another run, whose orders are not this run's.
        ("2/3", &other_id, "other.part"),
    ];
    let played = shards.map(|(shard, run_id, part)| system.shard(shard, run_id, &start_at, part));
    for child in played {
        let output = child.wait_with_output().expect("ends");
        let printed = text(&output.stdout);
        assert!(output.status.success(), "{printed}{}", text(&output.stderr));
        assert!(printed.contains("planned 300, sent 300"), "{printed}");
    }

    one_ledger(&system, &start_at);
    look_ups_alone(&system);
    parts_that_do_not_belong_together(&system);
}

fn one_ledger(system: &RunningSystem, start_at: &str) {
    let look_up = format!("http://{}", system.query);
    let before = system.path("before").display().to_string();
    let junit = system.path("junit.xml").display().to_string();
    let further = ["--before", &before, "--lookup-url", &look_up, "--junit", &junit];
    // The order of the parts does not matter.
    let output = system.merge(&["3.part", "1.part", "2.part"], &further);
    let report = system.report();
    assert!(output.status.success(), "{report}");
    assert_eq!(report["verdict"], "passed");
    assert_eq!(report["ledger"]["faults"], Value::Array(Vec::new()));
    assert_eq!(report["surprises"], Value::Array(Vec::new()));
    assert_eq!((count(&report, "/totals/planned"), count(&report, "/totals/sent")), (900, 900));
    let ends = ["accepted", "shed", "refused", "unknown", "unsent"];
    assert_eq!(ends.map(|end| count(&report, &format!("/totals/{end}"))).iter().sum::<u64>(), 900);
    assert_eq!(report["run"]["started_at"], start_at);
    assert_eq!(report["run"]["interrupted"], false);
    // Each of the merged figures is the sum of the shards' own.
    let shards = &report["shards"];
    let names: Vec<_> = shards.as_array().expect("an array").iter().map(|shard| &shard["shard"]).collect();
    assert_eq!(names, ["1/3", "2/3", "3/3"]);
    assert_eq!(sum(shards, "/sent"), 900);
    assert_eq!(sum(shards, "/generator/send_delay/count"), 900);
    assert_eq!(count(&report, "/generator/send_delay/count"), 900);
    assert_eq!(count(&report, "/generator/threads"), sum(shards, "/generator/threads"));
    assert_eq!(count(&report, "/latency/accepted/count"), count(&report, "/totals/accepted"));
    assert_eq!(count(&report, "/latency/all/count"), 900);
    assert_eq!(sum(&report["timeline"], "/sent"), 900);
    assert_eq!(sum(&report["timeline"], "/committed"), count(&report, "/ledger/rows"));
    // A share alone sends a repetition without its order: only together the shards explain each row.
    assert!(count(&report, "/ledger/rows") > 600, "{}", report["ledger"]);
    // Another payload under a used key: ingest-fn refuses what it remembers, and the database finds the rest.
    let refused = count(&report, "/ledger/refused_by_code/key_reused");
    assert!(count(&report, "/ledger/conflicts") + refused > 20, "{}", report["ledger"]);
    assert!(count(&report, "/ledger/rejected/sold_out") > 10, "{}", report["ledger"]);
    assert!(count(&report, "/ledger/other_orders") > 100, "{}", report["ledger"]);
    assert_eq!(count(&report, "/ledger/looked_up"), 200);
    assert!(std::fs::read_to_string(&junit).is_ok_and(|xml| xml.contains("<testsuite")));
}

/// Without database and keys, the ids in the responses count.
fn look_ups_alone(system: &RunningSystem) {
    let look_up = format!("http://{}", system.query);
    let output = loadtest()
        .arg("merge")
        .args(["1.part", "2.part", "3.part"].map(|part| system.path(part)))
        .args(["--lookup-url", &look_up, "--report"])
        .arg(system.path("report"))
        .env_remove("SPILLWAY_DATABASE_URL")
        .env_remove("SPILLWAY_ORDER_ID_KEYS")
        .output()
        .expect("runs");
    assert_eq!(output.status.code(), Some(3), "{}{}", text(&output.stdout), text(&output.stderr));
    let ledger = &system.report()["ledger"];
    assert_eq!((&ledger["source"], &ledger["faults"]), (&"look_up".into(), &Value::Array(Vec::new())));
    assert_eq!(ledger["looked_up"], ledger["accepted_orders"]);
}

fn parts_that_do_not_belong_together(system: &RunningSystem) {
    let part = std::fs::read(system.path("2.part")).expect("readable");
    std::fs::write(system.path("2-again.part"), &part).expect("written");
    std::fs::write(system.path("2-short.part"), &part[..part.len() - 1_000]).expect("written");
    let before = system.path("before").display().to_string();
    let other_before = system.path("other-before").display().to_string();
    std::fs::remove_file(system.path("report.json")).expect("there");
    let cases: [(&[&str], &str, &[&str]); 5] = [
        (&["1.part", "3.part"], &before, &["shard 2/3 is missing"]),
        (&["1.part", "2.part", "2-again.part", "3.part"], &before, &["twice", "2/3", "2-again.part"]),
        (&["1.part", "other.part", "3.part"], &before, &["two runs", "other.part"]),
        (&["1.part", "2-short.part", "3.part"], &before, &["2-short.part", "truncated"]),
        (&["1.part", "2.part", "3.part"], &other_before, &["other-before", "prepared for run"]),
    ];
    for (parts, before, expected) in cases {
        let output = system.merge(parts, &["--before", before]);
        assert_eq!(output.status.code(), Some(1), "{parts:?}");
        let error = text(&output.stderr);
        assert!(expected.iter().all(|words| error.contains(words)), "{expected:?}: {error}");
        assert!(!system.path("report.json").exists(), "there is nothing to report");
    }
    let without_state = system.merge(&["1.part", "2.part", "3.part"], &[]);
    assert!(text(&without_state.stderr).contains("--before"));
}

#[test]
fn a_shard_without_a_common_start_sends_nothing() {
    let directory = TempDir::new().expect("a directory");
    let server = serve(|_, _, stream| answer(stream, "404 Not Found", "", ""));
    let target = format!("http://{}", server.address);
    let play = |flags: &[&str], part: &Path| {
        let mut command = loadtest();
        command.args(["run", "baseline", "--target", &target, "--shard", "2/3", "--part"]).arg(part);
        command.args(flags).output().expect("runs")
    };
    let part = directory.path().join("2.part");
    let at = |ahead: time::Duration| (OffsetDateTime::now_utc() + ahead).format(&Rfc3339).expect("a time");
    let (past, far) = (at(time::Duration::seconds(-2)), at(time::Duration::hours(25)));
    let run_id = ["--run-id", "0123456789abcdef"];
    let start = at(time::Duration::minutes(5));
    for (flags, expected) in [
        ([&run_id[..], &["--start-at", &past]].concat(), "passed"),
        ([&run_id[..], &["--start-at", &far]].concat(), "24 hours"),
        (vec!["--start-at", &start[..], "--run-id", "7"], "16 digits"),
        (run_id.to_vec(), "--start-at"),
    ] {
        let output = play(&flags, &part);
        assert_eq!(output.status.code(), Some(2), "{flags:?}");
        let error = text(&output.stderr);
        assert!(error.contains(expected), "{flags:?}: {error}");
    }
    std::fs::write(&part, "a part of yesterday").expect("written");
    let output = play(&[&run_id[..], &["--start-at", &start]].concat(), &part);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("never overwritten"), "{}", text(&output.stderr));
    // Only the last command has looked at the target.
    let counts = [server.connections, server.requests].map(|count| count.load(Ordering::SeqCst));
    assert_eq!(counts, [1, 1]);
}

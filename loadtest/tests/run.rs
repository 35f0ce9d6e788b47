//! `loadtest run` as a user runs it: the shipped scenarios at a tenth of their size or less, and failures.

#![allow(clippy::expect_used, reason = "expect() messages state the expectation")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

#[path = "common/exposition.rs"]
mod exposition;
#[path = "common/stub_server.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod stub_server;

use stub_server::serve;

struct RunPlace {
    _directory: TempDir,
    report: PathBuf,
}

fn place() -> RunPlace {
    let directory = TempDir::new().expect("a directory");
    let report = directory.path().join("report");
    RunPlace { _directory: directory, report }
}

impl RunPlace {
    fn json(&self) -> Value {
        let json = std::fs::read(self.report.with_added_extension("json")).expect("a report was written");
        serde_json::from_slice(&json).expect("JSON")
    }
}

// Flags are split at ASCII white space; a no-break space joins the words of one flag.
fn loadtest(flags: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loadtest"));
    command.args(flags.split_ascii_whitespace()).env_remove("SPILLWAY_DATABASE_URL");
    command
}

fn run(flags: &str) -> (Output, Value) {
    run_with(flags, &[])
}

fn run_with(flags: &str, environment: &[(&str, &str)]) -> (Output, Value) {
    let place = place();
    let mut command = loadtest(&format!("run {flags}"));
    command.envs(environment.iter().copied());
    let output = command.arg("--report").arg(&place.report).output().expect("runs");
    print!("{}", String::from_utf8_lossy(&output.stdout));
    eprint!("{}", String::from_utf8_lossy(&output.stderr));
    let json = place.json();
    (output, json)
}

fn count(report: &Value, path: &str) -> u64 {
    report.pointer(path).and_then(Value::as_u64).unwrap_or_else(|| panic!("{path} in {report}"))
}

/// Plays, asserts that the ledger adds up and nothing is surprising; returns the report.
fn plays(flags: &str) -> Value {
    plays_with(flags, &[])
}

fn plays_with(flags: &str, environment: &[(&str, &str)]) -> Value {
    let (output, report) = run_with(flags, environment);
    assert_eq!(report.pointer("/ledger/faults"), Some(&Value::Array(Vec::new())));
    assert_eq!(report["surprises"], Value::Array(Vec::new()));
    assert!(output.status.success(), "{}: {}", output.status, report["expectations"]);
    report
}

// These tests do not check latencies, which depend on the machine's load: `--no-expect` where a range does.

#[test]
fn baseline_accepts_everything() {
    let report = plays("baseline --no-expect --expect shed_share=..0 --phase constant:100:3s");
    assert_eq!(count(&report, "/totals/sent"), 300);
    assert!(count(&report, "/ledger/rows") > 280, "{}", report["ledger"]);
    let timeline = report["timeline"].as_array().expect("an array");
    let committed: u64 = timeline.iter().map(|interval| count(interval, "/committed")).sum();
    assert_eq!(committed, count(&report, "/ledger/rows"), "every row has its interval");
    assert_eq!(timeline.last().and_then(|last| last["queued"].as_u64()), Some(0));
    for process in ["loadtest", "ingest-fn", "drain-worker", "broker"] {
        let seen = report["processes"].as_array().expect("an array").iter().any(|it| it["name"] == process);
        assert!(seen || !cfg!(target_os = "linux"), "{process} was watched: {}", report["processes"]);
    }
}

#[test]
fn flash_sale_sheds_what_is_too_much_and_loses_nothing() {
    // Services read unset flags from the environment: here a function with a very small limit.
    let report = plays_with(
        "flash-sale --drain-rate 3000 --phase constant:100:1s --phase linear:100:5000:1s --phase constant:5000:1s",
        &[("SPILLWAY_REQUESTS_MAX", "8")],
    );
    let (accepted, shed) = (count(&report, "/totals/accepted"), count(&report, "/totals/shed"));
    let (refused, unknown) = (count(&report, "/totals/refused"), count(&report, "/totals/unknown"));
    assert_eq!(accepted + shed + refused + unknown, count(&report, "/totals/sent"));
    assert!(accepted > 100 && shed > 100, "{}", report["totals"]);
    assert_eq!(report.pointer("/totals/refused_by_code/overloaded").and_then(Value::as_u64), Some(shed));
}

#[test]
fn flash_sale_through_function_compute_loses_nothing() {
    // Ten concurrent requests on each of at most two instances: the platform throttles the rest.
    let report = plays(
        "flash-sale --drain-rate 3000 --through-fc=--concurrency=10\u{a0}--instances-max=2 --phase constant:100:1s --phase constant:2000:1s",
    );
    assert!(count(&report, "/totals/accepted") > 100, "{}", report["totals"]);
    let names: Vec<_> =
        report["processes"].as_array().expect("an array").iter().map(|it| &it["name"]).collect();
    let is_instance = |name: &Value| name.as_str().is_some_and(|name| name.starts_with("ingest-fn "));
    assert!(
        names.iter().any(|name| is_instance(name)) || !cfg!(target_os = "linux"),
        "instances were watched: {names:?}"
    );
}

#[test]
fn real_flash_sale_loses_nothing_and_keeps_to_the_cap() {
    if std::env::var_os("SPILLWAY_TEST_ROCKETMQ_ENDPOINT").is_none() {
        println!("skipped: SPILLWAY_TEST_ROCKETMQ_ENDPOINT is not set");
        return;
    }
    let report = plays(
        "flash-sale --real --drain-rate 3000 --phase constant:100:1s --phase linear:100:8000:1s --phase constant:8000:2s",
    );
    assert!(count(&report, "/ledger/rows") > 2_000, "{}", report["ledger"]);
    assert!(count(&report, "/ledger/busiest_second") <= 3_000);
    for process in ["broker", "database"] {
        let seen = report["processes"].as_array().expect("an array").iter().any(|it| it["name"] == process);
        assert!(seen, "{process} was watched: {}", report["processes"]);
    }
}

#[test]
fn retry_storm_makes_each_order_once() {
    let report = plays(
        "retry-storm --no-expect --phase constant:100:1s --phase constant:800:2s --set mix.hang_ups=0.2 --set clients.hang_up_after_ms=0",
    );
    assert!(count(&report, "/totals/retries") > 50, "{}", report["totals"]);
    assert!(count(&report, "/ledger/unknown") > 50, "{}", report["ledger"]);
    // A client that disconnected sends its order again with the same key: more requests than orders.
    assert!(count(&report, "/ledger/requests") > count(&report, "/ledger/rows") + 50);
}

#[test]
fn sold_out_gives_every_order_a_reason() {
    let report =
        plays("sold-out --no-expect --phase constant:800:2s --set sale.hot_stock=50 --set buyers.users=500");
    assert!(count(&report, "/ledger/rejected/sold_out") > 50, "{}", report["ledger"]);
    assert!(count(&report, "/ledger/rejected/limit_exceeded") > 10, "{}", report["ledger"]);
}

#[test]
fn hostile_clients_get_clear_errors() {
    let report = plays(
        "hostile --no-expect --phase constant:300:3s --set clients.slow_body_ms=300 --expect refused_share=0.1..",
    );
    let codes = report["totals"]["refused_by_code"].as_object().expect("an object");
    for code in [
        "malformed_json",
        "invalid_idempotency_key",
        "unknown_sku",
        "key_reused",
        "body_too_large",
        "not_found",
    ] {
        assert!(codes.contains_key(code), "{code}: {codes:?}");
    }
    // The scenario's connections carry 20 requests each.
    let (opened, sent) = (count(&report, "/generator/connections_opened"), count(&report, "/totals/sent"));
    assert!(opened >= sent / 20, "{opened} connections for {sent} requests");
}

#[test]
fn an_expectation_that_fails_fails_the_run() {
    let (output, report) = run("baseline --no-expect --phase constant:50:1s --expect shed_share=0.5..");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(report.pointer("/expectations/0/result").and_then(Value::as_str), Some("fails"));
}

#[test]
fn a_phase_has_thresholds_of_its_own() {
    let address = failing_server(100);
    let (output, report) = run(&format!(
        "baseline --no-expect --set mix.invalid=0 --target http://{address} --phase before=constant:100:1s \
         --phase after=constant:100:1s --expect shed_share=..0.6 --expect shed_share@before=..0.05 \
         --expect shed_share@after=..0.6 --expect p99_ms@after=..60000"
    ));
    assert_eq!(output.status.code(), Some(1));
    let results: Vec<_> = report["expectations"]
        .as_array()
        .expect("an array")
        .iter()
        .map(|each| (each["name"].as_str().expect("a name"), each["result"].as_str().expect("a result")))
        .collect();
    let expected = [
        ("shed_share", "holds"),
        ("shed_share@before", "holds"),
        ("shed_share@after", "fails"),
        ("p99_ms@after", "not_judged"),
    ];
    assert_eq!(results, expected);
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(printed.contains("FAILS       shed_share@after"), "{printed}");
}

#[test]
fn a_breach_that_lasts_aborts_the_run() {
    // 200 requests are accepted within two seconds, and all further ones are shed.
    let address = failing_server(200);
    let (output, report) = run(&format!(
        "baseline --no-expect --set mix.invalid=0 --target http://{address} --phase constant:100:300s \
         --expect accepted_share=0.. --abort-on unknown_share=..0.5 --abort-on shed_share=..0.5:3s"
    ));
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(report["verdict"], "failed");
    let aborted = &report["run"]["aborted"];
    assert_eq!((&aborted["metric"], &aborted["max"]), (&"shed_share".into(), &0.5.into()));
    let value = |name: &str| aborted[name].as_f64().expect("a number");
    assert!(value("value") > 0.5 && value("breached_s") >= 3.0, "{aborted}");
    assert!(value("at_ms") >= 4_500.0 && value("at_ms") < 30_000.0, "{aborted}");
    let totals = &report["totals"];
    assert!(count(totals, "/sent") < 3_000, "{totals}");
    assert_eq!(count(totals, "/sent"), count(totals, "/accepted") + count(totals, "/shed"), "{totals}");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(printed.contains("ABORTED: shed_share was "), "{printed}");
}

#[test]
fn metrics_are_served_while_the_run_is_played() {
    let place = place();
    let address = failing_server(150);
    let mut run = loadtest(&format!(
        "run baseline --no-expect --set mix.invalid=0 --target http://{address} --metrics-listen 127.0.0.1:0 \
         --phase constant:100:1s --phase constant:100:5s"
    ))
    .arg("--report")
    .arg(&place.report)
    .stdout(Stdio::piped())
    .spawn()
    .expect("runs");
    let mut lines = BufReader::new(run.stdout.take().expect("piped")).lines().map_while(Result::ok);
    let served = lines
        .find_map(|line| line.strip_prefix("Metrics: http://")?.strip_suffix("/metrics").map(str::to_owned));
    let served: SocketAddr = served.expect("the address is printed").parse().expect("an address");
    // One line for each update.
    assert_eq!(lines.by_ref().filter(|line| line.contains("  sent ")).take(3).count(), 3);
    let (head, text) = get(served, "/metrics");
    assert!(head.starts_with("HTTP/1.1 200") && head.contains("text/plain; version=0.0.4"), "{head}");
    let samples = exposition::samples(&text);
    let sample = |name: &str| *samples.get(name).unwrap_or_else(|| panic!("no {name} in {text}"));
    let ended = |outcome: &str| sample(&format!("loadtest_requests_ended_total{{outcome=\"{outcome}\"}}"));
    let (planned, sent) = (sample("loadtest_requests_planned_total"), sample("loadtest_requests_sent_total"));
    assert!((250.0..=600.0).contains(&planned) && (200.0..=planned).contains(&sent), "{text}");
    assert_eq!((ended("accepted"), ended("refused"), ended("unknown")), (150.0, 0.0, 0.0), "{text}");
    assert_eq!(ended("accepted") + ended("shed") + sample("loadtest_requests_in_flight"), sent, "{text}");
    assert_eq!(sample("loadtest_phase"), 2.0);
    assert_eq!(sample("loadtest_latency_seconds_count"), 150.0, "{text}");
    assert!(sample("loadtest_send_delay_seconds_count") >= sent, "{text}");
    assert!(get(served, "/").0.starts_with("HTTP/1.1 404"));
    assert_eq!(lines.filter(|line| line.contains("PASSED") || line.contains("NOT JUDGED")).count(), 1);
    assert_eq!(run.wait().expect("ends").code(), Some(3), "without a ledger or an expectation");
    assert!(TcpStream::connect(served).is_err(), "the port is closed");
}

/// Head and body of a response.
fn get(address: SocketAddr, path: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).expect("connects");
    let request = format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("written");
    let mut response = String::new();
    stream.read_to_string(&mut response).expect("read");
    let (head, body) = response.split_once("\r\n\r\n").expect("a head");
    (head.to_owned(), body.to_owned())
}

#[test]
fn ctrl_c_ends_the_sending_and_still_reports() {
    let place = place();
    let mut run = loadtest("run baseline --phase constant:200:300s")
        .arg("--report")
        .arg(&place.report)
        .stdout(Stdio::piped())
        .spawn()
        .expect("runs");
    let mut lines = BufReader::new(run.stdout.take().expect("piped")).lines();
    let shown = lines.find(|line| line.as_ref().is_ok_and(|line| line.contains("drained")));
    assert!(shown.is_some(), "progress is shown");
    let signalled = Command::new("kill").arg("-INT").arg(run.id().to_string()).status().expect("kill runs");
    assert!(signalled.success());
    let rest: Vec<_> = lines.map_while(Result::ok).collect();
    let status = run.wait().expect("ends");
    assert_eq!(status.code(), Some(130), "{rest:#?}");
    let report = place.json();
    assert_eq!(report.pointer("/run/interrupted"), Some(&Value::Bool(true)));
    assert_eq!(report.pointer("/ledger/faults"), Some(&Value::Array(Vec::new())), "{rest:#?}");
    assert!(count(&report, "/totals/sent") < 60_000);
    assert_eq!(
        count(&report, "/totals/sent"),
        count(&report, "/totals/accepted") + count(&report, "/totals/refused")
    );
}

const ACCEPTED: &str = "HTTP/1.1 202 Accepted\r\ncontent-length: 2\r\n\r\n{}";

const UNAVAILABLE: &str = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n";

fn server(response: &'static str) -> SocketAddr {
    serve(move |_, _, stream| stream.write_all(response.as_bytes()).is_ok()).address
}

/// Accepts that many requests, and sheds all further ones.
fn failing_server(accepted: usize) -> SocketAddr {
    // Number 0 is the look before the start.
    let response = move |number| if number <= accepted { ACCEPTED } else { UNAVAILABLE };
    serve(move |_, number, stream| stream.write_all(response(number).as_bytes()).is_ok()).address
}

#[test]
fn a_running_system_is_played_without_a_ledger() {
    let address = server(ACCEPTED);
    let (output, report) = run(&format!(
        "baseline --no-expect --expect accepted_share=1.. --set mix.invalid=0 --phase constant:100:1s --target http://{address}"
    ));
    assert!(output.status.success(), "{}", output.status);
    assert_eq!(count(&report, "/totals/accepted"), 100);
    assert_eq!(report["ledger"], Value::Null);
    assert_eq!(report["verdict"], "passed");
    assert_eq!(report.pointer("/run/stack").and_then(Value::as_str), Some("external"));
}

#[test]
fn a_run_that_proves_nothing_does_not_pass() {
    let (accepting, rejecting) = (server(ACCEPTED), server(UNAVAILABLE));
    for (address, flags, code, verdict, reason) in [
        (accepting, "", 3, "not_judged", "there is neither a ledger nor an expectation"),
        (accepting, "--expect confirmed=1..", 3, "not_judged", "confirmed: it was not measured"),
        // No generator sends within a microsecond of the plan.
        (
            accepting,
            "--expect p99_ms=..60000 --set generator.send_delay_p999_us_max=1",
            3,
            "not_judged",
            "p99_ms: latencies are void",
        ),
        (rejecting, "--expect shed_share=..1", 3, "not_judged", "nothing was accepted"),
        (rejecting, "--expect p99_ms=..60000", 3, "not_judged", "p99_ms: it was not measured"),
        (rejecting, "--expect accepted_share=0.5..", 1, "failed", "nothing was accepted"),
    ] {
        let (output, report) = run(&format!(
            "baseline --no-expect --set mix.invalid=0 --set clients.retries_max=0 --phase constant:50:1s \
             --target http://{address} {flags}"
        ));
        assert_eq!(output.status.code(), Some(code), "{flags}");
        assert_eq!(report["verdict"], verdict, "{flags}");
        let reasons = report["not_judged"].as_array().expect("an array");
        assert!(reasons.iter().any(|found| found == reason), "{flags}: {reasons:?}");
    }
}

#[test]
fn an_unreachable_target_is_an_error_before_anything_is_planned() {
    let place = place();
    // The port of a listener that is closed again.
    let address = shared::loopback::free_loopback_address().expect("a port");
    let output = loadtest(&format!("run flash-sale --target http://{address}"))
        .arg("--report")
        .arg(&place.report)
        .output()
        .expect("runs");
    assert_eq!(output.status.code(), Some(1));
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(message.contains(&address.to_string()), "{message}");
    assert!(!String::from_utf8_lossy(&output.stdout).contains("Playing"));
    assert!(!place.report.with_added_extension("json").exists(), "there is nothing to report");
}

#[test]
fn errors_of_a_scenario_are_listed_at_once_with_exit_code_64() {
    let output = loadtest("run baseline --set buyers.users=0 --set mix.replays=2 --expect luck=1..")
        .output()
        .expect("runs");
    assert_eq!(output.status.code(), Some(64));
    let printed = String::from_utf8_lossy(&output.stderr).into_owned();
    for fault in ["buyers.users", "mix.replays", "expect.luck"] {
        assert!(printed.contains(fault), "{fault}: {printed}");
    }
    let output = loadtest("run no-such-scenario").output().expect("runs");
    assert_eq!(output.status.code(), Some(64));
    let output = loadtest("run baseline --target http://127.0.0.1:1 --real").output().expect("runs");
    assert_eq!(output.status.code(), Some(2), "flags that exclude each other");
}

#[test]
fn print_scenario_applies_the_flags() {
    let output = loadtest("run flash-sale --drain-rate 77 --print-scenario").output().expect("runs");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(printed.contains("rate = 77"), "{printed}");
    let directory = TempDir::new().expect("a directory");
    let file = directory.path().join("mine.toml");
    std::fs::write(&file, &printed).expect("written");
    let again = loadtest("run --print-scenario").arg(&file).output().expect("runs");
    assert_eq!(String::from_utf8_lossy(&again.stdout), printed, "what is printed is a scenario file");
    // The services' own environment variables do not affect the child processes of a run.
    let with_variables = loadtest("run flash-sale --drain-rate 77 --print-scenario")
        .envs([("SPILLWAY_ORDER_ID_KEYS", "demo=00"), ("SPILLWAY_DATABASE_URL", "mysql://user@127.0.0.1/x")])
        .output()
        .expect("runs");
    assert_eq!(String::from_utf8_lossy(&with_variables.stdout), printed);
    let list = loadtest("scenarios").output().expect("runs");
    for name in ["baseline", "flash-sale", "retry-storm", "sold-out", "hostile"] {
        assert!(String::from_utf8_lossy(&list.stdout).contains(name));
    }
}

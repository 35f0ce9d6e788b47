//! An operator's commands against workers as processes.

#![allow(clippy::expect_used, reason = "tests use expect with the expectation")]

// Shared with the suite `console`.
#[allow(dead_code, reason = "the console's tests use the rest")]
#[path = "../console/fixture.rs"]
mod fixture;
#[allow(dead_code, reason = "the store's tests use the rest")]
#[path = "../store/orders.rs"]
mod orders;

use std::process::Output;
use std::time::Duration;

use serde_json::Value;
use tokio::process::Command;
use tokio::time::{Instant, sleep};

use fixture::PoolFixture;

use shared::testkit::PATIENCE;

/// Runs the command line as the user ann.
async fn run(url: &str, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_drain-worker"))
        .args(arguments)
        .env("SPILLWAY_ADMIN_URL", url)
        .env("USER", "ann")
        .env_remove("SPILLWAY_ADMIN_TOKEN")
        .kill_on_drop(true)
        .output()
        .await
        .expect("it runs")
}

/// Returns the output of a command that succeeds.
async fn done(url: &str, arguments: &[&str]) -> String {
    let output = run(url, arguments).await;
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// Returns the error of a command that fails with `code`.
async fn failed(url: &str, arguments: &[&str], code: i32) -> String {
    let output = run(url, arguments).await;
    assert_eq!(output.status.code(), Some(code), "{arguments:?}");
    String::from_utf8(output.stderr).expect("text")
}

/// Waits until the status satisfies `holds`.
async fn until(url: &str, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
    let (mut lowest, mut deadline) = (f64::INFINITY, Instant::now() + PATIENCE);
    loop {
        // A worker that has just started has no status yet.
        let output = run(url, &["status", "--json"]).await;
        let status: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        if output.status.success() && holds(&status) {
            return status;
        }
        // A slow machine drains slowly.
        if let Some(lag) = status["lag"]["orders"].as_f64().filter(|lag| *lag < lowest) {
            (lowest, deadline) = (lag, Instant::now() + PATIENCE);
        }
        let output = String::from_utf8_lossy(&output.stderr);
        assert!(Instant::now() < deadline, "not {what} in time: {output}{status:#}");
        sleep(Duration::from_millis(100)).await;
    }
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_runs_a_pool_from_the_command_line() {
    let fixture = PoolFixture::new(2).await;
    let url = fixture.url.as_str();

    // Both workers drain; the status estimates the end.
    let seen = until(url, "draining with a known lag", |status| {
        let workers = status["workers"].as_array().map_or(0, Vec::len);
        workers == 2 && number(&status["lag"]["orders"]) > 0.0 && number(&status["eta"]["seconds"]) > 0.0
    })
    .await;
    assert_eq!(
        (&seen["cap"]["source"], number(&seen["cap"]["orders_per_second"])),
        (&"default".into(), 100.0)
    );
    let shares: f64 =
        seen["workers"].as_array().into_iter().flatten().map(|worker| number(&worker["share"])).sum();
    assert!(shares <= 100.0, "{seen:#}");
    assert!(seen["lag"]["oldest_age_s"].is_number(), "{seen:#}");

    // Changes the rate.
    let steep = failed(url, &["rate", "set", "2000"], 1).await;
    assert!(steep.contains("more than twice the present cap of 100/s"), "{steep}");
    assert!(steep.contains("stdin is not a terminal: pass --yes"), "{steep}");
    let set = done(url, &["rate", "set", "2000", "--reason", "a sale", "--yes"]).await;
    assert_eq!(set, "cap 2,000/s (manual)\nsettings revision 1\n");
    until(url, "faster", |status| number(&status["committed_per_second"]) > 150.0).await;

    // Pauses and resumes.
    let paused = done(url, &["pause", "--reason", "maintenance"]).await;
    let held = "hold 2 by ann since 20";
    assert!(
        paused.starts_with(&format!("paused until resumed (hold 2)\nsettings revision 2\n{held}")),
        "{paused}"
    );
    until(url, "paused", |status| {
        let mut workers = status["workers"].as_array().into_iter().flatten();
        number(&status["committed_per_second"]) == 0.0 && workers.all(|worker| worker["state"] == "paused")
    })
    .await;
    let text = done(url, &["status"]).await;
    assert!(text.starts_with("drain: paused until resumed"), "{text}");
    assert!(text.contains(held) && text.contains("until resumed: maintenance\n"), "{text}");
    // Another operator's pause neither shortens nor ends ann's.
    let second = done(url, &["pause", "--for", "900ms", "--who", "bob"]).await;
    assert!(second.starts_with("paused until resumed (hold 3)\n") && second.contains("by bob"), "{second}");
    let listed = failed(url, &["resume"], 1).await;
    assert!(listed.contains(held) && listed.contains("pass --hold ID, or --all"), "{listed}");
    assert!(failed(url, &["pause", "--until", "2020-01-01T00:00:00Z"], 3).await.contains("lies in the past"));
    let resumed = done(url, &["resume", "--hold", "2", "--who", "bob"]).await;
    assert!(resumed.starts_with("paused until 20") || resumed.starts_with("cap 2,000/s"), "{resumed}");
    assert!(failed(url, &["resume", "--hold", "2"], 3).await.contains("no hold 2 is in force"));
    let resumed = done(url, &["resume", "--all"]).await;
    assert_eq!(resumed, "cap 2,000/s (manual)\nsettings revision 5\n");
    until(url, "draining again", |status| number(&status["committed_per_second"]) > 0.0).await;

    // One worker alone.
    assert_eq!(done(url, &["cordon", "--reason", "a new kernel"]).await, "drain-1: cordoned\n");
    until(url, "cordoned", |status| {
        let mut workers = status["workers"].as_array().into_iter().flatten();
        workers.any(|worker| worker["name"] == "drain-1" && worker["state"] == "cordoned")
    })
    .await;
    assert_eq!(done(url, &["uncordon"]).await, "drain-1: uncordoned\n");

    // A change that was made on older settings: what differs is shown, and asked again.
    let stale = ["rate", "set", "3000", "--revision", "1", "--who", "bob"];
    let shown = failed(url, &stale, 1).await;
    assert!(shown.contains("Revision 2: pause, hold 2, until resumed, by ann"), "{shown}");
    assert!(
        shown.contains("(maintenance)") && shown.contains("stdin is not a terminal: pass --yes"),
        "{shown}"
    );
    assert_eq!(done(url, &["schedule", "show"]).await, "null\n", "nothing was done");
    let anyway = done(url, &[&stale[..], &["--yes"]].concat()).await;
    assert_eq!(anyway, "cap 3,000/s (manual)\nsettings revision 6\n");
    done(url, &["rate", "set", "2000"]).await;

    // A ramp begins at the cap in force.
    let ramped = done(url, &["rate", "set", "4000", "--ramp", "10m"]).await;
    assert!(ramped.contains("(manual), ramp from 2,000/s to 4,000/s until 20"), "{ramped}");

    // A schedule, and clearing the manual rate so that it applies.
    let room = tempfile::TempDir::new().expect("a directory");
    let file = room.path().join("schedule.json");
    let path = file.to_str().expect("text");
    std::fs::write(&file, r#"{"time_zone": "Asia/Shanghai", "entries": [{"from": "00:00", "rate": 1500}]}"#)
        .expect("written");
    assert!(
        done(url, &["schedule", "set", path]).await.contains("(manual)"),
        "a manual rate overrides the schedule"
    );
    assert!(done(url, &["rate", "reset"]).await.starts_with("cap 1,500/s (schedule)\n"));
    // The status follows with the worker's next heartbeat.
    until(url, "scheduled", |status| status["settings"]["schedule"].is_object()).await;
    let shown: Value = serde_json::from_str(&done(url, &["schedule", "show"]).await).expect("JSON");
    assert_eq!(shown["entries"][0]["rate"], 1_500);
    std::fs::write(&file, r#"{"time_zone": "Mars/Olympus", "entries": []}"#).expect("written");
    assert!(failed(url, &["schedule", "set", path, "--yes"], 3).await.contains("time_zone: 'Mars/Olympus'"));
    assert!(done(url, &["schedule", "clear"]).await.starts_with("cap 100/s (default)\n"));
    let capped = done(url, &["rate", "ceiling", "20000", "--reason", "tune"]).await;
    assert!(capped.contains(", ceiling 20,000/s\n"), "{capped}");
    let above = failed(url, &["rate", "set", "20001", "--yes"], 3).await;
    assert!(
        above.contains("above the ceiling of 20000/s") && above.contains("rate ceiling 20001"),
        "{above}"
    );
    done(url, &["rate", "set", "20000", "--yes"]).await;

    // Dead letters: show the reason, apply the catalogue, redrive, once.
    until(url, "three dead letters", |status| number(&status["dead_letters"]["total"]) == 3.0).await;
    let list = done(url, &["dlq", "list", "--dead-letter-reason", "unknown_sku"]).await;
    assert_eq!(list.matches("unknown_sku").count(), 3, "{list}");
    // A pause stops redrives too. Tested last: a redrive without letters would not wait.
    done(url, &["pause"]).await;
    until(url, "paused again", |status| status["cap"]["source"] == "paused").await;
    let stopped = failed(url, &["dlq", "redrive", "--all", "--yes"], 1).await;
    assert!(stopped.contains("paused"), "{stopped}");
    done(url, &["resume", "--all"]).await;
    until(url, "going on", |status| status["cap"]["source"] == "manual").await;
    fixture.apply_the_complete_catalogue().await;
    let redriven = done(url, &["dlq", "redrive", "--dead-letter-reason", "unknown_sku", "--yes"]).await;
    assert_eq!(redriven.matches("confirmed").count().min(3), 3, "{redriven}");
    let again = done(url, &["dlq", "redrive", "--dead-letter-reason", "unknown_sku", "--yes"]).await;
    assert!(!again.contains("confirmed"), "{again}");

    // A discard has a reason, and is bounded by what was confirmed.
    assert!(failed(url, &["dlq", "discard", "--all", "--yes"], 2).await.contains("--reason must be given"));
    let discarded = done(url, &["dlq", "discard", "--all", "--yes", "--reason", "test orders"]).await;
    assert_eq!(discarded, "no dead letters\n");

    // Nothing is old enough to be purged, which is on the audit trail; what is recent cannot be named.
    let purged = done(url, &["purge", "--before", "2026-01-01", "--yes"]).await;
    assert_eq!(purged, "nothing to purge\n");
    let recent = failed(url, &["purge", "--before", "2099-01-01", "--yes"], 3).await;
    assert!(recent.contains("before: must be at least 72 hours ago"), "{recent}");
    assert!(failed(url, &["purge", "--before", "2026-01-01"], 1).await.contains("pass --yes"));

    // The audit trail has every change.
    let audit: Value = serde_json::from_str(&done(url, &["audit", "--json"]).await).expect("JSON");
    let entries = audit["entries"].as_array().expect("entries");
    let [.., first, prepared] = entries.as_slice() else { panic!("{audit:#}") };
    assert_eq!(prepared["action"], "catalogue_applied");
    assert_eq!(
        (&first["who"], &first["action"], &first["reason"]),
        (&"ann".into(), &"rate_set".into(), &"a sale".into())
    );
    let act = |action: &str| entries.iter().find(|entry| entry["action"] == action).expect("an entry");
    assert_eq!(act("schedule_clear")["before"]["schedule"]["entries"][0]["rate"], 1_500);
    assert_eq!(
        (&act("rate_reset")["before"]["cap"], &act("rate_reset")["after"]["manual"]),
        (&2_000.into(), &Value::Null)
    );
    let newest = done(url, &["audit", "--limit", "1"]).await;
    let more = newest.trim_end().rsplit_once("more with --before ").expect("a next page").1;
    let second: Value =
        serde_json::from_str(&done(url, &["audit", "--json", "--before", more]).await).expect("JSON");
    assert_eq!(second["entries"][0], entries[1]);
    for action in [
        "rate_set",
        "ceiling_set",
        "pause",
        "resume",
        "schedule_set",
        "rate_reset",
        "schedule_clear",
        "purged",
    ] {
        assert!(entries.iter().any(|entry| entry["action"] == action), "{action}: {audit:#}");
    }
    let drained = until(url, "drained", |status| status["lag"]["orders"] == 0).await;
    assert_eq!(drained["workers"].as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn errors_name_the_remedy() {
    let unreachable = "http://127.0.0.1:1";
    for (arguments, code, says) in [
        (&["rate", "set", "0"][..], 2, "a rate is 1 to 1000000 orders a second"),
        (&["resume", "--hold", "1", "--all"], 2, "cannot be used with"),
        (&["rate", "set", "100", "--ramp", "soon"], 2, "must be a time such as 60s, 10m or 1h30m"),
        (&["pause", "--for", "1m", "--until", "2030-01-01T00:00:00Z"], 2, "cannot be used with"),
        (&["status"], 4, "is a worker running there? name another one with --admin-url"),
        (&["status", "--admin-url", "localhost:9101"], 64, "must look like http://host:port"),
    ] {
        let output = failed(unreachable, arguments, code).await;
        assert!(output.contains(says), "{arguments:?}: {output}");
    }
    let flags = [
        "run",
        "--database-url",
        "sqlite:none.sqlite",
        "--migrate-on-start",
        "--rocketmq-endpoint",
        "127.0.0.1:1",
    ];
    let open = [&flags[..], &["--admin-listen", "0.0.0.0:9101"]].concat();
    let output = failed(unreachable, &open, 64).await;
    assert!(output.contains("--admin-token must be set"), "{output}");
    let short = [&flags[..], &["--admin-token", "hunter2"]].concat();
    let output = failed(unreachable, &short, 64).await;
    assert!(output.contains("at least 16 characters") && !output.contains("hunter2"), "{output}");
    let printed = [&flags[..], &["--admin-token", "hunter2hunter2hunter2", "--print-config"]].concat();
    let printed = done(unreachable, &printed).await;
    assert!(printed.contains(r#""admin_token": "***""#) && !printed.contains("hunter2"), "{printed}");
}

/// For every command that takes the URL; none of them opens a connection. By flag, because an environment variable is shown as a
/// flag is.
#[tokio::test]
async fn a_bad_database_url_is_a_config_error_without_the_password() {
    let broker = ["--rocketmq-endpoint", "127.0.0.1:1"];
    for command in [
        [&["run"][..], &broker].concat(),
        vec!["migrate"],
        [&["init", "--catalogue", "none.json"][..], &broker].concat(),
        vec!["totals"],
        vec!["tune"],
    ] {
        for (url, says) in [
            ("mysqlx://u:hunter2@h/db", "must be mysql://USER:PASSWORD@HOST:PORT/DATABASE"),
            ("mysql://u:hunter2@h:99999/db", "invalid port number"),
            ("mysql://u:hun/ter2@h/db", "%2F"),
            ("mysql://u:hunter2@h/db?ssl_mode=required", "unknown parameter ssl_mode; known are ssl-mode"),
        ] {
            let arguments = [&command[..], &["--database-url", url]].concat();
            let output = failed("http://127.0.0.1:1", &arguments, 64).await;
            assert!(output.contains("--database-url: ") && output.contains(says), "{arguments:?}: {output}");
            assert!(!output.contains("hun") && !output.contains("ter2"), "{arguments:?}: {output}");
        }
    }
}

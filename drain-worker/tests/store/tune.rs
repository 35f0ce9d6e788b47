//! A short `tune` ramp against MariaDB.

use std::cell::RefCell;
use std::time::Duration;

use clap::Parser;
use drain_worker::tune::{NAME_PREFIX, Scratch, ScratchError, TuneArgs, TuneError, Tuned, tune};
use sqlx::Connection;
use sqlx::mysql::MySqlConnection;
use tokio_util::sync::CancellationToken;

use shared::testkit::test_variable;

use crate::harness::address;

const MYSQL_URL: &str = "SPILLWAY_TEST_MYSQL_URL";

#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    tune: TuneArgs,
}

/// Flags for the database `name` on `server`.
fn flags(server: &str, name: &str, more: &[&str]) -> TuneArgs {
    let url = format!("{}/{name}", server.trim_end_matches('/'));
    Flags::parse_from(["tune", "--database-url", &url].iter().chain(more)).tune
}

/// A name that no other test uses.
pub(crate) fn name(what: &str) -> String {
    format!("{NAME_PREFIX}_{what}_{}", std::process::id())
}

async fn exists(server: &str, name: &str) -> bool {
    let mut connection = MySqlConnection::connect(server).await.expect("the server answers");
    let query = "SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name = ?";
    let count: i64 = sqlx::query_scalar(query).bind(name).fetch_one(&mut connection).await.expect("a number");
    count > 0
}

/// Runs a ramp in the database `name`, and returns its result and what it prints.
pub(crate) async fn ramp(server: &str, name: &str) -> (Tuned, String) {
    // Rates that any machine sustains, latencies that none reaches, and steps in which a stall of the machine is little:
    // the ramp runs to its last step.
    let more = ["--from=20", "--to=45", "--step-s=5", "--latency-factor=100", "--per-user-limit=2"];
    let lines = RefCell::new(Vec::new());
    let print = |line: &str| lines.borrow_mut().push(line.to_owned());
    let tuned = Box::pin(tune(&flags(server, name, &more), &CancellationToken::new(), print)).await;
    (tuned.expect("ramps"), lines.borrow().join("\n"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ramp_recommends_a_cap_and_drops_its_database() {
    let Some(server) = test_variable(MYSQL_URL) else { return };
    let name = name("ramp");
    let (tuned, text) = ramp(&server, &name).await;
    let offered: Vec<_> = tuned.steps.iter().map(|step| step.offered_per_s).collect();
    assert_eq!(offered, [20.0, 30.0, 45.0]);
    let knee = tuned.knee.expect("sustains the rate");
    assert_eq!((knee.keeps_up_per_s, knee.too_much_per_s, knee.recommended_per_s), (45.0, None, 31));
    assert!(
        text.contains("rate set 31") && text.lines().filter(|line| line.contains('=')).count() >= 3,
        "{text}"
    );
    assert!(!exists(&server, &name).await, "the scratch database is dropped");
}

#[tokio::test]
async fn json_has_standard_output_to_itself() {
    let Some(server) = test_variable(MYSQL_URL) else { return };
    let url = format!("{}/{}", server.trim_end_matches('/'), name("json"));
    let more = ["--from=20", "--to=20", "--step-s=5", "--latency-factor=100", "--json"];
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_drain-worker"));
    let output = command.args(["tune", "--database-url", &url]).args(more).output().await.expect("it runs");
    let tuned: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON and nothing else");
    assert_eq!(
        (&tuned["steps"][0]["offered_per_s"], &tuned["knee"]["recommended_per_s"]),
        (&20.0.into(), &14.into())
    );
    let steps = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && steps.contains("rate set 14"), "{steps}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_drops_the_scratch_database() {
    let Some(server) = test_variable(MYSQL_URL) else { return };
    let name = name("stop");
    let stop = CancellationToken::new();
    let more = ["--from=50", "--step-s=60"];
    let stopping = async {
        while !exists(&server, &name).await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        // During the first step, with transactions in flight.
        tokio::time::sleep(Duration::from_millis(2_500)).await;
        stop.cancel();
    };
    let flags = flags(&server, &name, &more);
    let (tuned, ()) = tokio::join!(Box::pin(tune(&flags, &stop, |_| ())), stopping);
    assert!(matches!(tuned, Err(TuneError::Stopped)), "{tuned:?}");
    assert!(!exists(&server, &name).await, "the scratch database is dropped");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_with_tables_is_rejected() {
    let Some(server) = test_variable(MYSQL_URL) else { return };
    let name = name("taken");
    let url = address(&format!("{}/{name}", server.trim_end_matches('/')));
    let mine = Box::pin(Scratch::create(&url)).await.expect("makes one");
    let refused = Box::pin(Scratch::create(&url)).await;
    assert!(matches!(refused, Err(ScratchError::NotEmpty(of)) if of == name));
    assert!(exists(&server, &name).await, "still exists");
    mine.drop().await.expect("drops its own");
    assert!(!exists(&server, &name).await);
}

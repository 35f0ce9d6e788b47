//! Runs in which everything is accepted once and arrives, although processes are killed and clients hang up: the ledger
//! must not name a fault.

use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

/// Number of runs; each has its own seed.
const RUNS: &str = "SPILLWAY_LEDGER_RUNS";

/// Runs at a time: each waits most of its time.
const PARALLEL: usize = 5;

fn play(seed: u64) -> Result<(), String> {
    let directory = tempfile::tempdir().expect("a directory");
    let mut command = Command::new(env!("CARGO_BIN_EXE_loadtest"));
    command
        .args(["run", "hostile", "--no-expect", "--no-report", "--kill-worker", "--phase", "constant:120:5s"])
        .args(["--set", "mix.hang_ups=0.2", "--set", "clients.slow_body_ms=300"])
        .args(["--set", &format!("seed={seed}"), "--kill-at-rows", &(40 + seed * 37 % 300).to_string()])
        .current_dir(&directory)
        .env_remove("SPILLWAY_DATABASE_URL");
    if seed.is_multiple_of(4) {
        command.arg("--kill-broker");
    }
    let output = command.output().expect("runs");
    let printed = String::from_utf8_lossy(&output.stdout);
    if output.status.success() && printed.contains("Killing the drain worker") {
        return Ok(());
    }
    Err(format!("seed {seed}: {}\n{printed}\n{}", output.status, String::from_utf8_lossy(&output.stderr)))
}

#[test]
fn no_run_with_kills_and_hang_ups_is_accused() {
    let runs = std::env::var(RUNS).map_or(5, |runs| runs.parse().expect("a number"));
    let next = AtomicU64::new(1);
    let play_all = || {
        let seeds = std::iter::from_fn(|| Some(next.fetch_add(1, Ordering::Relaxed)));
        seeds.take_while(|seed| *seed <= runs).filter_map(|seed| play(seed).err()).collect::<Vec<_>>()
    };
    let failed: Vec<_> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..PARALLEL).map(|_| scope.spawn(play_all)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("plays")).collect()
    });
    assert!(failed.is_empty(), "{} of {runs} runs:\n{}", failed.len(), failed.join("\n"));
    println!("{runs} runs, no fault");
}

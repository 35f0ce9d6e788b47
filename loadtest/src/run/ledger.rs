//! The ledger of one run: the wait for what is hidden, the judgement, the look-ups.

use std::collections::BTreeMap;
use std::time::Duration;

use super::interrupt::Interrupts;
use super::progress::show_line;
use crate::environment::LedgerAccess;
use crate::generator::RunResult;
use crate::ledger::{Attempts, Judgement, RunFacts, RunScope, SettleProgress, hidden_at_most};
use crate::scenario::ClientBehaviour;

/// Maximum wait of a client before a retry, as the generator bounds it.
const RETRY_WAIT_MAX_MS: i64 = 75_000;

/// Time without a settled order from which the wait is explained.
const QUIET: Duration = Duration::from_secs(5);

/// Rows between two lines.
const ROWS: u64 = 200_000;

#[derive(Clone, Copy, Debug)]
pub(super) struct PlayedRun<'a> {
    pub(super) played: &'a RunResult,
    pub(super) attempts: &'a Attempts,
    pub(super) clients: ClientBehaviour,
    /// Start of the schedule, microseconds since 1970.
    pub(super) started_us: i64,
}

/// Waits until what was accepted is settled or lost, and judges the run by the database, else by the look-up; `None`:
/// neither is known. The interrupt number `interrupts_cut` ends the wait.
pub(super) async fn keep_ledger(
    source: &mut LedgerAccess,
    scope: Option<RunScope>,
    run: PlayedRun<'_>,
    interrupts: &Interrupts,
    interrupts_cut: u32,
) -> anyhow::Result<Option<Judgement>> {
    let attempts = run.attempts;
    let is_cut = || interrupts.count() >= interrupts_cut;
    let (Some(reader), Some(scope)) = (&mut source.reader, scope) else {
        let Some(client) = &source.look_up else { return Ok(None) };
        let hidden = hidden_at_most(source.invisible);
        let (workload, sample_max) = (run.played.workload(), source.look_ups_max);
        let judgement = client.judge(workload, attempts, sample_max, hidden, is_cut, settling).await?;
        return Ok(Some(judgement));
    };
    let mut interrupted = interrupts.clone();
    let missing = tokio::select! {
        missing = reader.settle(run.played.workload(), &scope, attempts, settling) => missing?,
        () = interrupted.reach(interrupts_cut) => attempts.count(),
    };
    let facts = RunFacts {
        workload: run.played.workload(),
        schedule: run.played.schedule(),
        attempts,
        started_us: run.started_us,
        accepted_within_us: accepted_within_ms(run.clients) * 1_000,
        wait_was_cut: is_cut() && missing > 0,
    };
    let look_ups = if source.look_up.is_some() { source.look_ups_max } else { 0 };
    let mut judgement = reader.judge(facts, &scope, look_ups, reading).await?;
    if let Some(client) = &source.look_up {
        client.check(run.played.workload(), &mut judgement).await?;
    }
    Ok(Some(judgement))
}

/// The database's version by its component's name; empty if it is not known.
pub(super) async fn database_version(source: &mut LedgerAccess) -> BTreeMap<String, String> {
    let Some(reader) = &mut source.reader else { return BTreeMap::new() };
    reader.version().await.map(|version| ("database".to_owned(), version)).into_iter().collect()
}

/// Maximum time from a request's due time to its acceptance, milliseconds. A request waits as long for a connection as
/// for its response.
fn accepted_within_ms(clients: ClientBehaviour) -> i64 {
    let retries = i64::from(clients.retries_max);
    let attempt_ms = 2 * i64::from(clients.timeout_ms) + i64::from(clients.slow_body_ms);
    (retries + 1) * attempt_ms + retries * RETRY_WAIT_MAX_MS + 1_000
}

fn settling(progress: SettleProgress) {
    // Until then the progress line says enough.
    if progress.quiet < QUIET {
        return;
    }
    show_line(&format!(
        "Waiting for {} accepted orders that the broker may hide; nothing was settled for {} s",
        progress.missing,
        progress.quiet.as_secs()
    ));
}

/// `rows`: rows of the database so far.
fn reading(rows: u64) {
    if rows.is_multiple_of(ROWS) {
        show_line(&format!("Reading the ledger: {rows} orders"));
    }
}

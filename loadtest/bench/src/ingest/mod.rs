//! `loadtest-bench ingest`: the cost of a request in ingest-fn, beside a plain axum handler on the same processors.
//!
//! In each round each subject starts anew and plays three windows: *saturated* (more load than it accepts: its peak),
//! *share* (a share of that peak: its latency) and *equal* (the same rate for all: comparable CPU per request).

mod results;
mod server;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use loadtest::run::Interrupts;
use loadtest::scenario;
use shared::http::raise_open_files;

use crate::accounting::run_to_end;
use crate::harness::{mib, rounds, selected, write_json};
use crate::tools::{LoadJob, Tool};
use results::{IngestResults, IngestWindow, WindowKind};
use server::{Environments, IngestSubject, ServerUnderTest};

pub(crate) use server::ingest_arguments;

/// The first rate offered while a subject's peak is searched, requests a second.
const PROBE_RPS: f64 = 20_000.0;

/// Maximum steps of that search: the last one offers more than the generator can send.
const PROBES_MAX: u32 = 6;

/// Rate offered to saturate a subject, as a multiple of its peak.
const SATURATION_FACTOR: f64 = 1.2;

/// Pause between windows, so that requests of one window do not count in the next.
const WINDOW_PAUSE: Duration = Duration::from_millis(300);

/// Measure CPU, latency and memory of ingest-fn per request, beside a plain axum handler on the same processors
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct IngestArgs {
    /// Rate at which CPU per request is compared, requests a second
    #[arg(long, value_name = "COUNT", default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(100..=100_000))]
    rps: u32,
    /// Share of its own peak at which a subject's latency is measured, percent
    #[arg(long, value_name = "PERCENT", default_value_t = 70, value_parser = clap::value_parser!(u32).range(1..=100))]
    share_percent: u32,
    /// Length of a window, seconds; Linux accounts CPU in steps of 10 ms, so use at least 8 for results to quote
    #[arg(long, value_name = "SECONDS", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=60))]
    seconds: u32,
    /// Length of the windows that warm a server up and find its peak, seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=60))]
    warm_up_seconds: u32,
    /// Connections to open
    #[arg(long, value_name = "COUNT", default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..=2_000))]
    connections: u32,
    /// Rounds to play
    #[arg(long, value_name = "COUNT", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=20))]
    rounds: u32,
    /// Only these subjects
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    only: Vec<IngestSubject>,
    /// Measure this ingest-fn, with a broker, instead of the one in this program
    #[arg(long, value_name = "PATH")]
    binary: Option<PathBuf>,
    /// More flags of ingest-fn, such as --workers=1; repeat for more
    #[arg(long = "flag", value_name = "FLAG", allow_hyphen_values = true)]
    flags: Vec<String>,
    /// Also measure each peak with wrk and the latency at the equal rate with oha, where they are installed
    #[arg(long)]
    peers: bool,
    /// Write the results to this file as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the table to this file as Markdown
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
}

const EXAMPLES: &str = "Examples:
  cargo run --profile dist -p loadtest-bench -- ingest
  eval \"$(infra/local/stack env)\"; target/dist/loadtest-bench ingest --peers --markdown speed.md
  loadtest-bench ingest --only axum-baseline,no-broker --rounds 5

Nothing else should run meanwhile. The exit code is 0 even if a goal is missed.";

pub(crate) async fn run(args: IngestArgs) -> anyhow::Result<ExitCode> {
    raise_open_files();
    let interrupts = Interrupts::listen()?;
    let directory = std::env::temp_dir().join(format!("spillway-bench-{}", std::process::id()));
    std::fs::create_dir_all(&directory)?;
    let catalogue_toml = scenario::load("baseline")?.catalogue_toml();
    let catalogue = directory.join("catalogue.toml");
    std::fs::write(&catalogue, &catalogue_toml)?;
    let subjects = selected(&IngestSubject::ALL, &args.only);
    let environments = Environments::start(&catalogue_toml, &subjects).await?;
    let player = Player { args: &args, directory: &directory, catalogue: &catalogue };
    let results = player.all_rounds(&subjects, &environments, &interrupts).await;
    environments.stop().await?;
    let results = results?;
    std::fs::remove_dir_all(&directory)?;
    println!("\n{}\n{}", results.conditions(), results.table().blocks());
    for goal in results.goals() {
        println!("{goal}");
    }
    write_json(args.json.as_deref(), &results)?;
    if let Some(path) = &args.markdown {
        std::fs::write(path, format!("{}\n\n{}", results.conditions(), results.table().markdown()))?;
    }
    Ok(ExitCode::SUCCESS)
}

struct Player<'a> {
    args: &'a IngestArgs,
    directory: &'a Path,
    catalogue: &'a Path,
}

impl Player<'_> {
    /// Plays until the rounds are over or an interrupt arrives.
    async fn all_rounds(
        &self,
        subjects: &[IngestSubject],
        environments: &Environments,
        interrupts: &Interrupts,
    ) -> anyhow::Result<IngestResults> {
        let args = self.args;
        let mut results = IngestResults::new(args);
        let mut peaks = BTreeMap::new();
        let subjects: Vec<_> =
            subjects.iter().copied().filter(|subject| environments.has(*subject)).collect();
        for (round, subject) in rounds(args.rounds, &subjects) {
            if interrupts.count() > 0 {
                break;
            }
            let mut server =
                ServerUnderTest::start(subject, environments, args, self.catalogue, self.directory).await?;
            let mut peak_rps = self.warm_up(&server, peaks.get(&subject).copied()).await?;
            for kind in WindowKind::ALL {
                let rps = match kind {
                    WindowKind::Saturated => peak_rps * SATURATION_FACTOR,
                    WindowKind::Share => peak_rps * f64::from(args.share_percent) / 100.0,
                    WindowKind::Equal => f64::from(args.rps),
                };
                tokio::time::sleep(WINDOW_PAUSE).await;
                let window = self.window(&server, kind, round, rps, args.seconds).await?;
                println!("round {round}: {window}");
                if kind == WindowKind::Saturated {
                    peak_rps = window.accepted_per_s;
                    // A disturbed round must not lower the rate of the next one.
                    let known = peaks.entry(subject).or_insert(peak_rps);
                    *known = known.max(peak_rps);
                }
                results.windows.push(window);
            }
            if args.peers {
                self.play_peers(&server, round, &mut results).await?;
            }
            let rss_high_bytes = server.rss_high_bytes()?;
            println!("round {round}: {subject}, peak memory {:.1} MiB", mib(rss_high_bytes));
            results.rss_high_bytes.push((subject, rss_high_bytes));
            server.stop().await?;
        }
        Ok(results)
    }

    /// Warms the server up; returns its approximate peak: the known one, or the result of a search with rising rates.
    async fn warm_up(&self, server: &ServerUnderTest, known_rps: Option<f64>) -> anyhow::Result<f64> {
        let probe = async |rps: f64| {
            let window = self.window(server, WindowKind::Saturated, 0, rps, self.args.warm_up_seconds);
            anyhow::Ok(window.await?.accepted_per_s)
        };
        if let Some(rps) = known_rps {
            probe(rps / 2.0).await?;
            return Ok(rps);
        }
        let mut offered = PROBE_RPS;
        let mut peak = 0.0_f64;
        for _ in 0..PROBES_MAX {
            let accepted = probe(offered).await?;
            peak = peak.max(accepted);
            if accepted < offered * 0.95 {
                break;
            }
            offered *= 1.5;
        }
        Ok(peak)
    }

    async fn window(
        &self,
        server: &ServerUnderTest,
        kind: WindowKind,
        round: u32,
        rps: f64,
        seconds: u32,
    ) -> anyhow::Result<IngestWindow> {
        let job = self.job(server, (rps.round() as u32).max(1), seconds);
        IngestWindow::measure(server, kind, round, &job).await
    }

    fn job(&self, server: &ServerUnderTest, rps: u32, seconds: u32) -> LoadJob {
        LoadJob {
            url: format!("http://{}/v1/orders", server.address),
            rps,
            seconds,
            connections: self.args.connections,
            directory: self.directory.to_owned(),
            processor: None,
        }
    }

    async fn play_peers(
        &self,
        server: &ServerUnderTest,
        round: u32,
        results: &mut IngestResults,
    ) -> anyhow::Result<()> {
        let subject = server.subject;
        if let Some(program) = Tool::Wrk.program() {
            let rps = self.wrk_peak(&program, server).await?;
            println!("round {round}: {subject}, wrk: {rps:.0} accepted/s");
            results.wrk.push((subject, rps));
        }
        if let Some(program) = Tool::Oha.program() {
            let job = self.job(server, self.args.rps, self.args.seconds);
            let bound = Duration::from_secs(u64::from(job.seconds) + 30);
            let finished = run_to_end(&mut Tool::Oha.command(&program, &job)?, bound).await?;
            let (p50_ms, p99_ms) = oha_latencies_ms(&finished.stdout).context("oha printed no results")?;
            println!(
                "round {round}: {subject}, oha at {}/s: p50 {p50_ms:.2} ms  p99 {p99_ms:.2} ms",
                job.rps
            );
            results.oha.push((subject, p50_ms, p99_ms));
        }
        Ok(())
    }

    /// The peak in a closed loop that always posts the same order.
    async fn wrk_peak(&self, program: &Path, server: &ServerUnderTest) -> anyhow::Result<f64> {
        let job = self.job(server, 0, self.args.seconds);
        let bound = Duration::from_secs(u64::from(job.seconds) + 30);
        let finished = run_to_end(&mut Tool::Wrk.command(program, &job)?, bound).await?;
        wrk_accepted_per_s(&finished.stdout).context("wrk printed no results")
    }
}

/// wrk's requests a second, without the share of responses that were not 2xx.
fn wrk_accepted_per_s(text: &str) -> Option<f64> {
    let rps: f64 = text.split("Requests/sec:").nth(1)?.split_whitespace().next()?.parse().ok()?;
    let line = text.lines().find(|line| line.contains(" requests in "))?;
    let requests: f64 = line.split_whitespace().next()?.parse().ok()?;
    let others = text.lines().find_map(|line| line.trim().strip_prefix("Non-2xx or 3xx responses:"));
    let others: f64 = others.map_or(Some(0.0), |count| count.trim().parse().ok())?;
    Some(rps * (1.0 - others / requests.max(1.0)))
}

/// p50 and p99 of oha's JSON, whose latencies are in seconds.
fn oha_latencies_ms(json: &str) -> Option<(f64, f64)> {
    let output: serde_json::Value = serde_json::from_str(json).ok()?;
    let ms = |name| Some(output["latencyPercentiles"][name].as_f64()? * 1e3);
    Some((ms("p50")?, ms("p99")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shed_requests_do_not_count_in_the_peak_of_wrk() {
        let text = "Running 2s test @ http://127.0.0.1:9000/v1/orders\n  1 threads and 128 connections\n  \
                    100000 requests in 2.00s, 30.00MB read\n";
        let all = format!("{text}Requests/sec:  50000.00\nTransfer/sec:     15.00MB\n");
        let some = format!("{text}  Non-2xx or 3xx responses: 25000\nRequests/sec:  50000.00\n");
        for (text, expected) in [(all.as_str(), Some(50_000.0)), (some.as_str(), Some(37_500.0)), ("", None)]
        {
            assert_eq!(wrk_accepted_per_s(text), expected, "{text}");
        }
    }
}

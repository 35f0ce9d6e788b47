//! `loadtest-bench generator`: the generator beside wrk, oha and k6, with the same requests to the same stub server.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use loadtest::environment::own_process;
use loadtest::report::{self, RunReport};
use loadtest::target::{Target, TargetConnection};
use serde::Serialize;
use shared::loopback::free_loopback_address;
use tokio::task::block_in_place;

use crate::accounting::{cpu_s_now, run_to_end};
use crate::harness::{Conditions, Spread, selected, write_json};
use crate::process::COUNT_PATH;
use crate::tools::{LoadJob, Tool};

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct GeneratorArgs {
    /// Requests a second for the tools that have a rate
    #[arg(long, value_name = "COUNT", default_value_t = 50_000, value_parser = clap::value_parser!(u32).range(1..=200_000))]
    rps: u32,
    /// Length of one measurement, seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u32).range(2..=120))]
    seconds: u32,
    /// Connections to open
    #[arg(long, value_name = "COUNT", default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..=2_000))]
    connections: u32,
    /// Rounds to play
    #[arg(long, value_name = "COUNT", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=20))]
    rounds: u32,
    /// Only these tools
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    only: Vec<Tool>,
    /// Pin the stub server and the tools to these processors; by default the kernel places them
    #[arg(long, num_args = 2, value_names = ["SERVER", "TOOL"])]
    pin: Vec<usize>,
    /// Write the results to this file as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Share of the planned rate below which a tool did not play the plan.
const KEPT_RATE_MIN: f64 = 0.98;

/// Maximum time in which the stub server returns its count.
const COUNT_BOUND: Duration = Duration::from_secs(10);

/// Goal for loadtest's send delay, p99.9.
const SEND_DELAY_P999_US_MAX: u64 = 1_000;

/// One tool in one round.
#[derive(Clone, Debug, Serialize)]
struct GeneratorWindow {
    tool: &'static str,
    requests: u64,
    requests_per_s: f64,
    generator_cpu_us: f64,
    server_cpu_us: f64,
    /// loadtest only: the other tools do not report it.
    send_delay_p999_us: Option<u64>,
    p99_us: Option<u64>,
    /// True if the tool did not keep the planned rate: loadtest by its own measure, the others below 98 % of it.
    void: bool,
}

#[derive(Debug, Serialize)]
struct GeneratorResults {
    #[serde(flatten)]
    conditions: Conditions,
    rps: u32,
    seconds: u32,
    connections: u32,
    /// Processors of the server and of the tools; empty: not pinned.
    pinned_to: Vec<usize>,
    windows: Vec<GeneratorWindow>,
}

pub(crate) async fn run(args: GeneratorArgs) -> anyhow::Result<ExitCode> {
    let directory = std::env::temp_dir().join(format!("spillway-bench-{}", std::process::id()));
    std::fs::create_dir_all(&directory)?;
    let address = free_loopback_address()?;
    let mut launch = own_process("stub-server", &directory)?;
    launch.arguments.push(format!("--listen={address}"));
    if let Some(processor) = args.pin.first() {
        let program = std::mem::replace(&mut launch.program, "taskset".into());
        let wrapper = ["-c".to_owned(), processor.to_string(), program.display().to_string()];
        launch.arguments.splice(0..0, wrapper);
    }
    let mut server = launch.spawn()?;
    server.listening(address, Duration::from_secs(10)).await?;
    let pid = server.pid().context("the server has ended")?;
    let (rps, seconds, connections) = (args.rps, args.seconds, args.connections);
    let pinned_to = args.pin.clone();
    let conditions = Conditions::now();
    let mut results =
        GeneratorResults { conditions, rps, seconds, connections, pinned_to, windows: Vec::new() };
    for round in 1..=args.rounds {
        let mut wrk_rps = None;
        // In a fixed order: one tool runs at the rate that wrk has just reached.
        for tool in selected(&Tool::ALL, &args.only) {
            let rps = match (tool, wrk_rps) {
                (Tool::LoadtestLikeWrk, Some(rps)) => rps,
                (Tool::LoadtestLikeWrk, None) => continue,
                _ => args.rps,
            };
            let Some(program) = tool.program() else {
                println!("round {round}: {:<24} not installed, skipped", tool.name());
                continue;
            };
            let job = LoadJob {
                url: format!("http://{address}/v1/orders"),
                rps,
                seconds,
                connections,
                directory: directory.clone(),
                processor: args.pin.get(1).copied(),
            };
            let (count_before, cpu_before) = (request_count(address)?, cpu_s_now(pid)?);
            let bound = Duration::from_secs(u64::from(args.seconds) * 2 + 30);
            let cpu_s = run_to_end(&mut tool.command(&program, &job)?, bound).await?.cpu_s;
            let requests = request_count(address)? - count_before;
            let server_cpu_s = cpu_s_now(pid)? - cpu_before;
            let us_per_request = |cpu_s: f64| cpu_s * 1e6 / requests.max(1) as f64;
            let report: Option<RunReport> = match tool {
                Tool::Loadtest | Tool::LoadtestLikeWrk => {
                    Some(report::read(&directory.join("loadtest.json"))?)
                }
                _ => None,
            };
            let requests_per_s = requests as f64 / f64::from(args.seconds);
            let void = match &report {
                Some(report) => !report.generator.latencies_valid,
                None => tool != Tool::Wrk && requests_per_s < f64::from(args.rps) * KEPT_RATE_MIN,
            };
            let window = GeneratorWindow {
                tool: tool.name(),
                requests,
                requests_per_s,
                void,
                generator_cpu_us: us_per_request(cpu_s),
                server_cpu_us: us_per_request(server_cpu_s),
                send_delay_p999_us: report.as_ref().map(|report| report.generator.send_delay.p999_us),
                p99_us: report.as_ref().map(|report| report.latency.all.p99_us),
            };
            println!("round {round}: {window}");
            if tool == Tool::Wrk {
                wrk_rps = Some(window.requests_per_s as u32);
            }
            results.windows.push(window);
        }
    }
    server.kill().await?;
    std::fs::remove_dir_all(&directory)?;
    print_medians(&results.windows);
    let pinned =
        if args.pin.is_empty() { "not pinned".to_owned() } else { format!("pinned to {:?}", args.pin) };
    println!("{}, server and tool {pinned}", results.conditions);
    write_json(args.json.as_deref(), &results)?;
    Ok(ExitCode::SUCCESS)
}

impl std::fmt::Display for GeneratorWindow {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "{:<24}{:>9} requests  {:>7.0}/s  generator {:>6.1} µs CPU a request  server {:>6.1} µs",
            self.tool, self.requests, self.requests_per_s, self.generator_cpu_us, self.server_cpu_us
        )?;
        if let (Some(send_delay_us), Some(p99_us)) = (self.send_delay_p999_us, self.p99_us) {
            write!(formatter, "  send delay p99.9 {send_delay_us} µs  p99 {p99_us} µs")?;
        }
        if self.void { write!(formatter, "  VOID: it did not keep the rate") } else { Ok(()) }
    }
}

/// Void windows count in no median.
fn print_medians(windows: &[GeneratorWindow]) {
    let sound = |tool: Tool| windows.iter().filter(move |window| window.tool == tool.name() && !window.void);
    let median = |tool: Tool, value: fn(&GeneratorWindow) -> f64| {
        Some(Spread::compute(sound(tool).map(value))?.median)
    };
    println!("\nMedians");
    for tool in Tool::ALL {
        let void = windows.iter().filter(|window| window.tool == tool.name() && window.void).count();
        let name = tool.name();
        let Some(cpu_us) = median(tool, |window| window.generator_cpu_us) else {
            if void > 0 {
                println!("  {name:<24}all {void} windows void");
            }
            continue;
        };
        let rps = median(tool, |window| window.requests_per_s).unwrap_or_default();
        print!("  {name:<24}{cpu_us:>7.1} µs CPU a request at {rps:>7.0}/s");
        for peer in [Tool::Wrk, Tool::Oha] {
            if let Some(peer_us) = median(peer, |window| window.generator_cpu_us) {
                print!("  {:.2} × {}", cpu_us / peer_us, peer.name());
            }
        }
        println!("{}", if void > 0 { format!("  ({void} windows void)") } else { String::new() });
    }
    let delays: Vec<_> = windows
        .iter()
        .filter(|window| window.tool == Tool::Loadtest.name())
        .filter_map(|window| window.send_delay_p999_us)
        .collect();
    if let Some(spread) = Spread::compute(delays.iter().map(|delay_us| *delay_us as f64)) {
        let punctual = delays.iter().filter(|delay_us| **delay_us < SEND_DELAY_P999_US_MAX).count();
        println!(
            "  send delay of loadtest, p99.9: {:.0} µs ({:.0}–{:.0}); below {SEND_DELAY_P999_US_MAX} µs in {punctual} of {} \
             windows, void ones included",
            spread.median,
            spread.min,
            spread.max,
            delays.len()
        );
    }
}

/// Requests that the stub server has counted.
fn request_count(address: SocketAddr) -> anyhow::Result<u64> {
    let request = format!("GET {COUNT_PATH} HTTP/1.1\r\nhost: bench\r\n\r\n");
    let connection = TargetConnection::open(&Target::plain(address, "bench"), COUNT_BOUND)?;
    let (_, body, _) = block_in_place(|| connection.exchange(request.as_bytes()))?;
    Ok(std::str::from_utf8(&body)?.parse()?)
}

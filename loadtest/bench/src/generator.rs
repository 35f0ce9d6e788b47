//! `loadtest-bench generator`: the generator beside wrk, oha and k6, with the same requests to the same stub server.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use fc_model::process::free_address;
use http_body_util::BodyExt;
use loadtest::environment::own_process;
use loadtest::report::{self, RunReport};
use serde::Serialize;
use tokio::net::TcpStream;

use crate::accounting::{cpu_s_now, run_to_end};
use crate::harness::{Conditions, Spread, write_json};
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
    /// Write the results to this file as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// One tool in one round.
#[derive(Clone, Debug, Serialize)]
struct GeneratorWindow {
    tool: &'static str,
    requests: u64,
    requests_per_s: f64,
    generator_cpu_us: f64,
    server_cpu_us: f64,
    /// loadtest only: the other tools do not report it.
    slip_p999_us: Option<u64>,
    p99_us: Option<u64>,
}

#[derive(Debug, Serialize)]
struct GeneratorResults {
    #[serde(flatten)]
    conditions: Conditions,
    rps: u32,
    seconds: u32,
    connections: u32,
    windows: Vec<GeneratorWindow>,
}

pub(crate) async fn run(args: GeneratorArgs) -> anyhow::Result<ExitCode> {
    let directory = std::env::temp_dir().join(format!("spillway-bench-{}", std::process::id()));
    std::fs::create_dir_all(&directory)?;
    let address = free_address()?;
    let mut launch = own_process("stub-server", &directory)?;
    launch.arguments.push(format!("--listen={address}"));
    let mut server = launch.spawn()?;
    server.listening(address, Duration::from_secs(10)).await?;
    let pid = server.pid().context("the server has ended")?;
    let (rps, seconds, connections) = (args.rps, args.seconds, args.connections);
    let mut results =
        GeneratorResults { conditions: Conditions::now(), rps, seconds, connections, windows: Vec::new() };
    for round in 1..=args.rounds {
        let mut wrk_rps = None;
        // In a fixed order: one tool runs at the rate that wrk has just reached.
        for tool in Tool::ALL {
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
            };
            let (count_before, cpu_before) = (request_count(address).await?, cpu_s_now(pid)?);
            let bound = Duration::from_secs(u64::from(args.seconds) * 2 + 30);
            let cpu_s = run_to_end(&mut tool.command(&program, &job)?, bound).await?.cpu_s;
            let requests = request_count(address).await? - count_before;
            let server_cpu_s = cpu_s_now(pid)? - cpu_before;
            let us_per_request = |cpu_s: f64| cpu_s * 1e6 / requests.max(1) as f64;
            let report: Option<RunReport> = match tool {
                Tool::Loadtest | Tool::LoadtestLikeWrk => {
                    Some(report::read(&directory.join("loadtest.json"))?)
                }
                _ => None,
            };
            let window = GeneratorWindow {
                tool: tool.name(),
                requests,
                requests_per_s: requests as f64 / f64::from(args.seconds),
                generator_cpu_us: us_per_request(cpu_s),
                server_cpu_us: us_per_request(server_cpu_s),
                slip_p999_us: report.as_ref().map(|report| report.generator.slip.p999_us),
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
    println!("{}", results.conditions);
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
        match (self.slip_p999_us, self.p99_us) {
            (Some(slip_us), Some(p99_us)) => {
                write!(formatter, "  send delay p99.9 {slip_us} µs  p99 {p99_us} µs")
            }
            _ => Ok(()),
        }
    }
}

fn print_medians(windows: &[GeneratorWindow]) {
    let median = |tool: Tool, value: fn(&GeneratorWindow) -> f64| {
        let windows = windows.iter().filter(|window| window.tool == tool.name());
        Some(Spread::compute(windows.map(value))?.median)
    };
    println!("\nMedians");
    for tool in Tool::ALL {
        let Some(cpu_us) = median(tool, |window| window.generator_cpu_us) else { continue };
        let rps = median(tool, |window| window.requests_per_s).unwrap_or_default();
        print!("  {:<24}{cpu_us:>7.1} µs CPU a request at {rps:>7.0}/s", tool.name());
        match median(Tool::Wrk, |window| window.generator_cpu_us) {
            Some(wrk_us) => println!("  {:.2} × wrk", cpu_us / wrk_us),
            None => println!(),
        }
    }
    if let Some(slip_us) = median(Tool::Loadtest, |window| window.slip_p999_us.unwrap_or(0) as f64) {
        println!("  send delay of loadtest, p99.9: {slip_us:.0} µs");
    }
}

/// Requests that the stub server has counted.
async fn request_count(address: SocketAddr) -> anyhow::Result<u64> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(hyper_util::rt::TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let request = http::Request::get(COUNT_PATH)
        .header("host", "bench")
        .body(http_body_util::Empty::<bytes::Bytes>::new())?;
    let body = sender.send_request(request).await?.into_body().collect().await?.to_bytes();
    Ok(std::str::from_utf8(&body)?.parse()?)
}

//! The generator beside wrk, oha and k6: the same requests to the same trivial server, in turn, round after round.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use http_body_util::BodyExt;
use serde::Serialize;
use tokio::net::TcpStream;

use super::children::{cpu_s_now, run_to_end};
use super::figures::median;
use super::tools::{Job, Tool};
use crate::parts::{COUNT_PATH, Child, free_address};
use crate::report::{self, Machine, Report};
use crate::run::describe_machine;

/// Flags.
#[derive(Clone, Debug, clap::Args)]
pub struct GeneratorArgs {
    /// Requests a second for the tools that can plan
    #[arg(long, value_name = "COUNT", default_value_t = 50_000, value_parser = clap::value_parser!(u32).range(1..=200_000))]
    pub rps: u32,
    /// Length of one measurement, seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u32).range(2..=120))]
    pub seconds: u32,
    /// Connections
    #[arg(long, value_name = "COUNT", default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..=2_000))]
    pub connections: u32,
    /// Rounds; the medians are told
    #[arg(long, value_name = "COUNT", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=20))]
    pub rounds: u32,
    /// Write the figures to this file as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<std::path::PathBuf>,
}

/// One tool in one round.
#[derive(Clone, Debug, Serialize)]
struct Measured {
    tool: &'static str,
    requests: u64,
    requests_per_s: f64,
    generator_cpu_us: f64,
    server_cpu_us: f64,
    /// Of this generator alone: the others do not tell how late they are.
    slip_p999_us: Option<u64>,
    p99_us: Option<u64>,
}

#[derive(Debug, Serialize)]
struct Figures {
    machine: Machine,
    rps: u32,
    seconds: u32,
    connections: u32,
    rounds: Vec<Measured>,
}

/// Measures and prints.
pub(super) async fn run(args: GeneratorArgs) -> anyhow::Result<ExitCode> {
    let directory = std::env::temp_dir().join(format!("spillway-bench-{}", std::process::id()));
    std::fs::create_dir_all(&directory)?;
    let address = free_address()?;
    let mut server = Child::start("answerer", &[format!("--listen={address}")], &[], &directory)?;
    server.listening(address, Duration::from_secs(10)).await?;
    let pid = server.pid().context("the server has ended")?;
    let mut rounds = Vec::new();
    for round in 1..=args.rounds {
        let mut wrk_rps = None;
        for tool in Tool::ALL {
            let rps = match (tool, wrk_rps) {
                (Tool::LoadtestLikeWrk, Some(rps)) => rps,
                (Tool::LoadtestLikeWrk, None) => continue,
                _ => args.rps,
            };
            let Some(program) = tool.program() else {
                println!("round {round}: {:<24} not installed, left out", tool.name());
                continue;
            };
            let job = Job {
                url: format!("http://{address}/v1/orders"),
                rps,
                seconds: args.seconds,
                connections: args.connections,
                directory: directory.clone(),
            };
            let (count_before, cpu_before) = (count(address).await?, cpu_s_now(pid)?);
            // Twice its length, and some for a start: no tool may hang the benchmark.
            let bound = Duration::from_secs(u64::from(args.seconds) * 2 + 30);
            let cpu_s = run_to_end(&mut tool.command(&program, &job)?, bound).await?.cpu_s;
            let requests = count(address).await? - count_before;
            let server_cpu_s = cpu_s_now(pid)? - cpu_before;
            let per_request_us = |cpu_s: f64| cpu_s * 1e6 / requests.max(1) as f64;
            let report: Option<Report> = match tool {
                Tool::Loadtest | Tool::LoadtestLikeWrk => {
                    Some(report::read(&directory.join("loadtest.json"))?)
                }
                _ => None,
            };
            let measured = Measured {
                tool: tool.name(),
                requests,
                requests_per_s: requests as f64 / f64::from(args.seconds),
                generator_cpu_us: per_request_us(cpu_s),
                server_cpu_us: per_request_us(server_cpu_s),
                slip_p999_us: report.as_ref().map(|report| report.generator.slip.p999_us),
                p99_us: report.as_ref().map(|report| report.latency.all.p99_us),
            };
            println!("round {round}: {measured}");
            if tool == Tool::Wrk {
                wrk_rps = Some(measured.requests_per_s as u32);
            }
            rounds.push(measured);
        }
    }
    server.kill().await?;
    std::fs::remove_dir_all(&directory)?;
    let machine = describe_machine();
    print_medians(&rounds);
    println!("{} × {}, {}", machine.cpus, machine.cpu_model, machine.kernel);
    if let Some(path) = &args.json {
        let (rps, seconds, connections) = (args.rps, args.seconds, args.connections);
        let figures = Figures { machine, rps, seconds, connections, rounds };
        std::fs::write(path, serde_json::to_vec_pretty(&figures)?)?;
    }
    Ok(ExitCode::SUCCESS)
}

impl std::fmt::Display for Measured {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "{:<24}{:>9} requests  {:>7.0}/s  generator {:>6.1} µs CPU a request  server {:>6.1} µs",
            self.tool, self.requests, self.requests_per_s, self.generator_cpu_us, self.server_cpu_us
        )?;
        match (self.slip_p999_us, self.p99_us) {
            (Some(slip_us), Some(p99_us)) => {
                write!(formatter, "  slip p99.9 {slip_us} µs  p99 {p99_us} µs")
            }
            _ => Ok(()),
        }
    }
}

fn print_medians(rounds: &[Measured]) {
    let figure = |tool: Tool, figure: fn(&Measured) -> f64| {
        median(rounds.iter().filter(|measured| measured.tool == tool.name()).map(figure))
    };
    println!("\nMedians");
    for tool in Tool::ALL {
        let Some(cpu_us) = figure(tool, |measured| measured.generator_cpu_us) else { continue };
        let rps = figure(tool, |measured| measured.requests_per_s).unwrap_or_default();
        print!("  {:<24}{cpu_us:>7.1} µs CPU a request at {rps:>7.0}/s", tool.name());
        match figure(Tool::Wrk, |measured| measured.generator_cpu_us) {
            Some(wrk_us) => println!("  {:.2} × wrk", cpu_us / wrk_us),
            None => println!(),
        }
    }
    if let Some(slip_us) = figure(Tool::Loadtest, |measured| measured.slip_p999_us.unwrap_or(0) as f64) {
        println!("  loadtest's slip p99.9: {slip_us:.0} µs");
    }
}

/// How many requests the server has counted.
async fn count(address: std::net::SocketAddr) -> anyhow::Result<u64> {
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

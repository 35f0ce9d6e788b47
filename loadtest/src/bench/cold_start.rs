//! `loadtest bench cold-start`: from exec to the first 202, through a running broker, over and over.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde::Serialize;
use shared::catalogue::Catalogue;
use shared::order::{OrderIdKey, SaleId};
use tokio::task::block_in_place;
use tokio::time::Instant;

use super::figures::{Spread, quantile};
use super::ingest::{Launch, ingest_launch};
use crate::parts::free_address;
use crate::report::Machine;
use crate::run::describe_machine;
use crate::scenario::{self, SALE_ID};
use crate::stage::{Stack, Stage};
use crate::workload::{Renderer, Workload};

/// Flags.
#[derive(Clone, Debug, clap::Args)]
pub struct ColdStartArgs {
    /// Starts
    #[arg(long, value_name = "COUNT", default_value_t = 25, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub starts: u32,
    /// The ingest-fn to start; without it the one that was built beside this program
    #[arg(long, value_name = "PATH")]
    pub binary: Option<PathBuf>,
    /// Through the real RocketMQ too: eval "$(infra/local/stack env)" first
    #[arg(long)]
    pub real: bool,
    /// Ask for POST /initialize before the first order, as Function Compute does where an initializer is configured
    #[arg(long)]
    pub initialize: bool,
    /// More flags of ingest-fn; repeat for more
    #[arg(long = "flag", value_name = "FLAG", allow_hyphen_values = true)]
    pub flags: Vec<String>,
    /// Write the figures to this file as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// Most time for a start. One that takes longer has failed.
const BOUND: Duration = Duration::from_secs(20);

/// Between two tries to connect: short, because it is part of the measured time; more would take the CPU that the
/// start needs.
const RETRY: Duration = Duration::from_micros(100);

/// One start, milliseconds since exec.
#[derive(Clone, Copy, Debug, Serialize)]
struct Start {
    listening_ms: f64,
    accepted_ms: f64,
}

#[derive(Debug, Serialize)]
struct Through {
    broker: &'static str,
    starts: Vec<Start>,
}

#[derive(Debug, Serialize)]
struct Figures {
    machine: Machine,
    binary: PathBuf,
    binary_bytes: u64,
    initialize: bool,
    /// From exec to exit of `--version`: what a process of this binary costs at least, milliseconds.
    floor_ms: Vec<f64>,
    through: Vec<Through>,
}

/// Measures and prints.
pub(super) async fn run(args: ColdStartArgs) -> anyhow::Result<ExitCode> {
    let binary = match &args.binary {
        Some(path) => path.clone(),
        None => beside()?,
    };
    let catalogue_toml = scenario::load("baseline")?.catalogue_toml();
    let machine = describe_machine();
    let floor_ms =
        block_in_place(|| (0..args.starts).map(|_| version_ms(&binary)).collect::<Result<_, _>>())?;
    let mut figures = Figures {
        machine,
        binary_bytes: std::fs::metadata(&binary)?.len(),
        binary,
        initialize: args.initialize,
        floor_ms,
        through: Vec::new(),
    };
    let mut stacks = vec![("embedded broker", Stack::Embedded)];
    if args.real {
        stacks.push(("Apache RocketMQ", Stack::Real { proxy: false }));
    }
    for (broker, stack) in stacks {
        let starts = starts(&args, &figures.binary, stack, &catalogue_toml).await?;
        figures.through.push(Through { broker, starts });
    }
    print(&figures);
    if let Some(path) = &args.json {
        std::fs::write(path, serde_json::to_vec_pretty(&figures)?)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// `ingest-fn` in this program's folder: built with the same profile.
fn beside() -> anyhow::Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name("ingest-fn");
    ensure!(
        path.is_file(),
        "{} is not there: build it (cargo build --release -p ingest-fn), or name one with --binary",
        path.display()
    );
    Ok(path)
}

async fn starts(
    args: &ColdStartArgs,
    binary: &Path,
    stack: Stack,
    catalogue_toml: &str,
) -> anyhow::Result<Vec<Start>> {
    let scenario = scenario::load("baseline")?;
    let catalogue = Catalogue::from_toml(catalogue_toml)?;
    let sale = catalogue.sale(&SaleId::parse(SALE_ID)?).context("the catalogue lacks the sale")?;
    let stage = Stage::set(stack, &sale.order_id_key).await?;
    let file = stage.directory().join("catalogue.toml");
    std::fs::write(&file, catalogue_toml)?;
    // Nobody compares ids here.
    let workload = Workload::new(&scenario, sale, OrderIdKey::new(&[0; 32])?, rand::random())?;
    let measure = |number: u32| {
        let address = free_address()?;
        let mut launch = ingest_launch(&stage, address, &file);
        launch.arguments.extend(args.flags.iter().cloned());
        let mut order = Vec::new();
        Renderer::default().render(&workload, &workload.draft(u64::from(number)), "bench", &mut order);
        let log = stage.directory().join("ingest-fn.log");
        start(binary, &launch, address, args.initialize, &order, &log)
    };
    // The first one finds nothing in the page cache, and the broker has never seen a producer: it is not counted.
    let measured = block_in_place(|| (0..=args.starts).map(measure).skip(1).collect());
    stage.strike(false).await?;
    measured
}

/// A process that is ended when nobody holds it any more.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

fn start(
    binary: &Path,
    launch: &Launch,
    address: SocketAddr,
    initialize: bool,
    order: &[u8],
    log: &Path,
) -> anyhow::Result<Start> {
    let output = std::fs::File::create(log)?;
    let mut command = Command::new(binary);
    command.args(&launch.arguments).envs(launch.environment.iter().map(|(name, value)| (name, value)));
    command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
    let begun = Instant::now();
    let mut process = Process(command.spawn().with_context(|| binary.display().to_string())?);
    let mut stream = connect(address, begun, &mut process).with_context(|| log_of(log))?;
    let listening = begun.elapsed();
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(BOUND))?;
    if initialize {
        let status =
            ask(&mut stream, b"POST /initialize HTTP/1.1\r\nhost: bench\r\ncontent-length: 0\r\n\r\n")?;
        ensure!((200..300).contains(&status), "POST /initialize: {status}\n{}", log_of(log));
    }
    let status = ask(&mut stream, order)?;
    let accepted = begun.elapsed();
    ensure!(status == 202, "the first order was answered {status}\n{}", log_of(log));
    let ms = |time: Duration| time.as_secs_f64() * 1_000.0;
    Ok(Start { listening_ms: ms(listening), accepted_ms: ms(accepted) })
}

fn log_of(log: &Path) -> String {
    format!("the log of ingest-fn: {}", std::fs::read_to_string(log).unwrap_or_default())
}

fn connect(address: SocketAddr, begun: Instant, process: &mut Process) -> anyhow::Result<TcpStream> {
    loop {
        match TcpStream::connect(address) {
            Ok(stream) => return Ok(stream),
            Err(error) if error.kind() != ErrorKind::ConnectionRefused => return Err(error.into()),
            Err(_) if begun.elapsed() > BOUND => bail!("it does not listen after {BOUND:?}"),
            Err(_) => {}
        }
        if let Some(status) = process.0.try_wait()? {
            bail!("it ended with {status}");
        }
        std::thread::park_timeout(RETRY);
    }
}

/// Asks and reads the answer to its end. Its status.
fn ask(stream: &mut TcpStream, request: &[u8]) -> anyhow::Result<u16> {
    stream.write_all(request)?;
    let mut answer = Vec::new();
    let mut part = [0; 4096];
    loop {
        let read = stream.read(&mut part)?;
        ensure!(read > 0, "the connection ended before the answer");
        answer.extend_from_slice(&part[..read]);
        if let Some(status) = whole(&answer)? {
            return Ok(status);
        }
    }
}

/// The status of an answer that is there to its end.
fn whole(answer: &[u8]) -> anyhow::Result<Option<u16>> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(head_bytes) = response.parse(answer)? else { return Ok(None) };
    let length = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length"));
    let body_bytes: usize = match length {
        Some(header) => std::str::from_utf8(header.value)?.parse()?,
        None => 0,
    };
    Ok(response.code.filter(|_| answer.len() >= head_bytes + body_bytes))
}

fn version_ms(binary: &Path) -> anyhow::Result<f64> {
    let begun = Instant::now();
    let status = Command::new(binary).arg("--version").stdout(Stdio::null()).status();
    let took = begun.elapsed();
    ensure!(status.with_context(|| binary.display().to_string())?.success(), "--version fails");
    Ok(took.as_secs_f64() * 1_000.0)
}

fn print(figures: &Figures) {
    let Figures { machine, binary, binary_bytes, floor_ms, through, .. } = figures;
    println!(
        "{}: {:.1} MiB, {} × {}, {}",
        binary.display(),
        *binary_bytes as f64 / f64::from(1 << 20),
        machine.cpus,
        machine.cpu_model,
        machine.kernel
    );
    line("exec to exit of --version", floor_ms);
    for Through { broker, starts } in through {
        let of = |figure: fn(&Start) -> f64| starts.iter().map(figure).collect::<Vec<_>>();
        line(&format!("{broker}: exec to listening"), &of(|start| start.listening_ms));
        line(&format!("{broker}: exec to first 202"), &of(|start| start.accepted_ms));
    }
}

fn line(name: &str, figures: &[f64]) {
    let all = || figures.iter().copied();
    let (Some(spread), Some(p95)) = (Spread::of(all()), quantile(all(), 0.95)) else { return };
    println!(
        "  {name:<42} median {:>6.2} ms  least {:>6.2}  p95 {p95:>6.2}  most {:>6.2}  ({} starts)",
        spread.median,
        spread.least,
        spread.most,
        figures.len()
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_counts_once_it_is_whole() {
        let cases: [(&[u8], Option<u16>); 5] = [
            (b"", None),
            (b"HTTP/1.1 202 Accepted\r\ncontent-length: 2\r\n", None),
            (b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\n{", None),
            (b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\n{}", Some(202)),
            (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", Some(503)),
        ];
        for (answer, status) in cases {
            assert_eq!(whole(answer).expect("HTTP"), status, "{}", String::from_utf8_lossy(answer));
        }
        assert!(whole(b"SSH-2.0-x\r\n\r\n").is_err());
    }
}

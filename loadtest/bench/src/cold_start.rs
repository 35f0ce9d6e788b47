//! `loadtest-bench cold-start`: time from ingest-fn's exec to its first 202, through a running broker.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use fc_model::process::ProcessLaunch;
use loadtest::environment::{Environment, Stack};
use loadtest::scenario::{self, SALE_ID};
use loadtest::target::{RequestHead, TargetConnection};
use loadtest::workload::{RequestRenderer, Workload};
use serde::Serialize;
use shared::catalogue::Catalogue;
use shared::loopback::free_loopback_address;
use shared::order::{OrderIdKey, SaleId};
use tokio::task::block_in_place;
use tokio::time::Instant;

use crate::harness::{Conditions, Spread, mib, quantile, write_json};
use crate::ingest::ingest_arguments;

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ColdStartArgs {
    /// Starts to measure
    #[arg(long, value_name = "COUNT", default_value_t = 25, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    starts: u32,
    /// The ingest-fn to start [default: the one built beside this program]
    #[arg(long, value_name = "PATH")]
    binary: Option<PathBuf>,
    /// Also through the real RocketMQ: eval "$(infra/local/stack env)" first
    #[arg(long)]
    real: bool,
    /// Send POST /initialize before the first order, as Function Compute does where an initializer is configured
    #[arg(long)]
    initialize: bool,
    /// More flags of ingest-fn; repeat for more
    #[arg(long = "flag", value_name = "FLAG", allow_hyphen_values = true)]
    flags: Vec<String>,
    /// Write the results to this file as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Maximum time of a start.
const START_BOUND: Duration = Duration::from_secs(20);

/// Pause between two attempts to connect: short, because it is part of the measured time. A busy loop would use the CPU
/// that the start needs.
const CONNECT_POLL: Duration = Duration::from_micros(100);

/// One start, milliseconds since exec.
#[derive(Clone, Copy, Debug, Serialize)]
struct StartTimes {
    listening_ms: f64,
    accepted_ms: f64,
}

#[derive(Debug, Serialize)]
struct StartSeries {
    broker: &'static str,
    starts: Vec<StartTimes>,
}

#[derive(Debug, Serialize)]
struct ColdStartResults {
    #[serde(flatten)]
    conditions: Conditions,
    binary: PathBuf,
    binary_bytes: u64,
    initialize: bool,
    /// Time from exec to exit of `--version`: the minimum for a process of this binary.
    version_ms: Vec<f64>,
    series: Vec<StartSeries>,
}

pub(crate) async fn run(args: ColdStartArgs) -> anyhow::Result<ExitCode> {
    let binary = match &args.binary {
        Some(path) => path.clone(),
        None => built_beside()?,
    };
    let version_ms =
        block_in_place(|| (0..args.starts).map(|_| version_ms(&binary)).collect::<Result<_, _>>())?;
    let mut results = ColdStartResults {
        conditions: Conditions::now(),
        binary_bytes: std::fs::metadata(&binary)?.len(),
        binary,
        initialize: args.initialize,
        version_ms,
        series: Vec::new(),
    };
    let mut stacks = vec![("embedded broker", Stack::Embedded)];
    if args.real {
        stacks.push(("Apache RocketMQ", Stack::Real { proxy: false }));
    }
    for (broker, stack) in stacks {
        let starts = measure(&args, &results.binary, stack).await?;
        results.series.push(StartSeries { broker, starts });
    }
    print_results(&results);
    write_json(args.json.as_deref(), &results)?;
    Ok(ExitCode::SUCCESS)
}

/// `ingest-fn` in this program's folder: built with the same profile.
fn built_beside() -> anyhow::Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name("ingest-fn");
    ensure!(
        path.is_file(),
        "{} does not exist: build it (cargo build --release -p ingest-fn), or set --binary",
        path.display()
    );
    Ok(path)
}

async fn measure(args: &ColdStartArgs, binary: &Path, stack: Stack) -> anyhow::Result<Vec<StartTimes>> {
    let scenario = scenario::load("baseline")?;
    let catalogue_toml = scenario.catalogue_toml();
    let catalogue = Catalogue::from_toml(&catalogue_toml)?;
    let sale = catalogue.sale(&SaleId::parse(SALE_ID)?).context("the sale is not in the catalogue")?;
    let environment = Environment::start(stack, &sale.order_id_key).await?;
    let file = environment.directory().join("catalogue.toml");
    std::fs::write(&file, &catalogue_toml)?;
    // Ids are not compared here.
    let workload = Workload::new(&scenario, sale, OrderIdKey::new(&[0; 32])?, rand::random())?;
    let start = |number: u32| {
        let address = free_loopback_address()?;
        let mut launch = ProcessLaunch {
            program: binary.to_owned(),
            name: "ingest-fn",
            arguments: Vec::new(),
            environment: Vec::new(),
            directory: environment.directory().to_owned(),
        };
        ingest_arguments(&mut launch, &environment, address, &file);
        launch.arguments.extend(args.flags.iter().cloned());
        let mut order = Vec::new();
        let spec = workload.request_spec(u64::from(number));
        RequestRenderer::default().render(&workload, &spec, &RequestHead::new("bench"), &mut order);
        start_once(&launch, address, args.initialize, &order)
    };
    // The first start has a cold page cache and a broker without producers: it does not count.
    let measured = block_in_place(|| (0..=args.starts).map(start).skip(1).collect());
    environment.stop(false).await?;
    measured
}

/// Killed on drop. Not a `ChildProcess`: the start is measured without a runtime's scheduling.
struct MeasuredProcess(Child);

impl Drop for MeasuredProcess {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

fn start_once(
    launch: &ProcessLaunch,
    address: SocketAddr,
    initialize: bool,
    order: &[u8],
) -> anyhow::Result<StartTimes> {
    let log = launch.directory.join("ingest-fn.log");
    let output = std::fs::File::create(&log)?;
    let mut command = Command::new(&launch.program);
    command.args(&launch.arguments).envs(launch.environment.iter().map(|(name, value)| (name, value)));
    command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
    let log = || format!("log of ingest-fn: {}", std::fs::read_to_string(&log).unwrap_or_default());
    let started = Instant::now();
    let process = command.spawn().with_context(|| launch.program.display().to_string())?;
    let mut process = MeasuredProcess(process);
    let stream = connect(address, started, &mut process).with_context(log)?;
    let listening = started.elapsed();
    let mut connection = TargetConnection::plain(stream, START_BOUND)?;
    if initialize {
        let request = b"POST /initialize HTTP/1.1\r\nhost: bench\r\ncontent-length: 0\r\n\r\n";
        let (status, _, open) = connection.exchange(request)?;
        ensure!((200..300).contains(&status), "POST /initialize: {status}\n{}", log());
        connection = open.context("ingest-fn closed the connection")?;
    }
    let (status, _, _) = connection.exchange(order)?;
    let accepted = started.elapsed();
    ensure!(status == 202, "the response to the first order was {status}\n{}", log());
    let ms = |time: Duration| time.as_secs_f64() * 1_000.0;
    Ok(StartTimes { listening_ms: ms(listening), accepted_ms: ms(accepted) })
}

fn connect(
    address: SocketAddr,
    started: Instant,
    process: &mut MeasuredProcess,
) -> anyhow::Result<TcpStream> {
    loop {
        match TcpStream::connect(address) {
            Ok(stream) => return Ok(stream),
            Err(error) if error.kind() != ErrorKind::ConnectionRefused => return Err(error.into()),
            Err(_) if started.elapsed() > START_BOUND => bail!("does not listen after {START_BOUND:?}"),
            Err(_) => {}
        }
        if let Some(status) = process.0.try_wait()? {
            bail!("ended with {status}");
        }
        std::thread::park_timeout(CONNECT_POLL);
    }
}

fn version_ms(binary: &Path) -> anyhow::Result<f64> {
    let started = Instant::now();
    let status = Command::new(binary).arg("--version").stdout(Stdio::null()).status();
    let elapsed = started.elapsed();
    ensure!(status.with_context(|| binary.display().to_string())?.success(), "--version fails");
    Ok(elapsed.as_secs_f64() * 1_000.0)
}

fn print_results(results: &ColdStartResults) {
    let ColdStartResults { conditions, binary, binary_bytes, version_ms, series, .. } = results;
    println!("{}: {:.1} MiB, {conditions}", binary.display(), mib(*binary_bytes));
    print_line("exec to exit of --version", version_ms);
    for StartSeries { broker, starts } in series {
        let values = |value: fn(&StartTimes) -> f64| starts.iter().map(value).collect::<Vec<_>>();
        print_line(&format!("{broker}: exec to listening"), &values(|start| start.listening_ms));
        print_line(&format!("{broker}: exec to first 202"), &values(|start| start.accepted_ms));
    }
}

fn print_line(name: &str, values: &[f64]) {
    let all = || values.iter().copied();
    let (Some(spread), Some(p95)) = (Spread::compute(all()), quantile(all(), 0.95)) else { return };
    println!(
        "  {name:<42} median {:>6.2} ms  min {:>6.2}  p95 {p95:>6.2}  max {:>6.2}  ({} starts)",
        spread.median,
        spread.min,
        spread.max,
        values.len()
    );
}

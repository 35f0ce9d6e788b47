//! `loadtest fc-local`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use fc_model::real_time::{FcFront, FrontBounds, FrontConfig, FrontSummary, StartPadding};
use fc_model::{PlatformRules, ProvisionedWindow};
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;

use crate::environment::own_process;
use crate::quota_args::QuotaArgs;

/// Emulate Function Compute on this machine: an HTTP front that starts ingest-fn processes as instances.
///
/// Requests start instances. Idle instances are frozen (SIGSTOP), thaw for the next request, and stop after a while
/// with GET /pre-stop and SIGTERM. The front throttles where the platform does. GET /_fc/status on the admin address
/// reports every instance.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct FcLocalArgs {
    /// Address for requests
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9000")]
    pub listen: SocketAddr,

    /// Address of GET /_fc/status
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9001")]
    pub admin_listen: SocketAddr,

    /// Concurrent requests of one instance
    #[arg(long, value_name = "COUNT", default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=200))]
    pub concurrency: u16,

    /// Maximum instances; each is a process on this machine
    #[arg(long, value_name = "COUNT", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub instances_max: u32,

    #[command(flatten)]
    pub quota: QuotaArgs,

    /// Instances delivered at once, instead of the quota's
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub burst: Option<u32>,

    /// Instances delivered in each minute after that, instead of the quota's
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub per_min: Option<u32>,

    /// Instances kept from the start, independent of the load
    #[arg(long, value_name = "COUNT", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=64))]
    pub provisioned: u32,

    /// Also freeze provisioned instances when they are idle
    #[arg(long)]
    pub freeze_provisioned: bool,

    /// Idle time until an instance stops, milliseconds [default: the platform's, one minute]
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u32).range(100..=86_400_000))]
    pub idle_linger_ms: Option<u32>,

    /// Idle time until an instance is frozen, milliseconds [default: 100; the platform's is not documented]
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u32).range(0..=86_400_000))]
    pub freeze_after_ms: Option<u32>,

    /// Never freeze
    #[arg(long, conflicts_with_all = ["freeze_after_ms", "freeze_provisioned"])]
    pub no_freeze: bool,

    /// Delay every start to the platform's duration: container 1.2 to 4.5 s, interpreted 120 to 250 ms
    #[arg(long, value_name = "KIND", default_value = "off")]
    pub pad_cold_start: PadColdStart,

    /// Delay every start by 0.5 to 1.5 s more, for a VPC
    #[arg(long)]
    pub vpc: bool,

    /// Send POST /initialize to instances before their first request
    #[arg(long)]
    pub initialize: bool,

    /// Memory announced to instances, MB
    #[arg(long, value_name = "MB", default_value_t = 512, value_parser = clap::value_parser!(u32).range(128..=32_768))]
    pub memory_mb: u32,

    /// Time-out for an instance's response, seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub timeout_s: u64,

    /// Seed of the delays
    #[arg(long, default_value_t = 42)]
    pub seed: u64,

    /// Folder of the instances' log [default: a new temporary folder]
    #[arg(long, value_name = "DIRECTORY")]
    pub log_dir: Option<PathBuf>,

    /// Write the summary to this file as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,

    /// Flags of ingest-fn, after --; its environment variables apply too, and secrets belong there
    #[arg(last = true, value_name = "FLAGS")]
    pub ingest_fn: Vec<String>,
}

const EXAMPLE: &str = "\
Example, with the embedded broker:
  loadtest process broker --dir /tmp/spillway-broker
  export SPILLWAY_ORDER_ID_KEYS=demo=$(openssl rand -hex 32)
  loadtest fc-local -- --catalogue loadtest/catalogues/demo.toml --insecure-dev
  curl http://127.0.0.1:9001/_fc/status

Exit codes: 0 stopped in order, 1 failed, 2 wrong flags.";

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum PadColdStart {
    /// No delay: a start lasts as long as the process needs
    Off,
    /// As a custom container
    Container,
    /// As an interpreted runtime
    Interpreted,
}

impl FcLocalArgs {
    fn config(&self, directory: &Path) -> anyhow::Result<FrontConfig> {
        let facts = self.quota.facts()?;
        let quota = self.quota.select(&facts).map_err(anyhow::Error::msg)?;
        let ms = |ms: u32| Duration::from_millis(ms.into());
        let mut rules =
            PlatformRules { instances_max: self.instances_max, ..facts.rules(quota, self.concurrency) };
        rules.delivery.burst = self.burst.unwrap_or(rules.delivery.burst);
        rules.delivery.per_min = self.per_min.unwrap_or(rules.delivery.per_min);
        rules.idle_linger = self.idle_linger_ms.map_or(rules.idle_linger, ms);
        rules.freeze_after_idle =
            self.freeze_after_ms.map(ms).or(rules.freeze_after_idle).filter(|_| !self.no_freeze);
        rules.provisioned_always_cpu = !self.freeze_provisioned;
        if self.provisioned > 0 {
            rules.provisioned = vec![ProvisionedWindow {
                target: self.provisioned,
                from: Duration::ZERO,
                until: Duration::MAX,
            }];
        }
        let start = match self.pad_cold_start {
            PadColdStart::Off => None,
            PadColdStart::Container => Some(facts.cold_start.container),
            PadColdStart::Interpreted => Some(facts.cold_start.interpreted),
        };
        let mut launch = own_process("ingest-fn", directory)?;
        launch.arguments.extend(self.ingest_fn.iter().cloned());
        Ok(FrontConfig {
            listen: self.listen,
            admin: self.admin_listen,
            rules,
            launch,
            padding: StartPadding { start, vpc: self.vpc.then_some(facts.cold_start.vpc) },
            initialize: self.initialize,
            memory_mb: self.memory_mb,
            seed: self.seed,
            bounds: FrontBounds { timeout: Duration::from_secs(self.timeout_s), ..FrontBounds::default() },
        })
    }
}

/// The summary and the cost of the front.
#[derive(Debug, Serialize)]
struct SummaryWithCost {
    #[serde(flatten)]
    summary: FrontSummary,
    /// CPU time of the front's own process, seconds.
    front_cpu_s: f64,
    /// CPU time per request, microseconds; 0 if there were none.
    front_cpu_request_us: f64,
}

/// Runs until SIGINT or SIGTERM, on a single-threaded runtime: the front shares the machine with its instances, and a
/// request never changes threads.
#[tokio::main(flavor = "current_thread")]
pub(crate) async fn run(args: &FcLocalArgs) -> anyhow::Result<ExitCode> {
    let interrupted = shared::shutdown::on_signal()?;
    let directory = match &args.log_dir {
        Some(directory) => directory.clone(),
        None => std::env::temp_dir().join(format!("spillway-fc-local-{}", std::process::id())),
    };
    std::fs::create_dir_all(&directory).with_context(|| directory.display().to_string())?;
    let front = FcFront::start(args.config(&directory)?).await?;
    println!(
        "Requests   http://{}\nStatus     http://{}/_fc/status\nLog        {}",
        front.address,
        front.admin,
        directory.join("ingest-fn.log").display()
    );
    interrupted.cancelled().await;
    println!("Stopping the instances");
    let summary = front.stop().await;
    let front_cpu_s = process_cpu_s();
    let front_cpu_request_us = match summary.counts.arrived {
        0 => 0.0,
        requests => front_cpu_s * 1e6 / requests as f64,
    };
    let outcome = SummaryWithCost { summary, front_cpu_s, front_cpu_request_us };
    println!("{}  {:<40} {front_cpu_request_us:>12.1}", outcome.summary, "CPU of the front per request, us");
    if let Some(path) = &args.json {
        std::fs::write(path, serde_json::to_vec_pretty(&outcome)?)
            .with_context(|| path.display().to_string())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// CPU time of this process, without its children's.
fn process_cpu_s() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

//! `loadtest process …`: Spillway's services as processes of this program.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use shared::config::LogArgs;
use spillway_broker::{Broker, BrokerConfig, TopicConfig};
use tokio::time::Instant;

use crate::fc_local::{self, FcLocalArgs};

/// If standard input closes within this time, no parent ever held it open.
const CLOSED_AT_START: Duration = Duration::from_secs(1);

#[derive(Debug, clap::Subcommand)]
pub enum Process {
    /// The embedded broker
    Broker(BrokerArgs),
    /// Function Compute with ingest-fn instances
    FcLocal(Box<FcLocalArgs>),
    /// ingest-fn, with its own flags
    IngestFn {
        /// Flags of ingest-fn
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        flags: Vec<OsString>,
    },
    /// The drain worker, with its own flags
    DrainWorker {
        /// Flags of drain-worker
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        flags: Vec<OsString>,
    },
}

#[derive(Clone, Debug, clap::Args)]
pub struct BrokerArgs {
    #[arg(long, value_name = "DIRECTORY")]
    pub dir: PathBuf,
    /// Address to listen on
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8081")]
    pub listen: SocketAddr,
    /// Topic to create
    #[arg(long, default_value = "orders")]
    pub topic: String,
    /// Queues of the topic
    #[arg(long, default_value_t = 8)]
    pub queues: usize,
    /// Consumer group to create
    #[arg(long, default_value = "drain")]
    pub group: String,
    #[command(flatten)]
    pub logs: LogArgs,
}

impl Process {
    pub fn run(self) -> ExitCode {
        end_with_parent();
        let with_name = |name: &str, flags: Vec<OsString>| std::iter::once(OsString::from(name)).chain(flags);
        match self {
            Self::Broker(args) => exit_code("broker", run_broker(args).map(|()| ExitCode::SUCCESS)),
            Self::FcLocal(args) => exit_code("fc-local", fc_local::run(&args)),
            Self::IngestFn { flags } => ingest_fn::cli::main(with_name("ingest-fn", flags)),
            Self::DrainWorker { flags } => drain_worker::cli::main(with_name("drain-worker", flags)),
        }
    }
}

/// Prints an error of the process `name`.
pub fn exit_code(name: &str, result: anyhow::Result<ExitCode>) -> ExitCode {
    result.unwrap_or_else(|error| {
        eprintln!("{name}: {error:#}");
        ExitCode::FAILURE
    })
}

/// Ends this process when its parent ends: standard input then reads as closed. A stopped process (SIGSTOP) cannot
/// read, so Linux is asked to kill it.
pub fn end_with_parent() {
    #[cfg(target_os = "linux")]
    let _refused = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
    std::thread::spawn(|| {
        let started = Instant::now();
        let _closed = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        if started.elapsed() < CLOSED_AT_START {
            eprintln!(
                "loadtest process: standard input is closed, so this process ends: it runs only while its parent holds \
                 its standard input open"
            );
        }
        std::process::exit(1);
    });
}

#[tokio::main]
async fn run_broker(args: BrokerArgs) -> anyhow::Result<()> {
    args.logs.init()?;
    let shutdown = shared::shutdown::on_signal()?;
    let mut config = BrokerConfig::at(args.dir);
    config.listen = args.listen;
    config.topics = vec![TopicConfig::new(args.topic, args.queues)];
    // The worker's second group reads the broker's dead-letter topic.
    config.groups = vec![format!("{}-dead-letters", args.group), args.group];
    // The real server's minimum of five seconds would only slow a demo down.
    config.long_polling_min = Duration::from_millis(200);
    let broker = Broker::open(config).await?;
    tracing::info!(event = "broker_listening", address = %broker.local_addr(), "embedded broker listens");
    shutdown.cancelled().await;
    Ok(broker.shutdown().await?)
}

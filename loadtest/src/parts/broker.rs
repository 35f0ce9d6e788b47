//! The embedded broker as a process.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use shared::config::LogArgs;
use spillway_broker::{Broker, BrokerConfig};

/// Flags of the embedded broker.
#[derive(Clone, Debug, clap::Args)]
pub struct BrokerArgs {
    /// Where the log lies
    #[arg(long, value_name = "DIRECTORY")]
    pub dir: PathBuf,
    /// Address to listen on
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8081")]
    pub listen: SocketAddr,
    /// Topic to make
    #[arg(long, default_value = "orders")]
    pub topic: String,
    /// Queues of the topic
    #[arg(long, default_value_t = 8)]
    pub queues: usize,
    /// Consumer group to make
    #[arg(long, default_value = "drain")]
    pub group: String,
    /// Logs.
    #[command(flatten)]
    pub logs: LogArgs,
}

/// Runs the broker until it is told to stop.
pub(super) fn run(args: BrokerArgs) -> ExitCode {
    match serve(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("broker: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn serve(args: BrokerArgs) -> anyhow::Result<()> {
    args.logs.init()?;
    let shutdown = shared::shutdown::on_signal()?;
    let mut config = BrokerConfig::at(args.dir);
    config.listen = args.listen;
    config.topics = vec![(args.topic, args.queues)];
    // And the group by which the worker takes over what this one gave up.
    config.groups = vec![format!("{}-dead-letters", args.group), args.group];
    // The real server's five seconds would only slow a demo down.
    config.long_polling_min = Duration::from_millis(200);
    let broker = Broker::open(config).await?;
    tracing::info!(address = %broker.local_addr(), "the embedded broker listens");
    shutdown.cancelled().await;
    Ok(broker.shutdown().await?)
}

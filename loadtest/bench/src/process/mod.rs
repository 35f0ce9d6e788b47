//! `loadtest-bench process …`: the services and the benchmarks' own servers as processes.

mod axum_baseline;
mod client_load;
mod no_broker;
mod stub_server;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::process::ExitCode;

use loadtest::process::{Process, end_with_parent, exit_code};

pub(crate) use client_load::{ClientLoadArgs, ClientWork};
pub(crate) use stub_server::COUNT_PATH;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum BenchProcess {
    #[command(flatten)]
    Service(Process),
    /// A server that responds 202 without work
    StubServer {
        #[arg(long, value_name = "ADDRESS")]
        listen: SocketAddr,
    },
    /// A plain axum handler, which ingest-fn is compared with
    AxumBaseline {
        #[arg(long, value_name = "ADDRESS")]
        listen: SocketAddr,
        /// Single-threaded runtimes, as in ingest-fn; otherwise one multi-threaded runtime, as in axum's examples
        #[arg(long, value_name = "COUNT")]
        workers: Option<NonZeroUsize>,
    },
    /// Send or receive without end
    ClientLoad(ClientLoadArgs),
    /// ingest-fn without a broker
    NoBroker {
        /// Flags of ingest-fn
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        flags: Vec<OsString>,
    },
}

impl BenchProcess {
    pub(crate) fn run(self) -> ExitCode {
        let (name, result) = match self {
            Self::Service(process) => return process.run(),
            Self::StubServer { listen } => {
                end_with_parent();
                ("stub-server", stub_server::serve(listen))
            }
            Self::AxumBaseline { listen, workers } => {
                end_with_parent();
                ("axum-baseline", axum_baseline::run(listen, workers))
            }
            // It reads its standard input itself, and ends with it.
            Self::ClientLoad(args) => ("client-load", client_load::run(args)),
            Self::NoBroker { flags } => {
                end_with_parent();
                ("no-broker", no_broker::run(std::iter::once(OsString::from("ingest-fn")).chain(flags)))
            }
        };
        exit_code(name, result.map(|()| ExitCode::SUCCESS))
    }
}

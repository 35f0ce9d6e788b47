//! Spillway's services as child processes of this program, which holds them all: `loadtest part …` is one of them.

mod answerer;
mod bare;
mod broker;
mod child;
mod unpublished;

use std::ffi::OsString;
use std::process::ExitCode;

use crate::fc_local::{self, FcLocalArgs};

pub use answerer::AnswererArgs;
pub(crate) use answerer::COUNT_PATH;
pub use bare::BareArgs;
pub use broker::BrokerArgs;
pub use child::{Child, free_address};

/// A part, run as a process of its own.
#[derive(Debug, clap::Subcommand)]
pub enum Part {
    /// The embedded broker
    Broker(BrokerArgs),
    /// Function Compute, with instances of ingest-fn
    FcLocal(Box<FcLocalArgs>),
    /// The benchmark's trivial server
    Answerer(AnswererArgs),
    /// The bare handler that ingest-fn is measured against
    Bare(BareArgs),
    /// ingest-fn without a broker, for the benchmark; with its own flags
    Unpublished {
        /// Flags of ingest-fn
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        flags: Vec<OsString>,
    },
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

impl Part {
    /// Runs the part until it is told to stop.
    pub fn run(self) -> ExitCode {
        end_with_parent();
        let with_name = |name: &str, flags: Vec<OsString>| std::iter::once(OsString::from(name)).chain(flags);
        match self {
            Self::Broker(args) => broker::run(args),
            Self::FcLocal(args) => fc_local::on_one_thread(*args).unwrap_or_else(|error| {
                eprintln!("fc-local: {error:#}");
                ExitCode::FAILURE
            }),
            Self::Answerer(args) => answerer::run(args),
            Self::Bare(args) => bare::run(args),
            Self::Unpublished { flags } => unpublished::run(with_name("ingest-fn", flags)),
            Self::IngestFn { flags } => ingest_fn::cli::main(with_name("ingest-fn", flags)),
            Self::DrainWorker { flags } => drain_worker::cli::main(with_name("drain-worker", flags)),
        }
    }
}

/// A part must not outlive the process that started it, however that ends: its standard input then reads as ended.
/// One that is stopped at that moment (SIGSTOP) reads nothing, so Linux is asked to kill it.
fn end_with_parent() {
    #[cfg(target_os = "linux")]
    let _refused = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
    std::thread::spawn(|| {
        let mut nothing = std::io::sink();
        let _ended = std::io::copy(&mut std::io::stdin(), &mut nothing);
        std::process::exit(1);
    });
}

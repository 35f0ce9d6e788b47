//! The command line, for this crate's binary and for programs that embed it.

mod client;
mod dlq;
mod operate;
mod orders;
mod purge;
mod render;
mod sales;
mod settings_client;
mod status;
mod terminal;

use std::ffi::OsString;
use std::io::ErrorKind;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use serde_json::json;
use shared::catalogue::Catalogue;
use shared::config::{ConfigErrors, EXIT_CONFIG};

use client::AdminClientError;
use terminal::Page;

use crate::config::{AuditContextArgs, Cli, Command, InitArgs, MigrateArgs, RunArgs, TotalsArgs};
use crate::control::AuditContext;
use crate::init::{InitError, init};
use crate::store::{DatabaseUrlFault, Store, StoreConfig, StoreError, check_url};
use crate::tune::{self, TuneArgs, TuneError};
use crate::{Listeners, RunError, run};

/// As clap's.
const EXIT_USAGE: u8 = 2;

/// The status that a shell shows for a program that SIGPIPE ended.
const EXIT_PIPE: u8 = 141;

#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    #[error(transparent)]
    Run(#[from] RunError),
    #[error(transparent)]
    Init(#[from] InitError),
    #[error("database: {0}")]
    Store(#[from] StoreError),
    #[error(transparent)]
    AdminClient(#[from] AdminClientError),
    #[error("{0}")]
    Usage(&'static str),
    /// Something remains to be done.
    #[error("{0}")]
    Unsettled(String),
    #[error(transparent)]
    Tune(#[from] TuneError),
    #[error("the worker's response cannot be read: {0}")]
    Json(#[from] serde_json::Error),
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

impl CommandError {
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Config(_) => ExitCode::from(EXIT_CONFIG),
            Self::Usage(_) => ExitCode::from(EXIT_USAGE),
            Self::AdminClient(error) => ExitCode::from(error.exit_code()),
            Self::Store(error) | Self::Run(RunError::Store(error)) | Self::Init(InitError::Store(error))
                if error.is_configuration() =>
            {
                ExitCode::from(EXIT_CONFIG)
            }
            Self::Store(_)
            | Self::Run(_)
            | Self::Init(_)
            | Self::Unsettled(_)
            | Self::Tune(_)
            | Self::Json(_)
            | Self::Io(_) => ExitCode::FAILURE,
        }
    }
}

/// Runs `drain-worker` with `arguments`, the program's name first, until the command ends.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let command = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli.command,
        Err(error) => error.exit(),
    };
    match execute(command) {
        Ok(()) => ExitCode::SUCCESS,
        // The reader of the output has seen enough, as with `dlq list | head`.
        Err(CommandError::Io(error)) if error.kind() == ErrorKind::BrokenPipe => ExitCode::from(EXIT_PIPE),
        Err(error) => {
            terminal::complain(&format!("drain-worker: {error}"));
            error.exit_code()
        }
    }
}

#[tokio::main]
async fn execute(command: Command) -> Result<(), CommandError> {
    match command {
        Command::Run(args) => drain(*args).await,
        Command::Migrate(args) => migrate(args).await,
        Command::Init(args) => prepare(*args).await,
        Command::Status(args) => status::status(args).await,
        Command::Rate(command) => operate::rate(command).await,
        Command::Pause(args) => operate::pause(args).await,
        Command::Resume(args) => operate::resume(args).await,
        Command::Cordon(args) => operate::cordon(args, "cordon").await,
        Command::Uncordon(args) => operate::cordon(args, "uncordon").await,
        Command::Schedule(command) => operate::schedule(command).await,
        Command::Order(command) => orders::order(command).await,
        Command::Sales(args) => sales::sales(args).await,
        Command::Dlq(command) => dlq::dlq(command).await,
        Command::Audit(args) => operate::audit(args).await,
        Command::Purge(args) => purge::purge(args).await,
        Command::Totals(args) => totals(args).await,
        Command::Tune(args) => tune(&args).await,
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "drain-worker", &mut script);
            Ok(terminal::write_out(&String::from_utf8_lossy(&script))?)
        }
    }
}

async fn drain(args: RunArgs) -> Result<(), CommandError> {
    if args.print_config {
        return Ok(terminal::print_json(&args)?);
    }
    args.logs.init()?;
    let settings = args.settings()?;
    let shutdown = shared::shutdown::on_signal()?;
    shared::http::raise_open_files();
    let bind = |flag: &str, address| {
        shared::http::listen(address)
            .map_err(|error| std::io::Error::new(error.kind(), format!("{flag} {address}: {error}")))
    };
    let listeners = Listeners {
        query: bind("--query-listen", args.drain.query_listen)?,
        admin: bind("--admin-listen", args.drain.admin_listen)?,
    };
    Ok(run(settings, listeners, shutdown).await?)
}

async fn migrate(args: MigrateArgs) -> Result<(), CommandError> {
    args.logs.init()?;
    let mut errors = ConfigErrors::default();
    args.database.check(&mut errors);
    errors.into_result()?;
    let store = Store::connect(&args.database.database_url, StoreConfig::default()).await?;
    store.migrate().await?;
    tracing::info!(event = "schema_migrated", database = %args.database.database_url, "the schema is up to date");
    Ok(())
}

async fn prepare(args: InitArgs) -> Result<(), CommandError> {
    args.logs.init()?;
    let mut errors = ConfigErrors::default();
    let client = args.rocketmq.client_config(&mut errors);
    args.database.check(&mut errors);
    let catalogue = Catalogue::load(&args.catalogue)
        .map_err(|error| errors.push(format_args!("--catalogue: {error}")))
        .ok();
    let AuditContextArgs { who, reason } = args.context;
    let context = AuditContext::new(who, reason).map_err(|error| errors.push(format_args!("--{error}"))).ok();
    let (Some(client), Some(catalogue), Some(context), true) =
        (client, catalogue, context, errors.is_empty())
    else {
        return Err(errors.into());
    };
    let (group, topic) = (&args.consumer_group, &args.rocketmq.orders_topic);
    let prepared = init(&args.database.database_url, &catalogue, client, group, topic, &context).await?;
    tracing::info!(
        event = "prepared",
        queues = prepared.queues,
        waiting = prepared.waiting,
        "ready for the first order"
    );
    Ok(())
}

async fn totals(args: TotalsArgs) -> Result<(), CommandError> {
    let mut errors = ConfigErrors::default();
    args.database.check(&mut errors);
    errors.into_result()?;
    let store = Store::connect(&args.database.database_url, args.database.store_config()).await?;
    let counts = store.counts().await?;
    let rejected: serde_json::Map<_, _> =
        counts.rejected.iter().map(|(reason, orders)| (reason.as_str().to_owned(), json!(orders))).collect();
    let totals = json!({
        "orders": counts.orders(),
        "confirmed": counts.confirmed,
        "rejected": rejected,
        "conflicts": counts.conflicts,
        "dead_letters": counts.dead_letters,
    });
    Ok(terminal::print_json(&totals)?)
}

async fn tune(args: &TuneArgs) -> Result<(), CommandError> {
    let mut errors = ConfigErrors::default();
    // The server's URL: tune makes a database of its own.
    if let Err(fault) = check_url(&args.database_url)
        && fault != DatabaseUrlFault::NoDatabase
    {
        errors.push(format_args!("--database-url: {fault}"));
    }
    errors.into_result()?;
    let stop = shared::shutdown::on_signal()?;
    let tuned = tune::tune(args, &stop, if args.json { terminal::complain } else { print_all }).await?;
    if args.json {
        terminal::print_json(&tuned)?;
    }
    if tuned.knee.is_none() { Err(TuneError::NoCap.into()) } else { Ok(()) }
}

/// Prints a report's text; a measurement goes on without a reader.
fn print_all(text: &str) {
    let mut page = Page::default();
    text.lines().for_each(|line| page.line(line));
    let _is_read = page.print();
}

//! `ingest-fn`: see `--help`, and the crate's README.

use std::process::ExitCode;

use clap::Parser;
use ingest_fn::config::Config;
use tokio::net::TcpListener;

/// sysexits' EX_CONFIG: the process manager need not try again.
const EXIT_CONFIG: u8 = 64;

fn main() -> ExitCode {
    let config = Config::parse();
    if config.print_config {
        println!("{}", serde_json::to_string_pretty(&config).unwrap_or_default());
        return ExitCode::SUCCESS;
    }
    let settings = match config.logs.init().and_then(|()| config.settings()) {
        Ok(settings) => settings,
        Err(errors) => {
            eprintln!("ingest-fn: {errors}");
            return ExitCode::from(EXIT_CONFIG);
        }
    };
    match run(settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ingest-fn: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn run(settings: ingest_fn::config::Settings) -> anyhow::Result<()> {
    let shutdown = shared::shutdown::on_signal()?;
    let listener = TcpListener::bind(settings.listen).await?;
    Ok(ingest_fn::run(settings, listener, shutdown).await?)
}

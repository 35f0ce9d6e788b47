//! The command line, for this crate's binary and for programs that embed it.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;
use shared::config::{EXIT_CONFIG, LogArgs, UsageError};

use crate::config::{Config, Settings};
use crate::run;
use crate::server::RunError;

/// Runs `ingest-fn` with `arguments`, the program's name first, until SIGTERM or Ctrl-C.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<_> = arguments.into_iter().collect();
    let config = match Config::try_parse_from(&arguments) {
        Ok(config) => config,
        // The help, or the version.
        Err(asked) if !asked.use_stderr() => asked.exit(),
        Err(error) => {
            let logs = LogArgs::from_faulty(&arguments);
            // A faulty filter is one more error of the same command line.
            let _reported_anyway = logs.init();
            let _best_effort = error.print();
            log(logs.is_json(), "wrong_configuration", &UsageError::from(error));
            return ExitCode::from(EXIT_CONFIG);
        }
    };
    if config.print_config {
        println!("{}", serde_json::to_string_pretty(&config.effective()).unwrap_or_default());
        return ExitCode::SUCCESS;
    }
    let settings = match (config.logs.init(), config.settings()) {
        (Ok(()), Ok(settings)) => settings,
        (logs, settings) => {
            for errors in [logs.err(), settings.err()].into_iter().flatten() {
                report(config.logs.is_json(), "wrong_configuration", &errors);
            }
            return ExitCode::from(EXIT_CONFIG);
        }
    };
    match serve(settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(config.logs.is_json(), "run_failed", &error);
            ExitCode::FAILURE
        }
    }
}

/// Writes to standard error for people, and a log line where machines read the log.
fn report(logs_are_json: bool, error_code: &str, error: &dyn std::error::Error) {
    eprintln!("ingest-fn: {error}");
    log(logs_are_json, error_code, error);
}

fn log(logs_are_json: bool, error_code: &str, error: &dyn std::error::Error) {
    if logs_are_json {
        tracing::error!(event = "start_failed", error_code, %error, "ingest-fn did not start");
    }
}

#[tokio::main(flavor = "current_thread")]
async fn serve(settings: Settings) -> Result<(), RunError> {
    let shutdown = shared::shutdown::on_signal()?;
    shared::http::raise_open_files();
    let listener = shared::http::listen(settings.listen).map_err(|error| {
        std::io::Error::new(error.kind(), format!("--listen {}: {error}", settings.listen))
    })?;
    run(settings, listener, shutdown).await
}

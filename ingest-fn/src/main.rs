//! `ingest-fn`: see `--help`, and the crate's README.

use std::process::ExitCode;

fn main() -> ExitCode {
    ingest_fn::cli::main(std::env::args_os())
}

//! `drain-worker`: see `--help`, and the crate's README.

use std::process::ExitCode;

fn main() -> ExitCode {
    drain_worker::cli::main(std::env::args_os())
}

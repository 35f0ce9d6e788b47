//! `loadtest`: see `--help`, and the crate's README.

use std::process::ExitCode;

fn main() -> ExitCode {
    loadtest::cli::main()
}

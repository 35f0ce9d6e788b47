//! `loadtest`: see `--help`, and the crate's README.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// An order causes dozens of small allocations; ingest-fn's README has the measurements.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    loadtest::cli::main()
}

//! `ingest-fn`: see `--help`, and the crate's README.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// An order is some dozens of small allocations; see the section on speed in ingest-fn's README for what this saves.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    ingest_fn::cli::main(std::env::args_os())
}

//! `ingest-fn`: see `--help`, and the crate's README.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// An order costs some dozens of small allocations; the README's section on speed states what this allocator saves.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    ingest_fn::cli::main(std::env::args_os())
}

//! This program's own processes.

use std::path::Path;

use fc_model::process::ProcessLaunch;

/// Launches `loadtest process <name>`, which must accept the arguments added by the caller. Uses the binary of this
/// process, even if it was rebuilt since.
pub fn own_process(name: &'static str, directory: &Path) -> anyhow::Result<ProcessLaunch> {
    Ok(ProcessLaunch {
        program: std::env::current_exe()?,
        name,
        arguments: vec!["process".to_owned(), name.to_owned()],
        environment: Vec::new(),
        directory: directory.to_owned(),
    })
}

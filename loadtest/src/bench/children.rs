//! CPU time of processes, as the system accounts for it once they have ended.

use anyhow::{Context, bail};
use tokio::process::Command;
use tokio::time::{Duration, timeout};

/// Runs `command` to its end, within `bound`. Its CPU time, seconds, user and system, its own children included.
pub(super) async fn cpu_s_of(command: &mut Command, bound: Duration) -> anyhow::Result<f64> {
    let before = ended_children_cpu_s()?;
    let output = timeout(bound, command.kill_on_drop(true).output())
        .await
        .context("it did not end in time")?
        .with_context(|| format!("{command:?}"))?;
    if !output.status.success() {
        bail!("{command:?}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    Ok(ended_children_cpu_s()? - before)
}

#[cfg(target_os = "linux")]
fn ended_children_cpu_s() -> anyhow::Result<f64> {
    let stat = procfs::process::Process::myself()?.stat()?;
    Ok((stat.cutime + stat.cstime) as f64 / procfs::ticks_per_second() as f64)
}

/// CPU time of a running process, seconds.
#[cfg(target_os = "linux")]
pub(super) fn cpu_s_now(pid: u32) -> anyhow::Result<f64> {
    let stat = procfs::process::Process::new(i32::try_from(pid)?)?.stat()?;
    Ok((stat.utime + stat.stime) as f64 / procfs::ticks_per_second() as f64)
}

#[cfg(not(target_os = "linux"))]
fn ended_children_cpu_s() -> anyhow::Result<f64> {
    bail!("the benchmark reads /proc: it runs on Linux")
}

/// Not here.
#[cfg(not(target_os = "linux"))]
pub(super) fn cpu_s_now(_pid: u32) -> anyhow::Result<f64> {
    bail!("the benchmark reads /proc: it runs on Linux")
}

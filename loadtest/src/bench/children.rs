//! CPU time and memory of processes, as the system accounts for them.

use anyhow::{Context, bail};
use tokio::process::Command;
use tokio::time::{Duration, timeout};

/// A command that has ended well.
#[derive(Debug)]
pub(super) struct Ended {
    /// Its CPU time, seconds, user and system, its own children included.
    pub(super) cpu_s: f64,
    /// What it printed.
    pub(super) stdout: String,
}

/// Runs `command` to its end, within `bound`.
pub(super) async fn run_to_end(command: &mut Command, bound: Duration) -> anyhow::Result<Ended> {
    let before = ended_children_cpu_s()?;
    let output = timeout(bound, command.kill_on_drop(true).output())
        .await
        .context("it did not end in time")?
        .with_context(|| format!("{command:?}"))?;
    if !output.status.success() {
        bail!("{command:?}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(Ended { cpu_s: ended_children_cpu_s()? - before, stdout })
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

/// CPU time that the whole machine has spent on anything so far, seconds; what a hypervisor took away counts.
#[cfg(target_os = "linux")]
pub(super) fn machine_cpu_s_now() -> anyhow::Result<f64> {
    use procfs::CurrentSI;

    let total = procfs::KernelStats::current()?.total;
    let kernel = total.system + total.irq.unwrap_or(0) + total.softirq.unwrap_or(0);
    let ticks = total.user + total.nice + kernel + total.steal.unwrap_or(0);
    Ok(ticks as f64 / procfs::ticks_per_second() as f64)
}

/// Not here.
#[cfg(not(target_os = "linux"))]
pub(super) fn machine_cpu_s_now() -> anyhow::Result<f64> {
    bail!("the benchmark reads /proc: it runs on Linux")
}

/// The most memory that a running process has ever held (VmHWM), bytes.
#[cfg(target_os = "linux")]
pub(super) fn rss_high_bytes(pid: u32) -> anyhow::Result<u64> {
    let status = procfs::process::Process::new(i32::try_from(pid)?)?.status()?;
    Ok(status.vmhwm.context("the process has ended")? * 1024)
}

/// Not here.
#[cfg(not(target_os = "linux"))]
pub(super) fn rss_high_bytes(_pid: u32) -> anyhow::Result<u64> {
    bail!("the benchmark reads /proc: it runs on Linux")
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

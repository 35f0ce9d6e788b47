//! CPU time and memory of processes, as Linux accounts for them.

use anyhow::{Context, bail};
use loadtest::run::EXIT_NOT_JUDGED;
use tokio::process::Command;
use tokio::time::{Duration, timeout};

#[derive(Debug)]
pub(crate) struct FinishedCommand {
    /// User and system time, its children's included.
    pub(crate) cpu_s: f64,
    pub(crate) stdout: String,
}

pub(crate) async fn run_to_end(command: &mut Command, bound: Duration) -> anyhow::Result<FinishedCommand> {
    let before = ended_children_cpu_s()?;
    let output = timeout(bound, command.kill_on_drop(true).output())
        .await
        .with_context(|| format!("{command:?} did not end within {bound:?}"))?
        .with_context(|| format!("{command:?}"))?;
    // A window of loadtest alone has no ledger and no expectation.
    let judged_nothing = output.status.code() == Some(EXIT_NOT_JUDGED.into());
    if !output.status.success() && !judged_nothing {
        bail!("{command:?}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(FinishedCommand { cpu_s: ended_children_cpu_s()? - before, stdout })
}

#[cfg(target_os = "linux")]
mod proc {
    use anyhow::Context;
    use procfs::CurrentSI;
    use procfs::process::Process;

    fn seconds(ticks: u64) -> f64 {
        ticks as f64 / procfs::ticks_per_second() as f64
    }

    pub(crate) fn ended_children_cpu_s() -> anyhow::Result<f64> {
        let stat = Process::myself()?.stat()?;
        Ok((stat.cutime + stat.cstime) as f64 / procfs::ticks_per_second() as f64)
    }

    pub(crate) fn cpu_s_now(pid: u32) -> anyhow::Result<f64> {
        let stat = Process::new(i32::try_from(pid)?)?.stat()?;
        Ok(seconds(stat.utime + stat.stime))
    }

    /// CPU time of the whole machine so far; time stolen by the hypervisor counts.
    pub(crate) fn machine_cpu_s_now() -> anyhow::Result<f64> {
        let total = procfs::KernelStats::current()?.total;
        let kernel = total.system + total.irq.unwrap_or(0) + total.softirq.unwrap_or(0);
        Ok(seconds(total.user + total.nice + kernel + total.steal.unwrap_or(0)))
    }

    /// The process's peak resident memory (VmHWM).
    pub(crate) fn rss_high_bytes(pid: u32) -> anyhow::Result<u64> {
        let status = Process::new(i32::try_from(pid)?)?.status()?;
        Ok(status.vmhwm.context("the process has ended")? * 1024)
    }
}

#[cfg(not(target_os = "linux"))]
mod proc {
    const ONLY_LINUX: &str = "this benchmark reads /proc: it runs on Linux";

    pub(crate) fn ended_children_cpu_s() -> anyhow::Result<f64> {
        anyhow::bail!(ONLY_LINUX)
    }

    pub(crate) fn cpu_s_now(_pid: u32) -> anyhow::Result<f64> {
        anyhow::bail!(ONLY_LINUX)
    }

    pub(crate) fn machine_cpu_s_now() -> anyhow::Result<f64> {
        anyhow::bail!(ONLY_LINUX)
    }

    pub(crate) fn rss_high_bytes(_pid: u32) -> anyhow::Result<u64> {
        anyhow::bail!(ONLY_LINUX)
    }
}

use proc::ended_children_cpu_s;
pub(crate) use proc::{cpu_s_now, machine_cpu_s_now, rss_high_bytes};

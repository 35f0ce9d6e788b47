//! The machine that a run is on.

use crate::report::Machine;

pub fn describe() -> Machine {
    let uname = rustix::system::uname();
    let text = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
    Machine {
        cpus: std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get),
        cpu_model: cpu_model(),
        memory_bytes: memory_bytes(),
        kernel: format!("{} {}", text(uname.sysname()), text(uname.release())),
    }
}

/// Name of this machine in its network.
pub(super) fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[cfg(target_os = "linux")]
fn cpu_model() -> String {
    use procfs::Current;

    procfs::CpuInfo::current().ok().and_then(|info| info.model_name(0).map(str::to_owned)).unwrap_or_default()
}

#[cfg(target_os = "linux")]
fn memory_bytes() -> u64 {
    use procfs::Current;

    procfs::Meminfo::current().map_or(0, |memory| memory.mem_total)
}

#[cfg(not(target_os = "linux"))]
fn cpu_model() -> String {
    String::new()
}

#[cfg(not(target_os = "linux"))]
fn memory_bytes() -> u64 {
    0
}

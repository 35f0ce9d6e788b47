//! System settings of a thread: pinning, priority, CPU accounting.

/// Pins the calling thread to one processor; returns true on success.
#[cfg(target_os = "linux")]
pub(super) fn pin_to(cpu: usize) -> bool {
    if cpu >= rustix::thread::CpuSet::MAX_CPU {
        return false;
    }
    let mut cpus = rustix::thread::CpuSet::new();
    cpus.set(cpu);
    rustix::thread::sched_setaffinity(None, &cpus).is_ok()
}

#[cfg(not(target_os = "linux"))]
pub(super) fn pin_to(_cpu: usize) -> bool {
    false
}

/// Raises the priority over the processes under test, so that a lack of CPU shows in their responses and not in the
/// sending. Needs a privilege; without it nothing changes.
#[cfg(target_os = "linux")]
pub(super) fn prefer() {
    // On Linux the priority applies to the calling thread only.
    let _not_permitted = rustix::process::setpriority_process(None, -10);
}

/// Elsewhere the priority applies to the whole process, so it stays.
#[cfg(not(target_os = "linux"))]
pub(super) fn prefer() {}

/// CPU time of the calling thread so far, nanoseconds.
pub(super) fn cpu_ns() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

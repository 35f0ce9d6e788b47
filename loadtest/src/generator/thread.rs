//! System settings of a thread: pinning, CPU accounting.

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

/// CPU time of the calling thread so far, nanoseconds.
pub(super) fn cpu_ns() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

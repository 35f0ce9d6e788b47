//! What the system lets a thread be: pinned, preferred, accounted for.

/// Pins the calling thread to one processor. Whether it could be.
#[cfg(target_os = "linux")]
pub(super) fn pin_to(cpu: usize) -> bool {
    if cpu >= rustix::thread::CpuSet::MAX_CPU {
        return false;
    }
    let mut cpus = rustix::thread::CpuSet::new();
    cpus.set(cpu);
    rustix::thread::sched_setaffinity(None, &cpus).is_ok()
}

/// Elsewhere threads cannot be pinned.
#[cfg(not(target_os = "linux"))]
pub(super) fn pin_to(_cpu: usize) -> bool {
    false
}

/// Asks for preference over the processes under test, whose lack of CPU must show in their answers and not in the
/// sending. Takes a privilege; without it nothing changes.
#[cfg(target_os = "linux")]
pub(super) fn prefer() {
    // On Linux the priority is the calling thread's alone.
    let _not_permitted = rustix::process::setpriority_process(None, -10);
}

/// Elsewhere the priority is the whole process's, which is left alone.
#[cfg(not(target_os = "linux"))]
pub(super) fn prefer() {}

/// CPU time of the calling thread so far, nanoseconds.
pub(super) fn cpu_ns() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Raises the process's bound on open files as far as it may be raised: each connection is one. Child processes
/// inherit it.
pub(crate) fn raise_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // Too few show themselves as connections that cannot be opened, and the report counts those.
    let _as_before = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}

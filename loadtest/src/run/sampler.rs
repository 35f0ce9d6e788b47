//! CPU and memory of processes, as the system accounts for them.

use crate::report::{ProcessSample, ProcessUse};

#[derive(Debug, Default)]
pub(super) struct ProcessSampler {
    tracks: Vec<ProcessTrack>,
}

#[derive(Debug)]
struct ProcessTrack {
    pid: u32,
    /// The time of the previous sample and the process's CPU time by then.
    last: (u64, f64),
    used: ProcessUse,
}

/// CPU time so far in seconds, and resident memory in bytes.
type ProcessUsage = (f64, u64);

impl ProcessSampler {
    /// Samples `processes` (name and pid), `at_ms` since the first planned request. A restarted process continues the
    /// track of its name.
    pub(super) fn look(&mut self, at_ms: u64, processes: &[(String, u32)]) {
        for (name, pid) in processes {
            if let Some(usage) = usage(*pid) {
                self.note(at_ms, name, *pid, usage);
            }
        }
    }

    fn note(&mut self, at_ms: u64, name: &str, pid: u32, (cpu_s, rss_bytes): ProcessUsage) {
        let Some(track) = self.tracks.iter_mut().find(|track| track.used.name == name) else {
            let used =
                ProcessUse { name: name.to_owned(), rss_max_bytes: rss_bytes, ..ProcessUse::default() };
            self.tracks.push(ProcessTrack { pid, last: (at_ms, cpu_s), used });
            return;
        };
        let (last_at_ms, last_cpu_s) = track.last;
        // A new process starts without CPU time.
        let since = if track.pid == pid { cpu_s - last_cpu_s } else { cpu_s };
        let passed_s = at_ms.saturating_sub(last_at_ms) as f64 / 1_000.0;
        if passed_s <= 0.0 {
            return;
        }
        (track.pid, track.last) = (pid, (at_ms, cpu_s));
        track.used.cpu_s += since;
        track.used.rss_max_bytes = track.used.rss_max_bytes.max(rss_bytes);
        track.used.samples.push(ProcessSample { at_ms, cpus: since / passed_s, rss_bytes });
    }

    pub(super) fn finish(self) -> Vec<ProcessUse> {
        self.tracks.into_iter().map(|track| track.used).collect()
    }
}

#[cfg(target_os = "linux")]
fn usage(pid: u32) -> Option<ProcessUsage> {
    let process = procfs::process::Process::new(i32::try_from(pid).ok()?).ok()?;
    let stat = process.stat().ok()?;
    let cpu_s = (stat.utime + stat.stime) as f64 / procfs::ticks_per_second() as f64;
    Some((cpu_s, stat.rss * procfs::page_size()))
}

#[cfg(not(target_os = "linux"))]
fn usage(_pid: u32) -> Option<ProcessUsage> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restarted_process_continues_its_track() {
        let mut sampler = ProcessSampler::default();
        sampler.note(0, "worker", 1, (5.0, 100));
        sampler.note(1_000, "worker", 1, (5.5, 300));
        sampler.note(2_000, "worker", 2, (0.25, 200));
        let used = sampler.finish();
        assert_eq!(used.len(), 1);
        assert!((used[0].cpu_s - 0.75).abs() < 1e-9, "{used:?}");
        assert_eq!(used[0].rss_max_bytes, 300);
        let cpus: Vec<_> = used[0].samples.iter().map(|sample| sample.cpus).collect();
        assert_eq!(cpus, [0.5, 0.25]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_is_sampled_and_a_missing_one_is_not() {
        let (_, rss_bytes) = usage(std::process::id()).expect("it runs");
        assert!(rss_bytes > 1_000_000);
        assert_eq!(usage(u32::MAX >> 1), None);
    }
}

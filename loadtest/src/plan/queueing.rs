//! Waiting time for CPU, in closed formulas.
//!
//! The CPU of an instance is modelled as servers that process one order at a time. Orders arrive at random (Poisson)
//! and cost the same: M/D/c. One server is exact; for more the wait is half of M/M/c's, the usual approximation, and so
//! is the exponential tail.

/// The CPU of an instance as servers of equal speed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cores {
    pub servers: u32,
    /// 1: a whole vCPU.
    pub speed: f64,
}

impl Cores {
    /// Models `vcpu` with as few servers as possible, because one thread at a time works on an order. Half a vCPU is
    /// one server of half speed; 1.5 are two of three quarters.
    pub fn new(vcpu: f64) -> Self {
        // 3.0000000000000004 is 3.
        let servers = (vcpu - 1e-9).ceil().max(1.0);
        Self { servers: servers as u32, speed: vcpu / servers }
    }

    /// Service time of an order that costs `cpu_us`, microseconds.
    pub fn service_us(self, cpu_us: f64) -> f64 {
        cpu_us / self.speed
    }
}

/// Share of arrivals that find all `servers` busy, M/M/c (Erlang C). `utilisation` is 0 to 1.
pub fn waits(servers: u32, utilisation: f64) -> f64 {
    if utilisation >= 1.0 {
        return 1.0;
    }
    let offered = utilisation * f64::from(servers);
    // Erlang B by its recurrence, which neither overflows nor cancels.
    let blocked = (1..=servers).fold(1.0, |b, k| offered * b / (f64::from(k) + offered * b));
    blocked / (1.0 - utilisation * (1.0 - blocked))
}

/// Mean wait before service, in service times; infinite from utilisation 1 on.
pub fn mean_wait(servers: u32, utilisation: f64) -> f64 {
    if utilisation >= 1.0 {
        return f64::INFINITY;
    }
    waits(servers, utilisation) / (2.0 * f64::from(servers) * (1.0 - utilisation))
}

/// p99 of the wait, in service times; infinite from utilisation 1 on.
pub fn p99_wait(servers: u32, utilisation: f64) -> f64 {
    if utilisation >= 1.0 {
        return f64::INFINITY;
    }
    let late = (waits(servers, utilisation) / 0.01).ln().max(0.0);
    late / (2.0 * f64::from(servers) * (1.0 - utilisation))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vcpu_share_has_as_few_servers_as_possible() {
        for (vcpu, servers, speed) in [
            (0.05, 1, 0.05),
            (0.5, 1, 0.5),
            (1.0, 1, 1.0),
            (1.5, 2, 0.75),
            (0.05 * 60.0, 3, 1.0),
            (16.0, 16, 1.0),
        ] {
            let cores = Cores::new(vcpu);
            assert_eq!(cores.servers, servers, "{vcpu}");
            assert!((cores.speed - speed).abs() < 1e-9, "{vcpu}: {}", cores.speed);
        }
    }

    #[test]
    fn erlang_c_matches_published_values() {
        // c, offered load in erlangs, probability of waiting, from Erlang C tables.
        for (servers, offered, expected) in
            [(1, 0.7, 0.7), (2, 1.0, 0.333_33), (5, 4.0, 0.554_11), (10, 8.0, 0.409_18)]
        {
            let waits = waits(servers, offered / f64::from(servers));
            assert!((waits - expected).abs() < 1e-4, "{servers}: {waits}");
        }
    }

    #[test]
    fn one_server_waits_as_pollaczek_khinchine() {
        for utilisation in [0.1, 0.5, 0.7, 0.9] {
            let expected = utilisation / (2.0 * (1.0 - utilisation));
            assert!((mean_wait(1, utilisation) - expected).abs() < 1e-12);
        }
        assert_eq!(mean_wait(1, 1.0), f64::INFINITY);
        assert_eq!(p99_wait(4, 1.2), f64::INFINITY);
    }

    #[test]
    fn waiting_grows_with_utilisation_and_shrinks_with_servers() {
        for servers in [1, 2, 4, 16] {
            let waits: Vec<_> =
                (0..100).map(|percent| mean_wait(servers, f64::from(percent) / 100.0)).collect();
            assert!(waits.is_sorted(), "{servers}");
            assert!(mean_wait(servers, 0.7) >= mean_wait(servers * 2, 0.7));
            assert!(p99_wait(servers, 0.7) >= p99_wait(servers * 2, 0.7));
        }
    }
}

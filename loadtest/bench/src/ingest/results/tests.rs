//! The table and the goals of results that the tests make up.

use super::*;

fn results() -> IngestResults {
    IngestResults {
        measured: Conditions::now(),
        rps: 20_000,
        share_percent: 70,
        seconds: 8,
        connections: 128,
        rounds: 1,
        windows: Vec::new(),
        rss_high_bytes: Vec::new(),
        wrk: Vec::new(),
        oha: Vec::new(),
    }
}

impl IngestResults {
    /// Adds a window of zeros, changed by `set`.
    fn add(&mut self, subject: IngestSubject, kind: WindowKind, set: impl FnOnce(&mut IngestWindow)) {
        let mut window = IngestWindow {
            subject,
            kind,
            round: 1,
            offered_per_s: 0.0,
            accepted_per_s: 0.0,
            accepted: 0,
            shed: 0,
            refused: 0,
            unknown: 0,
            unsent: 0,
            server_cpu_us: 0.0,
            broker_cpu_us: None,
            generator_cpu_us: 0.0,
            other_cpus: 0.0,
            p50_us: 0,
            p99_us: 0,
            send_delay_p999_us: 0,
            latencies_valid: true,
        };
        set(&mut window);
        self.windows.push(window);
    }
}

#[test]
fn the_table_has_medians_with_their_range_and_the_ratio_to_the_plain_handler() {
    let mut results = results();
    for cpu_us in [11.0, 10.0, 12.0] {
        results.add(IngestSubject::AxumBaseline, WindowKind::Equal, |window| {
            window.server_cpu_us = cpu_us;
        });
    }
    results.add(IngestSubject::Real, WindowKind::Equal, |window| {
        (window.server_cpu_us, window.broker_cpu_us) = (16.5, Some(7.0));
    });
    results.rss_high_bytes = vec![(IngestSubject::Real, 3 << 20), (IngestSubject::Real, 5 << 20)];
    let markdown = results.table().markdown();
    let rows: Vec<Vec<&str>> = markdown
        .lines()
        .filter(|line| line.starts_with("| ("))
        .map(|line| line.split('|').map(str::trim).collect())
        .collect();
    assert_eq!(rows.len(), 2, "{markdown}");
    assert_eq!(rows[0][1..4], [IngestSubject::AxumBaseline.name(), "11.0 (10.0–12.0)", "1.00"]);
    assert_eq!(rows[1][1..5], [IngestSubject::Real.name(), "16.5", "1.50", "7.0"]);
    assert_eq!(rows[1][12], "5.0", "the maximum of all rounds");
    let heads = markdown.lines().filter(|line| line.starts_with("| |") || line.starts_with("|---"));
    let columns: Vec<_> = heads.map(|line| line.matches('|').count()).collect();
    assert_eq!(columns, [rows[0].len() - 1; 2], "{markdown}");
}

#[test]
fn a_disturbed_window_is_left_out_and_a_late_generator_voids_the_latencies() {
    let mut results = results();
    let cpu_us = |results: &IngestResults| results.cpu_us(IngestSubject::NoBroker, WindowKind::Equal);
    let p99 = |results: &IngestResults| {
        results.latency_ms(IngestSubject::NoBroker, WindowKind::Equal, |window| window.p99_us)
    };
    for (server_cpu_us, other_cpus, latencies_valid) in [(90.0, 0.8, true), (10.0, 0.01, false)] {
        results.add(IngestSubject::NoBroker, WindowKind::Equal, |window| {
            window.server_cpu_us = server_cpu_us;
            (window.other_cpus, window.latencies_valid, window.p99_us) =
                (other_cpus, latencies_valid, 93_000);
        });
    }
    assert_eq!(cpu_us(&results), Some(10.0), "the CPU of the disturbed window does not count");
    assert_eq!(p99(&results), None);
    let markdown = results.table().markdown();
    assert!(markdown.contains("void") && !markdown.contains("93.00"), "{markdown}");
    let conditions = results.conditions();
    assert!(conditions.contains("1 of 2 windows left out"), "{conditions}");
    assert!(conditions.contains("1 of 2 windows without latencies"), "{conditions}");
    results.add(IngestSubject::NoBroker, WindowKind::Equal, |window| window.p99_us = 2_000);
    assert_eq!(p99(&results).map(|spread| spread.max), Some(2.0));
}

#[test]
fn requests_that_were_not_accepted_have_a_column_if_there_are_any() {
    let mut results = results();
    results.add(IngestSubject::Embedded, WindowKind::Share, |window| window.p50_us = 1);
    assert!(!results.table().blocks().contains("Not accepted"));
    for count in [3, 4] {
        results.add(IngestSubject::Embedded, WindowKind::Saturated, |window| {
            (window.shed, window.refused, window.unknown) = (count, 0, 1);
        });
    }
    assert!(results.table().blocks().contains("7 / 0 / 2"), "{}", results.table().blocks());
}

/// CPU of (a), (b), (c) in µs; p99 of (c) in µs; memory in MiB; peak of (d); which goals are reached.
type GoalCase = ([f64; 3], u64, u64, f64, [bool; 5]);

#[test]
fn each_goal_is_reached_up_to_its_bound_and_not_beyond() {
    let cases: [GoalCase; 3] = [
        ([20.0, 23.0, 27.0], 15_000, 64, 50_000.0, [true; 5]),
        ([20.0, 23.1, 27.1], 15_001, 65, 49_999.0, [false; 5]),
        ([20.0, 19.0, 40.0], 900, 10, 60_000.0, [true, false, true, true, true]),
    ];
    for ([baseline_us, no_broker_us, real_us], p99_us, rss_mib, peak, expected) in cases {
        let mut results = results();
        let mut cpu = |subject, cpu_us| {
            results.add(subject, WindowKind::Equal, |window| window.server_cpu_us = cpu_us);
        };
        cpu(IngestSubject::AxumBaseline, baseline_us);
        cpu(IngestSubject::NoBroker, no_broker_us);
        cpu(IngestSubject::Real, real_us);
        results.add(IngestSubject::Real, WindowKind::Share, |window| window.p99_us = p99_us);
        results.add(IngestSubject::Embedded, WindowKind::Saturated, |window| window.accepted_per_s = peak);
        results.rss_high_bytes =
            vec![(IngestSubject::Real, rss_mib << 20), (IngestSubject::AxumBaseline, 900 << 20)];
        let reached: Vec<_> = results.goals().iter().map(|goal| goal.reached).collect();
        assert_eq!(reached, expected, "{:?}", results.goals());
    }
}

#[test]
fn an_unmeasured_subject_has_no_goal() {
    let mut results = results();
    assert_eq!(results.goals(), []);
    results.add(IngestSubject::NoBroker, WindowKind::Equal, |window| window.server_cpu_us = 1.0);
    assert_eq!(results.goals(), [], "no subject to compare with");
}

//! Reports as a run would write them: a flash sale of 20 s, 100 to 50,000 requests a second, which sheds the excess
//! load and drains its queue at the cap. Computed from a seed, so always the same.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use hdrhistogram::Histogram;
use loadtest::ledger::LedgerVerdict;
use loadtest::report::{
    CurvePoint, Expectation, ExpectationResult, FORMAT, GeneratorHealth, Interval, LatencyReport, Machine,
    ProcessSample, ProcessUse, Quantiles, RequestTotals, RunInfo, RunReport, RunVerdict, TestedStack,
};
use loadtest::scenario::{DrainSettings, ExpectedRange, GeneratorSettings, RatePhase, Scenario};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand_distr::{Distribution, LogNormal, Normal};

/// Orders a second that the services of this fixture can accept.
const CAPACITY_RPS: f64 = 24_000.0;

/// Parameters that may differ between runs of the same sale.
#[derive(Clone, Copy, Debug)]
pub(super) struct Knobs {
    pub seed: u64,
    /// Noise of every interval's metrics, relative (one standard deviation).
    pub noise: f64,
    pub p99: f64,
    /// Factor on the capacity of the services.
    pub capacity: f64,
    pub cpu: f64,
    pub interval_ms: u32,
}

impl Default for Knobs {
    fn default() -> Self {
        Self { seed: 0, noise: 0.0, p99: 1.0, capacity: 1.0, cpu: 1.0, interval_ms: 1_000 }
    }
}

pub(super) fn scenario(interval_ms: u32) -> Scenario {
    let expect = BTreeMap::from([
        ("accepted_share".to_owned(), ExpectedRange { min: Some(0.4), max: None }),
        ("accepted_p99_us".to_owned(), ExpectedRange { min: None, max: Some(250_000.0) }),
        ("committed_per_s_max".to_owned(), ExpectedRange { min: Some(1_800.0), max: Some(2_000.0) }),
    ]);
    let mut scenario = Scenario {
        name: "flash-sale".to_owned(),
        description: "From 100 to 50,000 orders a second within a second, held, and back. Far more than the \
                database may take: what is accepted waits in the queue, what is too much is shed."
            .to_owned(),
        seed: 42,
        arrivals: Default::default(),
        phases: [
            RatePhase::Constant { rps: 100.0, seconds: 3.0 },
            RatePhase::Exponential { from_rps: 100.0, to_rps: 50_000.0, seconds: 1.0 },
            RatePhase::Constant { rps: 50_000.0, seconds: 9.0 },
            RatePhase::Linear { from_rps: 50_000.0, to_rps: 100.0, seconds: 1.0 },
            RatePhase::Constant { rps: 100.0, seconds: 6.0 },
        ]
        .map(Into::into)
        .to_vec(),
        sale: Default::default(),
        buyers: Default::default(),
        mix: Default::default(),
        clients: Default::default(),
        drain: DrainSettings { rate: 2_000 },
        generator: GeneratorSettings { threads: 2, interval_ms, ..GeneratorSettings::default() },
        expect,
        abort: Default::default(),
    };
    let peak = &mut scenario.phases[2];
    peak.name = Some("peak".to_owned());
    peak.expect.insert("shed_share".to_owned(), ExpectedRange { min: None, max: Some(0.6) });
    scenario
}

fn rate(phase: &RatePhase, at_s: f64) -> f64 {
    match *phase {
        RatePhase::Constant { rps, .. } => rps,
        RatePhase::Linear { from_rps, to_rps, seconds } => from_rps + (to_rps - from_rps) * at_s / seconds,
        RatePhase::Exponential { from_rps, to_rps, seconds } => {
            from_rps * (to_rps / from_rps).powf(at_s / seconds)
        }
        RatePhase::Spike { base_rps, peak_rps, seconds } => {
            peak_rps - (peak_rps - base_rps) * (at_s / seconds * 2.0 - 1.0).abs()
        }
    }
}

/// Requests a second at each millisecond of the plan.
fn plan(scenario: &Scenario) -> Vec<f64> {
    let phases = scenario.rates().into_iter();
    phases
        .flat_map(|phase| {
            (0..(phase.seconds() * 1e3) as u32).map(move |ms| rate(&phase, (f64::from(ms) + 0.5) / 1e3))
        })
        .collect()
}

struct ReportFixture {
    knobs: Knobs,
    noise: StdRng,
    accepted: Histogram<u64>,
    shed: Histogram<u64>,
    all: Histogram<u64>,
}

impl ReportFixture {
    /// A metric with the run's own noise.
    fn noisy(&mut self, value: f64) -> f64 {
        value * Normal::new(1.0, self.knobs.noise).expect("a normal law").sample(&mut self.noise).max(0.0)
    }

    fn interval(&mut self, at_ms: u64, planned: f64) -> Interval {
        let length_ms = u64::from(self.knobs.interval_ms);
        let capacity = self.noisy(CAPACITY_RPS * self.knobs.capacity) * length_ms as f64 / 1e3;
        let load = planned / capacity;
        let planned = planned.round() as u64;
        let refused = planned / 200;
        let unknown = if load > 1.0 { planned / 20_000 } else { 0 };
        let accepted = (planned - refused - unknown).min(capacity as u64);
        let shed = planned - refused - unknown - accepted;

        // The shape of the latencies is the same in every run; only the noise differs.
        let mut random = StdRng::seed_from_u64(at_ms);
        let mut here = Histogram::new(3).expect("a histogram");
        let median_us = 900.0 * (1.0 + 24.0 * load.min(1.4).powi(3));
        file(
            &mut random,
            &mut [&mut self.accepted, &mut self.all, &mut here],
            accepted,
            median_us,
            0.35 + 0.2 * load.min(1.0),
        );
        let mut rejected = Histogram::new(3).expect("a histogram");
        file(&mut random, &mut [&mut self.shed, &mut self.all, &mut rejected], shed + refused, 2_200.0, 0.4);
        let value = |quantile: f64| here.value_at_quantile(quantile) as f64;
        let quantiles =
            [value(0.5), value(0.9), value(0.99) * self.knobs.p99, here.max() as f64 * self.knobs.p99];
        let [p50_us, p90_us, p99_us, max_us] = quantiles.map(|value| self.noisy(value) as u64);
        Interval {
            at_ms,
            length_ms,
            planned,
            sent: planned,
            accepted,
            shed,
            refused,
            unknown,
            unsent: 0,
            censored: unknown,
            p50_us,
            p90_us,
            p99_us,
            max_us: max_us.max(p99_us),
            rejected_p50_us: rejected.value_at_quantile(0.5),
            rejected_p99_us: rejected.value_at_quantile(0.99),
            queued: 0,
            committed: 0,
        }
    }
}

fn file(random: &mut StdRng, into: &mut [&mut Histogram<u64>], count: u64, median_us: f64, sigma: f64) {
    let law = LogNormal::new(median_us.ln(), sigma).expect("a log-normal law");
    // A thousand values represent all of them, with weights.
    let values = count.min(1_000);
    for index in 0..values {
        let value = law.sample(random).max(1.0) as u64;
        let weight = count / values + u64::from(index < count % values);
        for histogram in into.iter_mut() {
            histogram.record_n(value, weight).expect("within range");
        }
    }
}

fn quantiles(histogram: &Histogram<u64>) -> Quantiles {
    let mut curve: Vec<CurvePoint> = Vec::new();
    for value in histogram.iter_quantiles(5) {
        let point = CurvePoint { quantile: value.quantile(), value_us: value.value_iterated_to() };
        match curve.last_mut() {
            Some(last) if last.value_us == point.value_us => *last = point,
            _ => curve.push(point),
        }
    }
    Quantiles {
        count: histogram.len(),
        censored: 0,
        mean_us: histogram.mean(),
        p50_us: histogram.value_at_quantile(0.5),
        p90_us: histogram.value_at_quantile(0.9),
        p99_us: histogram.value_at_quantile(0.99),
        p999_us: histogram.value_at_quantile(0.999),
        max_us: histogram.max(),
        curve,
    }
}

/// The queue fills and drains at the cap; the timeline continues until it is empty.
fn drain(builder: &mut ReportFixture, timeline: &mut Vec<Interval>, cap_rps: f64) {
    let cap = cap_rps * f64::from(builder.knobs.interval_ms) / 1e3;
    let mut queued = 0;
    let mut index = 0;
    while index < timeline.len() || queued > 0 {
        if index == timeline.len() {
            let at_ms = index as u64 * u64::from(builder.knobs.interval_ms);
            timeline.push(Interval {
                at_ms,
                length_ms: u64::from(builder.knobs.interval_ms),
                ..Interval::default()
            });
        }
        // Two in a hundred accepted requests are replays.
        let orders = timeline[index].accepted - timeline[index].accepted / 50;
        let takes = (builder.noisy(cap * 0.97).min(cap)) as u64;
        let committed = (queued + orders).min(takes);
        queued = queued + orders - committed;
        timeline[index].committed = committed;
        timeline[index].queued = queued;
        index += 1;
    }
}

/// A process: its name, CPU per accepted, shed and committed order in microseconds, memory at rest and per queued order
/// in bytes.
const PROCESSES: [(&str, [f64; 3], [u64; 2]); 5] = [
    ("ingest-fn", [19.0, 6.0, 0.0], [41 << 20, 0]),
    ("broker", [22.0, 0.0, 16.0], [96 << 20, 1_150]),
    ("drain-worker", [0.0, 0.0, 27.0], [33 << 20, 0]),
    ("database", [0.0, 0.0, 95.0], [210 << 20, 0]),
    ("loadtest", [12.5, 11.5, 0.0], [120 << 20, 0]),
];

fn processes(builder: &mut ReportFixture, timeline: &[Interval]) -> Vec<ProcessUse> {
    let mut all = Vec::new();
    for (name, [accepted, shed, committed], [rest_bytes, queued_bytes]) in PROCESSES {
        let factor = if name == "ingest-fn" { builder.knobs.cpu } else { 1.0 };
        let mut samples = Vec::new();
        let mut cpu_s = 0.0;
        for interval in timeline {
            let work = accepted * interval.accepted as f64
                + shed * interval.shed as f64
                + committed * interval.committed as f64;
            let cpus = builder.noisy((work * 1e-3 / interval.length_ms as f64 + 0.004) * factor);
            cpu_s += cpus * interval.length_ms as f64 / 1e3 * f64::from(u8::from(interval.sent > 0));
            // Memory grows with the load and shrinks only in part.
            let warm = if samples.len() > 3 { rest_bytes / 4 } else { 0 };
            let rss_bytes = rest_bytes + warm + queued_bytes * interval.queued;
            samples.push(ProcessSample { at_ms: interval.at_ms + interval.length_ms, cpus, rss_bytes });
        }
        let rss_max_bytes = samples.iter().map(|sample| sample.rss_bytes).max().unwrap_or(0);
        all.push(ProcessUse { name: name.to_owned(), cpu_s, rss_max_bytes, samples });
    }
    all
}

fn totals(timeline: &[Interval]) -> RequestTotals {
    let sum = |count: fn(&Interval) -> u64| timeline.iter().map(count).sum::<u64>();
    let (shed, refused, unknown) = (sum(|i| i.shed), sum(|i| i.refused), sum(|i| i.unknown));
    RequestTotals {
        planned: sum(|interval| interval.planned),
        sent: sum(|interval| interval.sent),
        retries: 0,
        accepted: sum(|interval| interval.accepted),
        shed,
        refused,
        refused_by_code: BTreeMap::from([
            ("overloaded".to_owned(), shed - shed / 9),
            ("queue_full".to_owned(), shed / 9),
            ("invalid_order".to_owned(), refused - refused / 3),
            ("unknown_sku".to_owned(), refused / 3),
        ]),
        unknown,
        unknown_by_cause: BTreeMap::from([
            ("timeout".to_owned(), unknown / 3),
            ("reset".to_owned(), unknown - unknown / 3),
        ]),
        unsent: 0,
    }
}

fn verdict(totals: &RequestTotals, timeline: &[Interval]) -> LedgerVerdict {
    let rows = timeline.iter().map(|interval| interval.committed).sum::<u64>() as usize;
    let (sold_out, limited) = (rows / 11, rows / 37);
    LedgerVerdict {
        requests: (totals.accepted + totals.shed + totals.unknown) as usize,
        accepted: totals.accepted as usize,
        refused: totals.shed as usize,
        refused_by_code: BTreeMap::from([("overloaded".to_owned(), totals.shed as usize)]),
        unknown: totals.unknown as usize,
        accepted_orders: rows,
        rows,
        confirmed: rows - sold_out - limited,
        rejected: BTreeMap::from([("sold_out".to_owned(), sold_out), ("limit_exceeded".to_owned(), limited)]),
        rows_of_unknown: 0,
        conflicts: rows / 200,
        dead_letters: 0,
        busiest_second: 1_987,
        cap: Some(2_000),
        ..LedgerVerdict::default()
    }
}

static GENERATOR: LazyLock<GeneratorHealth> = LazyLock::new(|| {
    let mut send_delay = Histogram::new(3).expect("a histogram");
    for batch in 0..40 {
        file(&mut StdRng::seed_from_u64(batch), &mut [&mut send_delay], 12_000, 32.0, 0.85);
    }
    GeneratorHealth {
        threads: 2,
        pinned_to: vec![0, 1],
        connections_opened: 512,
        connections_max: 512,
        cpu_us_per_request: 12.1,
        send_delay: quantiles(&send_delay),
        resolution_us: 200,
        send_delay_p999_us_max: 2_000,
        latencies_valid: true,
        void_because: None,
    }
});

/// A flash sale that passed.
pub(super) fn flash_sale(knobs: Knobs) -> RunReport {
    let scenario = scenario(knobs.interval_ms);
    let histogram = || Histogram::new(3).expect("a histogram");
    let mut builder = ReportFixture {
        knobs,
        noise: StdRng::seed_from_u64(knobs.seed),
        accepted: histogram(),
        shed: histogram(),
        all: histogram(),
    };
    let mut timeline: Vec<Interval> = plan(&scenario)
        .chunks(knobs.interval_ms as usize)
        .enumerate()
        .map(|(index, rates)| {
            builder.interval(index as u64 * u64::from(knobs.interval_ms), rates.iter().sum::<f64>() / 1e3)
        })
        .collect();
    let played_ms = timeline.len() as u64 * u64::from(knobs.interval_ms) + 12;
    drain(&mut builder, &mut timeline, f64::from(scenario.drain.rate));
    let drained_ms = timeline.len() as u64 * u64::from(knobs.interval_ms) - played_ms + 640;
    let totals = totals(&timeline);
    let processes = processes(&mut builder, &timeline);
    let latency = LatencyReport {
        accepted: quantiles(&builder.accepted),
        shed: quantiles(&builder.shed),
        all: quantiles(&builder.all),
        accepted_or_censored: Quantiles { censored: totals.unknown, ..quantiles(&builder.accepted) },
        to_acceptance: quantiles(&builder.accepted),
    };
    let actual = [latency.accepted.p99_us as f64, totals.accepted as f64 / totals.planned as f64, 1_987.0];
    let expectations = scenario
        .expect
        .iter()
        .zip(actual)
        .map(|((name, range), actual)| Expectation {
            name: name.clone(),
            min: range.min,
            max: range.max,
            actual: Some(actual),
            result: if range.contains(actual) { ExpectationResult::Holds } else { ExpectationResult::Fails },
        })
        .collect();
    let mut report = RunReport {
        format: FORMAT,
        run: run(played_ms, drained_ms),
        scenario,
        ledger: Some(verdict(&totals, &timeline)),
        totals,
        latency,
        timeline,
        processes,
        generator: GENERATOR.clone(),
        shards: Vec::new(),
        ledger_error: None,
        expectations,
        surprises: Vec::new(),
        verdict: RunVerdict::default(),
        not_judged: Vec::new(),
    };
    report.conclude();
    report
}

fn run(played_ms: u64, drained_ms: u64) -> RunInfo {
    RunInfo {
        started_at: "2026-11-24T20:04:11Z".to_owned(),
        played_ms,
        drained_ms,
        stack: TestedStack::Real,
        interrupted: false,
        aborted: None,
        version: "0.1.0".to_owned(),
        parts: BTreeMap::from([
            ("broker".to_owned(), "Apache RocketMQ 5.5.0".to_owned()),
            ("database".to_owned(), "MariaDB 10.11.14".to_owned()),
        ]),
        machine: Machine {
            cpus: 4,
            cpu_model: "AMD EPYC 7B13".to_owned(),
            memory_bytes: 16 << 30,
            kernel: "Linux 6.12.0".to_owned(),
        },
    }
}

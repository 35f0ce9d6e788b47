//! Runs that differ from the fixture's.

use loadtest::ledger::LedgerFault;
use loadtest::report::{AbortedRun, ExpectationResult, Interval, RunReport, TestedStack};
use loadtest::scenario::{AbortRange, RatePhase};

use super::fixture::{Knobs, flash_sale};

pub(super) const HOSTILE: &str =
    "</script><img src=x onerror=\"document.documentElement.dataset.hacked='true'\"><!--<script>";

pub(super) fn good() -> RunReport {
    flash_sale(Knobs::default())
}

pub(super) fn void() -> RunReport {
    let mut report = good();
    report.generator.send_delay.p999_us = 7_900;
    report.generator.latencies_valid = false;
    report.generator.void_because =
        Some("99.9 % of requests were sent within 7.9 ms; the bound is 2 ms".to_owned());
    report
}

/// A run with nearly every kind of failure.
pub(super) fn failed() -> RunReport {
    let mut report = good();
    if let Some(ledger) = &mut report.ledger {
        ledger.rows -= 3;
        ledger.faults = vec![
            LedgerFault {
                code: "accepted_order_lost".into(),
                count: 3,
                examples: vec![
                    "018f6b1e7a3c".to_owned(),
                    "018f6b1e7a41".to_owned(),
                    "018f6b1e7b02".to_owned(),
                ],
            },
            LedgerFault {
                code: "oversold".into(),
                count: 1,
                examples: vec!["HOT-1: 2,004 of 2,000".to_owned()],
            },
        ];
    }
    let missed = &mut report.expectations[0];
    missed.actual = Some(412_000.0);
    missed.result = ExpectationResult::Fails;
    report.surprises = vec![format!("200 OK {HOSTILE}")];
    report.run.interrupted = true;
    report.conclude();
    report
}

pub(super) fn aborted() -> RunReport {
    let mut report = good();
    let range = AbortRange { min: None, max: Some(0.5), for_s: 10.0 };
    report.scenario.abort.insert("shed_share".to_owned(), range);
    report.run.aborted = Some(AbortedRun {
        metric: "shed_share".to_owned(),
        min: None,
        max: Some(0.5),
        value: 0.93,
        breached_s: 10.1,
        at_ms: 14_050,
    });
    report.conclude();
    report
}

/// A run against a system that was already running: no ledger, no processes, no queue.
pub(super) fn external() -> RunReport {
    let mut report = good();
    report.run.stack = TestedStack::External;
    report.run.parts.clear();
    report.run.drained_ms = 0;
    report.ledger = None;
    report.processes.clear();
    report.expectations.clear();
    report.timeline.retain(|interval| interval.planned > 0);
    for interval in &mut report.timeline {
        interval.queued = 0;
        interval.committed = 0;
    }
    report.conclude();
    report
}

pub(super) fn single() -> RunReport {
    let mut report = good();
    report.scenario.phases = vec![RatePhase::Constant { rps: 100.0, seconds: 1.0 }.into()];
    report.timeline.truncate(1);
    for process in &mut report.processes {
        process.samples.truncate(1);
        process.samples[0].at_ms = 0;
    }
    report
}

/// A run that was interrupted before the first request.
pub(super) fn empty() -> RunReport {
    let mut report = external();
    report.run.interrupted = true;
    report.timeline.clear();
    report.totals = Default::default();
    report.latency = Default::default();
    report.generator.send_delay = Default::default();
    report
}

/// Ten minutes in 600 intervals, some without responses and some with immediate ones.
pub(super) fn long() -> RunReport {
    let mut report = good();
    report.scenario.phases = vec![RatePhase::Constant { rps: 100.0, seconds: 600.0 }.into()];
    let pattern = report.timeline[..20].to_vec();
    report.timeline = (0..600_u64)
        .map(|index| {
            let mut interval = pattern[(index % 20) as usize];
            interval.at_ms = index * 1_000;
            interval.queued = (index % 200) * 900;
            if index % 97 == 5 {
                interval = Interval { at_ms: interval.at_ms, length_ms: 1_000, ..Interval::default() };
            }
            if index % 50 == 7 {
                interval.p50_us = 0;
            }
            interval
        })
        .collect();
    report
}

//! Shards played apart, written to files and merged.

use std::collections::BTreeMap;
use std::sync::Mutex;

use tempfile::TempDir;

use super::super::tests::{StubBehaviour, answer, attempts, plan, scenario, serve};
use super::super::{SendPlan, start};
use super::*;
use crate::scenario::{ExpectedRange, Scenario};

static KEYS: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn facts(shard: Shard, scenario: &Scenario, played: &RunResult) -> PartFacts {
    let machine = Machine { cpus: 1, cpu_model: String::new(), memory_bytes: 0, kernel: "test".to_owned() };
    PartFacts {
        run_id: "0000000000000009".parse().expect("valid"),
        shard,
        scenario_toml: toml::to_string(scenario).expect("TOML"),
        sale: OfferedSale { catalogue_toml: String::new(), sale_id: "sale".to_owned() },
        start_at: "2026-11-29T12:00:00Z".to_owned(),
        host: "machine".to_owned(),
        machine,
        interrupted: false,
        aborted: None,
        totals: played.totals(),
        generator: played.health(),
        processes: Vec::new(),
    }
}

fn whole(scenario: &Scenario) -> PlayedPlan {
    PlayedPlan::of(&plan(scenario, ([127, 0, 0, 1], 1).into()))
}

fn note_key(request: &str) {
    let key = request.split("idempotency-key: ").nth(1).and_then(|rest| rest.split("\r\n").next());
    KEYS.lock().expect("not poisoned").push(key.expect("a key").to_owned());
}

#[test]
fn shards_played_apart_merge_into_the_whole() {
    const A: &str = r#"{"code":"code_a"}"#;
    const B: &str = r#"{"code":"code_b"}"#;
    // Each process numbers the problem codes as they arrive.
    let behaviours: [StubBehaviour; 3] = [
        |request, number, stream| {
            note_key(request);
            match number % 5 {
                0 => answer(stream, "409 Conflict", "", A),
                _ => answer(stream, "202 Accepted", "", "{}"),
            }
        },
        |request, number, stream| {
            note_key(request);
            match number % 5 {
                0 => answer(stream, "409 Conflict", "", B),
                1 => answer(stream, "409 Conflict", "", A),
                _ => answer(stream, "202 Accepted", "", "{}"),
            }
        },
        |request, _, stream| {
            note_key(request);
            answer(stream, "202 Accepted", "", "{}")
        },
    ];
    let (directory, mut scenario) = (TempDir::new().expect("a directory"), scenario(1_000.0, 0.5));
    // A stall of this machine ends no request.
    scenario.clients.timeout_ms = 60_000;
    let of_all = BTreeMap::from([("p99_ms".to_owned(), ExpectedRange::default())]);
    scenario.phases[0].expect = of_all;
    let mut parts = Vec::new();
    for (number, behave) in (1..).zip(behaviours) {
        let shard: Shard = format!("{number}/3").parse().expect("valid");
        let base = plan(&scenario, serve(behave).address);
        let plan = SendPlan { shard, threads: number, keep_order_ids: true, ..base };
        let played = start(plan, None).expect("starts").finish().expect("plays");
        let path = directory.path().join(format!("{number}.part"));
        let file = PartFile::create(&path).expect("free");
        file.write(facts(shard, &scenario, &played), &played).expect("written");
        assert!(PartFile::create(&path).is_err(), "a part is never overwritten");
        parts.push(PlayedPart::read(&path).expect("readable"));
    }
    let planned: Vec<_> = parts.iter().map(|part| part.facts.totals.planned).collect();
    assert_eq!(planned, [167, 167, 166]);

    let merged = merge(parts, whole(&scenario)).expect("merges");
    let totals = merged.totals();
    // 34 numbers below 167 are 0 modulo 5, as many are 1.
    let by_code = BTreeMap::from([("code_a".to_owned(), 68), ("code_b".to_owned(), 34)]);
    assert_eq!((totals.planned, totals.sent, totals.accepted), (500, 500, 398));
    assert_eq!(totals.refused_by_code, by_code);
    let (latency, health) = (merged.latencies(), merged.health());
    assert_eq!((latency.accepted.count, latency.all.count, health.send_delay.count), (398, 500, 500));
    let phases: Vec<_> = merged.phases().flatten().map(|(totals, all)| (totals.sent, all.count)).collect();
    assert_eq!(phases, [(500, 398)]);
    let timeline = merged.timeline();
    assert_eq!(timeline.iter().map(|interval| interval.planned).sum::<u64>(), 500);
    assert_eq!(timeline.iter().map(|interval| interval.accepted).sum::<u64>(), 398);
    let account = merged.account(true, true).expect("readable");
    let mut names: BTreeMap<String, u64> = BTreeMap::new();
    for attempt in attempts(&account).iter().filter(|attempt| !attempt.is_accepted()) {
        *names.entry(account.attempts.code(attempt).to_owned()).or_default() += 1;
    }
    assert_eq!(names, by_code, "a code has one number in all parts");
    assert_eq!(
        account.surprises,
        ["68 × a valid order was refused as code_a", "34 × a valid order was refused as code_b"]
    );

    // The whole scenario in one process has the same keys.
    let mut sharded = std::mem::take(&mut *KEYS.lock().expect("not poisoned"));
    let server = serve(|request, _, stream| {
        note_key(request);
        answer(stream, "202 Accepted", "", "{}")
    });
    start(plan(&scenario, server.address), None).expect("starts").finish().expect("plays");
    let mut unsharded = std::mem::take(&mut *KEYS.lock().expect("not poisoned"));
    sharded.sort_unstable();
    unsharded.sort_unstable();
    assert_eq!(sharded, unsharded);
}

#[test]
fn percentiles_are_those_of_all_requests() {
    let (directory, scenario) = (TempDir::new().expect("a directory"), scenario(1.0, 1.0));
    let parts = [("1/2", 1_000, 990), ("2/2", 1_000_000, 10)].map(|(shard, latency_us, count)| {
        let mut record = SendRecord::new(1_000_000_000, Duration::from_secs(1));
        record.accepted.record_n(latency_us, count).expect("in range");
        let played = RunResult::new(whole(&scenario), record, Duration::from_secs(1));
        let path = directory.path().join(shard.replace('/', "-"));
        let facts = facts(shard.parse().expect("valid"), &scenario, &played);
        PartFile::create(&path).and_then(|file| file.write(facts, &played)).expect("written");
        PlayedPart::read(&path).expect("readable")
    });
    let accepted = merge(parts.into(), whole(&scenario)).expect("merges").latencies().accepted;
    assert_eq!(accepted.count, 1_000);
    // 99 of 100 requests took a millisecond; the average of both p99 would be half a second. Three digits.
    assert!((1_000..1_002).contains(&accepted.p99_us), "{accepted:?}");
    assert!((999_000..1_001_000).contains(&accepted.p999_us), "{accepted:?}");
}

#[test]
fn a_truncated_or_damaged_part_is_an_error() {
    let directory = TempDir::new().expect("a directory");
    let scenario = scenario(200.0, 0.2);
    let server = serve(|_, _, stream| answer(stream, "202 Accepted", "", "{}"));
    let plan = SendPlan { keep_order_ids: true, ..plan(&scenario, server.address) };
    let played = start(plan, None).expect("starts").finish().expect("plays");
    let path = directory.path().join("whole");
    let file = PartFile::create(&path).expect("free");
    file.write(facts(Shard::WHOLE, &scenario, &played), &played).expect("written");
    let bytes = std::fs::read(&path).expect("readable");
    let read = |bytes: &[u8]| {
        let path = directory.path().join("copy");
        std::fs::write(&path, bytes).expect("written");
        PlayedPart::read(&path).map(drop).map_err(|error| format!("{error:#}"))
    };
    assert_eq!(read(&bytes), Ok(()));
    for end in [24, 100, bytes.len() / 2, bytes.len() - 16, bytes.len() - 4, bytes.len() - 1] {
        let error = read(&bytes[..end]).expect_err("truncated");
        assert!(error.contains("truncated"), "{end}: {error}");
    }
    for end in [0, 10, 23] {
        assert!(read(&bytes[..end]).is_err_and(|error| error.contains("not a part")), "{end}");
    }
    for place in (16..bytes.len()).step_by(bytes.len() / 50) {
        let mut damaged = bytes.clone();
        damaged[place] ^= 0x10;
        assert!(read(&damaged).is_err(), "byte {place}");
    }
    assert!(read(&[&bytes[..], b"x"].concat()).is_err_and(|error| error.contains("damaged")));
    let other = [b"spillway-part-2\n", &bytes[16..]].concat();
    assert!(read(&other).is_err_and(|error| error.contains("another version")));
}

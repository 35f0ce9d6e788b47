//! The generator against small test servers: each counts its requests, and both counts must agree.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::Ordering;

use shared::catalogue::Catalogue;
use shared::order::{OrderIdKey, SaleId};

pub(super) use self::stub_server::{answer, serve};
use super::result::LedgerInput;
use super::*;
use crate::ledger::{AnswerMatch, Attempt, AttemptEnding};
use crate::scenario::{ExpectedRange, RatePhase, RequestMix, SALE_ID, ScenarioPhase};

#[path = "../../tests/common/stub_server.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod stub_server;

/// Handles request number `n`, as [`serve`] demands.
pub(super) type StubBehaviour = fn(request: &str, n: usize, stream: &mut TcpStream) -> bool;

pub(super) fn attempts(account: &LedgerInput) -> Vec<Attempt> {
    let orders = account.attempts.by_order().expect("readable");
    orders.flat_map(|order| order.expect("readable")).collect()
}

pub(super) fn scenario(rps: f64, seconds: f64) -> Scenario {
    Scenario {
        name: "test".to_owned(),
        description: String::new(),
        seed: 1,
        phases: vec![RatePhase::Constant { rps, seconds }.into()],
        arrivals: Default::default(),
        sale: Default::default(),
        buyers: Default::default(),
        mix: RequestMix { replays: 0.0, changed: 0.0, invalid: 0.0, hang_ups: 0.0, slow_bodies: 0.0 },
        clients: ClientBehaviour { connections_max: 4, timeout_ms: 10_000, ..ClientBehaviour::default() },
        drain: Default::default(),
        generator: Default::default(),
        expect: Default::default(),
        abort: Default::default(),
    }
}

fn play(scenario: &Scenario, target: SocketAddr) -> RunResult {
    start(plan(scenario, target), None).expect("starts").finish().expect("plays")
}

pub(super) fn plan(scenario: &Scenario, target: SocketAddr) -> SendPlan {
    let catalogue = Catalogue::from_toml(&scenario.catalogue_toml()).expect("valid");
    let sale = catalogue.sale(&SaleId::parse(SALE_ID).expect("valid")).expect("there");
    let key = OrderIdKey::new(&[3; 32]).expect("long enough");
    let workload = Workload::new(scenario, sale, key, 9).expect("laws in range");
    SendPlan::new(scenario, workload, Target::plain(target, "test"), Shard::WHOLE)
}

#[test]
fn every_planned_request_is_sent_once_over_few_connections() {
    let server = serve(|_, _, stream| answer(stream, "202 Accepted", "", "{}"));
    let mut scenario = scenario(2_000.0, 0.5);
    scenario.generator.threads = 2;
    let played = play(&scenario, server.address);
    let totals = played.totals();
    assert_eq!((totals.planned, totals.sent, totals.accepted), (1_000, 1_000, 1_000));
    assert_eq!(server.requests.load(Ordering::SeqCst), 1_000);
    assert!(server.connections.load(Ordering::SeqCst) <= 4);
    let timeline = played.timeline();
    assert_eq!(timeline.iter().map(|interval| interval.planned).sum::<u64>(), 1_000);
    assert_eq!(timeline.iter().map(|interval| interval.accepted).sum::<u64>(), 1_000);
    assert_eq!(played.latencies().accepted.count, 1_000, "no request is missing");
    assert_eq!(played.health().send_delay.count, 1_000);
    // `{}` names no order: the ledger will report it.
    let account = played.account(true, true).expect("readable");
    assert_eq!(account.attempts.count(), 1_000);
    assert!(attempts(&account).iter().all(|attempt| attempt.answer == AnswerMatch::None));
}

#[test]
fn a_stall_shows_in_latencies_from_planned_times() {
    // The first request on each of four connections is held for 200 ms: all later requests wait.
    let server = serve(|_, number, stream| {
        if number < 4 {
            std::thread::park_timeout(Duration::from_millis(200));
        }
        answer(stream, "202 Accepted", "", "{}")
    });
    let played = play(&scenario(1_000.0, 0.5), server.address);
    let latency = played.latencies().accepted;
    // 200 of 500 requests were due during the stall; a closed loop would have seen four.
    assert!(latency.p90_us > 100_000, "{latency:?}");
    assert!(latency.max_us >= 195_000, "{latency:?}");
    let timeline = played.timeline();
    assert!(timeline[0].max_us >= 195_000, "the timeline has long times too: {timeline:?}");
}

#[test]
fn a_request_that_was_never_sent_or_answered_counts_as_a_lower_bound() {
    // The server does not answer: for 400 ms all four connections are taken, then other requests wait their own 400 ms.
    let server = serve(|_, _, _| {
        std::thread::park_timeout(Duration::from_secs(2));
        false
    });
    let mut scenario = scenario(1_000.0, 0.5);
    scenario.clients.timeout_ms = 400;
    let played = play(&scenario, server.address);
    let (totals, latency) = (played.totals(), played.latencies());
    assert!(totals.unsent > 400 && totals.unknown >= 4, "{totals:?}");
    assert_eq!(latency.accepted.count, 0);
    let bounds = &latency.accepted_or_censored;
    assert_eq!((bounds.count, bounds.censored), (500, 500), "no request is missing");
    // A connection's time-out counts from its send, and a wait ends after 400 ms.
    assert!(bounds.p50_us >= 399_000, "{bounds:?}");
    let timeline = played.timeline();
    assert_eq!(timeline.iter().map(|interval| interval.censored).sum::<u64>(), 500);
    assert_eq!(timeline.iter().map(|interval| interval.unsent).sum::<u64>(), totals.unsent);
    assert!(timeline[0].p50_us >= 399_000, "{timeline:?}");
}

#[test]
fn the_time_to_acceptance_counts_from_the_first_request_over_all_retries() {
    let mut scenario = scenario(100.0, 0.2);
    scenario.clients = ClientBehaviour { retries_max: 8, retry_backoff_ms: 2_000, ..scenario.clients };
    let first_ten = |_: &str, number: usize, stream: &mut TcpStream| {
        if number < 10 {
            return answer(stream, "503 Unavailable", "", r#"{"code":"queue_full"}"#);
        }
        answer(stream, "202 Accepted", "", "{}")
    };
    let played = play(&scenario, serve(first_ten).address);
    let latency = played.latencies();
    assert_eq!((latency.accepted.count, latency.shed.count), (20, 10));
    assert_eq!((latency.to_acceptance.count, latency.to_acceptance.censored), (20, 0));
    // The first ten waited at least half of the backoff, which the latency of their last request does not show.
    assert!(latency.to_acceptance.p90_us >= 1_000_000, "{latency:?}");
    assert!(latency.accepted.p90_us < 1_000_000, "{latency:?}");
    let timeline = played.timeline();
    assert!(timeline[0].rejected_p50_us > 0 && timeline[0].censored == 0, "{timeline:?}");

    scenario.clients.retries_max = 1;
    let shed = serve(|_, _, stream| answer(stream, "503 Unavailable", "", r#"{"code":"queue_full"}"#));
    let latency = play(&scenario, shed.address).latencies();
    assert_eq!((latency.to_acceptance.count, latency.to_acceptance.censored), (20, 20));
    assert!(latency.to_acceptance.p50_us >= 1_000_000, "{latency:?}");
}

/// The number of the planned request, from its key; a retry has the same key.
fn planned_number(request: &str) -> Option<u64> {
    let key = request.split("idempotency-key: ").nth(1)?.lines().next()?;
    key.split_once('-')?.1.parse().ok()
}

#[test]
fn a_request_and_its_retries_count_in_the_phase_of_the_planned_request() {
    let server = serve(|request, _, stream| match planned_number(request) {
        Some(0..20) => {
            std::thread::park_timeout(Duration::from_millis(60));
            answer(stream, "202 Accepted", "", "{}")
        }
        Some(20..40) => answer(stream, "503 Unavailable", "", r#"{"code":"queue_full"}"#),
        _ => answer(stream, "202 Accepted", "", "{}"),
    });
    let mut scenario = scenario(100.0, 0.2);
    let [slow, shed, rest] = ["slow", "shed", "rest"].map(|name| ScenarioPhase {
        name: Some(name.to_owned()),
        expect: BTreeMap::from([("p99_ms".to_owned(), ExpectedRange::default())]),
        ..scenario.phases[0].clone()
    });
    scenario.phases = vec![slow, shed, ScenarioPhase { expect: BTreeMap::new(), ..rest }];
    // The retries of the second phase are due in the third one.
    let clients = ClientBehaviour { connections_max: 64, retries_max: 1, ..scenario.clients };
    scenario.clients = ClientBehaviour { retry_backoff_ms: 300, ..clients };
    scenario.generator.threads = 2;
    let phases: Vec<_> = play(&scenario, server.address).phases().collect();
    let [Some((slow, slow_latency)), Some((shed, shed_latency)), None] = &phases[..] else {
        panic!("{phases:?}")
    };
    assert_eq!((slow.sent, slow.accepted, slow_latency.count), (20, 20, 20));
    assert!(slow_latency.p50_us >= 60_000, "{slow_latency:?}");
    assert_eq!((shed.sent, shed.shed, shed_latency.count), (40, 40, 0));
}

#[test]
fn a_connection_that_ends_with_its_response_is_not_used_again() {
    // Without `connection: close`: the end of the stream is the only sign.
    let server = serve(|_, _, stream| {
        answer(stream, "202 Accepted", "", "{}");
        false
    });
    let totals = play(&scenario(200.0, 1.0), server.address).totals();
    // A server thread that is preempted between response and end resets a request that has arrived meanwhile.
    assert!(totals.unknown <= 3, "{totals:?}");
    assert_eq!((totals.accepted + totals.unknown, totals.sent, totals.unsent), (200, 200, 0), "{totals:?}");
}

#[test]
fn a_request_on_a_connection_that_the_server_had_closed_differs_from_one_that_it_read() {
    let poll = mio::Poll::new().expect("a selector");
    let spec = plan(&scenario(1.0, 1.0), ([127, 0, 0, 1], 1).into()).workload.request_spec(0);
    for reads_before_the_end in [false, true] {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        let mut client =
            connection::ClientConnection::open(&Target::plain(address, ""), poll.registry(), mio::Token(0))
                .expect("opens");
        let (mut server, _) = listener.accept().expect("connects");
        client.answered = 1;
        client.out.extend_from_slice(b"request");
        client.flight =
            Some(in_flight::InFlight { id: 1, spec, attempt: 0, due_ns: 0, first_due_ns: 0, sent: true });
        let send = |client: &mut connection::ClientConnection| {
            client.send(usize::MAX);
            client.writable();
        };
        if reads_before_the_end {
            send(&mut client);
            server.read_exact(&mut [0; 7]).expect("the request");
            drop(server);
        } else {
            drop(server);
            std::thread::park_timeout(Duration::from_millis(50));
            send(&mut client);
        }
        std::thread::park_timeout(Duration::from_millis(50));
        let read = client.readable(&mut [0; 64], |_| ());
        assert_eq!(read, Err(in_flight::NoResponseCause::Reset));
        assert_eq!(client.closed_before_request(), !reads_before_the_end);
    }
}

#[test]
fn request_ends_are_distinguished() {
    let server = serve(|_, number, stream| match number % 5 {
        0 => answer(stream, "202 Accepted", "", "{}"),
        // Function Compute responds 200 for a failed start: that is not an acceptance.
        1 => answer(stream, "200 OK", "", ""),
        2 => answer(stream, "429 Too Many Requests", "", r#"{"code":"overloaded"}"#),
        3 => {
            let _reset = stream.shutdown(std::net::Shutdown::Both);
            false
        }
        _ => {
            // No response before the client's time-out.
            std::thread::park_timeout(Duration::from_secs(2));
            false
        }
    });
    let mut scenario = scenario(100.0, 0.5);
    scenario.clients.connections_max = 50;
    scenario.clients.timeout_ms = 400;
    let played = play(&scenario, server.address);
    let totals = played.totals();
    assert_eq!(
        (totals.accepted, totals.refused, totals.shed, totals.unknown),
        (10, 10, 10, 20),
        "{totals:?}"
    );
    assert_eq!(totals.refused_by_code, [("overloaded".to_owned(), 10), ("status_200".to_owned(), 10)].into());
    assert_eq!(totals.unknown_by_cause, [("reset".to_owned(), 10), ("timeout".to_owned(), 10)].into());
    let account = played.account(true, true).expect("readable");
    let count = |ending| attempts(&account).iter().filter(|attempt| attempt.ending == ending).count();
    // `overloaded` states that nothing was published, a status without a code does not.
    let counts =
        [AttemptEnding::Accepted, AttemptEnding::Refused, AttemptEnding::Failed, AttemptEnding::Unknown];
    assert_eq!(counts.map(count), [10, 10, 10, 20]);
    assert_eq!(account.surprises, ["10 × a valid order was refused as status_200"]);
}

#[test]
fn shed_requests_are_retried_with_the_same_key() {
    let server = serve(|_, number, stream| {
        if number < 30 {
            answer(stream, "503 Unavailable", "retry-after: 0\r\n", r#"{"code":"queue_full"}"#)
        } else {
            answer(stream, "202 Accepted", "", "{}")
        }
    });
    let mut scenario = scenario(100.0, 0.2);
    scenario.clients = ClientBehaviour { retries_max: 8, retry_backoff_ms: 5, ..scenario.clients };
    let played = play(&scenario, server.address);
    let totals = played.totals();
    assert_eq!((totals.accepted, totals.shed, totals.retries), (20, 30, 30), "{totals:?}");
    let account = played.account(true, true).expect("readable");
    assert_eq!(account.attempts.by_order().expect("readable").count(), 20, "a retry is the same order");
}

#[test]
fn connections_are_renewed_as_the_scenario_demands() {
    let server = serve(|_, _, stream| answer(stream, "202 Accepted", "", "{}"));
    let mut scenario = scenario(200.0, 0.5);
    scenario.clients = ClientBehaviour { requests_per_connection: 5, ..scenario.clients };
    let played = play(&scenario, server.address);
    assert_eq!(played.totals().accepted, 100);
    assert!(server.connections.load(Ordering::SeqCst) >= 20);
    assert_eq!(played.health().connections_opened as usize, server.connections.load(Ordering::SeqCst));
}

#[test]
fn a_connection_carries_the_requests_of_one_buyer_only() {
    static BUYERS: std::sync::Mutex<BTreeMap<u16, BTreeSet<String>>> = std::sync::Mutex::new(BTreeMap::new());
    let server = serve(|request, _, stream| {
        let user =
            request.split("\"user_id\":\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a buyer");
        let port = stream.peer_addr().expect("connected").port();
        BUYERS.lock().expect("sound").entry(port).or_default().insert(user.to_owned());
        answer(stream, "202 Accepted", "", "{}")
    });
    let mut scenario = scenario(400.0, 0.5);
    // Ten buyers, each of whom sends again, on at most four connections.
    scenario.buyers.users = 10;
    scenario.clients.connection_per_buyer = true;
    let played = play(&scenario, server.address);
    assert_eq!(played.totals().accepted, 200);
    assert!(played.health().connections_max <= 4);
    let buyers = BUYERS.lock().expect("sound").clone();
    assert!(buyers.values().all(|buyers| buyers.len() == 1), "{buyers:?}");
    let distinct: BTreeSet<_> = buyers.values().flatten().collect();
    assert_eq!(distinct.len(), 10);
    // Some returned before their connection was another's.
    assert!(buyers.len() < 200, "{}", buyers.len());
}

#[test]
fn slow_bodies_arrive_complete_and_hang_ups_have_no_response() {
    let server = serve(|request, _, stream| {
        // Only a complete body ends so.
        assert!(request.ends_with("}}"), "{request}");
        std::thread::park_timeout(Duration::from_millis(30));
        answer(stream, "202 Accepted", "", "{}")
    });
    let mut scenario = scenario(100.0, 0.4);
    scenario.mix = RequestMix { hang_ups: 0.5, slow_bodies: 0.5, ..scenario.mix };
    scenario.clients =
        ClientBehaviour { connections_max: 50, slow_body_ms: 50, hang_up_after_ms: 5, ..scenario.clients };
    let played = play(&scenario, server.address);
    let totals = played.totals();
    assert_eq!(totals.accepted + totals.unknown, 40, "{totals:?}");
    assert_eq!(totals.unknown_by_cause.get("hang_up"), Some(&totals.unknown));
    assert!(totals.accepted >= 8 && totals.unknown >= 8, "both kinds occur: {totals:?}");
}

#[test]
fn a_slow_body_takes_the_time_of_the_scenario() {
    let server = serve(|_, _, stream| answer(stream, "202 Accepted", "", "{}"));
    let mut scenario = scenario(10.0, 0.1);
    scenario.mix = RequestMix { slow_bodies: 1.0, ..scenario.mix };
    scenario.clients = ClientBehaviour { slow_body_ms: 300, ..scenario.clients };
    let played = play(&scenario, server.address);
    assert_eq!(played.totals().accepted, 1);
    // Due at 100 ms.
    assert!(played.took >= Duration::from_millis(400), "{:?}", played.took);
}

#[test]
fn without_a_server_nothing_is_sent() {
    let address = shared::loopback::free_loopback_address().expect("a port");
    let played = play(&scenario(100.0, 0.2), address);
    let totals = played.totals();
    assert_eq!((totals.sent, totals.unsent), (0, 20), "{totals:?}");
    assert!(played.account(true, true).expect("readable").attempts.count() == 0);
}

#[test]
fn a_stopped_run_accounts_for_every_request() {
    let server = serve(|_, _, stream| answer(stream, "202 Accepted", "", "{}"));
    let running = start(plan(&scenario(500.0, 600.0), server.address), None).expect("starts");
    while server.requests.load(Ordering::SeqCst) < 50 {
        std::thread::park_timeout(Duration::from_millis(5));
    }
    running.live().stop();
    let played = running.finish().expect("plays");
    let totals = played.totals();
    assert_eq!(totals.sent as usize, server.requests.load(Ordering::SeqCst));
    assert_eq!(totals.accepted, totals.sent);
    assert!(totals.sent < totals.planned);
}

#[test]
fn a_thread_more_is_planned_for_each_60_000_requests_a_second_as_documented() {
    let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    for (rps, threads) in [(100.0, 1), (60_000.0, 1), (60_001.0, 2), (180_001.0, 4)] {
        let plan = plan(&scenario(rps, 0.1), ([127, 0, 0, 1], 1).into());
        assert_eq!(plan.threads, threads.min(cpus), "{rps}");
    }
    let schema = serde_json::to_string(&schemars::schema_for!(Scenario)).expect("JSON");
    assert!(schema.contains("one per 60,000 requests a second"));
}

#[test]
fn a_late_generator_voids_its_latencies() {
    let server = serve(|_, _, stream| answer(stream, "202 Accepted", "", "{}"));
    let mut scenario = scenario(100.0, 0.2);
    scenario.generator.send_delay_p999_us_max = u32::MAX;
    assert!(play(&scenario, server.address).health().latencies_valid);
    // A bound that no machine keeps: some request is always a microsecond late.
    scenario.generator.send_delay_p999_us_max = 1;
    let health = play(&scenario, server.address).health();
    assert!(!health.latencies_valid);
    assert!(health.void_because.expect("says why").contains("late"));
}

#[cfg(target_os = "linux")]
#[test]
fn only_existing_processors_count_as_pinned() {
    let server = serve(|_, _, stream| answer(stream, "202 Accepted", "", "{}"));
    let mut scenario = scenario(50.0, 0.2);
    scenario.generator.threads = 2;
    let plan = SendPlan { pin_to: vec![0, 1_000_000], ..plan(&scenario, server.address) };
    let played = start(plan, None).expect("starts").finish().expect("plays");
    assert_eq!(played.health().pinned_to, [0]);
    assert_eq!(played.totals().accepted, 10);
}

#[test]
fn a_plan_starts_at_a_common_time_or_not_at_all() {
    let server = serve(|_, _, stream| answer(stream, "202 Accepted", "", "{}"));
    let plan = || plan(&scenario(100.0, 0.1), server.address);
    let now = OffsetDateTime::now_utc();
    let error = start(plan(), Some(now - Duration::from_secs(1))).expect_err("it has passed").to_string();
    assert!(error.contains("nothing was sent"), "{error}");
    let running = start(plan(), Some(now + Duration::from_secs(60))).expect("in time");
    let until_start = running.until_start();
    assert!(
        until_start <= Duration::from_secs(60) && until_start > Duration::from_secs(50),
        "{until_start:?}"
    );
    assert_eq!(server.requests.load(Ordering::SeqCst), 0);
}

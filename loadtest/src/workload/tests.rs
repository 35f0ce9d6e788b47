use std::collections::HashSet;

use ingest_fn::request::read_order;
use shared::catalogue::Catalogue;
use shared::order::SaleId;

use super::*;
use crate::scenario::RatePhase;
use crate::target::RequestHead;

fn scenario() -> Scenario {
    Scenario {
        name: "test".to_owned(),
        description: String::new(),
        seed: 7,
        phases: vec![RatePhase::Constant { rps: 1.0, seconds: 1.0 }.into()],
        arrivals: Default::default(),
        sale: crate::scenario::ScenarioSale { skus: 10, hot_limit: 2, ..Default::default() },
        buyers: Buyers { users: 1_000, lines_max: 3, quantity_max: 5, ..Buyers::default() },
        mix: RequestMix { replays: 0.1, changed: 0.1, invalid: 0.1, hang_ups: 0.1, slow_bodies: 0.1 },
        clients: Default::default(),
        drain: Default::default(),
        generator: Default::default(),
        expect: Default::default(),
        abort: Default::default(),
    }
}

fn workload(scenario: &Scenario, run_id: u64) -> Workload {
    let catalogue = Catalogue::from_toml(&scenario.catalogue_toml()).expect("valid");
    let sale = catalogue.sale(&SaleId::parse(crate::scenario::SALE_ID).expect("valid")).expect("there");
    let key = OrderIdKey::new(&[3; 32]).expect("long enough");
    Workload::new(scenario, sale, key, run_id).expect("laws in range")
}

/// Head and body of a rendered request.
fn rendered(workload: &Workload, spec: &RequestSpec) -> (String, Vec<u8>) {
    let mut out = Vec::new();
    let head = RequestRenderer::default().render(workload, spec, &RequestHead::new("test.local"), &mut out);
    (String::from_utf8(out[..head].to_vec()).expect("text"), out[head..].to_vec())
}

#[test]
fn rendered_bytes_match_the_request() {
    let workload = workload(&scenario(), 0xabc);
    for number in 0..2_000 {
        let spec = workload.request_spec(number);
        if matches!(spec.kind, RequestKind::Invalid(_)) {
            continue;
        }
        let (head, body) = rendered(&workload, &spec);
        let read = read_order(&body, None).expect("a valid body");
        assert_eq!(Some(read.order), workload.request(&spec), "{number}");
        let key = workload.idempotency_key(&spec);
        assert!(head.contains(&format!("\r\nidempotency-key: {key}\r\n")), "{head}");
        assert!(head.contains(&format!("\r\ncontent-length: {}\r\n\r\n", body.len())), "{head}");
        assert!(workload.expected(&spec).is_some(), "{number}: a valid order");
    }
}

#[test]
fn a_seed_is_repeatable_and_another_differs() {
    let specs = |seed| {
        let workload = workload(&Scenario { seed, ..scenario() }, 1);
        (0..500).map(|number| workload.request_spec(number)).collect::<Vec<_>>()
    };
    assert_eq!(specs(1), specs(1));
    assert_ne!(specs(1), specs(2));
    // Another run with the same seed sends the same requests with other keys.
    let (one, other) = (workload(&scenario(), 1), workload(&scenario(), 2));
    assert_eq!(one.request_spec(3), other.request_spec(3));
    assert_ne!(one.expected(&one.request_spec(3)), other.expected(&other.request_spec(3)));
}

#[test]
fn repetitions_refer_to_an_earlier_order() {
    let workload = workload(&scenario(), 1);
    let mut kinds = HashSet::new();
    for number in 0..5_000 {
        let spec = workload.request_spec(number);
        kinds.insert(spec.kind);
        match spec.kind {
            RequestKind::Replay | RequestKind::Changed => {
                assert!(spec.origin < number);
                let origin = workload.request_spec(spec.origin);
                assert!(
                    matches!(origin.kind, RequestKind::New | RequestKind::HangUp | RequestKind::SlowBody),
                    "{origin:?}"
                );
                let (again, first) = (workload.expected(&spec), workload.expected(&origin));
                let (again, first) = (again.expect("valid"), first.expect("valid"));
                assert_eq!(again.0, first.0, "the same order id");
                assert_eq!(
                    again.1 == first.1,
                    spec.kind == RequestKind::Replay,
                    "another digest only if changed"
                );
            }
            _ => assert_eq!(spec.origin, number),
        }
    }
    assert_eq!(kinds.len(), 5 + InvalidRequest::ALL.len(), "every kind occurs: {kinds:?}");
}

#[test]
fn the_mix_has_the_configured_shares() {
    let workload = workload(&scenario(), 1);
    let requests = 40_000;
    let replays = (0..requests)
        .filter(|number| workload.request_spec(*number).kind == RequestKind::Replay)
        .count() as f64;
    // Five standard deviations of a binomial with p = 0.1.
    let expected = 0.1 * requests as f64;
    assert!((replays - expected).abs() < 5.0 * (expected * 0.9).sqrt(), "{replays}");
}

#[test]
fn a_zipf_law_makes_few_skus_popular() {
    let share_of_first = |sku_zipf| {
        let buyers = Buyers { sku_zipf, ..scenario().buyers };
        let workload = workload(&Scenario { buyers, ..scenario() }, 1);
        (0..10_000).filter(|number| workload.request_spec(*number).first_sku == 0).count()
    };
    let (even, skewed) = (share_of_first(0.0), share_of_first(1.2));
    assert!((800..1_200).contains(&even), "ten SKUs alike: {even}");
    // 1 / Σ k^-1.2 for k in 1..=10 is 0.405; five standard deviations are 245.
    assert!((3_800..4_300).contains(&skewed), "{skewed}");
}

#[test]
fn the_jitter_of_a_retry_follows_from_seed_and_number() {
    let with_seed = |seed| workload(&Scenario { seed, ..scenario() }, 1);
    let (one, other) = (with_seed(7), with_seed(8));
    let differing =
        (0..1_000).filter(|number| one.retry_jitter(*number, 1) != other.retry_jitter(*number, 1));
    assert_eq!(differing.count(), 1_000);
    assert_eq!(one.retry_jitter(5, 1).to_bits(), with_seed(7).retry_jitter(5, 1).to_bits());
    assert_ne!(one.retry_jitter(5, 1).to_bits(), one.retry_jitter(5, 2).to_bits());
    // Uniform: the mean of 10,000 values has a standard deviation of 1/√120,000.
    let mean = (0..10_000).map(|number| one.retry_jitter(number, 0)).sum::<f64>() / 10_000.0;
    assert!((mean - 0.5).abs() < 4.0 / 120_000_f64.sqrt(), "{mean}");
}

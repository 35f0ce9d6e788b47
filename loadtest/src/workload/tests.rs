use std::collections::HashSet;

use ingest_fn::request::read_json;
use shared::catalogue::Catalogue;
use shared::order::SaleId;

use super::*;
use crate::scenario::Phase;

fn scenario() -> Scenario {
    Scenario {
        name: "test".to_owned(),
        about: String::new(),
        seed: 7,
        phases: vec![Phase::Constant { rps: 1.0, seconds: 1.0 }],
        sale: crate::scenario::Sale { skus: 10, hot_limit: 2, ..Default::default() },
        buyers: Buyers { users: 1_000, lines_max: 3, quantity_max: 5, ..Buyers::default() },
        mix: Mix { replays: 0.1, changed: 0.1, invalid: 0.1, hang_ups: 0.1, slow_bodies: 0.1 },
        clients: Default::default(),
        drain: Default::default(),
        generator: Default::default(),
        expect: Default::default(),
    }
}

fn workload(scenario: &Scenario, run_id: u64) -> Workload {
    let catalogue = Catalogue::from_toml(&scenario.catalogue_toml()).expect("valid");
    let sale = catalogue.sale(&SaleId::parse(crate::scenario::SALE_ID).expect("valid")).expect("there");
    let key = OrderIdKey::new(&[3; 32]).expect("long enough");
    Workload::new(scenario, sale, key, run_id).expect("laws in range")
}

/// Head and body of a rendered request.
fn rendered(workload: &Workload, draft: &Draft) -> (String, Vec<u8>) {
    let mut out = Vec::new();
    let head = Renderer::default().render(workload, draft, "test.local", &mut out);
    (String::from_utf8(out[..head].to_vec()).expect("text"), out[head..].to_vec())
}

#[test]
fn what_is_written_is_the_request() {
    let workload = workload(&scenario(), 0xabc);
    for number in 0..2_000 {
        let draft = workload.draft(number);
        if matches!(draft.kind, Kind::Invalid(_)) {
            continue;
        }
        let (head, body) = rendered(&workload, &draft);
        let read = read_json(&body).expect("a valid body");
        let json = |request: &OrderRequest| serde_json::to_value(request).expect("serialises");
        assert_eq!(json(&read), json(&workload.request(&draft)), "{number}");
        let key = workload.idempotency_key(&draft);
        assert!(head.contains(&format!("\r\nidempotency-key: {key}\r\n")), "{head}");
        assert!(head.contains(&format!("\r\ncontent-length: {}\r\n\r\n", body.len())), "{head}");
        assert!(workload.expected(&draft).is_some(), "{number}: a valid order");
    }
}

#[test]
fn a_seed_repeats_itself_and_another_does_not() {
    let drafts = |seed| {
        let workload = workload(&Scenario { seed, ..scenario() }, 1);
        (0..500).map(|number| workload.draft(number)).collect::<Vec<_>>()
    };
    assert_eq!(drafts(1), drafts(1));
    assert_ne!(drafts(1), drafts(2));
    // Another run of the same seed asks for the same under other keys.
    let (one, other) = (workload(&scenario(), 1), workload(&scenario(), 2));
    assert_eq!(one.draft(3), other.draft(3));
    assert_ne!(one.expected(&one.draft(3)), other.expected(&other.draft(3)));
}

#[test]
fn repetitions_name_an_order_that_was_planned_before_them() {
    let workload = workload(&scenario(), 1);
    let mut kinds = HashSet::new();
    for number in 0..5_000 {
        let draft = workload.draft(number);
        kinds.insert(draft.kind);
        match draft.kind {
            Kind::Replay | Kind::Changed => {
                assert!(draft.origin < number);
                let origin = workload.draft(draft.origin);
                assert!(matches!(origin.kind, Kind::New | Kind::HangUp | Kind::SlowBody), "{origin:?}");
                let (again, first) = (workload.expected(&draft), workload.expected(&origin));
                let (again, first) = (again.expect("valid"), first.expect("valid"));
                assert_eq!(again.0, first.0, "the same order id");
                assert_eq!(again.1 == first.1, draft.kind == Kind::Replay, "another digest only if changed");
            }
            _ => assert_eq!(draft.origin, number),
        }
    }
    assert_eq!(kinds.len(), 5 + Invalid::ALL.len(), "every kind occurs: {kinds:?}");
}

#[test]
fn the_mix_is_what_was_asked_for() {
    let workload = workload(&scenario(), 1);
    let requests = 40_000;
    let replays = (0..requests).filter(|number| workload.draft(*number).kind == Kind::Replay).count() as f64;
    // Five standard deviations of a binomial with p = 0.1.
    let expected = 0.1 * requests as f64;
    assert!((replays - expected).abs() < 5.0 * (expected * 0.9).sqrt(), "{replays}");
}

#[test]
fn a_zipf_law_makes_few_skus_popular() {
    let share_of_first = |sku_zipf| {
        let buyers = Buyers { sku_zipf, ..scenario().buyers };
        let workload = workload(&Scenario { buyers, ..scenario() }, 1);
        (0..10_000).filter(|number| workload.draft(*number).first_sku == 0).count()
    };
    let (even, skewed) = (share_of_first(0.0), share_of_first(1.2));
    assert!((800..1_200).contains(&even), "ten SKUs alike: {even}");
    // 1 / Σ k^-1.2 for k in 1..=10 is 0.405; five standard deviations are 245.
    assert!((3_800..4_300).contains(&skewed), "{skewed}");
}

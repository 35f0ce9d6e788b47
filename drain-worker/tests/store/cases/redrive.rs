//! Redriving dead letters.

use std::collections::BTreeMap;
use std::future::ready;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use drain_worker::control::AuditContext;
use drain_worker::dead_letters::{RedriveConfig, RedriveOutcome, RedrivePage, RedriveResult, Redriver};
use drain_worker::pipeline::GatedWriter;
use drain_worker::pipeline::{CircuitBreaker, WriterStats};
use drain_worker::rate::RateGate;
use drain_worker::store::{
    DeadLetter, DeadLetterReason, DeadLetterSelection, Fence, OrderStore, PageRequest, Store,
};
use futures_util::future::join_all;
use shared::envelope::{EncodedOrder, encode_batch};
use shared::order::AcceptedOrder;

use crate::harness::{Harness, config};
use crate::orders::{UNKNOWN_SKU, catalogue, id, order, outcomes_of};

const ALL: PageRequest = PageRequest { after: 0, letters_max: NonZeroU32::MAX };

fn redriver_at(store: Arc<Store>, gate: RateGate, wait_max: Duration) -> Redriver {
    let writer = GatedWriter::new(gate, WriterStats::default(), CircuitBreaker::default());
    let config = RedriveConfig { wait_max, batch_orders_max: 7, ..RedriveConfig::default() };
    Redriver::new(store, writer, Arc::new(|| Box::pin(ready(None))), "drain", config)
}

fn redriver(store: Arc<Store>) -> Redriver {
    let credits = NonZeroU32::new(100_000).expect("not 0");
    redriver_at(store, RateGate::standalone(credits), Duration::from_secs(30))
}

async fn redrive(redriver: &Redriver, selection: DeadLetterSelection, page: PageRequest) -> RedrivePage {
    let context = AuditContext { who: "ann".to_owned(), reason: String::new(), ..AuditContext::default() };
    redriver.redrive(&selection, page, &context, ()).await.expect("redrives")
}

fn outcomes(redriven: &RedrivePage) -> Vec<&'static str> {
    redriven.outcomes.iter().map(|letter| letter.outcome.as_str()).collect()
}

/// Letters for orders of a SKU that the database lacks.
async fn lettered(harness: &Harness, numbers: std::ops::Range<u64>) -> Vec<AcceptedOrder> {
    let orders: Vec<_> = numbers.map(|number| order(number, "ann", &[("z", 1)])).collect();
    let results = harness.store.commit(Fence::Open, &orders).await.expect("commits");
    assert!(outcomes_of(&results).iter().all(|kind| *kind == UNKNOWN_SKU));
    orders
}

async fn apply_catalogue_with_stock(harness: &Harness, stock: u32) {
    harness.store.apply_catalogue(&catalogue(&[("z", stock, None)])).await.expect("applies");
}

fn message(name: &str, orders: &[AcceptedOrder]) -> DeadLetter {
    let encoded: Vec<_> = orders.iter().map(EncodedOrder::new).collect();
    let reason = DeadLetterReason::UnknownVersion;
    DeadLetter::of_message(name, encode_batch(encoded.iter()), reason, "version 9")
}

pub(crate) async fn a_redriven_order_is_confirmed_once(harness: &Harness) {
    let store = &harness.store;
    lettered(harness, 0..10).await;
    let redriver = redriver(store.clone());
    let unknown = || DeadLetterSelection::Reason("unknown_sku".to_owned());
    // The catalogue still lacks the SKU: each letter stays, and the attempt is counted.
    let still = redrive(&redriver, unknown(), ALL).await;
    assert_eq!(outcomes(&still), ["dead_lettered"; 10]);
    assert_eq!(still.outcomes[0].detail.as_deref(), Some("unknown_sku"));
    assert_eq!(harness.letters().await.iter().map(|letter| letter.head.attempts).sum::<i64>(), 20);

    apply_catalogue_with_stock(harness, 8).await;
    let mended = redrive(&redriver, unknown(), ALL).await;
    assert_eq!(outcomes(&mended), [["confirmed"; 8].as_slice(), &["sold_out"; 2]].concat());
    assert_eq!((mended.next, mended.stopped), (None, None));
    assert_eq!(mended.outcomes[3].order_id, Some(id(3)));
    let ids: Vec<_> = mended.outcomes.iter().map(|letter| letter.id).collect();
    let again = redrive(&redriver, DeadLetterSelection::Ids(ids.into_iter().collect()), ALL).await;
    assert_eq!(outcomes(&again), ["gone"; 10]);
    assert_eq!(redrive(&redriver, unknown(), ALL).await, RedrivePage::default());

    let counts = store.counts().await.expect("counts");
    assert_eq!((counts.confirmed, counts.orders(), counts.dead_letters_total()), (8, 10, 0));
    // Two redrives had an effect.
    let audit = store.list_audit("drain", None, 9).await.expect("reads");
    let seen: Vec<_> = audit.iter().map(|entry| (entry.who.as_str(), entry.action.as_str())).collect();
    assert_eq!(seen, [("ann", "letters_redriven"); 2]);
    let detail = &audit[0].detail;
    assert!(detail.ends_with(", by unknown_sku: 8 confirmed, 2 sold_out"), "{detail}");
}

/// As the command line does it: page after page.
pub(crate) async fn a_redrive_of_many_pages_is_one_entry_of_the_audit_trail(harness: &Harness) {
    lettered(harness, 0..10).await;
    apply_catalogue_with_stock(harness, 10).await;
    let redriver = redriver(harness.store.clone());
    let mut page = PageRequest { after: 0, letters_max: NonZeroU32::new(3).expect("not 0") };
    let mut pages = 0;
    loop {
        pages += 1;
        match redrive(&redriver, DeadLetterSelection::All, page).await.next {
            Some(next) => page.after = next,
            None => break,
        }
    }
    assert_eq!(pages, 4);
    let audit = harness.store.list_audit("drain", None, 9).await.expect("reads");
    let details: Vec<_> = audit.iter().map(|entry| entry.detail.as_str()).collect();
    assert_eq!(details.len(), 1, "{details:?}");
    assert!(details[0].ends_with(", by all: 10 confirmed"), "{details:?}");
}

pub(crate) async fn concurrent_redrives_change_each_letter_once(harness: &Harness) {
    let store = &harness.store;
    let orders = lettered(harness, 0..40).await;
    // Some of them once more, in messages that could not be read before.
    let messages: Vec<_> =
        orders.chunks(6).zip(0..).map(|(part, number)| message(&format!("m{number}"), part)).collect();
    store.upsert_dead_letters(Fence::Open, &messages).await.expect("keeps");
    apply_catalogue_with_stock(harness, 1_000).await;
    let workers = join_all((0..3).map(async |_| redriver(Arc::new(harness.open(config()).await)))).await;
    let redriven =
        join_all(workers.iter().map(|worker| redrive(worker, DeadLetterSelection::All, ALL))).await;
    let mut seen: BTreeMap<_, usize> = BTreeMap::new();
    for letter in redriven.iter().flat_map(|redriven| &redriven.outcomes) {
        *seen.entry(letter.outcome).or_default() += 1;
    }
    assert!(redriven.iter().all(|redriven| redriven.stopped.is_none()), "{redriven:?}");
    let ends = [RedriveOutcome::Confirmed, RedriveOutcome::Duplicate, RedriveOutcome::Gone];
    assert!(seen.keys().all(|outcome| ends.contains(outcome)), "{seen:?}");
    let counts = store.counts().await.expect("counts");
    assert_eq!((counts.confirmed, counts.orders(), counts.dead_letters_total()), (40, 40, 0));
    assert_eq!(harness.number("SELECT stock_reserved FROM sale_skus").await, 40);
    for worker in workers {
        worker.store().close().await;
    }
}

pub(crate) async fn a_message_is_redriven_whole(harness: &Harness) {
    let store = &harness.store;
    apply_catalogue_with_stock(harness, 5).await;
    let orders: Vec<_> = (0..20).map(|number| order(number, "ann", &[("z", 1)])).collect();
    let unknown = order(90, "ann", &[("x", 1)]);
    let mixed = [orders[0].clone(), unknown];
    store
        .upsert_dead_letters(Fence::Open, &[message("m1", &orders), message("m2", &mixed)])
        .await
        .expect("keeps");
    // A worker that crashed has committed a part of it, and the letter remains.
    store.commit(Fence::Open, &orders[..3]).await.expect("commits");
    let redriven = redrive(&redriver(store.clone()), DeadLetterSelection::All, ALL).await;
    assert_eq!(outcomes(&redriven), ["sold_out", "dead_lettered"]);
    let detail = |place: usize| redriven.outcomes[place].detail.as_deref();
    assert_eq!(detail(0), Some("20 orders: 15 sold_out, 2 confirmed, 3 duplicate"));
    assert_eq!(detail(1), Some("2 orders: 1 dead_lettered, 1 duplicate"));
    // The order that cannot be decided remains, by its id.
    let left: Vec<_> = harness.letters().await.iter().map(|letter| letter.head.order_id).collect();
    assert_eq!(left, [Some(id(90))]);
    assert_eq!(store.counts().await.expect("counts").orders(), 20);
}

pub(crate) async fn unreadable_and_discarded_letters_stay(harness: &Harness) {
    let store = &harness.store;
    let unreadable = DeadLetter::of_message(
        "m1",
        Bytes::from_static(b"not an envelope"),
        DeadLetterReason::MalformedMessage,
        "not CBOR",
    );
    store.upsert_dead_letters(Fence::Open, &[unreadable]).await.expect("keeps");
    lettered(harness, 0..2).await;
    let ids: Vec<_> = harness.letters().await.iter().map(|letter| letter.head.id).collect();
    let given_up = DeadLetterSelection::Ids([ids[1]].into());
    store.discard_dead_letters(&given_up, ALL, "drain", &AuditContext::default()).await.expect("discards");
    apply_catalogue_with_stock(harness, 9).await;

    let redriver = redriver(store.clone());
    let named = DeadLetterSelection::Ids([ids[0], ids[1], ids[2], 999_999].into());
    let redriven = redrive(&redriver, named, ALL).await;
    assert_eq!(outcomes(&redriven), ["unreadable", "discarded", "confirmed", "gone"]);
    let RedriveResult { detail: Some(detail), order_id: None, .. } = &redriven.outcomes[0] else {
        panic!("{redriven:?}")
    };
    assert!(!detail.is_empty() && !detail.contains("envelope"), "a reason without the content: {detail}");
    let all = redrive(&redriver, DeadLetterSelection::All, ALL).await;
    assert_eq!(outcomes(&all), ["unreadable"], "discarded letters are not selected");
    assert_eq!(harness.letters().await.len(), 2);
}

pub(crate) async fn pages_follow_one_another(harness: &Harness) {
    lettered(harness, 0..25).await;
    apply_catalogue_with_stock(harness, 100).await;
    let redriver = redriver(harness.store.clone());
    let mut ids: Vec<_> = harness.letters().await.iter().map(|letter| letter.head.id).collect();
    let numbers = ids.split_off(15);
    for selection in [DeadLetterSelection::Ids(numbers.iter().copied().collect()), DeadLetterSelection::All] {
        let mut page = PageRequest { after: 0, letters_max: NonZeroU32::new(6).expect("not 0") };
        let (mut seen, mut pages) = (Vec::new(), 0);
        loop {
            let redriven = redrive(&redriver, selection.clone(), page).await;
            assert!(redriven.outcomes.iter().all(|letter| letter.outcome == RedriveOutcome::Confirmed));
            seen.extend(redriven.outcomes.iter().map(|letter| letter.id));
            pages += 1;
            match redriven.next {
                Some(next) => page.after = next,
                None => break,
            }
        }
        let (expected, expected_pages) =
            if selection == DeadLetterSelection::All { (&ids, 3) } else { (&numbers, 2) };
        assert_eq!((&seen, pages), (expected, expected_pages));
    }
}

pub(crate) async fn redrives_acquire_credits_and_report_a_stop(harness: &Harness) {
    lettered(harness, 0..12).await;
    apply_catalogue_with_stock(harness, 100).await;
    // Five credits, and none is released during the test.
    let gate = RateGate::with_window(Duration::from_secs(3_600));
    gate.set_credits(5);
    let short = redriver_at(harness.store.clone(), gate, Duration::from_secs(3));
    let redriven = redrive(&short, DeadLetterSelection::All, ALL).await;
    assert_eq!(outcomes(&redriven), ["confirmed"; 5]);
    assert_eq!(redriven.next, Some(redriven.outcomes[4].id));
    assert_eq!(redriven.stopped.as_deref(), Some("this worker got no share of the cap within 3 s"));
    assert_eq!(harness.store.counts().await.expect("counts").orders(), 5);

    let after = redriven.next.expect("more pages");
    let rest =
        redrive(&redriver(harness.store.clone()), DeadLetterSelection::All, PageRequest { after, ..ALL })
            .await;
    assert_eq!((outcomes(&rest), rest.next, rest.stopped), (vec!["confirmed"; 7], None, None));
}

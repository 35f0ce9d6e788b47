//! Dead letters: stored, listed, counted, discarded, removed.

use std::num::NonZeroU32;

use bytes::Bytes;
use drain_worker::control::AuditContext;
use drain_worker::store::{
    BrokerDlqCounts, DeadLetter, DeadLetterReason, DeadLetterSelection, DeadLetterStatus, DiscardOutcome,
    DiscardedPage, Fence, OrderStore, PageRequest, RestoreOutcome, StoredStatus,
};
use futures_util::future::join;

use crate::harness::Harness;
use crate::orders::{CONFIRMED, SALE, UNKNOWN_SKU, catalogue, id, order, outcomes_of};

fn page(after: i64, letters_max: u32) -> PageRequest {
    PageRequest { after, letters_max: NonZeroU32::new(letters_max).expect("not 0") }
}

const ALL: PageRequest = PageRequest { after: 0, letters_max: NonZeroU32::MAX };

fn ann() -> AuditContext {
    AuditContext { who: "ann".to_owned(), reason: "the sale is over".to_owned(), ..AuditContext::default() }
}

fn message(name: &str, body: &'static [u8]) -> DeadLetter {
    DeadLetter::of_message(name, Bytes::from_static(body), DeadLetterReason::MalformedMessage, "not CBOR")
}

/// Ids of other clients: longer than the column, in characters of four bytes, equal in what the column holds of them.
pub(crate) async fn any_message_id_has_a_letter_of_its_own(harness: &Harness) {
    let ids = [format!("{}1", "🦀".repeat(128)), format!("{}2", "🦀".repeat(128)), String::new()];
    for _ in 0..2 {
        let letters: Vec<_> = ids.iter().map(|id| message(id, b"x")).collect();
        harness.store.upsert_dead_letters(Fence::Open, &letters).await.expect("stores");
    }
    let letters = harness.letters().await;
    let seen: Vec<_> =
        letters.iter().map(|letter| (letter.head.message_id.clone(), letter.head.attempts)).collect();
    let held = Some("🦀".repeat(128));
    assert_eq!(seen, [(held.clone(), 2), (held, 2), (Some(String::new()), 2)]);
}

pub(crate) async fn letters_are_updated_listed_and_removed(harness: &Harness) {
    let store = &harness.store;
    let late = order(7, "ann", &[("a", 1)]);
    let of_order = || DeadLetter::of_order(&late, DeadLetterReason::AttemptsExhausted, "17 deliveries");
    store
        .upsert_dead_letters(
            Fence::Open,
            &[message("m1", b"\xff\x00"), of_order().in_message("m2"), message("m3", b"")],
        )
        .await
        .expect("keeps");
    let newer =
        DeadLetter::of_message("m1", Bytes::from_static(b"x"), DeadLetterReason::UnknownVersion, "version 9");
    store.upsert_dead_letters(Fence::Open, &[newer, of_order()]).await.expect("keeps");
    store.upsert_dead_letters(Fence::Open, &[]).await.expect("nothing to do");

    let letters = harness.letters().await;
    let seen: Vec<_> = letters
        .iter()
        .map(|letter| {
            let head = &letter.head;
            (head.order_id, head.message_id.as_deref(), head.reason.as_str(), head.attempts)
        })
        .collect();
    assert_eq!(
        seen,
        [
            (None, Some("m1"), "unknown_version", 2),
            (Some(id(7)), Some("m2"), "attempts_exhausted", 2),
            (None, Some("m3"), "malformed_message", 1),
        ]
    );
    assert_eq!(letters[0].payload, b"x".as_slice());
    assert_eq!((letters[0].head.detail.as_str(), letters[0].head.payload_bytes), ("version 9", 1));
    assert!(letters[0].head.first_failed_at <= letters[0].head.last_failed_at);
    assert_eq!(letters[2].payload, b"".as_slice());

    let ids: Vec<_> = letters.iter().map(|letter| letter.head.id).collect();
    store.delete_dead_letters(&[ids[0], ids[2], 999_999]).await.expect("removes");
    store.delete_dead_letters(&[]).await.expect("nothing to do");
    assert_eq!(harness.letters().await, letters[1..2]);
}

pub(crate) async fn large_messages_are_kept(harness: &Harness) {
    let store = &harness.store;
    // ShardingSphere-Proxy 5.1 reads packet lengths from 8 MiB on as negative, and bytes travel as hexadecimal
    // digits.
    let bytes = if harness.is_behind_proxy() { 3 * 1024 * 1024 } else { shared::envelope::BYTES_MAX };
    let body = Bytes::from(vec![0xa5; bytes]);
    let letters: Vec<_> = (0..5)
        .map(|number| {
            let name = format!("m{number}");
            DeadLetter::of_message(&name, body.clone(), DeadLetterReason::UnknownVersion, "too new")
        })
        .collect();
    store.upsert_dead_letters(Fence::Open, &letters).await.expect("keeps");
    let sum = harness.number("SELECT CAST(SUM(LENGTH(payload)) AS SIGNED) FROM dead_letters").await;
    assert_eq!(sum, 5 * i64::try_from(bytes).expect("few"));
    let heads = store
        .list_dead_letters(&DeadLetterSelection::All, DeadLetterStatus::Open, page(0, 1))
        .await
        .expect("reads");
    assert_eq!(store.get_dead_letters(&[heads[0].id]).await.expect("reads")[0].payload, body);
}

/// Ten unreadable messages and ten unknown SKUs, alternating.
async fn fill(harness: &Harness) -> Vec<i64> {
    for number in 0..10 {
        harness
            .store
            .upsert_dead_letters(Fence::Open, &[message(&format!("m{number}"), b"x")])
            .await
            .expect("keeps");
        let orders = [order(number, "ann", &[("z", 1)])];
        harness.store.commit(Fence::Open, &orders).await.expect("commits");
    }
    harness.letters().await.iter().map(|letter| letter.head.id).collect()
}

pub(crate) async fn letters_are_selected_page_by_page(harness: &Harness) {
    let store = &harness.store;
    let ids = fill(harness).await;
    let unknown = || DeadLetterSelection::Reason("unknown_sku".to_owned());
    let listed = async |selection: DeadLetterSelection, page| {
        let heads = store.list_dead_letters(&selection, DeadLetterStatus::Open, page).await.expect("reads");
        heads.iter().map(|head| head.id).collect::<Vec<_>>()
    };
    let of = |places: &[usize]| places.iter().map(|place| ids[*place]).collect::<Vec<_>>();
    for (selection, page, expected) in [
        (DeadLetterSelection::All, page(0, 3), of(&[0, 1, 2])),
        (DeadLetterSelection::All, page(ids[16], 9), of(&[17, 18, 19])),
        (unknown(), page(0, 2), of(&[1, 3])),
        (unknown(), page(ids[3], 2), of(&[5, 7])),
        (unknown(), page(ids[19], 2), of(&[])),
        (DeadLetterSelection::Reason("another".to_owned()), page(0, 2), of(&[])),
        (DeadLetterSelection::Ids([ids[4], ids[2], ids[9], 999_999].into()), page(0, 9), of(&[2, 4, 9])),
        (DeadLetterSelection::Ids([ids[4], ids[2], ids[9]].into()), page(ids[2], 1), of(&[4])),
        (DeadLetterSelection::Ids([].into()), page(0, 9), of(&[])),
    ] {
        assert_eq!(listed(selection.clone(), page).await, expected, "{selection:?} {page:?}");
    }
    for (selection, expected) in [
        (DeadLetterSelection::All, 20),
        (unknown(), 10),
        (DeadLetterSelection::Ids([ids[0], 999_999].into()), 1),
    ] {
        assert_eq!(
            store.count_dead_letters(&selection, DeadLetterStatus::Any).await.expect("counts").count,
            expected
        );
    }
    assert_eq!(store.get_dead_letters(&[]).await.expect("reads"), []);

    let totals = store.dead_letter_totals().await.expect("counts");
    assert_eq!((totals.total(), totals.by_reason.len()), (20, 2));
    assert_eq!(totals.by_reason["malformed_message"].letters, 10);
    // The databases' clocks run on this machine, in UTC.
    assert!(totals.oldest_age_ms().expect("there are some") < 60_000, "{totals:?}");
    harness.run("UPDATE dead_letters SET first_failed_at = '2026-01-01 00:00:00.000'").await;
    let totals = store.dead_letter_totals().await.expect("counts");
    assert!(totals.oldest_age_ms() > Some(90 * 24 * 3_600_000), "{totals:?}");
}

pub(crate) async fn a_discard_is_undone_until_its_payload_is_deleted(harness: &Harness) {
    let store = &harness.store;
    store.apply_catalogue(&catalogue(&[("a", 9, None)])).await.expect("applies");
    let orders: Vec<_> = (1..5).map(|number| order(number, "ann", &[("z", 1)])).collect();
    store.commit(Fence::Open, &orders).await.expect("commits");
    let before = harness.letters().await;
    let ids: Vec<_> = before.iter().map(|letter| letter.head.id).collect();
    let some = |ids: &[i64]| DeadLetterSelection::Ids(ids.iter().copied().collect());
    store.discard_dead_letters(&some(&ids[..3]), ALL, "drain", &ann()).await.expect("discards");
    let until = harness.letters().await[0].head.discard.as_ref().and_then(|discard| discard.restorable_until);
    let left = until.expect("restorable") - time::OffsetDateTime::now_utc();
    assert!((time::Duration::hours(23)..time::Duration::hours(25)).contains(&left), "{left}");
    let gone = format!("UPDATE dead_letters SET restorable_until_us = 1 WHERE id = {}", ids[2]);
    harness.run(&gone).await;

    let bob =
        AuditContext { who: "bob".to_owned(), reason: "a mistake".to_owned(), ..AuditContext::default() };
    let named = some(&[ids[0], ids[2], ids[3], 999_999]);
    let outcomes = store.restore_dead_letters(&named, ALL, "drain", &bob).await.expect("restores");
    let expected = [
        (ids[0], RestoreOutcome::Restored),
        (ids[2], RestoreOutcome::Deleted),
        (ids[3], RestoreOutcome::Open),
        (999_999, RestoreOutcome::Gone),
    ];
    assert_eq!(outcomes, expected);
    let all = DeadLetterSelection::Reason("unknown_sku".to_owned());
    let outcomes = store.restore_dead_letters(&all, ALL, "drain", &bob).await.expect("restores");
    assert_eq!(outcomes, [(ids[1], RestoreOutcome::Restored)], "of those that are still stored");
    assert_eq!(store.restore_dead_letters(&all, ALL, "drain", &bob).await.expect("restores"), []);
    let after = harness.letters().await;
    assert_eq!((&after[..2], &after[3]), (&before[..2], &before[3]), "as they were");
    assert_eq!(store.dead_letter_totals().await.expect("counts").total(), 3);

    let audit = store.list_audit("drain", None, 2).await.expect("reads");
    let acts: Vec<_> =
        audit.iter().map(|entry| (entry.action.as_str(), entry.who.as_str(), entry.detail.clone())).collect();
    let (first, second) = (format!("letters {}, by number: 1 restored", ids[0]), ids[1]);
    let second = format!("letters {second} to {second}, by unknown_sku: 1 restored");
    assert_eq!(acts, [("letters_restored", "bob", second), ("letters_restored", "bob", first)]);
    // A restored order is decided like any other.
    store.apply_catalogue(&catalogue(&[("a", 9, None), ("z", 9, None)])).await.expect("applies");
    let results = store.commit(Fence::Open, &orders[..1]).await.expect("commits");
    assert_eq!(outcomes_of(&results), [CONFIRMED]);
}

pub(crate) async fn a_discarded_letter_keeps_its_state_and_drops_its_payload(harness: &Harness) {
    let store = &harness.store;
    store.apply_catalogue(&catalogue(&[("a", 9, None)])).await.expect("applies");
    let orders = [order(1, "ann", &[("z", 1)]), order(2, "bob", &[("z", 1)])];
    store.commit(Fence::Open, &orders).await.expect("commits");
    store.upsert_dead_letters(Fence::Open, &[message("m1", b"secret")]).await.expect("keeps");
    let ids: Vec<_> = harness.letters().await.iter().map(|letter| letter.head.id).collect();

    let some = DeadLetterSelection::Ids([ids[0], ids[2], 999_999].into());
    for expected in [2, 0] {
        let page = store.discard_dead_letters(&some, ALL, "drain", &ann()).await.expect("discards");
        let DiscardedPage { outcomes, newly } = page;
        assert_eq!(newly, expected);
        let (discarded, gone) = (DiscardOutcome::Discarded, DiscardOutcome::Gone);
        assert_eq!(outcomes, [(ids[0], discarded), (ids[2], discarded), (999_999, gone)]);
    }
    assert_eq!(
        store
            .discard_dead_letters(&DeadLetterSelection::Ids([].into()), ALL, "drain", &ann())
            .await
            .expect("nothing"),
        DiscardedPage::default()
    );
    let letters = harness.letters().await;
    assert!(letters.iter().all(|letter| !letter.payload.is_empty()), "a discard can be undone");
    assert_eq!(store.delete_discarded_payloads().await.expect("deletes"), 0, "not yet");
    harness
        .run("UPDATE dead_letters SET restorable_until_us = 1 WHERE restorable_until_us IS NOT NULL")
        .await;
    assert_eq!(store.delete_discarded_payloads().await.expect("deletes"), 2);
    assert_eq!(store.delete_discarded_payloads().await.expect("deletes"), 0);
    let letters = harness.letters().await;
    assert_eq!(letters[0].payload.len() + letters[2].payload.len(), 0, "no personal data");
    let discard = letters[0].head.discard.as_ref().expect("a discard record");
    assert_eq!((discard.by.as_str(), discard.reason.as_str()), ("ann", "the sale is over"));
    assert_eq!(letters[1].head.discard, None);
    assert!(!letters[1].payload.is_empty());

    // One entry in the audit trail: a second discard has no effect.
    let audit = store.list_audit("drain", None, 9).await.expect("reads");
    let seen: Vec<_> = audit.iter().map(|entry| (entry.action.as_str(), entry.detail.clone())).collect();
    assert_eq!(
        seen,
        [("letters_discarded", format!("letters {} {}, by number: 2 discarded", ids[0], ids[2]))]
    );
    assert_eq!((audit[0].who.as_str(), audit[0].reason.as_str()), ("ann", "the sale is over"));

    // Discarded letters are not counted, but are still listed.
    assert_eq!(store.dead_letter_totals().await.expect("counts").total(), 1);
    assert_eq!(store.counts().await.expect("counts").dead_letters_total(), 3, "no order is missing");
    let found = store.find(id(1)).await.expect("reads").expect("is there");
    // The buyer still sees the state, without the payload.
    assert_eq!(found.user_id.as_ref(), Some(&orders[0].user_id));
    let StoredStatus::DeadLettered { reason, discarded_at: Some(at) } = found.status else {
        panic!("{found:?}")
    };
    assert_eq!(
        (reason.as_str(), found.updated_at, found.digest),
        ("unknown_sku", at, Some(orders[0].digest))
    );
    let list = async |standing| {
        store.list_dead_letters(&DeadLetterSelection::All, standing, ALL).await.expect("reads").len()
    };
    assert_eq!((list(DeadLetterStatus::Open).await, list(DeadLetterStatus::Discarded).await), (1, 2));
}

pub(crate) async fn a_redelivery_leaves_discarded_letters(harness: &Harness) {
    let store = &harness.store;
    store.apply_catalogue(&catalogue(&[("a", 9, None)])).await.expect("applies");
    let orders = [order(1, "ann", &[("z", 1)]), order(2, "bob", &[("z", 1)])];
    store.commit(Fence::Open, &orders).await.expect("commits");
    store.upsert_dead_letters(Fence::Open, &[message("m1", b"x")]).await.expect("keeps");
    let ids: Vec<_> = harness.letters().await.iter().map(|letter| letter.head.id).collect();
    let page = store
        .discard_dead_letters(&DeadLetterSelection::Ids([ids[0], ids[2]].into()), ALL, "drain", &ann())
        .await
        .expect("discards");
    assert_eq!((page.outcomes.len(), page.newly), (2, 2));
    let given_up = harness.letters().await;

    // The same order is redelivered before and after the catalogue has its SKU, and once as an unreadable message.
    assert_eq!(outcomes_of(&store.commit(Fence::Open, &orders).await.expect("commits")), [UNKNOWN_SKU; 2]);
    store.apply_catalogue(&catalogue(&[("a", 9, None), ("z", 9, None)])).await.expect("applies");
    let results = store.commit(Fence::Open, &orders).await.expect("commits");
    assert_eq!(outcomes_of(&results), [UNKNOWN_SKU, CONFIRMED]);
    let of_order = DeadLetter::of_order(&orders[0], DeadLetterReason::AttemptsExhausted, "17 deliveries");
    store.upsert_dead_letters(Fence::Open, &[message("m1", b"y"), of_order]).await.expect("keeps");
    store.delete_dead_letters(&ids).await.expect("passes over");
    assert_eq!(harness.letters().await, [given_up[0].clone(), given_up[2].clone()]);
    let reserved = harness.number("SELECT stock_reserved FROM sale_skus WHERE sku = 'z'").await;
    assert_eq!(reserved, 1, "sale {SALE}");
}

/// The first of the two wins, and both report the same result.
pub(crate) async fn a_letter_is_discarded_or_decided_never_both(harness: &Harness) {
    let store = &harness.store;
    for round in 0..20 {
        let orders: Vec<_> = (0..8).map(|number| order(round * 8 + number, "ann", &[("z", 1)])).collect();
        store.apply_catalogue(&catalogue(&[("a", 9, None)])).await.expect("applies");
        harness.run("DELETE FROM sale_skus WHERE sku = 'z'").await;
        store.commit(Fence::Open, &orders).await.expect("commits");
        store.apply_catalogue(&catalogue(&[("z", 900, None)])).await.expect("applies");
        let open = store
            .list_dead_letters(&DeadLetterSelection::All, DeadLetterStatus::Open, ALL)
            .await
            .expect("reads");
        assert_eq!(open.len(), 8);
        let ids = DeadLetterSelection::Ids(open.iter().map(|head| head.id).collect());
        let context = ann();
        let (results, discarded) = join(
            store.commit(Fence::Open, &orders),
            store.discard_dead_letters(&ids, ALL, "drain", &context),
        )
        .await;
        let outcomes = outcomes_of(&results.expect("commits"));
        for ((kind, (_, outcome)), order) in
            outcomes.into_iter().zip(discarded.expect("discards").outcomes).zip(&orders)
        {
            let expected = if outcome == DiscardOutcome::Discarded { UNKNOWN_SKU } else { CONFIRMED };
            assert_eq!(kind, expected, "round {round}");
            let found = store.find(order.order_id).await.expect("reads").expect("is there");
            let is_decided = matches!(found.status, StoredStatus::Decided(_));
            assert_eq!(is_decided, kind == CONFIRMED, "round {round}");
        }
        assert_eq!(store.dead_letter_totals().await.expect("counts").total(), 0);
    }
}

pub(crate) async fn only_undecided_orders_are_stored(harness: &Harness) {
    let store = &harness.store;
    store.apply_catalogue(&catalogue(&[("a", 9, None)])).await.expect("applies");
    let decided = order(1, "ann", &[("a", 1)]);
    let (lettered, given_up) = (order(2, "ann", &[("z", 1)]), order(3, "ann", &[("z", 1)]));
    let batch = [decided.clone(), lettered.clone(), given_up.clone()];
    store.commit(Fence::Open, &batch).await.expect("commits");
    store.upsert_dead_letters(Fence::Open, &[message("m1", b"x")]).await.expect("keeps");
    let last = harness.letters().await[1].head.id;
    store
        .discard_dead_letters(&DeadLetterSelection::Ids([last].into()), ALL, "drain", &ann())
        .await
        .expect("discards");
    let before = harness.letters().await;

    let exhausted = |order| DeadLetter::of_order(order, DeadLetterReason::AttemptsExhausted, "17 deliveries");
    let (fresh, other) = (order(4, "bob", &[("a", 1)]), order(1, "ann", &[("a", 2)]));
    let again = [
        exhausted(&decided),
        exhausted(&other),
        exhausted(&lettered),
        exhausted(&given_up),
        exhausted(&fresh).in_message("m9"),
        message("m1", b"x"),
        message("m2", b"x"),
    ];
    let stored = store.store_undecided(Fence::Open, &again).await.expect("keeps");
    assert_eq!(stored, BrokerDlqCounts { stored: 2, decided: 1, conflicts: 1, present: 3 });
    let stored = store.store_undecided(Fence::Open, &again).await.expect("keeps");
    assert_eq!(stored, BrokerDlqCounts { stored: 0, decided: 1, conflicts: 1, present: 5 });
    assert_eq!(
        store.store_undecided(Fence::Open, &[]).await.expect("nothing to do"),
        BrokerDlqCounts::default()
    );

    let letters = harness.letters().await;
    assert_eq!(letters[..3], before[..], "unchanged");
    let seen: Vec<_> =
        letters[3..].iter().map(|letter| (letter.head.order_id, letter.head.attempts)).collect();
    assert_eq!(seen, [(Some(id(4)), 1), (None, 1)]);
    assert_eq!(letters[3].head.message_id.as_deref(), Some("m9"));
    assert_eq!(store.find(id(1)).await.expect("reads").map(|order| order.conflicts), Some(1));
}

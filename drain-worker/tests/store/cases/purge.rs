//! Purging personal data and rows.

use std::future::ready;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use drain_worker::control::AuditContext;
use drain_worker::pipeline::{CircuitBreaker, GatedWriter, WriterStats};
use drain_worker::purge::{PurgeError, PurgeProgress, Purger};
use drain_worker::rate::RateGate;
use drain_worker::store::{
    DeadLetterSelection, Fence, OrderStore, PageRequest, PurgeBounds, PurgeStep, RestoreOutcome,
};
use time::OffsetDateTime;

use crate::harness::Harness;
use crate::orders::{AGAIN, CONFIRMED, catalogue, order, outcomes_of};

const DAY: Duration = Duration::from_secs(86_400);

fn purger(harness: &Harness, gate: RateGate) -> Purger {
    let writer = GatedWriter::new(gate, WriterStats::default(), CircuitBreaker::default());
    Purger::new(harness.store.clone(), writer, Arc::new(|| Box::pin(ready(None))), "drain", 72)
}

fn enough() -> RateGate {
    RateGate::standalone(100_000.try_into().expect("not 0"))
}

fn ago(days: u32) -> OffsetDateTime {
    OffsetDateTime::now_utc() - days * DAY
}

async fn purge(purger: &Purger, bounds: PurgeBounds) -> PurgeProgress {
    let context =
        AuditContext { who: "ann".to_owned(), reason: "yearly".to_owned(), ..AuditContext::default() };
    purger.purge(bounds, None, &context).await.expect("purges")
}

/// Moves everything that the database has `days` into the past.
async fn age(harness: &Harness, days: u32) {
    let earlier = |column: &str| {
        if harness.is_sqlite() {
            format!("{column} = strftime('%Y-%m-%d %H:%M:%f', {column}, '-{days} days')")
        } else {
            format!("{column} = {column} - INTERVAL {days} DAY")
        }
    };
    for (table, column) in [
        ("orders", "decided_at"),
        ("dead_letters", "discarded_at"),
        ("drain_audit", "at"),
        ("sale_skus", "closes_at"),
    ] {
        harness.run(&format!("UPDATE {table} SET {}", earlier(column))).await;
    }
}

/// The columns are those of personal data in `docs/database.md`.
async fn rows_with_personal_data(harness: &Harness) -> i64 {
    harness
        .number(
            "SELECT COUNT(*) FROM orders WHERE user_id <> '' OR shipping_address IS NOT NULL \
             OR client_reference IS NOT NULL OR traceparent IS NOT NULL",
        )
        .await
}

pub(crate) async fn personal_data_goes_first_and_rows_later(harness: &Harness) {
    let store = &harness.store;
    store.apply_catalogue(&catalogue(&[("a", 9_000, Some(9_000))])).await.expect("applies");
    // More than a page, a letter for an SKU that the sale lacks, and a conflict.
    let orders: Vec<_> = (0..1_100).map(|number| order(number, "ann", &[("a", 1)])).collect();
    store.commit(Fence::Open, &orders).await.expect("commits");
    store.commit(Fence::Open, &[order(5, "ann", &[("a", 2)])]).await.expect("commits");
    store.commit(Fence::Open, &[order(2_000, "ann", &[("z", 1)])]).await.expect("commits");
    let ids: Vec<_> = harness.letters().await.iter().map(|letter| letter.head.id).collect();
    let selection = DeadLetterSelection::Ids(ids.into_iter().collect());
    let page = PageRequest { after: 0, letters_max: NonZeroU32::MAX };
    store.discard_dead_letters(&selection, page, "drain", &AuditContext::default()).await.expect("discards");
    // The catalogue's sale ends years ahead.
    harness.run("UPDATE sale_skus SET closes_at = '2026-01-01 00:00:00.000'").await;
    age(harness, 40).await;
    // Decided today, so they stay.
    store.commit(Fence::Open, &[order(3_000, "bob", &[("a", 1)])]).await.expect("commits");

    let purger = purger(harness, enough());
    let before = ago(39);
    let done = purge(&purger, PurgeBounds { data_before: before, rows_before: None }).await;
    assert_eq!((done.next, done.stopped), (None, None));
    let counts: Vec<_> = done.rows.into_iter().collect();
    let expected = [(PurgeStep::OrderData, 1_100), (PurgeStep::LetterData, 1), (PurgeStep::Purchases, 2)];
    assert_eq!(counts, expected);
    assert_eq!(rows_with_personal_data(harness).await, 1);
    assert_eq!(harness.number("SELECT COUNT(*) FROM dead_letters WHERE user_id IS NOT NULL").await, 0);
    // The ids are still taken, and prices and totals stay.
    let again = store.commit(Fence::Open, &orders[..3]).await.expect("commits");
    assert_eq!(outcomes_of(&again), [AGAIN; 3]);
    assert_eq!(harness.number("SELECT COUNT(*) FROM orders WHERE total_minor = 0").await, 0);
    assert_eq!(harness.number("SELECT stock_reserved FROM sale_skus").await, 1_101);

    let done = purge(&purger, PurgeBounds { data_before: before, rows_before: Some(before) }).await;
    let counts: Vec<_> = done.rows.into_iter().collect();
    assert_eq!(counts, [(PurgeStep::Orders, 1_100), (PurgeStep::Letters, 1), (PurgeStep::Audit, 1)]);
    assert_eq!(harness.number("SELECT COUNT(*) FROM orders").await, 1);
    assert_eq!(harness.number("SELECT COUNT(*) FROM order_conflicts").await, 0);
    assert_eq!(harness.number("SELECT COUNT(*) FROM dead_letters").await, 0);
    let entries = store.list_audit("drain", None, 10).await.expect("reads");
    assert_eq!(entries.iter().map(|entry| entry.action.as_str()).collect::<Vec<_>>(), ["purged", "purged"]);
    assert_eq!((entries[0].who.as_str(), entries[0].reason.as_str()), ("ann", "yearly"));
    let fresh = store.commit(Fence::Open, &[order(3_001, "bob", &[("a", 1)])]).await.expect("commits");
    assert_eq!(outcomes_of(&fresh), [CONFIRMED]);
}

pub(crate) async fn a_purge_spends_credits_and_continues(harness: &Harness) {
    let store = &harness.store;
    store.apply_catalogue(&catalogue(&[("a", 9_000, None)])).await.expect("applies");
    let orders: Vec<_> = (0..12).map(|number| order(number, "ann", &[("a", 1)])).collect();
    store.commit(Fence::Open, &orders).await.expect("commits");
    age(harness, 40).await;
    // Five credits, and none is released during the test.
    let gate = RateGate::with_window(Duration::from_secs(3_600));
    gate.set_credits(5);
    let bounds = PurgeBounds { data_before: ago(39), rows_before: None };
    let first = purge(&purger(harness, gate), bounds).await;
    assert_eq!(first.rows.get(&PurgeStep::OrderData), Some(&5), "a credit each");
    assert!(first.stopped.is_some_and(|reason| reason.contains("no share of the cap")));
    assert_eq!(rows_with_personal_data(harness).await, 7);
    let rest = purger(harness, enough())
        .purge(bounds, first.next, &AuditContext::default())
        .await
        .expect("continues");
    assert_eq!((rest.rows.get(&PurgeStep::OrderData), rest.next), (Some(&7), None));
    assert_eq!(harness.number("SELECT COUNT(*) FROM drain_audit WHERE action = 'purged'").await, 1);
}

pub(crate) async fn recent_data_cannot_be_purged(harness: &Harness) {
    let purger = purger(harness, enough());
    let refused = async |data: u32, rows: Option<u32>| {
        let bounds = PurgeBounds { data_before: ago(data), rows_before: rows.map(ago) };
        purger.purge(bounds, None, &AuditContext::default()).await.expect_err("refused")
    };
    assert!(matches!(refused(2, None).await, PurgeError::DataTooRecent { hours: 72 }));
    assert!(matches!(refused(20, Some(29)).await, PurgeError::RowsTooRecent));
    assert!(matches!(refused(40, Some(39)).await, PurgeError::RowsBeforeData));
    assert_eq!(harness.number("SELECT COUNT(*) FROM drain_audit").await, 0);
}

/// A purge waits for credits between the look and the deletion; an operator may restore a letter meanwhile.
pub(crate) async fn a_purge_leaves_a_letter_that_was_restored(harness: &Harness) {
    let store = &harness.store;
    let context = AuditContext { reason: "a mistake".to_owned(), ..AuditContext::default() };
    store.apply_catalogue(&catalogue(&[("a", 9, None)])).await.expect("applies");
    store
        .commit(Fence::Open, &[order(1, "ann", &[("z", 1)]), order(2, "ann", &[("z", 1)])])
        .await
        .expect("commits");
    let ids: Vec<i64> = harness.letters().await.iter().map(|letter| letter.head.id).collect();
    let (some, page) = (
        |ids: &[i64]| DeadLetterSelection::Ids(ids.iter().copied().collect()),
        PageRequest { after: 0, letters_max: NonZeroU32::MAX },
    );
    store.discard_dead_letters(&some(&ids), page, "drain", &context).await.expect("discards");
    // What is left of a message that names no buyer is personal data too.
    harness.run(&format!("UPDATE dead_letters SET user_id = NULL WHERE id = {}", ids[1])).await;
    age(harness, 40).await;
    let bounds = PurgeBounds { data_before: ago(39), rows_before: None };
    let found = store.find_purgeable(PurgeStep::LetterData, &bounds, "drain", 0).await.expect("looks");
    let restored = store.restore_dead_letters(&some(&ids[..1]), page, "drain", &context).await;
    assert_eq!(restored.expect("restores"), [(ids[0], RestoreOutcome::Restored)]);
    store.purge(Fence::Open, &found.rows).await.expect("purges");
    let empty =
        |id: i64| format!("SELECT COUNT(*) FROM dead_letters WHERE id = {id} AND LENGTH(payload) = 0");
    assert_eq!(harness.number(&empty(ids[0])).await, 0, "the restored letter has its payload");
    assert_eq!(harness.number(&empty(ids[1])).await, 1, "the discarded one has none");
}

//! Dead letters that the worker writes itself.

use bytes::Bytes;
use drain_worker::store::{DeadLetter, DeadLetterReason, OrderStore};

use crate::harness::Harness;
use crate::orders::{id, order};

pub(crate) async fn letters_are_updated_listed_and_removed(harness: &Harness) {
    let store = &harness.store;
    let late = order(7, "ann", &[("a", 1)]);
    let message = |name: &str, body: &'static [u8]| {
        DeadLetter::of_message(name, Bytes::from_static(body), DeadLetterReason::MalformedMessage, "not CBOR")
    };
    let of_order = || DeadLetter::of_order(&late, DeadLetterReason::AttemptsExhausted, "17 deliveries");
    store
        .dead_letter(&[message("m1", b"\xff\x00"), of_order().in_message("m2"), message("m3", b"")])
        .await
        .expect("keeps");
    let newer =
        DeadLetter::of_message("m1", Bytes::from_static(b"x"), DeadLetterReason::UnknownVersion, "version 9");
    store.dead_letter(&[newer, of_order()]).await.expect("keeps");
    store.dead_letter(&[]).await.expect("nothing to do");

    let letters = store.dead_letters(0, 10).await.expect("reads");
    let seen: Vec<_> = letters
        .iter()
        .map(|letter| {
            (letter.order_id, letter.message_id.as_deref(), letter.reason.as_str(), letter.attempts)
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
    assert_eq!(letters[0].detail, "version 9");
    assert!(letters[0].first_failed_at <= letters[0].last_failed_at);
    assert_eq!(letters[2].payload, b"".as_slice());

    let page = store.dead_letters(letters[0].id, 1).await.expect("reads");
    assert_eq!(page.iter().map(|letter| letter.id).collect::<Vec<_>>(), [letters[1].id]);
    store.remove_dead_letters(&[letters[0].id, letters[2].id, 999_999]).await.expect("removes");
    store.remove_dead_letters(&[]).await.expect("nothing to do");
    assert_eq!(store.dead_letters(0, 10).await.expect("reads"), page);
}

pub(crate) async fn large_messages_are_kept(harness: &Harness) {
    let store = &harness.store;
    // ShardingSphere-Proxy 5.1 takes packets from 8 MiB on for negative ones, and bytes travel as hexadecimal digits.
    let bytes = if harness.is_behind_proxy() { 3 * 1024 * 1024 } else { shared::envelope::BYTES_MAX };
    let body = Bytes::from(vec![0xa5; bytes]);
    let letters: Vec<_> = (0..5)
        .map(|number| {
            let name = format!("m{number}");
            DeadLetter::of_message(&name, body.clone(), DeadLetterReason::UnknownVersion, "too new")
        })
        .collect();
    store.dead_letter(&letters).await.expect("keeps");
    let sum = harness.number("SELECT CAST(SUM(LENGTH(payload)) AS SIGNED) FROM dead_letters").await;
    assert_eq!(sum, 5 * i64::try_from(bytes).expect("few"));
    assert_eq!(store.dead_letters(0, 1).await.expect("reads")[0].payload, body);
}

//! Bodies that are too large, too slow, or chunked.

use std::time::Duration;

use axum::body::Bytes;
use http::StatusCode;
use http::header::CONTENT_LENGTH;
use ingest_fn::limits::BODY_BYTES_MAX;
use tokio::time::Instant;

use crate::support::{End, LIMITS, chunked, order, post, send, service};

/// The sample order, padded with spaces to `bytes`.
fn padded(bytes: usize) -> String {
    format!("{:<bytes$}", order().to_string())
}

#[tokio::test]
async fn the_largest_body_is_accepted_and_one_byte_more_is_rejected() {
    for (bytes, expected) in
        [(BODY_BYTES_MAX, StatusCode::ACCEPTED), (BODY_BYTES_MAX + 1, StatusCode::PAYLOAD_TOO_LARGE)]
    {
        assert_eq!(send(&service(), post(padded(bytes))).await.status, expected, "whole, {bytes} bytes");
        let pieces = padded(bytes).into_bytes();
        let pieces = pieces.chunks(1_000).map(Bytes::copy_from_slice).collect::<Vec<_>>();
        let answer = send(&service(), post(chunked(pieces, End::Complete))).await;
        assert_eq!(answer.status, expected, "in pieces, {bytes} bytes");
    }
}

#[tokio::test]
async fn a_body_that_announces_too_many_bytes_is_rejected_unread() {
    let mut request = post(chunked([""; 0], End::Unread));
    request.headers_mut().insert(CONTENT_LENGTH, (BODY_BYTES_MAX as u64 + 1).into());
    let rejected = send(&service(), request).await;
    assert_eq!(rejected.rejection(), (413, "body_too_large".to_owned()));
}

#[tokio::test]
async fn an_endless_body_is_read_only_up_to_the_bound() {
    let chunk = vec![b' '; 1_024];
    let chunks = std::iter::repeat_n(chunk, BODY_BYTES_MAX / 1_024 + 1);
    let answer = send(&service(), post(chunked(chunks, End::Unread))).await;
    assert_eq!(answer.rejection(), (413, "body_too_large".to_owned()));
}

#[tokio::test]
async fn headers_are_checked_before_the_body_is_read() {
    let mut request = post(chunked([""; 0], End::Unread));
    request.headers_mut().remove("idempotency-key");
    assert_eq!(send(&service(), request).await.rejection(), (400, "invalid_idempotency_key".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_missing_body_times_out_at_the_bound() {
    let started = Instant::now();
    let answer = send(&service(), post(chunked(["{"], End::Silence))).await;
    assert_eq!(answer.rejection(), (408, "body_timeout".to_owned()));
    let waited = started.elapsed();
    assert!(
        (LIMITS.body_timeout..LIMITS.body_timeout + Duration::from_millis(10)).contains(&waited),
        "{waited:?}"
    );
}

#[tokio::test]
async fn a_body_that_breaks_off_is_retryable() {
    let answer = send(&service(), post(chunked(["{\"sale_id\""], End::Broken))).await;
    assert_eq!(answer.rejection(), (400, "unreadable_body".to_owned()));
    assert_eq!(answer.json()["retryable"], true);
}

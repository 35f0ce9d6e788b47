//! Cost of a signature; prints figures and asserts nothing about them.

use std::hint::black_box;

use tokio::time::Instant;

use super::sign::Draft;
use super::signature::verifier;
use crate::support::order;

#[test]
#[ignore = "prints figures: cargo test --release -p ingest-fn a_verification -- --ignored --nocapture"]
fn a_verification_in_microseconds() {
    const ROUNDS: u32 = 200_000;
    let verifier = verifier(&["idempotency-key", "x-user"]);
    let body = order().to_string();
    let gateway_headers = ["X-Ca-Request-Id", "X-Ca-Stage", "X-Forwarded-For", "CA-Client-Ip"];
    let mut draft =
        Draft::order("3f6c0c5e-9a3c-4b3e-8f55-2f9d6c1c0a11", body.clone()).with_signed("X-User", "buyer-42");
    for name in gateway_headers {
        draft = draft.with_signed(name, "7AD052CB-EE8B-4DFD-BBAF-EFB340E0A5AF");
    }
    let request = draft.request();
    let verify = || {
        let request = black_box(&request);
        verifier.verify(request.method(), request.uri(), request.headers(), request.body())
    };
    for _ in 0..ROUNDS / 10 {
        assert!(verify().is_ok());
    }
    // The best of several, to exclude the load of other processes.
    let best = (0..7)
        .map(|_| {
            let started = Instant::now();
            for _ in 0..ROUNDS {
                let _verified = black_box(verify());
            }
            started.elapsed()
        })
        .min()
        .expect("some");
    let us = best.as_secs_f64() * 1e6 / f64::from(ROUNDS);
    println!(
        "{us:.2} us a verification: {} bytes of body, {} signed headers",
        body.len(),
        draft.signed.len()
    );
}

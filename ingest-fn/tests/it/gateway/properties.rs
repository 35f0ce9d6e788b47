//! Properties of the signature, for requests of any shape.

use std::collections::BTreeMap;

use http::Method;
use proptest::prelude::*;
use proptest::sample::Index;
use shared::gateway::SignatureError;

use super::sign::{Draft, KEY_NAME, SECRET};
use super::signature::verifier;

/// A name in a query, without characters that would make the signed text ambiguous.
const PARAMETER_NAME: &str = "(?s)[^&=]{1,6}";
const PARAMETER_VALUE: &str = "(?s)[^&]{0,10}";
const HEADER_VALUE: &str = "[!-~][ -~]{0,16}";
const PATH: &str = "/[a-zA-Z0-9._~/-]{0,20}";

fn drafts() -> impl Strategy<Value = Draft> {
    let headers = prop::collection::btree_map("[xX]-[a-z]{1,6}", HEADER_VALUE, 0..5);
    // `X-a` and `x-a` are one header, which may not be listed twice.
    let headers = headers.prop_filter("each name once", |headers: &BTreeMap<String, String>| {
        let lower: std::collections::BTreeSet<_> =
            headers.keys().map(|name| name.to_ascii_lowercase()).collect();
        lower.len() == headers.len()
    });
    let body = prop::collection::vec(any::<u8>(), 1..200);
    (
        prop::sample::select(vec![Method::POST, Method::PUT, Method::GET]),
        PATH,
        prop::collection::btree_map(PARAMETER_NAME, PARAMETER_VALUE, 0..5),
        headers,
        "[!-~]{1,64}",
        body,
    )
        .prop_map(|(method, path, query, headers, key, body)| {
            let mut headers: Vec<_> = headers.into_iter().collect();
            headers.push(("Idempotency-Key".to_owned(), key));
            let body = if method == Method::GET { Vec::new() } else { body };
            Draft {
                method,
                path,
                query: query.into_iter().collect(),
                form: Vec::new(),
                signed: headers.iter().map(|(name, _)| name.clone()).collect(),
                headers,
                body,
                signs_sent_md5: false,
                key_name: KEY_NAME.to_owned(),
                secret: SECRET.to_owned(),
            }
        })
}

/// One change between the gateway and ingest-fn.
#[derive(Clone, Debug)]
enum Change {
    Method,
    Path(String),
    HeaderValue(Index, String),
    HeaderRemoved(Index),
    HeaderRepeated(Index),
    ParameterValue(Index, String),
    ParameterName(Index, String),
    ParameterRemoved(Index),
    ParameterAdded(String, String),
    BodyBit(Index, u8),
    BodyLonger(u8),
    BodyEmpty,
    SignatureBit(Index),
    OtherKey,
}

fn changes() -> impl Strategy<Value = Change> {
    prop_oneof![
        Just(Change::Method),
        PATH.prop_map(Change::Path),
        (any::<Index>(), HEADER_VALUE).prop_map(|(index, value)| Change::HeaderValue(index, value)),
        any::<Index>().prop_map(Change::HeaderRemoved),
        any::<Index>().prop_map(Change::HeaderRepeated),
        (any::<Index>(), PARAMETER_VALUE).prop_map(|(index, value)| Change::ParameterValue(index, value)),
        (any::<Index>(), PARAMETER_NAME).prop_map(|(index, name)| Change::ParameterName(index, name)),
        any::<Index>().prop_map(Change::ParameterRemoved),
        (PARAMETER_NAME, PARAMETER_VALUE).prop_map(|(name, value)| Change::ParameterAdded(name, value)),
        (any::<Index>(), 0..8_u8).prop_map(|(index, bit)| Change::BodyBit(index, bit)),
        any::<u8>().prop_map(Change::BodyLonger),
        Just(Change::BodyEmpty),
        any::<Index>().prop_map(Change::SignatureBit),
        Just(Change::OtherKey),
    ]
}

/// The request that arrives instead of `signed`; `None` if the change has no effect.
fn tampered(signed: &Draft, change: &Change) -> Option<http::Request<axum::body::Bytes>> {
    let mut draft = signed.clone();
    let mut repeated = None;
    match change {
        Change::Method => {
            draft.method = if draft.method == Method::POST { Method::PUT } else { Method::POST }
        }
        Change::Path(path) => draft.path.clone_from(path),
        Change::HeaderValue(index, value) => {
            draft.headers[index.index(signed.headers.len())].1.clone_from(value);
        }
        Change::HeaderRemoved(index) => drop(draft.headers.remove(index.index(signed.headers.len()))),
        Change::HeaderRepeated(index) => {
            repeated = Some(signed.headers[index.index(signed.headers.len())].clone());
        }
        _ if matches!(
            change,
            Change::ParameterValue(..) | Change::ParameterName(..) | Change::ParameterRemoved(_)
        ) && draft.query.is_empty() =>
        {
            return None;
        }
        Change::ParameterValue(index, value) => {
            draft.query[index.index(signed.query.len())].1.clone_from(value);
        }
        Change::ParameterName(index, name) => draft.query[index.index(signed.query.len())].0.clone_from(name),
        Change::ParameterRemoved(index) => drop(draft.query.remove(index.index(signed.query.len()))),
        Change::ParameterAdded(name, value) => draft.query.push((name.clone(), value.clone())),
        Change::BodyBit(index, bit) if !draft.body.is_empty() => {
            draft.body[index.index(signed.body.len())] ^= 1 << bit;
        }
        Change::BodyBit(..) => return None,
        Change::BodyLonger(byte) => draft.body.push(*byte),
        Change::BodyEmpty => draft.body.clear(),
        Change::SignatureBit(_) | Change::OtherKey => {}
    }
    let mut request = draft.request();
    let mut signature = signed.signature().into_bytes();
    if let Change::SignatureBit(index) = change {
        // The last three characters may mean the same as others.
        let place = index.index(signature.len() - 3);
        signature[place] = if signature[place] == b'A' { b'B' } else { b'A' };
    }
    let headers = request.headers_mut();
    headers.insert("x-ca-proxy-signature", signature.try_into().ok()?);
    headers.insert("x-ca-proxy-signature-headers", signed.signed.join(",").try_into().ok()?);
    if matches!(change, Change::OtherKey) {
        headers.insert("x-ca-proxy-signature-secret-key", "2026a".try_into().ok()?);
    }
    if let Some((name, value)) = repeated {
        let name = http::HeaderName::try_from(name).ok()?;
        headers.append(name, value.try_into().ok()?);
    }
    let original = signed.request();
    let same = original.method() == request.method()
        && original.uri() == request.uri()
        && original.headers() == request.headers()
        && original.body() == request.body();
    (!same).then_some(request)
}

fn fault(request: &http::Request<axum::body::Bytes>) -> Option<SignatureError> {
    let verifier = verifier(&["idempotency-key"]);
    verifier.verify(request.method(), request.uri(), request.headers(), request.body()).err()
}

/// The query of `pairs`, each byte that need not be encoded encoded or not by `lots`.
fn encoded(pairs: &[(String, String)], lots: &[u8]) -> String {
    let mut lots = lots.iter().cycle();
    let mut lot = || lots.next().copied().unwrap_or_default();
    let mut encode = |text: &str| -> String {
        text.bytes()
            .map(|byte| match (byte, lot() % 3) {
                (b' ', 0) => "+".to_owned(),
                (byte, 0) if byte.is_ascii_alphanumeric() || b"-._~!$'()*,;:@/?".contains(&byte) => {
                    char::from(byte).to_string()
                }
                (byte, 1) => format!("%{byte:02x}"),
                (byte, _) => format!("%{byte:02X}"),
            })
            .collect()
    };
    let pairs: Vec<_> =
        pairs.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    pairs.join("&")
}

proptest! {
    #[test]
    fn a_signed_request_verifies_and_any_change_to_it_fails(signed in drafts(), change in changes()) {
        prop_assert_eq!(fault(&signed.request()), None);
        if let Some(request) = tampered(&signed, &change) {
            prop_assert!(fault(&request).is_some(), "{request:?}");
        }
    }

    #[test]
    fn a_query_is_compared_decoded_and_in_any_order(
        signed in drafts(),
        lots in prop::collection::vec(any::<u8>(), 1..64),
        seed in any::<u64>(),
    ) {
        let mut sent = signed;
        if !sent.query.is_empty() {
            let places = sent.query.len() as u64;
            sent.query.rotate_left((seed % places) as usize);
        }
        prop_assert_eq!(fault(&sent.request_with(|pairs| encoded(pairs, &lots))), None);
    }

    #[test]
    fn the_sequence_of_the_list_does_not_matter(signed in drafts(), seed in any::<u64>()) {
        let mut listed = signed.clone();
        let places = listed.signed.len() as u64;
        listed.signed.rotate_left((seed % places) as usize);
        prop_assert_eq!(listed.signature(), signed.signature());
        prop_assert_eq!(fault(&listed.request()), None);
    }

    #[test]
    fn a_repeated_parameter_is_rejected_in_any_encoding_even_if_signed(
        signed in drafts(),
        name in PARAMETER_NAME,
        values in (PARAMETER_VALUE, PARAMETER_VALUE),
        lots in prop::collection::vec(any::<u8>(), 1..64),
    ) {
        let mut signed = signed;
        signed.query.retain(|(known, _)| *known != name);
        signed.query.push((name.clone(), values.0));
        // The gateway signs the first value; the second is sent as well.
        let signature = signed.signature();
        signed.query.push((name, values.1));
        let mut request = signed.request_with(|pairs| encoded(pairs, &lots));
        request.headers_mut().insert("x-ca-proxy-signature", signature.try_into().expect("a value"));
        prop_assert_eq!(fault(&request), Some(SignatureError::RepeatedParameter));
    }
}

//! Verification of signatures.

use axum::body::Bytes;
use http::{HeaderValue, Method, Request};
use shared::gateway::{
    KeysError, LISTED_MAX, PARAMETERS_MAX, ParameterError, SignatureError, SigningKeys, Verifier, parameters,
};

use super::sign::{Draft, keys};

pub(super) fn verifier(required: &[&'static str]) -> Verifier {
    Verifier::new(keys(), required.iter().map(|name| http::HeaderName::from_static(name)).collect())
}

fn check(verifier: &Verifier, request: &Request<Bytes>) -> Option<SignatureError> {
    verifier.verify(request.method(), request.uri(), request.headers(), request.body()).err()
}

/// The vendor's test vector (`Sign.java` of aliyun/api-gateway-demo-sign-backend-java).
#[test]
fn the_example_of_the_vendor_verifies() {
    let request = Request::builder()
        .method(Method::POST)
        .uri("/demo/uri?QueryKey2=QueryValue2&QueryKey1=QueryValue1")
        .header("x-ca-proxy-signature", "C7Lqfn8Spz0DxQTfUJq0NrkEbwNUuTNtC9p3SzRWgv0=")
        .header("x-ca-proxy-signature-secret-key", "DemoKey1")
        .header("x-ca-proxy-signature-headers", "HeaderKey1,HeaderKey2")
        .header("headerkey1", "HeaderValue1")
        .header("headerkey2", "HeaderValue2")
        .header("content-type", "application/x-www-form-urlencoded; charset=utf-8")
        .body(Bytes::from("FormKey1=FormValue1&FormKey2=FormValue2"))
        .expect("a request");
    let keys: SigningKeys = "DemoKey1=DemoSecret1,DemoKey2=DemoSecret2".parse().expect("keys");
    assert_eq!(check(&Verifier::new(keys, Vec::new()), &request), None);
    let other: SigningKeys = "DemoKey1=DemoSecret2".parse().expect("keys");
    assert_eq!(check(&Verifier::new(other, Vec::new()), &request), Some(SignatureError::Mismatch));
}

#[test]
fn each_of_several_keys_verifies_what_it_signed() {
    let verifier = verifier(&["idempotency-key"]);
    for (name, secret, fault) in [
        ("2026a", "the-first-secret", None),
        ("2026b", "9f1c=the-second-secret", None),
        ("2026a", "9f1c=the-second-secret", Some(SignatureError::Mismatch)),
        ("2025z", "the-first-secret", Some(SignatureError::UnknownKey)),
    ] {
        let mut draft = Draft::order("k", "{}");
        (draft.key_name, draft.secret) = (name.to_owned(), secret.to_owned());
        assert_eq!(check(&verifier, &draft.request()), fault, "{name} {secret}");
    }
}

/// Both readings of the body's digest: the vendor's page "Backend signature plugin" (the client's header, or an empty line)
/// and its demo (of the body). MD5 of `{}` by `md5sum`.
#[test]
fn the_gateway_may_sign_the_clients_digest_the_bodys_or_none() {
    const RIGHT: &str = "mZFLkyvTelC5g8XnyQrpOw==";
    const WRONG: &str = "1B2M2Y8AsgTpgAmY7PhCfg==";
    let verifier = verifier(&["idempotency-key"]);
    for (signs_sent_md5, sent, expected) in [
        (false, None, Ok(true)),
        (false, Some(RIGHT), Ok(true)),
        (true, Some(RIGHT), Ok(true)),
        (true, None, Ok(false)),
        (true, Some(WRONG), Err(SignatureError::Mismatch)),
        (false, Some(WRONG), Err(SignatureError::Mismatch)),
    ] {
        let mut draft = Draft::order("k", "{}");
        draft.signs_sent_md5 = signs_sent_md5;
        draft.headers.extend(sent.map(|md5| ("Content-MD5".to_owned(), md5.to_owned())));
        let request = draft.request();
        let verified = verifier.verify(request.method(), request.uri(), request.headers(), request.body());
        assert_eq!(verified.map(|it| it.covers_body()), expected, "{signs_sent_md5} {sent:?}");
        let mut changed = request.clone();
        *changed.body_mut() = Bytes::from_static(b"{ }");
        let expected = if expected == Ok(false) { None } else { Some(SignatureError::Mismatch) };
        assert_eq!(check(&verifier, &changed), expected, "{signs_sent_md5} {sent:?}");
    }
    // A digest that was added in transit.
    let mut draft = Draft::order("k", "{}");
    draft.signs_sent_md5 = true;
    let mut request = draft.request();
    request.headers_mut().insert("content-md5", HeaderValue::from_static(RIGHT));
    assert_eq!(check(&verifier, &request), Some(SignatureError::Mismatch));
}

/// A signed order, changed in transit.
fn changed(change: impl FnOnce(&mut Request<Bytes>)) -> Request<Bytes> {
    let mut request = Draft::order("k", "{}").with_signed("X-User", "u").request();
    change(&mut request);
    request
}

fn set(name: &'static str, value: &'static [u8]) -> Request<Bytes> {
    changed(|request| {
        request.headers_mut().insert(name, HeaderValue::from_bytes(value).expect("a value"));
    })
}

fn add(name: &'static str, value: &'static str) -> Request<Bytes> {
    changed(|request| {
        request.headers_mut().append(name, HeaderValue::from_static(value));
    })
}

fn without(name: &'static str) -> Request<Bytes> {
    changed(|request| {
        request.headers_mut().remove(name);
    })
}

#[test]
fn every_request_that_is_not_surely_signed_by_the_gateway_is_rejected() {
    let verifier = verifier(&["idempotency-key", "x-user"]);
    let mut unsigned_user = Draft::order("k", "{}");
    unsigned_user.headers.push(("X-User".to_owned(), "u".to_owned()));
    let mut absent_user = Draft::order("k", "{}");
    absent_user.signed.push("X-User".to_owned());
    let mut deleted = Draft::order("k", "{}");
    deleted.method = Method::DELETE;
    let mut listed_often = Draft::order("k", "{}");
    listed_often.signed.extend((0..LISTED_MAX).map(|number| format!("X-{number}")));
    let query = |query: &str| {
        let mut request = Draft::order("k", "{}").request();
        *request.uri_mut() = format!("/v1/orders?{query}").parse().expect("a target");
        request
    };
    let many: Vec<_> = (0..=PARAMETERS_MAX).map(|number| format!("p{number}=")).collect();
    let cases = [
        ("as signed", changed(|_| {}), None),
        ("method named", add("x-ca-proxy-signature-method", "HmacSHA256"), None),
        ("required header listed, and absent", absent_user.request(), None),
        ("a header that is not signed", add("traceparent", "00-1-2-00"), None),
        ("no signature", without("x-ca-proxy-signature"), Some(SignatureError::Missing)),
        ("no key", without("x-ca-proxy-signature-secret-key"), Some(SignatureError::KeyMissing)),
        ("no list", without("x-ca-proxy-signature-headers"), Some(SignatureError::UnsignedHeader)),
        (
            "unknown method",
            add("x-ca-proxy-signature-method", "HmacMD5"),
            Some(SignatureError::UnknownMethod),
        ),
        ("signature twice", add("x-ca-proxy-signature", "AAAA"), Some(SignatureError::RepeatedHeader)),
        ("key twice", add("x-ca-proxy-signature-secret-key", "2026b"), Some(SignatureError::RepeatedHeader)),
        ("list twice", add("x-ca-proxy-signature-headers", "x-user"), Some(SignatureError::RepeatedHeader)),
        ("required header twice", add("x-user", "u"), Some(SignatureError::RepeatedHeader)),
        ("key of the order twice", add("idempotency-key", "k"), Some(SignatureError::RepeatedHeader)),
        ("required header not listed", unsigned_user.request(), Some(SignatureError::UnsignedHeader)),
        (
            "listed twice",
            set("x-ca-proxy-signature-headers", b"Idempotency-Key,X-User,x-user"),
            Some(SignatureError::RepeatedHeader),
        ),
        ("long list", listed_often.request(), Some(SignatureError::TooManyHeaders)),
        ("signed header not ASCII", set("x-user", "\u{fc}".as_bytes()), Some(SignatureError::Undecodable)),
        ("signature not ASCII", set("x-ca-proxy-signature", b"\xff"), Some(SignatureError::Undecodable)),
        ("signature not base64", set("x-ca-proxy-signature", b"not base64"), Some(SignatureError::Mismatch)),
        ("signature empty", set("x-ca-proxy-signature", b""), Some(SignatureError::Mismatch)),
        ("signature too long", set("x-ca-proxy-signature", &[b'A'; 400]), Some(SignatureError::Mismatch)),
        ("signed header gone", without("x-user"), Some(SignatureError::Mismatch)),
        (
            "body as a form",
            set("content-type", b"application/x-www-form-urlencoded"),
            Some(SignatureError::Mismatch),
        ),
        ("body that is never signed", deleted.request(), Some(SignatureError::UnsignedBody)),
        ("parameter twice", query("a=1&b=2&a=1"), Some(SignatureError::RepeatedParameter)),
        ("parameter twice, differently encoded", query("a=1&%61=2"), Some(SignatureError::RepeatedParameter)),
        ("many parameters", query(&many.join("&")), Some(SignatureError::TooManyParameters)),
        ("half an escape", query("a=%2"), Some(SignatureError::Undecodable)),
        ("no escape", query("a=%zz"), Some(SignatureError::Undecodable)),
        ("not UTF-8", query("a=%ff"), Some(SignatureError::Undecodable)),
        ("two parameters in one", query("a=1%26b=2"), Some(SignatureError::Undecodable)),
        ("a value in a name", query("a%3D1=2"), Some(SignatureError::Undecodable)),
    ];
    for (name, request, fault) in cases {
        assert_eq!(check(&verifier, &request), fault, "{name}");
    }
}

#[test]
fn parameters_are_decoded_like_a_form_and_sorted_like_java_strings() {
    let read = |query: &str, form: &str| {
        let pairs = parameters(query, form)?;
        Ok(pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("|"))
    };
    let cases = [
        ("", "", Ok("")),
        ("b=2&a=1", "", Ok("a=1|b=2")),
        ("b=2", "a=1", Ok("a=1|b=2")),
        ("&&a=1&", "&", Ok("a=1")),
        ("a", "", Ok("a=")),
        ("a=", "", Ok("a=")),
        ("a=b=c", "", Ok("a=b=c")),
        ("a=x+y%20z%2B", "", Ok("a=x y z+")),
        ("B=1&a=2&A=3", "", Ok("A=3|B=1|a=2")),
        ("%E9%99%90=%E6%97%B6", "", Ok("限=时")),
        // U+FF5E sorts after U+10000 by its UTF-16 units, and before it by its bytes.
        ("%EF%BD%9E=1&%F0%90%80%80=2", "", Ok("\u{10000}=2|\u{ff5e}=1")),
        ("a=1", "a=1", Err(ParameterError::Repeated)),
        ("a&a", "", Err(ParameterError::Repeated)),
        ("a=%C3%28", "", Err(ParameterError::Undecodable)),
        ("a=%", "", Err(ParameterError::Undecodable)),
        ("%26=1", "", Err(ParameterError::Ambiguous)),
    ];
    for (query, form, expected) in cases {
        assert_eq!(read(query, form), expected.map(str::to_owned), "{query} {form}");
    }
}

#[test]
fn secrets_are_parsed_strictly_and_never_shown() {
    for (text, error) in [
        ("", KeysError::Syntax),
        ("just-a-secret", KeysError::Syntax),
        ("=long-enough", KeysError::Syntax),
        ("a b=long-enough", KeysError::Syntax),
        ("a=long-enough,", KeysError::Syntax),
        ("a=long-enough,a=long-enough-too", KeysError::Repeated),
        ("a=short", KeysError::TooShort),
        ("a=", KeysError::TooShort),
    ] {
        assert_eq!(text.parse::<SigningKeys>().map(|_| ()), Err(error), "{text}");
    }
    let keys = keys();
    assert_eq!(keys.names().collect::<Vec<_>>(), ["2026a", "2026b"]);
    assert_eq!(format!("{keys:?}"), r#"{"2026a", "2026b"}"#);
}

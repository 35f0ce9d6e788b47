//! The event form: decoding of events, encoding of replies.

use axum::body::{Body, Bytes, to_bytes};
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, SET_COOKIE};
use http::{HeaderValue, Method, Request, StatusCode};
use ingest_fn::event::{EventError, HEADERS_MAX, decode_event, encode_reply};
use ingest_fn::invoke::order_request;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::sign::{Draft, percent_encoded};
use super::signature::verifier;

/// The event that API Gateway creates from `draft`, body as text or as base64.
pub(super) fn event(draft: &Draft, base64: bool) -> Value {
    use base64::Engine as _;
    let signed = draft.request();
    let headers: serde_json::Map<_, _> = signed
        .headers()
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), json!(value.to_str().expect("text"))))
        .collect();
    let query: serde_json::Map<_, _> =
        draft.query.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    let body = if base64 {
        base64::engine::general_purpose::STANDARD.encode(&draft.body)
    } else {
        String::from_utf8(draft.body.clone()).expect("text")
    };
    json!({
        "path": draft.path,
        "httpMethod": draft.method.as_str(),
        "headers": headers,
        "queryParameters": query,
        "pathParameters": {},
        "body": body,
        "isBase64Encoded": base64,
    })
}

proptest! {
    #[test]
    fn an_event_is_the_request_that_the_gateway_signed(
        path in "/[a-zA-Z0-9._~/-]{0,20}",
        query in prop::collection::btree_map("(?s)[^&=]{1,6}", "(?s)[^&]{0,10}", 0..4),
        text in "\\PC{0,80}",
        bytes in prop::collection::vec(any::<u8>(), 0..80),
        base64 in any::<bool>(),
    ) {
        let mut draft = Draft::order("key-1", if base64 { bytes } else { text.into_bytes() });
        draft.path = path;
        draft.query = query.into_iter().collect();
        let request = decode_event(event(&draft, base64).to_string().as_bytes()).expect("an event");
        let direct = draft.request_with(percent_encoded);
        prop_assert_eq!(request.method(), direct.method());
        prop_assert_eq!(request.uri().path(), direct.uri().path());
        prop_assert_eq!(request.headers(), direct.headers());
        prop_assert_eq!(request.body(), direct.body());
        let verifier = verifier(&["idempotency-key"]);
        let verified =
            verifier.verify(request.method(), request.uri(), request.headers(), request.body());
        prop_assert!(verified.is_ok(), "{verified:?}");
    }

    #[test]
    fn any_bytes_are_an_event_or_a_fault(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        // It does not panic, and accepts only objects.
        let is_object = bytes.trim_ascii_start().starts_with(b"{");
        prop_assert!(decode_event(&bytes).is_err() || is_object);
    }
}

#[test]
fn malformed_events_are_rejected_with_their_fault() {
    let with = |change: fn(&mut Value)| {
        let mut event = event(&Draft::order("k", "{}"), false);
        change(&mut event);
        decode_event(event.to_string().as_bytes()).map(|_| ())
    };
    let many: fn(&mut Value) = |event| {
        let headers = event["headers"].as_object_mut().expect("an object");
        headers.extend((0..=HEADERS_MAX).map(|number| (format!("x-{number}"), json!(""))));
    };
    type Case = (&'static str, fn(&mut Value), Result<(), EventError>);
    let cases: [Case; 19] = [
        ("unchanged", |_| {}, Ok(())),
        ("unknown members", |event| event["requestContext"] = json!({ "a": [1] }), Ok(())),
        ("nulls", |event| (event["queryParameters"], event["body"]) = (json!(null), json!(null)), Ok(())),
        ("null for a flag", |event| event["isBase64Encoded"] = json!(null), Ok(())),
        ("no headers", |event| drop(event.as_object_mut().and_then(|event| event.remove("headers"))), Ok(())),
        (
            "no path",
            |event| drop(event.as_object_mut().and_then(|event| event.remove("path"))),
            Err(EventError::Shape),
        ),
        ("a list", |event| *event = json!([1]), Err(EventError::Shape)),
        ("a number for a header", |event| event["headers"]["x"] = json!(1), Err(EventError::Shape)),
        ("an object for a body", |event| event["body"] = json!({}), Err(EventError::Shape)),
        ("no method", |event| event["httpMethod"] = json!("PO ST"), Err(EventError::Method)),
        ("no path of its own", |event| event["path"] = json!("v1/orders"), Err(EventError::Target)),
        ("a host", |event| event["path"] = json!("http://elsewhere/v1/orders"), Err(EventError::Target)),
        ("a query in the path", |event| event["path"] = json!("/v1/orders?a=1"), Err(EventError::Target)),
        ("a space in the path", |event| event["path"] = json!("/v1/or ders"), Err(EventError::Target)),
        ("no header name", |event| event["headers"]["x y"] = json!(""), Err(EventError::Headers)),
        (
            "a line break in a header",
            |event| event["headers"]["x"] = json!("a\r\nb: c"),
            Err(EventError::Headers),
        ),
        ("many headers", many, Err(EventError::Headers)),
        ("base64 that is none", |event| event["isBase64Encoded"] = json!(true), Err(EventError::Base64)),
        ("a method by number", |event| event["httpMethod"] = json!(1), Err(EventError::Shape)),
    ];
    for (name, change, expected) in cases {
        assert_eq!(with(change), expected, "{name}");
    }
}

#[test]
fn repeated_headers_and_parameters_of_an_event_stay_repeated() {
    let event = br#"{"path":"/v1/orders","httpMethod":"POST","headers":{"X-User":"a","x-user":"b"},
        "queryParameters":{"a":"1","a":"2"},"body":"","isBase64Encoded":false}"#;
    let request = decode_event(event).expect("an event");
    assert_eq!(request.headers().get_all("x-user").iter().count(), 2);
    assert_eq!(request.uri().query(), Some("a=1&a=2"));
}

async fn json_of(response: Response) -> Value {
    let body = to_bytes(response.into_body(), 1 << 20).await.expect("a body");
    serde_json::from_slice(&body).expect("JSON")
}

#[tokio::test]
async fn a_reply_contains_status_headers_and_body() {
    let response = |body: &'static [u8]| {
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = StatusCode::ACCEPTED;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/x"));
        response.headers_mut().append(SET_COOKIE, HeaderValue::from_static("a"));
        response.headers_mut().append(SET_COOKIE, HeaderValue::from_static("b"));
        response.extensions_mut().insert("kept");
        response
    };
    let text = encode_reply(response("{\"a\": \"限\"}".as_bytes())).await;
    assert_eq!(text.status(), StatusCode::OK);
    assert_eq!(text.headers()[CONTENT_TYPE], "application/json");
    assert_eq!(text.extensions().get::<&str>(), Some(&"kept"));
    assert_eq!(
        json_of(text).await,
        json!({
            "isBase64Encoded": false,
            "statusCode": 202,
            "headers": { "content-type": "text/x", "set-cookie": "a, b" },
            "body": "{\"a\": \"限\"}",
        })
    );
    let binary = json_of(encode_reply(response(b"\xff\x00")).await).await;
    assert_eq!((&binary["isBase64Encoded"], &binary["body"]), (&json!(true), &json!("/wA=")));
}

#[tokio::test]
async fn an_event_reaches_the_public_route_and_no_other() {
    let mut drafts = Vec::new();
    for (method, path, expected) in [
        (Method::POST, "/v1/orders", (200, None)),
        (Method::POST, "/v1/orders/", (404, Some("not_found"))),
        (Method::POST, "/V1/orders", (404, Some("not_found"))),
        (Method::POST, "/invoke", (404, Some("not_found"))),
        (Method::POST, "/initialize", (404, Some("not_found"))),
        (Method::GET, "/pre-stop", (404, Some("not_found"))),
        (Method::GET, "/metrics", (404, Some("not_found"))),
        (Method::GET, "/v1/orders", (405, Some("method_not_allowed"))),
    ] {
        let mut draft = Draft::order("k", "{}");
        (draft.method, draft.path) = (method, path.to_owned());
        drafts.push((event(&draft, false).to_string(), expected));
    }
    drafts.push(("no event".to_owned(), (400, Some("malformed_event"))));
    for (event, (status, code)) in drafts {
        let mut request = Request::new(Bytes::from(event.clone()));
        request.headers_mut().insert("x-fc-security-token", HeaderValue::from_static("planted"));
        request.extensions_mut().insert(7_u8);
        let (response, answered) = match order_request(request) {
            Ok(request) => {
                assert_eq!(request.extensions().get::<u8>(), Some(&7), "the layers' extensions stay");
                assert!(
                    !request.headers().contains_key("x-fc-security-token"),
                    "the platform's headers do not"
                );
                (Response::new(Body::from("reached")), None)
            }
            Err(error) => (error.clone().into_response(), Some(error.code().as_str())),
        };
        assert_eq!(answered, code, "{event}");
        let response = encode_reply(response).await;
        assert_eq!(response.status(), StatusCode::OK, "the platform passes on only the body");
        let reply = json_of(response).await;
        assert_eq!(reply["statusCode"], status, "{event}");
        let allow = reply["headers"]["allow"].as_str();
        assert_eq!(allow, (status == 405).then_some("POST"), "{event}");
    }
}

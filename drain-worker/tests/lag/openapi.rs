//! A management API that checks the signature of each call.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use clap::Parser as _;
use drain_worker::config::{Cli, Command};
use drain_worker::lag::{ConfiguredLag, LagError, LagQuery, LagSource, LagSourceKind};
use hmac::{Hmac, KeyInit, Mac};
use http::StatusCode;
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tokio::time::advance;

const KEY: &str = "the-key-id:the-secret";

/// As the vendor's page of the call shows it (2025-12), with another topic beside.
const ANSWER: &str = r#"{
    "requestId": "F5764C40-FB8C-53AE-B95D-96AB3D0E9375", "success": true, "code": null, "httpStatusCode": 200,
    "data": {
        "regionId": "cn-hangzhou", "instanceId": "rmq-cn-7e22ody****", "consumerGroupId": "drain",
        "totalLag": {"readyCount": 1241, "inflightCount": 9, "deliveryDuration": 72, "lastConsumeTimestamp": 1735629607846},
        "topicLagMap": {
            "orders": {"readyCount": 1234, "inflightCount": 7, "deliveryDuration": 72, "lastConsumeTimestamp": 1735629607846},
            "other": {"readyCount": 7, "inflightCount": 2, "deliveryDuration": 1, "lastConsumeTimestamp": 1735629607846}
        }
    }
}"#;

/// The signature of a request, as its own headers name what is signed.
fn signature(request: &Request, secret: &str) -> (String, String) {
    let header = |name: &str| request.headers()[name].to_str().expect("text").to_owned();
    let authorization = header("authorization");
    let names =
        authorization.split("SignedHeaders=").nth(1).and_then(|rest| rest.split(',').next()).expect("names");
    let lines: String = names.split(';').map(|name| format!("{name}:{}\n", header(name))).collect();
    let (path, query) = (request.uri().path(), request.uri().query().unwrap_or_default());
    let body = hex::encode(Sha256::digest(b""));
    let canonical = format!("{}\n{path}\n{query}\n{lines}\n{names}\n{body}", request.method());
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any length");
    mac.update(format!("ACS3-HMAC-SHA256\n{}", hex::encode(Sha256::digest(canonical))).as_bytes());
    (authorization, hex::encode(mac.finalize().into_bytes()))
}

/// Starts an API with this answer; returns a source, and the calls.
async fn api(status: StatusCode, answer: &'static str) -> (ConfiguredLag, Arc<Mutex<Vec<String>>>) {
    let calls = Arc::new(Mutex::new(Vec::new()));
    let heard = calls.clone();
    let respond = move |request: Request<Body>| {
        let (authorization, expected) = signature(&request, "the-secret");
        let is_signed =
            authorization.ends_with(&expected) && authorization.contains("Credential=the-key-id,");
        let headers = request.headers();
        let action =
            ["x-acs-action", "x-acs-version"].map(|name| headers[name].to_str().expect("text").to_owned());
        heard.lock().expect("not poisoned").push(format!("{} {}", request.uri(), action.join(" ")));
        let denied = r#"{"Code": "SignatureDoesNotMatch", "Message": "the-secret"}"#;
        let response: Response = if is_signed {
            (status, answer).into_response()
        } else {
            (StatusCode::FORBIDDEN, denied).into_response()
        };
        async move { response }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("bound"));
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(respond)).await });
    (source(&url, KEY), calls)
}

fn flags<'a>(url: &'a str, key: &'a str) -> Vec<&'a str> {
    let run = ["drain-worker", "run", "--database-url", "sqlite:x", "--rocketmq-endpoint", "localhost:8081"];
    let lag =
        ["--lag-source", "openapi", "--lag-openapi-url", url, "--lag-openapi-instance", "rmq-cn-7e22ody"];
    [&run[..], &lag, &["--lag-openapi-key", key]].concat()
}

fn source(url: &str, key: &str) -> ConfiguredLag {
    let Command::Run(args) = Cli::parse_from(flags(url, key)).command else { panic!("another command") };
    ConfiguredLag::new(&args.lag, "unused:1", LagQuery::new("rmq-cn-7e22ody", "orders", "drain"))
}

#[tokio::test]
async fn the_call_is_signed_and_the_topics_own_lag_is_read() {
    let (source, calls) = api(StatusCode::OK, ANSWER).await;
    let lag = source.lag().await.expect("answers");
    assert_eq!((lag.messages_ready, lag.messages_in_flight), (1_234, Some(7)));
    assert_eq!((lag.oldest_age, lag.kind), (Some(Duration::from_secs(72)), LagSourceKind::OpenApi));
    let call =
        "/instances/rmq-cn-7e22ody/consumerGroups/drain/lag?topicName=orders GetConsumerGroupLag 2022-08-01";
    assert_eq!(*calls.lock().expect("not poisoned"), [call]);
}

/// Also after a failure: the API is the account's, and its limit is not known.
#[tokio::test]
async fn the_api_is_called_every_ten_seconds_at_most() {
    for (status, is_known) in [(StatusCode::OK, true), (StatusCode::SERVICE_UNAVAILABLE, false)] {
        let (source, calls) = api(status, ANSWER).await;
        let first = source.lag().await;
        assert_eq!(first.is_ok(), is_known);
        tokio::time::pause();
        advance(Duration::from_millis(9_500)).await;
        assert_eq!(source.lag().await, first, "with its time");
        assert_eq!(calls.lock().expect("not poisoned").len(), 1);
        advance(Duration::from_millis(600)).await;
        tokio::time::resume();
        assert_eq!(source.lag().await.is_ok(), is_known);
        assert_eq!(calls.lock().expect("not poisoned").len(), 2, "{status}");
    }
}

#[tokio::test]
async fn a_refusal_names_the_code_and_nothing_that_was_signed() {
    for (status, answer, reason) in [
        (
            StatusCode::FORBIDDEN,
            r#"{"Code": "NoPermission", "Message": "the-secret"}"#,
            "answered 403 Forbidden, NoPermission",
        ),
        (
            StatusCode::OK,
            r#"{"success": false, "code": "Instance.NotFound"}"#,
            "answered 200 OK, Instance.NotFound",
        ),
        (StatusCode::OK, "<html>", "answered 200 OK, no code"),
    ] {
        let (source, _) = api(status, answer).await;
        let error = source.lag().await.expect_err(answer).to_string();
        assert!(error.ends_with(reason) && !error.contains("secret"), "{error}");
    }
    let (source, _) = api(StatusCode::OK, r#"{"data": {"topicLagMap": {}}}"#).await;
    assert!(matches!(source.lag().await, Err(LagError::GroupMissing { .. })));
    assert!(matches!(self::source("http://127.0.0.1:1", KEY).lag().await, Err(LagError::Unreachable { .. })));
}

#[test]
fn a_wrong_key_is_no_part_of_an_error() {
    let Command::Run(args) = Cli::parse_from(flags("https://api.example", "hunter2")).command else {
        panic!("another command")
    };
    let errors = args.settings().expect_err("no pair").to_string();
    assert!(errors.contains("--lag-openapi-key: must be ID:SECRET"), "{errors}");
    assert!(!errors.contains("hunter2") && !format!("{args:?}").contains("hunter2"), "{errors}");
    let missing = &flags("https://api.example", KEY)[..8];
    let error = Cli::try_parse_from(missing).expect_err("is missing").to_string();
    for flag in ["--lag-openapi-url", "--lag-openapi-instance", "--lag-openapi-key"] {
        assert!(error.contains(flag), "{error}");
    }
}

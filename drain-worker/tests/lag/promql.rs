//! A metrics server that answers instant queries.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::RawQuery;
use axum::routing::get;
use clap::Parser as _;
use drain_worker::config::{Cli, Command};
use drain_worker::lag::{ConfiguredLag, LagError, LagQuery, LagSource, LagSourceKind};
use http::StatusCode;
use tokio::net::TcpListener;

/// The answers as Prometheus 2.42 writes them.
fn vector(values: &[&str]) -> String {
    let series: Vec<_> = values
        .iter()
        .map(|value| format!(r#"{{"metric":{{}},"value":[1794355200.25,"{value}"]}}"#))
        .collect();
    format!(r#"{{"status":"success","data":{{"resultType":"vector","result":[{}]}}}}"#, series.join(","))
}

/// Starts a server with these answers to queries for messages and ages; returns a source, and the queries.
async fn server(
    status: StatusCode,
    messages: String,
    age: String,
    flags: &[&str],
) -> (ConfiguredLag, Arc<Mutex<Vec<String>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let heard = asked.clone();
    let answer = move |RawQuery(query): RawQuery| {
        let query = query.expect("a query");
        let is_age = query.contains("latency") || query.contains("my%5Fage");
        heard.lock().expect("not poisoned").push(query);
        let body = if is_age { age.clone() } else { messages.clone() };
        async move { (status, body) }
    };
    let router = Router::new().route("/prometheus/api/v1/query", get(answer));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/prometheus/", listener.local_addr().expect("bound"));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let run = ["drain-worker", "run", "--database-url", "sqlite:x", "--rocketmq-endpoint", "localhost:8081"];
    let source = ["--lag-source", "promql", "--lag-promql-url", &url];
    let Command::Run(args) = Cli::parse_from(run.iter().chain(&source).chain(flags)).command else {
        panic!("another command")
    };
    let query = LagQuery::new("shop", "orders", "dra\"in");
    (ConfiguredLag::new(&args.lag, "unused:1", query), asked)
}

async fn ask(messages: String, age: String) -> Result<(u64, Option<Duration>), LagError> {
    let (source, _) = server(StatusCode::OK, messages, age, &[]).await;
    source.lag().await.map(|lag| (lag.messages_ready, lag.oldest_age))
}

#[tokio::test]
async fn the_two_queries_are_sent_with_the_names_and_their_values_read() {
    let (source, asked) = server(StatusCode::OK, vector(&["1234"]), vector(&["72.5"]), &[]).await;
    let lag = source.lag().await.expect("answers");
    assert_eq!((lag.messages_ready, lag.messages_in_flight), (1_234, None));
    assert_eq!(lag.oldest_age, Some(Duration::from_millis(72_500)));
    assert_eq!(lag.as_of.unix_timestamp(), 1_794_355_200, "the server's time");
    assert_eq!(lag.kind, LagSourceKind::Promql);
    let asked = asked.lock().expect("not poisoned").clone();
    // The query parameter decodes to the default with the full names.
    let wanted = "query=sum%28rocketmq%5Fconsumer%5Fready%5Fmessages%7Bconsumer%5Fgroup%3D%22shop%25dra%5C%22in%22%2C\
                  topic%3D%22shop%25orders%22%7D%29";
    assert!(asked.iter().any(|query| query == wanted), "{asked:?}");

    let flags = ["--lag-promql-messages", "my_lag{g=\"$group\"}", "--lag-promql-age", "my_age"];
    let (source, asked) = server(StatusCode::OK, vector(&["7"]), vector(&[]), &flags).await;
    assert_eq!(source.lag().await.map(|lag| (lag.messages_ready, lag.oldest_age)), Ok((7, None)));
    let asked = asked.lock().expect("not poisoned").clone();
    assert!(asked.contains(&"query=my%5Flag%7Bg%3D%22shop%25dra%5C%22in%22%7D".to_owned()), "{asked:?}");
}

#[tokio::test]
async fn what_the_server_does_not_know_is_unknown() {
    let scalar =
        r#"{"status":"success","data":{"resultType":"scalar","result":[1794355200,"5"]}}"#.to_owned();
    assert_eq!(ask(scalar, vector(&["0"])).await, Ok((5, None)), "nothing waits: no age");
    assert_eq!(ask(vector(&["9"]), vector(&["NaN"])).await, Ok((9, None)));
    for missing in [vector(&[]), vector(&["NaN"])] {
        assert!(matches!(ask(missing, vector(&["1"])).await, Err(LagError::GroupMissing { .. })));
    }
    for wrong in [vector(&["1", "2"]), vector(&["many"]), "<html>".to_owned()] {
        let result = ask(wrong.clone(), vector(&["1"])).await;
        assert!(matches!(result, Err(LagError::Response { .. })), "{wrong}: {result:?}");
    }
    let (source, _) = server(StatusCode::BAD_REQUEST, String::new(), String::new(), &[]).await;
    assert!(matches!(source.lag().await, Err(LagError::Response { .. })));
}

#[test]
fn a_server_must_be_named() {
    let flags =
        ["drain-worker", "run", "--database-url", "sqlite:x", "--rocketmq-endpoint", "localhost:8081"];
    let error = Cli::try_parse_from(flags.iter().chain(&["--lag-source", "promql"])).expect_err("is missing");
    assert!(error.to_string().contains("--lag-promql-url"), "{error}");
}

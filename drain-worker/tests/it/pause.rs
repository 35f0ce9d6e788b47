//! A pause of the pool, to an operator who sends one request right after the other.

use std::net::SocketAddr;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use serde_json::{Value, json};
use shared::testkit::{HttpClient, eventually};

use crate::harness::{WorkerFixture, order};
use crate::health::until_ready;

async fn send(admin: SocketAddr, method: &str, path: &str, body: &Value) -> Value {
    let body = if method == "GET" { Bytes::new() } else { body.to_string().into() };
    let request = Request::builder().method(method).uri(path).header("content-type", "application/json");
    let request = request.header("if-match", "*").body(Full::new(body)).expect("a request");
    let response = HttpClient::connect(admin).await.send(request).await.expect("a response");
    assert_eq!(response.status, 200, "{path}: {}", response.text);
    response.json()
}

/// Each worker reads the settings with its next heartbeat; the database has them at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redrive_right_after_a_change_of_the_pause_goes_by_it() {
    let fixture = WorkerFixture::new().await;
    let worker = fixture.whole_worker(&[]).await;
    until_ready(worker.admin).await;
    fixture.publish(&[order(1, "FORGOTTEN")]).await;
    eventually("it is dead", async || fixture.letters().await.len() == 1).await;
    let everything = json!({"all": true});
    // A heartbeat may fall between two requests; rarely in each round.
    for _ in 0..3 {
        send(worker.admin, "PUT", "/v1/pause", &json!({})).await;
        let paused = send(worker.admin, "POST", "/v1/dead-letters/redrive", &everything).await;
        assert_eq!(paused["stopped"], "the pool is paused", "{paused}");
        eventually("this worker knows of the pause", async || {
            send(worker.admin, "GET", "/v1/status", &Value::Null).await["cap"]["source"] == "paused"
        })
        .await;
        send(worker.admin, "POST", "/v1/resume", &everything).await;
        let redriven = send(worker.admin, "POST", "/v1/dead-letters/redrive", &everything).await;
        assert_eq!(redriven["stopped"], Value::Null, "{redriven}");
        assert_eq!(redriven["outcomes"][0]["outcome"], "dead_lettered", "{redriven}");
    }
    worker.stop().await;
}

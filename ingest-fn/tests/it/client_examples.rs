//! The clients of `docs/clients.md`, each against ingest-fn and a look-up. A language that is not installed is left out.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::{Method, StatusCode};
use serde_json::json;
use shared::lookup::LookupError;
use tokio::net::TcpListener;
use tower::ServiceExt;

use crate::support::{LIMITS, StubPublisher, TestApp, app, order, router};

/// ingest-fn whose first answer is lost, and a look-up that finds the order at the second request.
async fn serve(app: &TestApp<StubPublisher>, state: &'static str) -> String {
    let front =
        Arc::new(Front { orders: router(app), state, posts: AtomicUsize::new(0), gets: AtomicUsize::new(0) });
    let service = Router::new().fallback(move |request: Request| {
        let front = front.clone();
        async move { front.answer(request).await }
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, service).await });
    format!("http://{address}")
}

struct Front {
    orders: Router,
    state: &'static str,
    posts: AtomicUsize,
    gets: AtomicUsize,
}

impl Front {
    async fn answer(&self, request: Request) -> Response {
        if request.method() == Method::POST {
            let accepted = self.orders.clone().oneshot(request).await.expect("infallible");
            let is_first = self.posts.fetch_add(1, Ordering::SeqCst) == 0;
            // As the platform answers for an instance that ended under the request.
            return if is_first { StatusCode::BAD_GATEWAY.into_response() } else { accepted };
        }
        if self.gets.fetch_add(1, Ordering::SeqCst) == 0 {
            return LookupError::OrderNotFound.into_problem(0).into_response();
        }
        let order_id = request.uri().path().rsplit('/').next().unwrap_or_default();
        let view = json!({
            "order_id": order_id, "state": self.state, "conflicts": 0, "decided_at": "2026-11-11T00:00:00Z"
        });
        ([("content-type", "application/json")], view.to_string()).into_response()
    }
}

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/clients").join(name)
}

async fn places_an_order_and_waits(program: &Path, arguments: &[PathBuf]) {
    let directory = tempfile::tempdir().expect("a directory");
    let body = directory.path().join("order.json");
    std::fs::write(&body, order().to_string()).expect("written");
    for (state, code) in [("confirmed", 0), ("rejected", 1)] {
        let app = app(StubPublisher::accepting(), LIMITS);
        let url = serve(&app, state).await;
        let mut command = Command::new(program);
        command.args(arguments).arg(&url).arg(&body).arg("a-key");
        let output = match tokio::task::spawn_blocking(move || command.output()).await.expect("no panic") {
            Ok(output) => output,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return println!("{program:?} is not installed");
            }
            Err(error) => panic!("{error}"),
        };
        let text = String::from_utf8_lossy(&output.stdout);
        let published = app.publisher.published();
        let [first, second] = published.as_slice() else { panic!("two attempts: {output:?}") };
        assert_eq!(first.order_id, second.order_id, "both attempts are one order");
        assert!(text.starts_with(&format!("{} {state}", first.order_id)), "{output:?}");
        assert_eq!(output.status.code(), Some(code), "{output:?}");
    }
}

#[tokio::test]
async fn the_python_client_places_an_order_and_waits_for_its_outcome() {
    places_an_order_and_waits(Path::new("python3"), &[file("order.py")]).await;
}

#[tokio::test]
async fn the_javascript_client_places_an_order_and_waits_for_its_outcome() {
    places_an_order_and_waits(Path::new("node"), &[file("order.mjs")]).await;
}

#[tokio::test]
async fn the_java_client_places_an_order_and_waits_for_its_outcome() {
    places_an_order_and_waits(Path::new("java"), &[file("Order.java")]).await;
}

#[tokio::test]
async fn the_rust_client_places_an_order_and_waits_for_its_outcome() {
    let directory = tempfile::tempdir().expect("a directory");
    let binary = directory.path().join("order");
    let built =
        Command::new("rustc").args(["--edition", "2024", "-o"]).arg(&binary).arg(file("order.rs")).status();
    assert!(built.expect("rustc").success());
    places_an_order_and_waits(&binary, &[]).await;
}

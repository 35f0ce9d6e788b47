//! The console in a headless browser. `SPILLWAY_TEST_CHROMIUM` names the browser and `SPILLWAY_TEST_PLAYWRIGHT` the
//! folder where `npm ci` put this folder's packages; without both these tests are skipped.

#![allow(clippy::expect_used, reason = "tests use expect with the expectation")]

// Shared with the suite `operate`.
mod fixture;
#[allow(dead_code, reason = "the store's tests use the rest")]
#[path = "../store/orders.rs"]
mod orders;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use drain_worker::admin::console;
use http::StatusCode;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::sync::Mutex;
use tokio::time::timeout;

use fixture::PoolFixture;

/// Workers of the pool.
const WORKERS: usize = 3;

/// Bound of one suite: several times what it takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(600);

/// Returns the folder of the packages; prints a line and returns `None` if the browser or the packages are missing.
fn packages() -> Option<PathBuf> {
    if std::env::var_os("SPILLWAY_TEST_CHROMIUM").is_none() {
        println!("skipped: SPILLWAY_TEST_CHROMIUM is not set");
        return None;
    }
    let Some(folder) = std::env::var_os("SPILLWAY_TEST_PLAYWRIGHT") else {
        println!("skipped: SPILLWAY_TEST_PLAYWRIGHT is not set");
        return None;
    };
    Some(folder.into())
}

fn copy_files(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        std::fs::copy(entry.path(), to.join(entry.file_name())).expect("copied");
    }
}

/// Runs the tests of a suite whose names match `only`, against the page at `url`.
async fn suite(packages: &Path, name: &str, only: &str, url: &str) {
    suite_with(packages, name, only, url, &[]).await;
}

/// The same, with more of an environment.
async fn suite_with(packages: &Path, name: &str, only: &str, url: &str, more: &[(&str, String)]) {
    // A module finds its packages in its own folder.
    let room = TempDir::new().expect("a directory");
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/console");
    copy_files(&tests, room.path());
    // For the tests of parts without a page; the console's files are modules.
    let console = room.path().join("console");
    std::fs::create_dir(&console).expect("a directory");
    copy_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/admin/console"), &console);
    std::fs::write(console.join("package.json"), r#"{"type": "module"}"#).expect("written");
    std::fs::write(console.join("chart.js"), shared::web::CHART_JS).expect("written");
    std::os::unix::fs::symlink(packages.join("node_modules"), room.path().join("node_modules"))
        .expect("linked");
    let pictures = Path::new(env!("CARGO_TARGET_TMPDIR")).join("console");
    let running = Command::new("node")
        .args(["--test", "--test-reporter=spec", "--test-name-pattern", only, name])
        .current_dir(room.path())
        .env("CONSOLE_URL", url)
        // The pictures stay there.
        .env("CONSOLE_PICTURES", pictures)
        .env("CONSOLE_ORDERS", fixture::orders().to_string())
        .env("CONSOLE_FORGOTTEN", fixture::FORGOTTEN.1.to_string())
        .env("CONSOLE_WORKERS", WORKERS.to_string())
        .envs(more.iter().cloned())
        .kill_on_drop(true)
        .output();
    let output = timeout(PATIENCE, running).await.expect("ends in time").expect("node runs");
    println!("{}", String::from_utf8_lossy(&output.stdout));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_shows_every_state_and_performs_every_action() {
    let Some(packages) = packages() else { return };
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    // The API is a model in the browser; the page and its policy are the worker's.
    let page: Router = console::router();
    let serving = tokio::spawn(async move { axum::serve(listener, page).await });
    suite(&packages, "units.test.mjs", ".", &url).await;
    suite(&packages, "polls.test.mjs", ".", &url).await;
    // Most of their time they wait for the page's next poll.
    tokio::join!(suite(&packages, "page.test.mjs", ".", &url), suite(&packages, "pages.test.mjs", ".", &url),);
    serving.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_runs_a_real_pool() {
    let Some(packages) = packages() else { return };
    let fixture = PoolFixture::new(WORKERS).await;
    // Its changes would be marked on the plots of the README's pictures.
    if std::env::var_os("CONSOLE_PICTURE").is_none() {
        suite(&packages, "record.test.mjs", ".", &fixture.url).await;
    }
    suite(&packages, "operator.test.mjs", "sees the lag", &fixture.url).await;
    fixture.apply_the_complete_catalogue().await;
    suite(&packages, "operator.test.mjs", "redrives", &fixture.url).await;
    // The suite asks for the outage when its page is open: an expired lease is shown for some seconds only.
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let outage = format!("http://{}/", listener.local_addr().expect("an address"));
    let url = fixture.url.clone();
    let fixture = Arc::new(Mutex::new(fixture));
    let begin = get(async move || {
        fixture.lock().await.break_down().await;
        StatusCode::NO_CONTENT
    });
    let serving = tokio::spawn(async move { axum::serve(listener, Router::new().route("/", begin)).await });
    let environment = [("CONSOLE_OUTAGE", outage)];
    suite_with(&packages, "operator.test.mjs", "outage", &url, &environment).await;
    serving.abort();
}

//! A catalogue that changes while the service runs.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use http::StatusCode;
use ingest_fn::current_sales::CurrentSales;
use ingest_fn::request_logger::RequestLogSettings;
use serde_json::Value;
use shared::catalogue::Catalogue;
use shared::testkit::eventually;
use tempfile::TempDir;

use crate::support::{
    Answer, CATALOGUE, KEYS, Logs, SteppedClock, StubPublisher, get, observed, order, post_order, router,
    send,
};

/// A service whose catalogue is a file.
struct Shop {
    _directory: TempDir,
    path: PathBuf,
    service: Router,
    clock: SteppedClock,
}

impl Shop {
    fn open() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("sales.toml");
        std::fs::write(&path, CATALOGUE).expect("written");
        let clock = SteppedClock::default();
        let mut app = observed(StubPublisher::accepting(), &clock, RequestLogSettings::default());
        let catalogue = Catalogue::load(&path).expect("a catalogue");
        let sales = CurrentSales::from_file(catalogue, KEYS.parse().expect("keys"), path.clone());
        Arc::get_mut(&mut app).expect("not shared").sales = Arc::new(sales);
        Self { _directory: directory, path, service: router(&app), clock }
    }

    /// Replaces the file as a reader sees an object put: at once.
    fn publish(&self, text: &str) {
        let new = self.path.with_extension("new");
        std::fs::write(&new, text).expect("written");
        std::fs::rename(new, &self.path).expect("renamed");
    }

    async fn order(&self) -> Answer {
        send(&self.service, post_order(&order())).await
    }

    /// Orders, a second apart, until the answer has `status`.
    async fn orders_until(&self, status: StatusCode) {
        eventually("the answer changes", async || {
            self.clock.advance(Duration::from_secs(1));
            self.order().await.status == status
        })
        .await;
    }

    /// Orders, a second apart, until `logs` has a line with `event`. Returns the last answer and the line.
    async fn orders_until_logged(&self, logs: &Logs, event: &str) -> (Answer, Value) {
        let mut found = None;
        eventually("the event is logged", async || {
            self.clock.advance(Duration::from_secs(1));
            let answer = self.order().await;
            let line = logs.lines().into_iter().rfind(|line| line["event"] == event);
            found = line.map(|line| (answer, line));
            found.is_some()
        })
        .await;
        found.expect("found")
    }
}

/// The catalogue whose open sale closes after 9 s, as another revision.
fn closing_early() -> String {
    CATALOGUE.replacen("2036-11-11T00:00:00Z", "2026-11-11T00:00:09Z", 1).replacen("r1", "r2", 1)
}

#[tokio::test]
async fn a_sale_is_closed_early_by_the_file() {
    let shop = Shop::open();
    assert_eq!(shop.order().await.status, StatusCode::ACCEPTED);
    shop.clock.advance(Duration::from_secs(60));
    shop.publish(&closing_early());
    shop.orders_until(StatusCode::GONE).await;
    let metrics = send(&shop.service, get("/metrics")).await.text;
    assert!(metrics.contains("ingest_catalogue_info{revision=\"r2\"} 1\n"), "{metrics}");
    // And opened again.
    shop.publish(CATALOGUE);
    shop.orders_until(StatusCode::ACCEPTED).await;
}

#[tokio::test]
async fn a_faulty_file_does_not_count_and_the_next_look_takes_its_correction() {
    let parts: Vec<_> = CATALOGUE.split("[[sales]]").collect();
    let cases = [
        (String::new(), "missing field"),
        (CATALOGUE[..CATALOGUE.len() / 2].to_owned(), "sales.toml"),
        (CATALOGUE.replacen("PHONE", "no sku", 1), "sku no sku"),
        (format!("{}[[sales]]{}", parts[0], parts[2]), "sale open is not over and is missing"),
        (
            CATALOGUE.replacen("currency", "order_id_key = \"second\"\n    currency", 1),
            "needs the key `second`",
        ),
    ];
    // A late look of a shop whose directory is gone would be logged as a fault of the next.
    let mut shops = Vec::new();
    for (faulty, reason) in cases {
        let logs = Logs::capture_at("info");
        let shop = Shop::open();
        shop.publish(&faulty);
        let (answer, line) = shop.orders_until_logged(&logs, "catalogue_rejected").await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{reason}");
        assert_eq!(
            (&line["level"], &line["errorCode"]),
            (&"ERROR".into(), &"catalogue_invalid".into()),
            "{line}"
        );
        assert!(line["errorMessage"].as_str().is_some_and(|text| text.contains(reason)), "{reason}: {line}");
        // A line a minute, as long as the fault lasts.
        for _ in 0..50 {
            shop.clock.advance(Duration::from_secs(1));
            assert_eq!(shop.order().await.status, StatusCode::ACCEPTED, "{reason}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let lines = logs.lines().iter().filter(|line| line["event"] == "catalogue_rejected").count();
        assert!(lines <= 2, "{}", logs.text());
        shop.publish(&closing_early());
        shop.orders_until(StatusCode::GONE).await;
        shops.push(shop);
    }
}

#[tokio::test]
async fn another_key_of_a_sale_that_is_not_over_is_a_fault() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("sales.toml");
    std::fs::write(&path, CATALOGUE).expect("written");
    let logs = Logs::capture_at("info");
    let clock = SteppedClock::default();
    let mut app = observed(StubPublisher::accepting(), &clock, RequestLogSettings::default());
    let keys = format!("{KEYS},second={}", "11".repeat(32)).parse().expect("keys");
    let sales = CurrentSales::from_file(Catalogue::load(&path).expect("a catalogue"), keys, path.clone());
    Arc::get_mut(&mut app).expect("not shared").sales = Arc::new(sales);
    let shop = Shop { _directory: directory, path, service: router(&app), clock };
    let order_id = shop.order().await.member("order_id");
    shop.publish(&CATALOGUE.replacen("currency", "order_id_key = \"second\"\n    currency", 1));
    let (answer, line) = shop.orders_until_logged(&logs, "catalogue_rejected").await;
    assert!(
        line["errorMessage"].as_str().is_some_and(|text| text.contains("another order_id_key")),
        "{line}"
    );
    assert_eq!(answer.member("order_id"), order_id, "a retry is the same order");
}

#[tokio::test]
async fn operators_are_warned_when_every_sale_is_over() {
    let logs = Logs::capture_at("info");
    let shop = Shop::open();
    shop.publish(&CATALOGUE.replace("2036-11-11T00:00:00Z", "2026-11-11T00:00:10Z"));
    let (_answer, line) = shop.orders_until_logged(&logs, "all_sales_over").await;
    assert_eq!(line["level"], "WARN");
    for _ in 0..10 {
        shop.clock.advance(Duration::from_secs(1));
        assert_eq!(shop.order().await.status, StatusCode::GONE);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(logs.text().matches("all_sales_over").count(), 1, "{}", logs.text());
}

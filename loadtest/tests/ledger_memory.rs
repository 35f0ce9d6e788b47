//! The memory of a whole run with a ledger. It takes minutes, so it is ignored:
//!
//! `CARGO_PROFILE_DEV_OPT_LEVEL=2 cargo test -p loadtest --test ledger_memory -- --ignored --nocapture`
//!
//! `SPILLWAY_TEST_REQUESTS` and `SPILLWAY_TEST_RPS` set another number and rate. The system is as small as it can be: a
//! server that accepts every order, and writes all rows once the last request has come, in place of ingest-fn, broker and
//! drain. So every accepted order is missing when the ledger begins to wait.

#![cfg(target_os = "linux")]
#![allow(clippy::expect_used, reason = "expect() messages state the expectation")]

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::str::FromStr;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use drain_worker::store::{Store, StoreConfig};
use loadtest::scenario::{SALE_ID, Scenario};
use loadtest::workload::{RequestSpec, Workload, stored_address};
use serde_json::Value;
use shared::catalogue::Catalogue;
use shared::config::DatabaseUrl;
use shared::order::{OrderId, OrderIdKeys, SaleId};
use sqlx::sqlite::{SqliteConnectOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, QueryBuilder, Sqlite, SqliteConnection};
use tempfile::TempDir;
use time::OffsetDateTime;
use time::macros::format_description;

#[path = "common/stub_server.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod stub_server;

use stub_server::{answer, field, serve};

const KEYS: &str = "loadtest=00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

const REQUESTS: u32 = 2_500_000;

const RPS: u32 = 15_000;

/// Bound on the memory of `loadtest run`, beside [`BYTES_OF_REQUEST_MAX`]: ten million requests stay below 400 MB.
const BYTES_MAX: u64 = 200_000_000;

const BYTES_OF_REQUEST_MAX: u64 = 20;

const ROWS_OF_STATEMENT: usize = 500;

const ROWS_OF_TRANSACTION: usize = 20_000;

/// Accepts orders, and remembers them by id and number.
struct AcceptingServer {
    scenario: Scenario,
    catalogue: Catalogue,
    /// Known with the first request.
    workload: OnceLock<Workload>,
    orders: Mutex<Vec<(OrderId, u32)>>,
}

impl AcceptingServer {
    fn workload(&self, run_id: u64) -> &Workload {
        self.workload.get_or_init(|| {
            let sale = self.catalogue.sale(&SaleId::parse(SALE_ID).expect("valid")).expect("on sale");
            let keys: OrderIdKeys = KEYS.parse().expect("valid");
            let key = keys.get(&sale.order_id_key).expect("there").clone();
            Workload::new(&self.scenario, sale, key, run_id).expect("laws in range")
        })
    }

    /// The body of the response to an order.
    fn accept(&self, request: &str) -> Option<String> {
        let (run_id, number) = field(request, "idempotency-key")?.split_once('-')?;
        let workload = self.workload(u64::from_str_radix(run_id, 16).ok()?);
        let number = number.parse().ok()?;
        let (order_id, digest) = workload.expected(&workload.request_spec(u64::from(number)))?;
        self.orders.lock().expect("not poisoned").push((order_id, number));
        Some(format!(r#"{{"order_id":"{order_id}","status":"accepted","digest":"{digest}"}}"#))
    }
}

/// Writes a confirmed order for each of `requests` once all have come, ascending by id as the table is.
async fn write_rows(server: Arc<AcceptingServer>, requests: u32, url: String) {
    while server.orders.lock().expect("not poisoned").len() < requests as usize {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let mut orders = std::mem::take(&mut *server.orders.lock().expect("not poisoned"));
    orders.sort_unstable();
    let workload = server.workload.get().expect("a request has arrived");
    let options = SqliteConnectOptions::from_str(&url).expect("valid");
    let mut connection = options.synchronous(SqliteSynchronous::Off).connect().await.expect("connects");
    for batch in orders.chunks(ROWS_OF_TRANSACTION) {
        let specs: Vec<_> =
            batch.iter().map(|(_, number)| workload.request_spec(u64::from(*number))).collect();
        commit(&mut connection, workload, &specs).await.expect("commits");
    }
    println!("wrote {} rows", orders.len());
}

async fn commit(
    connection: &mut SqliteConnection,
    workload: &Workload,
    batch: &[RequestSpec],
) -> Result<(), sqlx::Error> {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]:[second].[subsecond digits:3]");
    let now = OffsetDateTime::now_utc().format(format).expect("a time");
    let mut transaction = connection.begin().await?;
    let mut reserved: BTreeMap<&str, i64> = BTreeMap::new();
    for specs in batch.chunks(ROWS_OF_STATEMENT) {
        let mut orders = QueryBuilder::<Sqlite>::new(
            "INSERT INTO orders (order_id, sale_id, user_id, payload_digest, state, reason, currency, total_minor, \
             items, shipping_address, client_reference, catalogue_revision, traceparent, accepted_at, decided_at) ",
        );
        orders.push_values(specs, |mut row, spec| {
            let (order_id, digest) = workload.expected(spec).expect("valid");
            let request = workload.request(spec).expect("valid");
            let total: i64 = workload
                .lines(spec)
                .map(|line| line.sku.terms.unit_price_minor * i64::from(line.quantity))
                .sum();
            let items: BTreeMap<_, _> = workload
                .lines(spec)
                .map(|line| (&line.sku.name, (line.quantity, line.sku.terms.unit_price_minor)))
                .collect();
            row.push_bind(order_id.as_bytes().to_vec())
                .push_bind(request.sale_id.as_str().to_owned())
                .push_bind(request.user_id.as_str().to_owned())
                .push_bind(digest.as_bytes().to_vec())
                .push("1, NULL")
                .push_bind(request.currency.to_string())
                .push_bind(total)
                .push_bind(serde_json::to_string(&items).expect("plain values"))
                .push_bind(stored_address(&request.shipping_address))
                .push("NULL, 'r', NULL")
                .push_bind(&now)
                .push_bind(&now);
        });
        orders.build().execute(&mut *transaction).await?;
        for line in specs.iter().flat_map(|spec| workload.lines(spec)) {
            *reserved.entry(&line.sku.name).or_default() += i64::from(line.quantity);
        }
    }
    for (sku, units) in reserved {
        let update = "UPDATE sale_skus SET stock_reserved = stock_reserved + ? WHERE sku = ?";
        sqlx::query(update).bind(units).bind(sku).execute(&mut *transaction).await?;
    }
    transaction.commit().await
}

async fn prepare(url: &DatabaseUrl, catalogue: &Catalogue) {
    let store = Store::connect(url, StoreConfig::default()).await.expect("connects");
    store.migrate().await.expect("migrates");
    store.apply_catalogue(catalogue).await.expect("applies");
    store.close().await;
    let mut connection =
        SqliteConnectOptions::from_str(url.expose()).expect("valid").connect().await.expect("connects");
    let group = "INSERT INTO drain_groups VALUES ('drain', 0, '{\"default\":1000000}', 0)";
    sqlx::query(group).execute(&mut connection).await.expect("runs");
    connection.close().await.expect("closes");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "minutes, and a gigabyte on the disk"]
async fn a_ledger_takes_at_most_20_bytes_of_each_request() {
    let number =
        |name: &str, default| std::env::var(name).map_or(default, |text| text.parse().expect("a number"));
    let (requests, rps) = (number("SPILLWAY_TEST_REQUESTS", REQUESTS), number("SPILLWAY_TEST_RPS", RPS));
    let directory = TempDir::new().expect("a directory");
    let phase = format!("constant:{rps}:{}s", f64::from(requests) / f64::from(rps));
    let flags = [
        "run",
        "baseline",
        "--no-expect",
        "--phase",
        &phase,
        "--set",
        "mix.replays=0",
        "--set",
        "mix.changed=0",
        "--set",
        "mix.invalid=0",
        "--set",
        "buyers.sku_zipf=0",
        "--set",
        "buyers.lines_max=1",
        "--set",
        "sale.hot_stock=1000000",
        "--set",
        "sale.hot_limit=0",
        "--set",
        "clients.timeout_ms=60000",
    ];
    let loadtest = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_loadtest"));
        command.args(flags);
        command
    };
    let printed = loadtest().arg("--print-scenario").output().expect("runs").stdout;
    let file = directory.path().join("scenario.toml");
    std::fs::write(&file, printed).expect("written");
    let scenario = loadtest::scenario::load(&file.display().to_string()).expect("a scenario");
    let catalogue = Catalogue::from_toml(&scenario.catalogue_toml()).expect("valid");
    let url = format!("sqlite:{}", directory.path().join("orders.sqlite").display());
    prepare(&url.parse().expect("valid"), &catalogue).await;
    let server = Arc::new(AcceptingServer {
        scenario,
        catalogue,
        workload: OnceLock::new(),
        orders: Mutex::default(),
    });
    let accepting = server.clone();
    let address = serve(move |request, _, stream| match accepting.accept(request) {
        Some(body) => answer(stream, "202 Accepted", "", &body),
        None => answer(stream, "404 Not Found", "", ""),
    })
    .address;
    tokio::spawn(write_rows(server, requests, url.clone()));

    let report = directory.path().join("report");
    let mut run = loadtest()
        .args(["--target", &format!("http://{address}"), "--report"])
        .arg(&report)
        .envs([("SPILLWAY_DATABASE_URL", url.as_str()), ("SPILLWAY_ORDER_ID_KEYS", KEYS)])
        .stdout(Stdio::inherit())
        .spawn()
        .expect("starts");
    let process = procfs::process::Process::new(i32::try_from(run.id()).expect("a pid")).expect("it runs");
    let mut memory_bytes = 0;
    let status = loop {
        if let Some(status) = run.try_wait().expect("waits") {
            break status;
        }
        let peak = process.status().ok().and_then(|status| status.vmhwm).unwrap_or_default() * 1_024;
        memory_bytes = memory_bytes.max(peak);
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    let json = std::fs::read(report.with_added_extension("json")).expect("a report was written");
    let json: Value = serde_json::from_slice(&json).expect("JSON");
    println!(
        "{} requests, {} rows, VmHWM {memory_bytes} bytes",
        json["totals"]["sent"], json["ledger"]["rows"]
    );
    assert!(status.success(), "{}", json["ledger"]);
    assert_eq!(json["ledger"]["rows"], requests, "{}", json["totals"]);
    let bound_bytes = BYTES_MAX + BYTES_OF_REQUEST_MAX * u64::from(requests);
    assert!(memory_bytes < bound_bytes, "{memory_bytes} of {bound_bytes}");
}

//! The memory of a whole run with a ledger. It takes minutes, so it is ignored:
//!
//! `CARGO_PROFILE_DEV_OPT_LEVEL=2 cargo test -p loadtest --test ledger_memory -- --ignored --nocapture`
//!
//! `SPILLWAY_TEST_REQUESTS` sets another number, at most ten million. The system is as small as it can be: a server that
//! accepts every order and writes its row, in place of ingest-fn, broker and drain.

#![cfg(target_os = "linux")]
#![allow(clippy::expect_used, reason = "expect() messages state the expectation")]

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::str::FromStr;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use drain_worker::store::{Store, StoreConfig};
use loadtest::scenario::{SALE_ID, Scenario};
use loadtest::workload::{RequestSpec, Workload};
use serde_json::Value;
use shared::catalogue::Catalogue;
use shared::config::DatabaseUrl;
use shared::order::{OrderIdKeys, SaleId};
use sqlx::sqlite::{SqliteConnectOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, QueryBuilder, Sqlite, SqliteConnection};
use tempfile::TempDir;
use time::OffsetDateTime;
use time::macros::format_description;

const KEYS: &str = "loadtest=00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

const REQUESTS: u32 = 2_500_000;

const RPS: u32 = 5_000;

/// Bound on the memory of `loadtest run`, beside [`BYTES_OF_REQUEST_MAX`]: ten million requests stay below 800 MB.
const BYTES_MAX: u64 = 200_000_000;

const BYTES_OF_REQUEST_MAX: u64 = 60;

const ROWS_OF_STATEMENT: usize = 500;

const ROWS_OF_TRANSACTION: usize = 20_000;

struct AcceptingServer {
    scenario: Scenario,
    catalogue: Catalogue,
    /// Known with the first request.
    workload: OnceLock<Workload>,
    rows: SyncSender<RequestSpec>,
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

    /// Accepts the requests of one connection.
    fn serve(&self, mut stream: TcpStream) -> Option<()> {
        let (mut request, mut buffer) = (Vec::new(), [0; 4_096]);
        loop {
            let head = loop {
                if let Some(end) = memchr::memmem::find(&request, b"\r\n\r\n") {
                    let head = String::from_utf8_lossy(&request[..end]).into_owned();
                    let body: usize = field(&head, "content-length: ")?.parse().ok()?;
                    if request.len() >= end + 4 + body {
                        request.drain(..end + 4 + body);
                        break head;
                    }
                }
                match stream.read(&mut buffer) {
                    Ok(0) | Err(_) => return None,
                    Ok(bytes) => request.extend_from_slice(&buffer[..bytes]),
                }
            };
            let (run_id, number) = field(&head, "idempotency-key: ")?.split_once('-')?;
            let workload = self.workload(u64::from_str_radix(run_id, 16).ok()?);
            let spec = workload.request_spec(number.parse().ok()?);
            let (order_id, digest) = workload.expected(&spec)?;
            self.rows.send(spec).ok()?;
            let body = format!(r#"{{"order_id":"{order_id}","status":"accepted","digest":"{digest}"}}"#);
            let head = format!("HTTP/1.1 202 Accepted\r\ncontent-length: {}\r\n\r\n", body.len());
            stream.write_all([head, body].concat().as_bytes()).ok()?;
        }
    }
}

fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.split(name).nth(1)?.split("\r\n").next()
}

fn listen(server: Arc<AcceptingServer>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let server = server.clone();
            std::thread::spawn(move || server.serve(stream));
        }
    });
    address
}

/// Writes a confirmed order for each request, as the drain would.
async fn write_rows(server: Arc<AcceptingServer>, rows: Receiver<RequestSpec>, url: String) {
    let options = SqliteConnectOptions::from_str(&url).expect("valid");
    let options = options.synchronous(SqliteSynchronous::Off).pragma("cache_size", "-2000000");
    let mut connection = options.connect().await.expect("connects");
    while let Ok(first) = rows.recv() {
        let mut batch = vec![first];
        batch.extend(rows.try_iter().take(ROWS_OF_TRANSACTION - 1));
        let workload = server.workload.get().expect("a request has arrived");
        commit(&mut connection, workload, &batch).await.expect("commits");
    }
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
        let mut orders = QueryBuilder::<Sqlite>::new("INSERT INTO orders ");
        orders.push_values(specs, |mut row, spec| {
            let (order_id, digest) = workload.expected(spec).expect("valid");
            let request = workload.request(spec);
            let total: i64 = workload
                .lines(spec)
                .map(|line| line.sku.terms.unit_price_minor * i64::from(line.quantity))
                .sum();
            let address = request.shipping_address;
            let address = serde_json::json!({
                "recipient": address.recipient, "line1": address.line1, "city": address.city,
                "postal_code": address.postal_code, "country": address.country, "phone": address.phone,
            });
            row.push_bind(order_id.as_bytes().to_vec())
                .push_bind(request.sale_id)
                .push_bind(request.user_id)
                .push_bind(digest.as_bytes().to_vec())
                .push("'confirmed', NULL")
                .push_bind(request.currency)
                .push_bind(total)
                .push_bind(address.to_string())
                .push("NULL, 'r', NULL")
                .push_bind(&now)
                .push_bind(&now);
        });
        orders.build().execute(&mut *transaction).await?;
        let mut items = QueryBuilder::<Sqlite>::new("INSERT INTO order_items ");
        let lines = specs.iter().flat_map(|spec| workload.lines(spec).map(move |line| (spec, line)));
        items.push_values(lines, |mut row, (spec, line)| {
            let order_id = workload.order_id(spec).expect("valid");
            row.push_bind(order_id.as_bytes().to_vec())
                .push_bind(&line.sku.name)
                .push_bind(line.quantity)
                .push_bind(line.sku.terms.unit_price_minor);
        });
        items.build().execute(&mut *transaction).await?;
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
    let group = "INSERT INTO drain_groups VALUES ('drain', 0, '{\"default\":1000000}')";
    sqlx::query(group).execute(&mut connection).await.expect("runs");
    connection.close().await.expect("closes");
}

#[tokio::test]
#[ignore = "minutes, and a gigabyte on the disk"]
async fn a_ledger_takes_at_most_60_bytes_of_each_request() {
    let requests: u32 = std::env::var("SPILLWAY_TEST_REQUESTS")
        .map_or(REQUESTS, |requests| requests.parse().expect("a number"));
    let directory = TempDir::new().expect("a directory");
    let phase = format!("constant:{RPS}:{}s", f64::from(requests) / f64::from(RPS));
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
    let (rows, receive) = sync_channel(ROWS_OF_TRANSACTION);
    let server = Arc::new(AcceptingServer { scenario, catalogue, workload: OnceLock::new(), rows });
    let address = listen(server.clone());
    let writer = write_rows(server, receive, url.clone());
    // It blocks on its channel, so it has a thread of its own.
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(writer);
    });

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
    assert!(json["ledger"]["rows"].as_u64() >= Some(u64::from(requests) * 99 / 100), "{}", json["totals"]);
    let bound_bytes = BYTES_MAX + BYTES_OF_REQUEST_MAX * u64::from(requests);
    assert!(memory_bytes < bound_bytes, "{memory_bytes} of {bound_bytes}");
}

//! Spillway's services as real processes. Tests that use them include this file.

use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

pub(crate) const ORDER_ID_KEYS: &str =
    "loadtest=00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// Ends with the test, because it holds the child's standard input.
pub(crate) struct Service(Child);

impl Drop for Service {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _status = self.0.wait();
    }
}

pub(crate) fn loadtest() -> Command {
    Command::new(env!("CARGO_BIN_EXE_loadtest"))
}

/// Starts `loadtest process ARGUMENTS` and waits until it accepts connections.
pub(crate) fn start(arguments: &[String], environment: &[(&str, &str)], listens: SocketAddr) -> Service {
    let mut command = loadtest();
    command.arg("process").args(arguments).envs(environment.iter().copied());
    let service = Service(command.stdin(Stdio::piped()).spawn().expect("starts"));
    for _ in 0..1_000 {
        if TcpStream::connect(listens).is_ok() {
            return service;
        }
        std::thread::park_timeout(Duration::from_millis(20));
    }
    panic!("{arguments:?} does not listen");
}

pub(crate) fn free_address() -> SocketAddr {
    shared::loopback::free_loopback_address().expect("a free port")
}

/// An embedded broker and an ingest-fn for `catalogue_toml`; returns their addresses too.
pub(crate) fn front(
    directory: &Path,
    catalogue_toml: &str,
    environment: &[(&str, &str)],
) -> (SocketAddr, SocketAddr, [Service; 2]) {
    let catalogue = directory.join("catalogue.toml");
    std::fs::write(&catalogue, catalogue_toml).expect("written");
    let (broker, ingest) = (free_address(), free_address());
    let broker_flags = [
        "broker".to_owned(),
        format!("--dir={}", directory.join("broker").display()),
        format!("--listen={broker}"),
    ];
    let broker_service = start(&broker_flags, &[], broker);
    let ingest_flags = [
        "ingest-fn".to_owned(),
        format!("--listen={ingest}"),
        format!("--catalogue={}", catalogue.display()),
        format!("--rocketmq-endpoint={broker}"),
        "--orders-topic=orders".to_owned(),
    ];
    let environment = [environment, &[("SPILLWAY_ORDER_ID_KEYS", ORDER_ID_KEYS)]].concat();
    let ingest_service = start(&ingest_flags, &environment, ingest);
    (broker, ingest, [broker_service, ingest_service])
}

/// A drain worker that has initialised `directory`'s database; returns the address of its look-up too.
pub(crate) fn drain(
    directory: &Path,
    broker: SocketAddr,
    environment: &[(&str, &str)],
) -> (SocketAddr, String, Service) {
    let database_url = format!("sqlite:{}", directory.join("orders.sqlite").display());
    let database = [("SPILLWAY_DATABASE_URL", database_url.as_str())];
    let broker = format!("--rocketmq-endpoint={broker}");
    let mut prepare = loadtest()
        .args(["process", "drain-worker", "init", &broker, "--orders-topic=orders", "--catalogue"])
        .arg(directory.join("catalogue.toml"))
        .envs(database)
        .stdin(Stdio::piped())
        .spawn()
        .expect("runs");
    // It ends when its standard input is closed.
    let _open = prepare.stdin.take();
    assert!(prepare.wait().expect("ends").success());
    let (query, admin) = (free_address(), free_address());
    let worker = [
        "drain-worker".to_owned(),
        "run".to_owned(),
        broker,
        "--orders-topic=orders".to_owned(),
        "--initial-rate=2000".to_owned(),
        format!("--query-listen={query}"),
        format!("--admin-listen={admin}"),
    ];
    let service = start(&worker, &[&database, environment].concat(), admin);
    (query, database_url, service)
}

//! fc-local with its own broker, as real processes. Tests that use it include this file.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use shared::testkit::eventually;

/// A process of `loadtest`; it is killed with the test.
struct LoadtestProcess {
    process: Child,
    _alive: Option<ChildStdin>,
}

impl LoadtestProcess {
    fn start(arguments: &[String]) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_loadtest"))
            .args(arguments)
            .env("SPILLWAY_ORDER_ID_KEYS", format!("demo={}", "07".repeat(32)))
            .env("SPILLWAY_INSECURE_DEV", "true")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let alive = process.stdin.take();
        Self { process, _alive: alive }
    }
}

impl Drop for LoadtestProcess {
    fn drop(&mut self) {
        let _gone = self.process.kill();
        let _gone = self.process.wait();
    }
}

/// A listening front and its broker.
pub(crate) struct FcLocalFixture {
    front: LoadtestProcess,
    pub(crate) address: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) json: PathBuf,
    // Last, so that it outlives the front.
    _broker: LoadtestProcess,
}

impl FcLocalFixture {
    /// Starts both in `directory`; `flags` are fc-local's, `ingest_fn` ingest-fn's.
    pub(crate) async fn open(directory: &Path, flags: &[&str], ingest_fn: &[&str]) -> Self {
        let free = shared::loopback::free_loopback_address();
        let broker_address = free.expect("a port");
        let broker_directory = directory.join("broker").display().to_string();
        let broker = LoadtestProcess::start(
            &["process", "broker", "--dir", &broker_directory, "--listen", &broker_address.to_string()]
                .map(str::to_owned),
        );
        eventually("the broker listens", async || TcpStream::connect(broker_address).is_ok()).await;
        let json = directory.join("summary.json");
        let catalogue = concat!(env!("CARGO_MANIFEST_DIR"), "/catalogues/demo.toml");
        let mut arguments: Vec<String> = ["fc-local", "--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0"]
            .iter()
            .chain(flags)
            .map(|flag| (*flag).to_owned())
            .collect();
        arguments.push(format!("--json={}", json.display()));
        arguments.push(format!("--log-dir={}", directory.display()));
        arguments.push("--".to_owned());
        arguments.push(format!("--catalogue={catalogue}"));
        arguments.push(format!("--rocketmq-endpoint={broker_address}"));
        arguments.extend(ingest_fn.iter().map(|flag| (*flag).to_owned()));
        let mut front = LoadtestProcess::start(&arguments);
        let mut lines = BufReader::new(front.process.stdout.take().expect("piped")).lines();
        let mut address = || -> SocketAddr {
            let line = lines.next().expect("a line").expect("text");
            let rest = line.split("http://").nth(1).expect("an address");
            rest.split('/').next().and_then(|address| address.trim().parse().ok()).expect("an address")
        };
        let (address, admin) = (address(), address());
        // The process continues to print and must not block on a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Self { front, address, admin, json, _broker: broker }
    }

    /// Sends a signal and waits for the end.
    pub(crate) async fn end(&mut self, signal: Signal) -> std::process::ExitStatus {
        kill(i32::try_from(self.front.process.id()).expect("a process id"), signal);
        let mut status = None;
        eventually("the front ends", async || {
            status = self.front.process.try_wait().expect("waited for");
            status.is_some()
        })
        .await;
        status.expect("ended")
    }
}

pub(crate) fn kill(pid: i32, signal: Signal) {
    kill_process(Pid::from_raw(pid).expect("a process id"), signal).expect("it is ours");
}

pub(crate) fn order(buyer: &str) -> String {
    json!({
        "sale_id": "demo-sale",
        "user_id": buyer,
        "items": [{ "sku": "CABLE", "quantity": 1 }],
        "currency": "CNY",
        "shipping_address": {
            "recipient": "Li Lei", "line1": "1 Long Street", "city": "Hangzhou", "country": "CN"
        }
    })
    .to_string()
}

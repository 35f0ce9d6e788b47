//! A broker, a front, and a client that can hold a request in flight.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::ExitStatus;

use rustix::process::Signal;
use serde_json::Value;
use shared::testkit::PATIENCE;
use tempfile::TempDir;

use crate::front::{FcLocalFixture, order};

/// A front with its broker, in its own folder.
pub(crate) struct HeldFixture {
    // Before the folder, so that the process ends first.
    front: FcLocalFixture,
    directory: TempDir,
}

impl HeldFixture {
    /// Starts both; `flags` are fc-local's, `ingest_fn` ingest-fn's.
    pub(crate) async fn open(flags: &[&str], ingest_fn: &[&str]) -> Self {
        let directory = TempDir::new().expect("a directory");
        let front = FcLocalFixture::open(directory.path(), flags, ingest_fn).await;
        Self { front, directory }
    }

    pub(crate) fn status(&self) -> Value {
        let mut request =
            HeldExchange::open(self.front.admin, "GET /_fc/status HTTP/1.1\r\nhost: admin\r\n\r\n");
        let answer = request.answer();
        assert_eq!(answer.status, 200);
        answer.json()
    }

    pub(crate) fn count(&self, name: &str) -> u64 {
        self.status()["summary"]["counts"][name].as_u64().expect("a count")
    }

    pub(crate) fn instances(&self) -> Vec<(i32, String)> {
        let status = self.status();
        let instances = status["instances"].as_array().expect("a list");
        let read = |instance: &Value| {
            let pid = instance["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok()).unwrap_or_default();
            (pid, instance["phase"].as_str().expect("a phase").to_owned())
        };
        instances.iter().map(read).collect()
    }

    /// Requests in flight or waiting, on all instances.
    pub(crate) fn requests_under_way(&self) -> u64 {
        let status = self.status();
        let instances = status["instances"].as_array().expect("a list");
        instances.iter().filter_map(|instance| instance["requests"].as_u64()).sum()
    }

    /// Sends an order's head without its body.
    pub(crate) fn hold(&self, key: &str) -> HeldExchange {
        let mut exchange = HeldExchange::open(self.front.address, &head(key));
        exchange.rest = order(key);
        exchange
    }

    /// Sends an order and waits for the response.
    pub(crate) fn order(&self, key: &str) -> FrontResponse {
        let mut exchange = self.hold(key);
        exchange.release();
        exchange.answer()
    }

    /// Sends the front a signal and waits for its end; returns its summary.
    pub(crate) async fn end(mut self, signal: Signal) -> (ExitStatus, Value) {
        let status = self.front.end(signal).await;
        let summary =
            std::fs::read(&self.front.json).ok().and_then(|json| serde_json::from_slice(&json).ok());
        let log = std::fs::read_to_string(self.directory.path().join("ingest-fn.log")).unwrap_or_default();
        // Shown if the test fails.
        println!("{log}");
        (status, summary.unwrap_or_default())
    }
}

/// A process's state as the kernel names it: `T` stopped, `Z` a zombie; `None`: gone.
pub(crate) fn process_state(pid: i32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before it is in brackets and may hold any character.
    stat.rsplit(") ").next()?.chars().next()
}

pub(crate) fn has_ended(pid: i32) -> bool {
    process_state(pid).is_none_or(|state| state == 'Z')
}

fn head(key: &str) -> String {
    format!(
        "POST /v1/orders HTTP/1.1\r\nhost: shop\r\ncontent-type: application/json\r\nidempotency-key: {key}\r\ncontent-length: {}\r\n\r\n",
        order(key).len()
    )
}

/// A connection with one request in flight.
pub(crate) struct HeldExchange {
    stream: TcpStream,
    rest: String,
}

#[derive(Debug)]
pub(crate) struct FrontResponse {
    pub(crate) status: u16,
    head: String,
    body: String,
}

impl HeldExchange {
    fn open(address: SocketAddr, head: &str) -> Self {
        let mut stream = TcpStream::connect(address).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a bound");
        stream.write_all(head.as_bytes()).expect("sent");
        Self { stream, rest: String::new() }
    }

    pub(crate) fn release(&mut self) {
        self.stream.write_all(self.rest.as_bytes()).expect("sent");
    }

    pub(crate) fn answer(&mut self) -> FrontResponse {
        let mut reader = BufReader::new(&self.stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(reader.read_line(&mut head).expect("an answer"), 0, "cut off: {head}");
        }
        let head = head.to_ascii_lowercase();
        let length = header(&head, "content-length").expect("a length").parse().expect("a length");
        let mut body = vec![0; length];
        reader.read_exact(&mut body).expect("a body");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        FrontResponse { status, head, body: String::from_utf8(body).expect("text") }
    }
}

impl FrontResponse {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn refusal(&self) -> (u16, String) {
        (self.status, self.json()["code"].as_str().unwrap_or_default().to_owned())
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let line = head.lines().find(|line| line.split(':').next() == Some(name))?;
    Some(line.split_once(':')?.1.trim())
}

//! Places one order and waits for its outcome: `order URL FILE KEY`. Without TLS, which the standard library lacks: a
//! real client uses an HTTP and a JSON library, and keeps the rules of `place` and `outcome`.

use std::io::{Error, Read, Write};
use std::net::TcpStream;
use std::process::ExitCode;
use std::thread::sleep;
use std::time::{Duration, SystemTime};

const ATTEMPTS_MAX: u32 = 10;
const POLLS_MAX: u32 = 300;

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    /// A member of a flat JSON object.
    fn member(&self, name: &str) -> Option<&str> {
        let rest = self.body.split_once(&format!("\"{name}\":"))?.1;
        rest.trim_start().trim_start_matches('"').split(['"', ',', '}']).next()
    }

    /// A gateway's or platform's answer has no `retryable`; only its 4xx are the client's fault.
    fn is_retryable(&self) -> bool {
        match self.member("retryable") {
            Some(retryable) => retryable == "true",
            None => self.status < 400 || matches!(self.status, 408 | 429) || self.status >= 500,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        let line = self.head.lines().find(|line| line.to_ascii_lowercase().starts_with("retry-after:"))?;
        line.split_once(':')?.1.trim().parse().ok().map(Duration::from_secs)
    }
}

fn call(host: &str, line: &str, headers: &str, body: &str) -> Result<Answer, Error> {
    let mut connection = TcpStream::connect(host)?;
    connection.set_read_timeout(Some(Duration::from_secs(15)))?;
    let length = body.len();
    let head = format!("{line} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {length}\r\n");
    connection.write_all(format!("{head}{headers}\r\n{body}").as_bytes())?;
    let mut text = String::new();
    connection.read_to_string(&mut text)?;
    let incomplete = || Error::other("the answer is incomplete");
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(incomplete)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(incomplete)?;
    Ok(Answer { status, head: head.to_owned(), body: body.to_owned() })
}

/// 0.5 to 1, from the clock.
fn jitter() -> f64 {
    let nanos = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |now| now.subsec_nanos());
    0.5 + f64::from(nanos % 1_000) / 2_000.0
}

/// Sends the order until it is accepted. Each attempt has the same key, so it stays one order.
fn place(host: &str, body: &str, key: &str) -> Result<String, String> {
    let headers = format!("Content-Type: application/json\r\nIdempotency-Key: {key}\r\n");
    let mut last = "no answer".to_owned();
    for attempt in 0..ATTEMPTS_MAX {
        let mut wait = Duration::from_secs_f64(f64::from(2_u32.pow(attempt).min(30)) * jitter());
        match call(host, "POST /v1/orders", &headers, body) {
            Ok(answer) if answer.status == 202 => {
                return answer.member("order_id").map(str::to_owned).ok_or(answer.body.clone());
            }
            Ok(answer) if !answer.is_retryable() => return Err(answer.body),
            Ok(answer) => {
                wait = answer.retry_after().unwrap_or(wait);
                last = answer.body;
            }
            Err(error) => last = error.to_string(),
        }
        sleep(wait);
    }
    Err(last)
}

/// Asks until the order is decided. A 404 means that it is still queued.
fn outcome(host: &str, order_id: &str) -> Result<String, String> {
    let mut last = "no answer".to_owned();
    for _ in 0..POLLS_MAX {
        let mut wait = Duration::from_secs(2);
        match call(host, &format!("GET /v1/orders/{order_id}"), "", "") {
            Ok(answer) => match answer.member("state") {
                Some(state @ ("confirmed" | "rejected")) if answer.status == 200 => return Ok(state.to_owned()),
                _ if matches!(answer.status, 400 | 401 | 403) => return Err(answer.body),
                _ => {
                    wait = answer.retry_after().unwrap_or(wait);
                    last = answer.body;
                }
            },
            Err(error) => last = error.to_string(),
        }
        sleep(wait);
    }
    Err(last)
}

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [url, file, key] = arguments.as_slice() else {
        eprintln!("order URL FILE KEY");
        return ExitCode::from(2);
    };
    let host = url.trim_start_matches("http://").trim_end_matches('/');
    let decided = std::fs::read_to_string(file).map_err(|error| error.to_string()).and_then(|body| {
        let order_id = place(host, &body, key)?;
        let state = outcome(host, &order_id)?;
        println!("{order_id} {state}");
        Ok(state)
    });
    match decided {
        Ok(state) if state == "confirmed" => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

//! wrk's word on a peak: a closed loop that always posts the same order.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;

use crate::bench::children::run_to_end;
use crate::bench::tools::{Job, Tool};

/// 2xx answers a second.
pub(super) async fn peak_rps(
    program: &Path,
    address: SocketAddr,
    connections: u32,
    seconds: u32,
    directory: &Path,
) -> anyhow::Result<f64> {
    let job = Job {
        url: format!("http://{address}/v1/orders"),
        rps: 0,
        seconds,
        connections,
        directory: directory.to_owned(),
    };
    let bound = Duration::from_secs(u64::from(seconds) + 30);
    let ended = run_to_end(&mut Tool::Wrk.command(program, &job)?, bound).await?;
    accepted_per_s(&ended.stdout).context("wrk printed no figures")
}

/// Requests a second that wrk counts, less the share whose answer was no 2xx.
fn accepted_per_s(text: &str) -> Option<f64> {
    let rps: f64 = text.split("Requests/sec:").nth(1)?.split_whitespace().next()?.parse().ok()?;
    let line = text.lines().find(|line| line.contains(" requests in "))?;
    let requests: f64 = line.split_whitespace().next()?.parse().ok()?;
    let others = text.lines().find_map(|line| line.trim().strip_prefix("Non-2xx or 3xx responses:"));
    let others: f64 = others.map_or(Some(0.0), |count| count.trim().parse().ok())?;
    Some(rps * (1.0 - others / requests.max(1.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_shed_does_not_count() {
        let text = "Running 2s test @ http://127.0.0.1:9000/v1/orders\n  1 threads and 128 connections\n  \
                    100000 requests in 2.00s, 30.00MB read\n";
        let all = format!("{text}Requests/sec:  50000.00\nTransfer/sec:     15.00MB\n");
        let some = format!("{text}  Non-2xx or 3xx responses: 25000\nRequests/sec:  50000.00\n");
        for (text, expected) in [(all.as_str(), Some(50_000.0)), (some.as_str(), Some(37_500.0)), ("", None)]
        {
            assert_eq!(accepted_per_s(text), expected, "{text}");
        }
    }
}

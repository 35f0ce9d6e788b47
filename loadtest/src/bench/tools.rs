//! The generators that are compared: how each is told to post the same order to the same place.

use std::path::{Path, PathBuf};

use tokio::process::Command;

/// An order as the scenarios' buyers post it; the same bytes for every tool that cannot make orders.
pub(super) const ORDER: &str = r#"{"sale_id":"rehearsal","user_id":"user-4711","items":[{"sku":"SKU-00042","quantity":1},{"sku":"SKU-00043","quantity":1}],"currency":"CNY","shipping_address":{"recipient":"Buyer 4711","line1":"1021 Nanjing Road","city":"Shanghai","postal_code":"200001","country":"CN","phone":"+86 130 12345678"}}"#;

/// How long a request may wait, for a connection and then for its answer.
const TIMEOUT_MS: u32 = 10_000;

/// What is to be sent.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) url: String,
    pub(super) rps: u32,
    pub(super) seconds: u32,
    pub(super) connections: u32,
    /// For scripts and results.
    pub(super) directory: PathBuf,
}

/// A generator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tool {
    /// This one, at the planned rate.
    Loadtest,
    /// This one, planned at the rate that wrk has just reached.
    LoadtestLikeWrk,
    /// wrk: a closed loop, as fast as it goes.
    Wrk,
    /// oha at the planned rate.
    Oha,
    /// k6 at the planned rate.
    K6,
}

impl Tool {
    pub(super) const ALL: [Self; 5] = [Self::Wrk, Self::LoadtestLikeWrk, Self::Loadtest, Self::Oha, Self::K6];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Loadtest => "loadtest",
            Self::LoadtestLikeWrk => "loadtest at wrk's rate",
            Self::Wrk => "wrk",
            Self::Oha => "oha",
            Self::K6 => "k6",
        }
    }

    /// The program, if it is here.
    pub(super) fn program(self) -> Option<PathBuf> {
        match self {
            Self::Loadtest | Self::LoadtestLikeWrk => std::env::current_exe().ok(),
            other => {
                let path = std::env::var_os("PATH")?;
                std::env::split_paths(&path)
                    .map(|folder| folder.join(other.name()))
                    .find(|file| file.is_file())
            }
        }
    }

    /// The command for `job`. One sending thread each, where the tool knows threads.
    pub(super) fn command(self, program: &Path, job: &Job) -> anyhow::Result<Command> {
        let mut command = Command::new(program);
        let Job { url, rps, seconds, connections, directory } = job;
        match self {
            Self::Loadtest | Self::LoadtestLikeWrk => {
                command.args(["run", "baseline", "--no-expect", "--threads=1"]);
                command.arg(format!("--target={}", url.trim_end_matches("/v1/orders")));
                command.arg(format!("--phase=constant:{rps}:{seconds}s"));
                command.arg(format!("--connections={connections}"));
                // Whatever is not an order of its own would be refused, or answered without the whole work.
                // Short intervals, because the end of a run is noticed at an interval's end.
                command.args(["--interval-ms=50", "--invalid=0", "--replays=0", "--changed=0"]);
                command.arg(format!("--timeout-ms={TIMEOUT_MS}"));
                command.arg("--report").arg(directory.join("loadtest"));
            }
            Self::Wrk => {
                let script = directory.join("post.lua");
                std::fs::write(
                    &script,
                    format!(
                        "wrk.method = \"POST\"\nwrk.headers[\"content-type\"] = \"application/json\"\n\
                         wrk.headers[\"idempotency-key\"] = \"bench-1\"\nwrk.body = [[{ORDER}]]\n"
                    ),
                )?;
                command.args([
                    "-t1".to_owned(),
                    format!("-c{connections}"),
                    format!("-d{seconds}s"),
                    "-s".to_owned(),
                ]);
                command.arg(script).arg(url);
            }
            Self::Oha => {
                command.args([
                    "--no-tui",
                    "-m",
                    "POST",
                    "-T",
                    "application/json",
                    "-H",
                    "idempotency-key: bench-1",
                ]);
                command.args(["-d", ORDER, "-q", &rps.to_string(), "--latency-correction"]);
                command.args(["-c", &connections.to_string(), "-z", &format!("{seconds}s"), url]);
                command.env("TOKIO_WORKER_THREADS", "1");
            }
            Self::K6 => {
                let script = directory.join("post.js");
                std::fs::write(
                    &script,
                    format!(
                        "import http from 'k6/http';\nexport const options = {{ discardResponseBodies: true, scenarios: {{ open: {{ \
                         executor: 'constant-arrival-rate', rate: {rps}, timeUnit: '1s', duration: '{seconds}s', \
                         preAllocatedVUs: {connections}, maxVUs: {connections} }} }} }};\n\
                         const body = '{ORDER}';\nconst params = {{ headers: {{ 'content-type': 'application/json', \
                         'idempotency-key': 'bench-1' }} }};\nexport default () => {{ http.post('{url}', body, params); }};\n"
                    ),
                )?;
                command.args(["run", "--quiet", "--no-usage-report", "--address", ""]).arg(script);
            }
        }
        Ok(command)
    }
}

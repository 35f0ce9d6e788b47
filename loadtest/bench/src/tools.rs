//! Load generators: the command that makes each post the same order to the same address.

use std::path::{Path, PathBuf};

use tokio::process::Command;

/// An order as the scenarios' buyers post it; the same bytes for every tool that cannot generate orders.
const ORDER: &str = r#"{"sale_id":"rehearsal","user_id":"user-4711","items":[{"sku":"SKU-00042","quantity":1},{"sku":"SKU-00043","quantity":1}],"currency":"CNY","shipping_address":{"recipient":"Buyer 4711","line1":"1021 Nanjing Road","city":"Shanghai","postal_code":"200001","country":"CN","phone":"+86 130 12345678"}}"#;

/// Time-out for a connection and then for its response.
const TIMEOUT_MS: u32 = 10_000;

#[derive(Clone, Debug)]
pub(crate) struct LoadJob {
    pub(crate) url: String,
    pub(crate) rps: u32,
    pub(crate) seconds: u32,
    pub(crate) connections: u32,
    /// Folder of scripts and results.
    pub(crate) directory: PathBuf,
    /// Processor that the tool is pinned to; `None`: all.
    pub(crate) processor: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Tool {
    /// loadtest at the planned rate.
    Loadtest,
    /// loadtest at the rate that wrk has just reached.
    LoadtestLikeWrk,
    /// A closed loop at maximum speed.
    Wrk,
    Oha,
    K6,
}

impl Tool {
    pub(crate) const ALL: [Self; 5] = [Self::Wrk, Self::LoadtestLikeWrk, Self::Loadtest, Self::Oha, Self::K6];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Loadtest => "loadtest",
            Self::LoadtestLikeWrk => "loadtest at wrk's rate",
            Self::Wrk => "wrk",
            Self::Oha => "oha",
            Self::K6 => "k6",
        }
    }

    /// The program, if it is installed. loadtest is this binary's hidden `run` command.
    pub(crate) fn program(self) -> Option<PathBuf> {
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

    /// The command for `job`, with one sending thread where the tool has such a flag.
    pub(crate) fn command(self, program: &Path, job: &LoadJob) -> anyhow::Result<Command> {
        let LoadJob { url, rps, seconds, connections, directory, processor } = job;
        let mut command = match processor {
            Some(processor) => {
                let mut pinned = Command::new("taskset");
                pinned.args(["-c", &processor.to_string()]).arg(program);
                pinned
            }
            None => Command::new(program),
        };
        match self {
            Self::Loadtest | Self::LoadtestLikeWrk => {
                command.args(["run", "baseline", "--no-expect"]);
                command.arg(format!("--target={}", url.trim_end_matches("/v1/orders")));
                command.arg(format!("--phase=constant:{rps}:{seconds}s"));
                // Requests other than new orders would be rejected or cost less. Intervals are short because the end of
                // a run is noticed at the end of an interval.
                for parameter in [
                    "generator.threads=1".to_owned(),
                    "generator.interval_ms=50".to_owned(),
                    "mix.invalid=0".to_owned(),
                    "mix.replays=0".to_owned(),
                    "mix.changed=0".to_owned(),
                    format!("clients.connections_max={connections}"),
                    format!("clients.timeout_ms={TIMEOUT_MS}"),
                ] {
                    command.arg(format!("--set={parameter}"));
                }
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
                command.args(["-t1", &format!("-c{connections}"), &format!("-d{seconds}s"), "-s"]);
                command.arg(script).arg(url);
            }
            Self::Oha => {
                command.args(["--no-tui", "--output-format", "json", "-m", "POST", "-T", "application/json"]);
                command.args(["-H", "idempotency-key: bench-1"]);
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

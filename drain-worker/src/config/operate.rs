//! Flags of the commands that call a running worker.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use jiff::SignedDuration;
use shared::config::Secret;

use crate::control::Rate;

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Worker")]
pub struct AdminArgs {
    /// Admin port of any worker of the pool, also behind a TLS proxy and below a path; several, by commas or by repeating
    /// the flag, are asked in their order until one answers
    #[arg(
        long,
        env = "SPILLWAY_ADMIN_URL",
        value_name = "URL",
        default_value = "http://127.0.0.1:9101",
        value_delimiter = ','
    )]
    pub admin_url: Vec<String>,

    /// PEM file of the root certificates to check https:// URLs against [default: the public roots]
    #[arg(long, env = "SPILLWAY_ADMIN_TLS_ROOTS", value_name = "FILE")]
    pub admin_tls_roots: Option<PathBuf>,

    /// Bearer token of the admin API; prefer the environment variable
    #[arg(long, env = "SPILLWAY_ADMIN_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    pub admin_token: Option<Secret<String>>,
}

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Audit trail")]
pub struct AuditContextArgs {
    /// Your name, for the audit trail
    #[arg(long, env = "USER", value_name = "NAME", default_value = "")]
    pub who: String,

    /// Reason of the change, for the audit trail
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub reason: String,
}

#[derive(Clone, Debug, Args)]
pub struct StatusArgs {
    /// Refresh every second
    #[arg(long)]
    pub watch: bool,

    /// Print JSON, one line per status
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub admin: AdminArgs,
}

#[derive(Debug, Subcommand)]
pub enum RateCommand {
    /// Set the cap by hand, at once or by a ramp
    Set(RateSetArgs),
    /// Return to the schedule, or the default
    Reset(RateResetArgs),
}

#[derive(Clone, Debug, Args)]
pub struct RateSetArgs {
    /// Orders a second, for the whole pool
    #[arg(value_name = "ORDERS")]
    pub rate: Rate,

    /// Duration of a linear ramp, such as 60s or 5m
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub ramp: Option<Duration>,

    #[command(flatten)]
    pub context: AuditContextArgs,

    #[command(flatten)]
    pub admin: AdminArgs,
}

#[derive(Clone, Debug, Args)]
pub struct RateResetArgs {
    #[command(flatten)]
    pub context: AuditContextArgs,

    #[command(flatten)]
    pub admin: AdminArgs,
}

#[derive(Clone, Debug, Args)]
pub struct PauseArgs {
    /// End of the pause, RFC 3339, such as 2026-11-11T02:00:00+08:00 [default: until resumed]
    #[arg(long, value_name = "INSTANT", conflicts_with = "duration")]
    pub until: Option<String>,

    /// Duration of the pause, such as 90s or 10m [default: until resumed]
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    pub duration: Option<Duration>,

    #[command(flatten)]
    pub context: AuditContextArgs,

    #[command(flatten)]
    pub admin: AdminArgs,
}

/// `--admin-url` names the worker.
#[derive(Clone, Debug, Args)]
pub struct CordonArgs {
    #[command(flatten)]
    pub context: AuditContextArgs,

    #[command(flatten)]
    pub admin: AdminArgs,
}

#[derive(Clone, Debug, Args)]
pub struct ResumeArgs {
    #[command(flatten)]
    pub context: AuditContextArgs,

    #[command(flatten)]
    pub admin: AdminArgs,
}

#[derive(Debug, Subcommand)]
pub enum ScheduleCommand {
    /// Print the schedule as JSON
    Show(ScheduleShowArgs),
    /// Set it from a JSON file: {"time_zone": "Asia/Shanghai", "entries": [{"from": "02:00", "rate": 3000}, …]}
    Set(ScheduleSetArgs),
    /// Remove the schedule
    Clear(ScheduleClearArgs),
}

#[derive(Clone, Debug, Args)]
pub struct ScheduleShowArgs {
    #[command(flatten)]
    pub admin: AdminArgs,
}

#[derive(Clone, Debug, Args)]
pub struct ScheduleSetArgs {
    /// JSON file with the schedule; `-`: standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    #[command(flatten)]
    pub context: AuditContextArgs,

    #[command(flatten)]
    pub admin: AdminArgs,
}

#[derive(Clone, Debug, Args)]
pub struct ScheduleClearArgs {
    #[command(flatten)]
    pub context: AuditContextArgs,

    #[command(flatten)]
    pub admin: AdminArgs,
}

#[derive(Clone, Debug, Args)]
pub struct AuditArgs {
    /// Maximum number of entries, newest first
    #[arg(long, value_name = "COUNT", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=500))]
    pub limit: u32,

    /// Print JSON
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub admin: AdminArgs,
}

fn duration(text: &str) -> Result<Duration, String> {
    let parsed: Result<SignedDuration, _> = text.parse();
    parsed
        .ok()
        .and_then(|duration| Duration::try_from(duration).ok())
        .ok_or_else(|| "must be a time such as 60s, 10m or 1h30m".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_times_parse() {
        for (text, seconds) in [
            ("60s", Some(60)),
            ("10m", Some(600)),
            ("1h30m", Some(5_400)),
            ("0s", Some(0)),
            ("60", None),
            ("-5s", None),
            ("soon", None),
        ] {
            assert_eq!(duration(text).ok().map(|duration| duration.as_secs()), seconds, "{text}");
        }
    }
}

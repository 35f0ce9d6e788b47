//! Flags of the commands that ask a running worker.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use jiff::SignedDuration;
use shared::config::Secret;

use crate::control::Rate;

/// Which worker is asked.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Worker")]
pub struct AdminArgs {
    /// Admin port of any worker of the pool
    #[arg(long, env = "SPILLWAY_ADMIN_URL", value_name = "URL", default_value = "http://127.0.0.1:9101")]
    pub admin_url: String,

    /// Its bearer token; prefer the environment variable
    #[arg(long, env = "SPILLWAY_ADMIN_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    pub admin_token: Option<Secret<String>>,
}

/// Who does it, for the audit trail.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Audit trail")]
pub struct AuditContextArgs {
    /// Who does it
    #[arg(long, env = "USER", value_name = "NAME", default_value = "")]
    pub who: String,

    /// Why
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub reason: String,
}

/// Flags of `status`.
#[derive(Clone, Debug, Args)]
pub struct StatusArgs {
    /// Show it again every second
    #[arg(long)]
    pub watch: bool,

    /// Print JSON, one line each
    #[arg(long)]
    pub json: bool,

    /// The worker.
    #[command(flatten)]
    pub admin: AdminArgs,
}

/// What to do about the rate.
#[derive(Debug, Subcommand)]
pub enum RateCommand {
    /// Set the cap by hand, at once or over a time
    Set(RateSetArgs),
    /// Back to the schedule, or the default
    Reset(RateResetArgs),
}

/// Flags of `rate set`.
#[derive(Clone, Debug, Args)]
pub struct RateSetArgs {
    /// Orders a second, for the whole pool
    #[arg(value_name = "ORDERS")]
    pub rate: Rate,

    /// Get there on a straight line over this time, such as 60s or 5m
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub ramp: Option<Duration>,

    /// Who and reason.
    #[command(flatten)]
    pub context: AuditContextArgs,

    /// The worker.
    #[command(flatten)]
    pub admin: AdminArgs,
}

/// Flags of `rate reset`.
#[derive(Clone, Debug, Args)]
pub struct RateResetArgs {
    /// Who and reason.
    #[command(flatten)]
    pub context: AuditContextArgs,

    /// The worker.
    #[command(flatten)]
    pub admin: AdminArgs,
}

/// Flags of `pause`.
#[derive(Clone, Debug, Args)]
pub struct PauseArgs {
    /// Until this instant, RFC 3339, such as 2026-11-11T02:00:00+08:00 [default: until resumed]
    #[arg(long, value_name = "INSTANT", conflicts_with = "duration")]
    pub until: Option<String>,

    /// For so long, such as 90s or 10m [default: until resumed]
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    pub duration: Option<Duration>,

    /// Who and reason.
    #[command(flatten)]
    pub context: AuditContextArgs,

    /// The worker.
    #[command(flatten)]
    pub admin: AdminArgs,
}

/// Flags of `resume`.
#[derive(Clone, Debug, Args)]
pub struct ResumeArgs {
    /// Who and reason.
    #[command(flatten)]
    pub context: AuditContextArgs,

    /// The worker.
    #[command(flatten)]
    pub admin: AdminArgs,
}

/// What to do about the schedule.
#[derive(Debug, Subcommand)]
pub enum ScheduleCommand {
    /// Print it as JSON
    Show(ScheduleShowArgs),
    /// Set it from a JSON file: {"time_zone": "Asia/Shanghai", "entries": [{"from": "02:00", "rate": 3000}, …]}
    Set(ScheduleSetArgs),
    /// Remove it
    Clear(ScheduleClearArgs),
}

/// Flags of `schedule show`.
#[derive(Clone, Debug, Args)]
pub struct ScheduleShowArgs {
    /// The worker.
    #[command(flatten)]
    pub admin: AdminArgs,
}

/// Flags of `schedule set`.
#[derive(Clone, Debug, Args)]
pub struct ScheduleSetArgs {
    /// The file
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    /// Who and reason.
    #[command(flatten)]
    pub context: AuditContextArgs,

    /// The worker.
    #[command(flatten)]
    pub admin: AdminArgs,
}

/// Flags of `schedule clear`.
#[derive(Clone, Debug, Args)]
pub struct ScheduleClearArgs {
    /// Who and reason.
    #[command(flatten)]
    pub context: AuditContextArgs,

    /// The worker.
    #[command(flatten)]
    pub admin: AdminArgs,
}

/// Flags of `audit`.
#[derive(Clone, Debug, Args)]
pub struct AuditArgs {
    /// How many entries, the newest first
    #[arg(long, value_name = "COUNT", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=500))]
    pub limit: u32,

    /// Print JSON
    #[arg(long)]
    pub json: bool,

    /// The worker.
    #[command(flatten)]
    pub admin: AdminArgs,
}

/// A time such as `60s`, `10m`, `1h30m`.
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
    fn times_are_read() {
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

//! Flags of the commands that call a running worker.

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use jiff::SignedDuration;
use serde::Serialize;
use shared::config::{DatabaseUrl, Secret};

use crate::control::{NAME_CHARS_MAX, Rate};

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

#[derive(Clone, Debug, Args, Serialize)]
#[command(next_help_heading = "Audit trail")]
pub struct AuditContextArgs {
    /// Your name, for the audit trail [default: the number of your user account and this host]
    #[arg(long, env = "USER", value_name = "NAME", default_value = "", hide_default_value = true, value_parser = author)]
    pub who: String,

    /// Reason of the change, for the audit trail
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub reason: String,
}

/// The flags of every command that calls a worker.
#[derive(Clone, Debug, Args)]
pub struct CallArgs {
    /// Print JSON, as the API returns it; one line for each page or status
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub admin: AdminArgs,
}

/// The flags of an act on many rows.
#[derive(Clone, Debug, Args)]
pub struct BulkArgs {
    /// Do not ask for confirmation
    #[arg(long, short)]
    pub yes: bool,

    #[command(flatten)]
    pub context: AuditContextArgs,

    #[command(flatten)]
    pub call: CallArgs,
}

/// The flags of every command about the settings and their audit trail, which works without a worker too.
#[derive(Clone, Debug, Args)]
pub struct SettingsArgs {
    #[command(flatten)]
    pub call: CallArgs,

    #[command(flatten)]
    pub database: SettingsDatabaseArgs,
}

/// The flags of every change that is made on a revision of the settings.
#[derive(Clone, Debug, Args)]
pub struct ChangeArgs {
    /// Revision of the settings that the change is made on, as `status` shows it [default: the one in force]
    #[arg(long, value_name = "NUMBER")]
    pub revision: Option<i64>,

    /// Change the settings without a question, also if another change came after that revision, if a schedule is replaced, or
    /// if the cap can become more than twice the present one
    #[arg(long)]
    pub yes: bool,

    #[command(flatten)]
    pub context: AuditContextArgs,

    #[command(flatten)]
    pub settings: SettingsArgs,
}

/// The database in which settings are read and changed without a worker.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Without a worker")]
pub struct SettingsDatabaseArgs {
    /// Use the settings in this database, also while no worker runs; without a value, in that of SPILLWAY_DATABASE_URL
    #[arg(long, value_name = "URL", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    pub database_url: Option<DatabaseUrl>,

    /// Consumer group of the pool, with --database-url
    #[arg(long, env = "SPILLWAY_CONSUMER_GROUP", value_name = "GROUP", default_value = "drain")]
    pub consumer_group: String,
}

#[derive(Clone, Debug, Args)]
pub struct StatusArgs {
    /// Refresh every second
    #[arg(long)]
    pub watch: bool,

    #[command(flatten)]
    pub call: CallArgs,
}

#[derive(Debug, Subcommand)]
pub enum RateCommand {
    /// Set the cap by hand, at once or by a ramp
    Set(RateSetArgs),
    /// Return to the schedule, or the default
    Reset(ChangeArgs),
    /// Set the ceiling, above which no cap can be set: the rate that the database sustains, as `tune` measures it
    Ceiling(RateCeilingArgs),
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
    pub change: ChangeArgs,
}

#[derive(Clone, Debug, Args)]
pub struct RateCeilingArgs {
    /// Orders a second, for the whole pool
    #[arg(value_name = "ORDERS", required_unless_present = "none", conflicts_with = "none")]
    pub rate: Option<Rate>,

    /// Remove the ceiling
    #[arg(long)]
    pub none: bool,

    #[command(flatten)]
    pub change: ChangeArgs,
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
    pub settings: SettingsArgs,
}

/// `--admin-url` names the worker.
#[derive(Clone, Debug, Args)]
pub struct CordonArgs {
    #[command(flatten)]
    pub context: AuditContextArgs,

    #[command(flatten)]
    pub call: CallArgs,
}

#[derive(Clone, Debug, Args)]
pub struct ResumeArgs {
    /// Id of the hold to end, as `pause` and `status` show it
    #[arg(long, value_name = "ID", conflicts_with = "all")]
    pub hold: Option<i64>,

    /// End all holds, also those of others
    #[arg(long)]
    pub all: bool,

    #[command(flatten)]
    pub change: ChangeArgs,
}

#[derive(Debug, Subcommand)]
pub enum ScheduleCommand {
    /// Print the schedule as JSON, and on standard error the revision for `schedule set --revision`
    Show(SettingsArgs),
    /// Set it from a JSON file: {"time_zone": "Asia/Shanghai", "entries": [{"from": "02:00", "rate": 3000}, …]}
    Set(ScheduleSetArgs),
    /// Remove the schedule
    Clear(ChangeArgs),
}

#[derive(Clone, Debug, Args)]
pub struct ScheduleSetArgs {
    /// JSON file with the schedule; `-`: standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    #[command(flatten)]
    pub change: ChangeArgs,
}

#[derive(Clone, Debug, Args)]
pub struct AuditArgs {
    /// Maximum number of entries, newest first
    #[arg(long, value_name = "COUNT", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=500))]
    pub limit: u32,

    /// Only entries with lower numbers: the next page
    #[arg(long, value_name = "ID")]
    pub before: Option<i64>,

    #[command(flatten)]
    pub settings: SettingsArgs,
}

/// A name, or who runs this process.
#[expect(clippy::unnecessary_wraps, reason = "the signature of a parser of clap")]
fn author(text: &str) -> Result<String, std::convert::Infallible> {
    if !text.trim().is_empty() {
        return Ok(text.to_owned());
    }
    let account = std::fs::metadata("/proc/self").map(|process| process.uid());
    let account = account.map_or_else(|_| "unknown".to_owned(), |uid| format!("uid {uid}"));
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    Ok(format!("{account} on {}", host.trim())
        .trim_end_matches(" on ")
        .chars()
        .take(NAME_CHARS_MAX)
        .collect())
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
    fn an_author_is_never_empty() {
        assert_eq!(author("ann").as_deref(), Ok("ann"));
        for text in ["", " "] {
            let author = author(text).unwrap_or_default();
            assert!(author.starts_with("uid "), "{author}");
        }
    }

    #[test]
    fn durations_and_times_parse() {
        for (text, seconds) in [
            ("60s", Some(60)),
            ("10m", Some(600)),
            ("1h30m", Some(5_400)),
            ("0s", Some(0)),
            ("900ms", Some(0)),
            ("60", None),
            ("-5s", None),
            ("soon", None),
        ] {
            assert_eq!(duration(text).ok().map(|duration| duration.as_secs()), seconds, "{text}");
        }
    }
}

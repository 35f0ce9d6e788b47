//! Commands that change the pool (rate, pause, resume, schedule), and the audit trail.

use std::fmt::Display;
use std::io::{ErrorKind, Read as _};
use std::{fs, io};

use http::Method;
use serde_json::{Map, Value, json};

use super::CommandError;
use super::client::{AdminClient, AdminClientError, with_context};
use super::dlq::{confirm, confirmed};
use super::render::{grouped, or_dash};
use super::settings_client::SettingsClient;
use super::terminal::{Page, complain, print, print_json};
use crate::admin::{AuditEntryView, AuditPage, CordonView, SettingsResponse};
use crate::config::{AuditArgs, ChangeArgs, CordonArgs, PauseArgs, RateCommand, ResumeArgs, ScheduleCommand};
use crate::control::CapSource;
use crate::monitor::{CapView, HoldView, SettingsView};

/// Maximum number of times that a change meets another one and is made again.
const ATTEMPTS_MAX: u32 = 5;

/// Maximum schedule from standard input; more than a worker accepts.
const SCHEDULE_BYTES_MAX: u64 = 64 * 1024;

pub(super) async fn rate(command: RateCommand) -> Result<(), CommandError> {
    match command {
        RateCommand::Set(args) => {
            let ramp_s = args.ramp.map_or(0.0, |ramp| ramp.as_secs_f64());
            let body = json!({ "rate": args.rate.get(), "ramp_s": ramp_s, "confirm": args.change.yes });
            change(&args.change, Method::PUT, "/v1/rate", body).await
        }
        RateCommand::Ceiling(args) => match args.rate {
            Some(rate) => {
                change(&args.change, Method::PUT, "/v1/ceiling", json!({ "rate": rate.get() })).await
            }
            None => {
                let body = json!({ "confirm": args.change.yes });
                change(&args.change, Method::POST, "/v1/ceiling/clear", body).await
            }
        },
        RateCommand::Reset(args) => change(&args, Method::POST, "/v1/rate/reset", json!({})).await,
    }
}

pub(super) async fn pause(args: PauseArgs) -> Result<(), CommandError> {
    let mut body = json!({});
    if let Some(until) = &args.until {
        body["until"] = json!(until);
    }
    if let Some(duration) = args.duration {
        body["for_s"] = json!(duration.as_secs_f64());
    }
    let client = SettingsClient::new(&args.settings).await?;
    let body = with_context(body, &args.context);
    let paused = client.change(Method::PUT, "/v1/pause", &body, None).await?;
    Ok(print(args.settings.call.json, &paused, changed)?)
}

pub(super) async fn resume(args: ResumeArgs) -> Result<(), CommandError> {
    if args.all {
        return change(&args.change, Method::POST, "/v1/resume", json!({ "all": true })).await;
    }
    let client = SettingsClient::new(&args.change.settings).await?;
    let Some(hold) = args.hold else {
        let holds = hold_lines(&client.settings().await?.settings);
        let reason = if holds.is_empty() {
            "the pool has no hold".to_owned()
        } else {
            format!("{}\npass --hold ID, or --all to end those of others too", holds.join("\n"))
        };
        return Err(CommandError::Unsettled(reason));
    };
    let body = with_context(json!({ "hold": hold }), &args.change.context);
    let resumed = client.change(Method::POST, "/v1/resume", &body, None).await?;
    Ok(print(args.change.settings.call.json, &resumed, changed)?)
}

/// `change` is `cordon` or `uncordon`.
pub(super) async fn cordon(args: CordonArgs, change: &str) -> Result<(), CommandError> {
    let body = with_context(json!({}), &args.context);
    let client = AdminClient::of_one_worker(&args.call.admin)?;
    let path = format!("/v1/worker/{change}");
    let view: CordonView = client.change(Method::POST, &path, &body, None).await?;
    let text = |view: &CordonView| {
        let audited =
            if view.is_audited { "" } else { "; the database did not take the row of the audit trail" };
        Page::of(format!("{}: {change}ed{audited}", view.worker))
    };
    Ok(print(args.call.json, &view, text)?)
}

pub(super) async fn schedule(command: ScheduleCommand) -> Result<(), CommandError> {
    match command {
        ScheduleCommand::Show(args) => {
            let present = SettingsClient::new(&args).await?.settings().await?;
            if !args.call.json {
                complain(&format!("settings revision {}", present.settings.revision));
            }
            Ok(print_json(&present.settings.schedule)?)
        }
        ScheduleCommand::Set(args) => {
            let is_stdin = args.file.as_os_str() == "-";
            let read = if is_stdin {
                io::read_to_string(io::stdin().take(SCHEDULE_BYTES_MAX))
            } else {
                fs::read_to_string(&args.file)
            };
            let wrong =
                |kind, error: &dyn Display| io::Error::new(kind, format!("{}: {error}", args.file.display()));
            let file = read.map_err(|error| wrong(error.kind(), &error))?;
            let mut schedule: Map<String, Value> =
                serde_json::from_str(&file).map_err(|error| wrong(ErrorKind::InvalidData, &error))?;
            schedule.insert("confirm".to_owned(), json!(args.change.yes));
            let client = SettingsClient::new(&args.change.settings).await?;
            let made_on = seen_schedule(&client, &args.change).await?;
            change_made_on(&client, made_on, &args.change, Method::PUT, "/v1/schedule", schedule.into()).await
        }
        ScheduleCommand::Clear(args) => change(&args, Method::POST, "/v1/schedule/clear", json!({})).await,
    }
}

/// The revision on which a schedule is set: `--revision`, or the one in force. Shows the schedule that would be replaced, and
/// asks: a file is edited for longer than a rate, and another operator may have set one meanwhile.
async fn seen_schedule(client: &SettingsClient, args: &ChangeArgs) -> Result<i64, CommandError> {
    if let Some(revision) = args.revision {
        return Ok(revision);
    }
    let SettingsView { revision, schedule, .. } = client.settings().await?.settings;
    if let Some(schedule) = schedule.filter(|_| !args.yes) {
        complain(&format!("in force, of revision {revision}: {}", serde_json::to_string(&schedule)?));
        let question = format!("this schedule (--revision {revision} confirms that you have seen it)");
        confirm("replace", &question)?;
    }
    Ok(revision)
}

/// Makes a change on `--revision`, or on the settings in force.
async fn change(args: &ChangeArgs, method: Method, path: &str, body: Value) -> Result<(), CommandError> {
    let client = SettingsClient::new(&args.settings).await?;
    let made_on = match args.revision {
        Some(revision) => revision,
        None => client.settings().await?.settings.revision,
    };
    change_made_on(&client, made_on, args, method, path, body).await
}

/// Makes a change on the settings that its author has seen, and prints those in force then. If another change came first,
/// shows what differs and asks again.
async fn change_made_on(
    client: &SettingsClient,
    mut made_on: i64,
    args: &ChangeArgs,
    method: Method,
    path: &str,
    body: Value,
) -> Result<(), CommandError> {
    let mut body = with_context(body, &args.context);
    for _ in 0..ATTEMPTS_MAX {
        match client.change(method.clone(), path, &body, Some(made_on)).await {
            Err(AdminClientError::Changed { detail, revision }) => {
                complain(&detail);
                if !args.yes && !confirmed("change", "them all the same")? {
                    break;
                }
                made_on = revision;
                // What was confirmed was confirmed on other settings.
                if body.get("confirm").is_some() {
                    body["confirm"] = json!(args.yes);
                }
            }
            Err(AdminClientError::Rejected { code, detail, .. }) if code == "confirmation_required" => {
                complain(&detail);
                if !confirmed("set", "it all the same")? {
                    break;
                }
                body["confirm"] = json!(true);
            }
            answer => return Ok(print(args.settings.call.json, &answer?, changed)?),
        }
    }
    Err(CommandError::Unsettled("nothing was done".to_owned()))
}

pub(super) async fn audit(args: AuditArgs) -> Result<(), CommandError> {
    let (limit, before) = (args.limit.to_string(), args.before.map(|before| before.to_string()));
    let parameters = [("limit", Some(limit.as_str())), ("before", before.as_deref())];
    let client = SettingsClient::new(&args.settings).await?;
    let audit: AuditPage = client.read("/v1/audit", &parameters).await?;
    Ok(print(args.settings.call.json, &audit, listed)?)
}

fn listed(audit: &AuditPage) -> Page {
    let row = |entry: &AuditEntryView| {
        [&entry.at, &entry.actor, &entry.who, &entry.action, &entry.detail, &entry.reason]
            .map(|text| or_dash(Some(text)).to_owned())
            .to_vec()
    };
    let mut page = Page::default();
    let rows: Vec<_> = audit.entries.iter().map(row).collect();
    page.table(&["AT", "TOKEN", "WHO", "ACTION", "DETAIL", "REASON"], &rows);
    if let Some(next) = audit.next {
        page.line(format!("more with --before {next}"));
    }
    page
}

/// The settings after a change.
fn changed(response: &SettingsResponse) -> Page {
    let hold = response.hold.map_or_else(String::new, |hold| format!(" (hold {hold})"));
    let mut page = Page::of(format!("{}{hold}", cap_line(&response.cap)));
    settings_lines(&response.settings).iter().for_each(|line| page.line(line));
    page
}

/// The revision of the settings, and the holds in force.
pub(super) fn settings_lines(settings: &SettingsView) -> Vec<String> {
    let ceiling = settings
        .ceiling
        .map_or_else(String::new, |ceiling| format!(", ceiling {}/s", grouped(f64::from(ceiling))));
    let revision = format!("settings revision {}{ceiling}", settings.revision);
    [revision].into_iter().chain(hold_lines(settings)).collect()
}

/// `hold 7 by ann since 2026-11-11T00:00:00Z, until resumed: maintenance`.
fn hold_lines(settings: &SettingsView) -> Vec<String> {
    let line = |hold: &HoldView| {
        let (owner, reason) = (or_dash(Some(&hold.owner)), or_dash(Some(&hold.reason)));
        let until = hold.until.as_deref().unwrap_or("resumed");
        format!("hold {} by {owner} since {}, until {until}: {reason}", hold.id, hold.since)
    };
    settings.holds.iter().map(line).collect()
}

pub(super) fn cap_line(cap: &CapView) -> String {
    let (orders, source) = (grouped(f64::from(cap.orders_per_second)), cap.source.as_str());
    match (cap.source, &cap.paused_until, &cap.ramp) {
        (CapSource::Paused, Some(until), _) => format!("paused until {until}"),
        (CapSource::Paused, None, _) => "paused until resumed".to_owned(),
        (_, _, Some(ramp)) => format!(
            "cap {orders}/s ({source}), ramp from {}/s to {}/s until {}",
            grouped(f64::from(ramp.from)),
            grouped(f64::from(ramp.to)),
            ramp.ends_at
        ),
        (_, _, None) => format!("cap {orders}/s ({source})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_the_holds() {
        let since = "2026-11-11T00:00:00.000Z";
        let settings = json!({"revision": 8, "default": 2000, "ceiling": 5000, "holds": [
            {"id": 7, "owner": "ann", "reason": "maintenance", "since": since, "until": null},
            {"id": 8, "owner": "", "reason": "", "since": since, "until": "2026-11-11T02:00:00.000Z"},
        ]});
        assert_eq!(
            settings_lines(&serde_json::from_value(settings).expect("settings")),
            [
                "settings revision 8, ceiling 5,000/s",
                "hold 7 by ann since 2026-11-11T00:00:00.000Z, until resumed: maintenance",
                "hold 8 by - since 2026-11-11T00:00:00.000Z, until 2026-11-11T02:00:00.000Z: -",
            ]
        );
    }

    #[test]
    fn formats_the_cap() {
        for (cap, line) in [
            (json!({"orders_per_second": 2000, "source": "default", "ramp": null}), "cap 2,000/s (default)"),
            (
                json!({"orders_per_second": 0, "source": "paused", "paused_until": null}),
                "paused until resumed",
            ),
            (
                json!({"orders_per_second": 0, "source": "paused", "paused_until": "2026-11-11T02:00:00Z"}),
                "paused until 2026-11-11T02:00:00Z",
            ),
            (
                json!({"orders_per_second": 750, "source": "manual",
                       "ramp": {"from": 500, "to": 3000, "began_at": "", "ends_at": "2026-11-11T02:00:00Z"}}),
                "cap 750/s (manual), ramp from 500/s to 3,000/s until 2026-11-11T02:00:00Z",
            ),
        ] {
            assert_eq!(cap_line(&serde_json::from_value(cap).expect("a cap")), line);
        }
    }
}

//! Commands that change the pool (rate, pause, resume, schedule), and the audit trail.

use std::io::Read as _;
use std::{fs, io};

use http::Method;
use serde_json::{Map, Value, json};

use super::CommandError;
use super::client::{AdminClient, AdminClientError};
use super::dlq::confirmed;
use super::render::{number, text};
use super::settings_client::SettingsClient;
use super::terminal::{Page, complain, print_json};
use crate::config::{
    AuditArgs, AuditContextArgs, ChangeArgs, CordonArgs, PauseArgs, RateCommand, ResumeArgs, ScheduleCommand,
};

/// Maximum number of times that a change meets another one and is made again.
const ATTEMPTS_MAX: u32 = 5;

/// Maximum schedule from standard input; more than a worker accepts.
const SCHEDULE_BYTES_MAX: u64 = 64 * 1024;

pub(super) async fn rate(command: RateCommand) -> Result<(), CommandError> {
    let changed = match command {
        RateCommand::Set(args) => {
            let ramp_s = args.ramp.map_or(0.0, |ramp| ramp.as_secs_f64());
            let body = json!({ "rate": args.rate.get(), "ramp_s": ramp_s, "confirm": args.change.yes });
            change(&args.change, Method::PUT, "/v1/rate", body).await?
        }
        RateCommand::Ceiling(args) => match args.rate {
            Some(rate) => {
                change(&args.change, Method::PUT, "/v1/ceiling", json!({ "rate": rate.get() })).await?
            }
            None => change(&args.change, Method::POST, "/v1/ceiling/clear", json!({})).await?,
        },
        RateCommand::Reset(args) => change(&args, Method::POST, "/v1/rate/reset", json!({})).await?,
    };
    Ok(print_settings(&changed)?)
}

pub(super) async fn pause(args: PauseArgs) -> Result<(), CommandError> {
    let mut body = json!({});
    if let Some(until) = &args.until {
        body["until"] = json!(until);
    }
    if let Some(duration) = args.duration {
        body["for_s"] = json!(duration.as_secs_f64());
    }
    let client = SettingsClient::new(&args.admin, &args.database).await?;
    Ok(print_settings(
        &client.change(Method::PUT, "/v1/pause", &with_context(body, &args.context), None).await?,
    )?)
}

pub(super) async fn resume(args: ResumeArgs) -> Result<(), CommandError> {
    let client = SettingsClient::new(&args.change.admin, &args.change.database).await?;
    let body = match (args.hold, args.all) {
        (Some(hold), _) => json!({ "hold": hold }),
        (None, true) => json!({ "all": true }),
        (None, false) => {
            let present = client.settings().await?;
            let holds = hold_lines(&present["settings"]);
            let reason = if holds.is_empty() {
                "the pool has no hold".to_owned()
            } else {
                format!("{}\npass --hold ID, or --all to end those of others too", holds.join("\n"))
            };
            return Err(CommandError::Unsettled(reason));
        }
    };
    let changed = if args.all {
        change(&args.change, Method::POST, "/v1/resume", body).await?
    } else {
        client.change(Method::POST, "/v1/resume", &with_context(body, &args.change.context), None).await?
    };
    Ok(print_settings(&changed)?)
}

/// `change` is `cordon` or `uncordon`.
pub(super) async fn cordon(args: CordonArgs, change: &str) -> Result<(), CommandError> {
    let body = with_context(json!({}), &args.context);
    let client = AdminClient::of_one_worker(&args.admin)?;
    let changed = client.post(&format!("/v1/worker/{change}"), &body).await?;
    Ok(Page::of(format!("{}: {change}ed", text(&changed["worker"]))).print()?)
}

pub(super) async fn schedule(command: ScheduleCommand) -> Result<(), CommandError> {
    match command {
        ScheduleCommand::Show(args) => {
            let present = SettingsClient::new(&args.admin, &args.database).await?.settings().await?;
            print_json(&present["settings"]["schedule"])?;
        }
        ScheduleCommand::Set(args) => {
            let is_stdin = args.file.as_os_str() == "-";
            let read = if is_stdin {
                io::read_to_string(io::stdin().take(SCHEDULE_BYTES_MAX))
            } else {
                fs::read_to_string(&args.file)
            };
            let file = read
                .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", args.file.display())))?;
            let schedule: Value = serde_json::from_str(&file).map_err(|error| {
                io::Error::new(io::ErrorKind::InvalidData, format!("{}: {error}", args.file.display()))
            })?;
            print_settings(&change(&args.change, Method::PUT, "/v1/schedule", schedule).await?)?;
        }
        ScheduleCommand::Clear(args) => {
            print_settings(&change(&args, Method::POST, "/v1/schedule/clear", json!({})).await?)?;
        }
    }
    Ok(())
}

/// Makes a change on the settings that its author has seen. If another change came first, shows what differs and asks
/// again.
async fn change(args: &ChangeArgs, method: Method, path: &str, body: Value) -> Result<Value, CommandError> {
    let client = SettingsClient::new(&args.admin, &args.database).await?;
    let mut body = with_context(body, &args.context);
    let mut made_on = match args.revision {
        Some(revision) => revision,
        None => client.settings().await?["settings"]["revision"].as_i64().unwrap_or_default(),
    };
    for _ in 0..ATTEMPTS_MAX {
        match client.change(method.clone(), path, &body, Some(made_on)).await {
            Err(AdminClientError::Changed { detail, revision }) => {
                complain(&detail);
                if !args.yes && !confirmed("change", "them all the same")? {
                    break;
                }
                made_on = revision;
            }
            Err(AdminClientError::Rejected { code, detail, .. }) if code == "confirmation_required" => {
                complain(&detail);
                if !confirmed("set", "it all the same")? {
                    break;
                }
                body["confirm"] = json!(true);
            }
            answer => return Ok(answer?),
        }
    }
    Err(CommandError::Unsettled("nothing was done".to_owned()))
}

pub(super) async fn audit(args: AuditArgs) -> Result<(), CommandError> {
    let before = args.before.map_or_else(String::new, |before| format!("&before={before}"));
    let path = format!("/v1/audit?limit={}{before}", args.limit);
    let audit = AdminClient::new(&args.admin)?.get(&path).await?;
    if args.json {
        return Ok(print_json(&audit)?);
    }
    let rows: Vec<_> = audit["entries"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|entry| {
            ["at", "actor", "who", "action", "detail", "reason"].map(|name| text(&entry[name])).to_vec()
        })
        .collect();
    let mut page = Page::default();
    page.table(&["AT", "TOKEN", "WHO", "ACTION", "DETAIL", "REASON"], &rows);
    if let Some(next) = audit["next"].as_i64() {
        page.line(format!("more with --before {next}"));
    }
    Ok(page.print()?)
}

fn with_context(mut body: Value, context: &AuditContextArgs) -> Value {
    let members = body.as_object_mut().map_or_else(Map::new, std::mem::take);
    let mut members = members;
    members.insert("who".to_owned(), json!(context.who));
    members.insert("reason".to_owned(), json!(context.reason));
    Value::Object(members)
}

/// Prints the settings after a change.
fn print_settings(changed: &Value) -> io::Result<()> {
    let hold = changed["hold"].as_i64().map_or_else(String::new, |hold| format!(" (hold {hold})"));
    let mut page = Page::of(format!("{}{hold}", cap_line(&changed["cap"])));
    settings_lines(&changed["settings"]).iter().for_each(|line| page.line(line));
    page.print()
}

/// The revision of the settings, and the holds in force.
pub(super) fn settings_lines(settings: &Value) -> Vec<String> {
    let ceiling = settings["ceiling"]
        .as_u64()
        .map_or_else(String::new, |ceiling| format!(", ceiling {}/s", number(&json!(ceiling))));
    let revision = format!("settings revision {}{ceiling}", text(&settings["revision"]));
    [revision].into_iter().chain(hold_lines(settings)).collect()
}

/// `hold 7 by ann since 2026-11-11T00:00:00Z, until resumed: maintenance`.
fn hold_lines(settings: &Value) -> Vec<String> {
    let line = |hold: &Value| {
        let until = hold["until"].as_str().unwrap_or("resumed");
        let [id, owner, since, reason] = ["id", "owner", "since", "reason"].map(|name| text(&hold[name]));
        format!("hold {id} by {owner} since {since}, until {until}: {reason}")
    };
    settings["holds"].as_array().into_iter().flatten().map(line).collect()
}

pub(super) fn cap_line(cap: &Value) -> String {
    let (orders, source) = (number(&cap["orders_per_second"]), text(&cap["source"]));
    if source == "paused" {
        return match cap["paused_until"].as_str() {
            Some(until) => format!("paused until {until}"),
            None => "paused until resumed".to_owned(),
        };
    }
    match cap["ramp"].as_object() {
        Some(ramp) => format!(
            "cap {orders}/s ({source}), ramp from {}/s to {}/s until {}",
            number(&ramp["from"]),
            number(&ramp["to"]),
            text(&ramp["ends_at"])
        ),
        None => format!("cap {orders}/s ({source})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_the_holds() {
        let since = "2026-11-11T00:00:00.000Z";
        let settings = json!({"revision": 8, "ceiling": 5000, "holds": [
            {"id": 7, "owner": "ann", "reason": "maintenance", "since": since, "until": null},
            {"id": 8, "owner": "", "reason": "", "since": since, "until": "2026-11-11T02:00:00.000Z"},
        ]});
        assert_eq!(
            settings_lines(&settings),
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
                       "ramp": {"from": 500, "to": 3000, "ends_at": "2026-11-11T02:00:00Z"}}),
                "cap 750/s (manual), ramp from 500/s to 3,000/s until 2026-11-11T02:00:00Z",
            ),
        ] {
            assert_eq!(cap_line(&cap), line);
        }
    }
}

//! Commands that change the pool (rate, pause, resume, schedule), and the audit trail.

use std::io::Read as _;
use std::{fs, io};

use serde_json::{Map, Value, json};

use super::CommandError;
use super::client::AdminClient;
use super::render::{number, text};
use super::terminal::{Page, print_json};
use crate::config::{
    AuditArgs, AuditContextArgs, CordonArgs, PauseArgs, RateCommand, ResumeArgs, ScheduleCommand,
};

/// Maximum schedule from standard input; more than a worker accepts.
const SCHEDULE_BYTES_MAX: u64 = 64 * 1024;

pub(super) async fn rate(command: RateCommand) -> Result<(), CommandError> {
    match command {
        RateCommand::Set(args) => {
            let ramp_s = args.ramp.map_or(0, |ramp| ramp.as_secs());
            let body = with_context(json!({ "rate": args.rate.get(), "ramp_s": ramp_s }), &args.context);
            print_cap(&AdminClient::new(&args.admin)?.put("/v1/rate", &body).await?)?;
        }
        RateCommand::Reset(args) => {
            let body = with_context(json!({}), &args.context);
            print_cap(&AdminClient::new(&args.admin)?.post("/v1/rate/reset", &body).await?)?;
        }
    }
    Ok(())
}

pub(super) async fn pause(args: PauseArgs) -> Result<(), CommandError> {
    let mut body = json!({});
    if let Some(until) = &args.until {
        body["until"] = json!(until);
    }
    if let Some(duration) = args.duration {
        body["for_s"] = json!(duration.as_secs());
    }
    print_cap(&AdminClient::new(&args.admin)?.put("/v1/pause", &with_context(body, &args.context)).await?)?;
    Ok(())
}

pub(super) async fn resume(args: ResumeArgs) -> Result<(), CommandError> {
    print_cap(
        &AdminClient::new(&args.admin)?.post("/v1/resume", &with_context(json!({}), &args.context)).await?,
    )?;
    Ok(())
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
            let status = AdminClient::new(&args.admin)?.get("/v1/status").await?;
            print_json(&status["settings"]["schedule"])?;
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
            let client = AdminClient::new(&args.admin)?;
            print_cap(&client.put("/v1/schedule", &with_context(schedule, &args.context)).await?)?;
        }
        ScheduleCommand::Clear(args) => {
            let body = with_context(json!({}), &args.context);
            print_cap(&AdminClient::new(&args.admin)?.post("/v1/schedule/clear", &body).await?)?;
        }
    }
    Ok(())
}

pub(super) async fn audit(args: AuditArgs) -> Result<(), CommandError> {
    let audit = AdminClient::new(&args.admin)?.get(&format!("/v1/audit?limit={}", args.limit)).await?;
    if args.json {
        return Ok(print_json(&audit)?);
    }
    let rows: Vec<_> = audit["entries"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|entry| ["at", "who", "action", "detail", "reason"].map(|name| text(&entry[name])).to_vec())
        .collect();
    let mut page = Page::default();
    page.table(&["AT", "WHO", "ACTION", "DETAIL", "REASON"], &rows);
    Ok(page.print()?)
}

fn with_context(mut body: Value, context: &AuditContextArgs) -> Value {
    let members = body.as_object_mut().map_or_else(Map::new, std::mem::take);
    let mut members = members;
    members.insert("who".to_owned(), json!(context.who));
    members.insert("reason".to_owned(), json!(context.reason));
    Value::Object(members)
}

fn print_cap(changed: &Value) -> io::Result<()> {
    Page::of(cap_line(&changed["cap"])).print()
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

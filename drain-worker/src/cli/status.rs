//! `status`: the pool at a glance.

use std::time::Duration;

use serde_json::Value;
use tokio::time::sleep;

use super::CommandError;
use super::client::AdminClient;
use super::operate::{cap_line, settings_lines};
use super::render::{number, span, tenths, text};
use super::terminal::{Page, complain, print_json_line};
use crate::config::StatusArgs;

/// Interval of `--watch`.
const WATCH_EVERY: Duration = Duration::from_secs(1);

/// An older status is not the pool's present one, seconds.
const CURRENT_S: f64 = 3.0;

/// Prints the status once, or repeatedly until interrupted.
pub(super) async fn status(args: StatusArgs) -> Result<(), CommandError> {
    let client = AdminClient::new(&args.admin)?;
    if !args.watch {
        let status = client.get("/v1/status").await?;
        let printed = if args.json { print_json_line(&status) } else { render(&status).print() };
        return Ok(printed?);
    }
    loop {
        // The watch survives a restart of the worker.
        match client.get("/v1/status").await {
            Ok(status) if args.json => print_json_line(&status)?,
            Ok(status) => render(&status).print_over()?,
            Err(error) if args.json => complain(&error.to_string()),
            Err(error) => Page::of(error.to_string()).print_over()?,
        }
        sleep(WATCH_EVERY).await;
    }
}

fn render(status: &Value) -> Page {
    if status["cap"].is_null() {
        let [group, state, reason] = ["group", "state", "reason"].map(|name| text(&status[name]));
        return Page::of(format!("{group}: {state} ({reason})"));
    }
    let mut page = Page::default();
    let limit = status["limited_by"].as_str().filter(|_| status["cap"]["source"] != "paused");
    let limited_by = limit.map_or_else(String::new, |word| format!(", limited by {word}"));
    let lapsed = lapsed(&status["workers"]);
    page.line(format!("{}: {}{limited_by}{lapsed}", text(&status["group"]), cap_line(&status["cap"])));
    page.line(time_line(status));
    settings_lines(&status["settings"]).iter().for_each(|line| page.line(line));
    let commit = &status["commit_ms"];
    let failures = match status["receive_failures_per_second"].as_f64() {
        Some(failures) if failures > 0.0 => format!(", {failures:.1} receives fail a second"),
        _ => String::new(),
    };
    page.line(format!(
        "arriving {}/s, committed {}/s, commit p50 {} ms, p99 {} ms{failures}",
        number(&status["arriving_per_second"]),
        number(&status["committed_per_second"]),
        tenths(&commit["p50"]),
        tenths(&commit["p99"])
    ));
    page.line(lag_line(&status["lag"], &status["eta"]));
    page.line(letters_line(&status["dead_letters"]));
    let rows: Vec<Vec<String>> = status["workers"].as_array().into_iter().flatten().map(worker_row).collect();
    page.line("");
    page.table(&["WORKER", "STATE", "SHARE", "COMMITTED/S", "HELD", "P50", "P99", "REASON"], &rows);
    for warning in status["warnings"].as_array().into_iter().flatten() {
        page.line(format!("! {}", text(warning)));
    }
    page
}

/// `, 1 of 3 workers lapsed`; empty: none has.
fn lapsed(workers: &Value) -> String {
    let all = workers.as_array().map_or(0, Vec::len);
    let lapsed =
        workers.as_array().into_iter().flatten().filter(|worker| worker["state"] == "lease_expired").count();
    if lapsed == 0 { String::new() } else { format!(", {lapsed} of {all} workers lapsed") }
}

/// When the worker that answers read the pool's state, by the database's clock, and how long ago that is.
fn time_line(status: &Value) -> String {
    let at = format!("as of {} by {}", text(&status["now"]), text(&status["worker"]));
    match status["age_s"].as_f64() {
        Some(age) if age > CURRENT_S => format!("{at}, {} ago: out of date", span(age)),
        Some(age) => format!("{at}, {age:.1} s ago"),
        None => at,
    }
}

fn lag_line(lag: &Value, eta: &Value) -> String {
    let oldest =
        lag["oldest_age_s"].as_f64().map_or_else(String::new, |age| format!(", oldest {}", span(age)));
    if let Some(error) = lag["error"].as_str() {
        return format!("lag unknown ({error}){oldest}");
    }
    if lag["orders"].is_null() && lag["messages"].is_null() {
        return format!("lag unknown{oldest}");
    }
    let eta = match (eta["trend"].as_str(), eta["seconds"].as_f64()) {
        _ if lag["orders"].as_f64() == Some(0.0) => String::new(),
        (_, Some(seconds)) => format!(", drained in {} ({})", span(seconds), text(&eta["drained_at"])),
        (Some(trend), None) => format!(", {trend}"),
        (None, None) => String::new(),
    };
    format!(
        "lag about {} orders ({} messages){oldest}{eta}",
        number(&lag["orders"]),
        number(&lag["messages"])
    )
}

fn letters_line(letters: &Value) -> String {
    match letters["total"].as_f64() {
        None => return "dead letters unknown".to_owned(),
        Some(0.0) => return "dead letters none".to_owned(),
        Some(_) => {}
    }
    let by_reason: Vec<_> = letters["by_reason"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(reason, count)| format!("{reason} {}", number(count)))
        .collect();
    let oldest =
        letters["oldest_age_s"].as_f64().map_or_else(String::new, |age| format!(", oldest {}", span(age)));
    format!("dead letters {} ({}){oldest}", number(&letters["total"]), by_reason.join(", "))
}

fn worker_row(worker: &Value) -> Vec<String> {
    vec![
        text(&worker["name"]),
        text(&worker["state"]),
        number(&worker["share"]),
        number(&worker["committed_per_second"]),
        number(&worker["held_orders"]),
        tenths(&worker["commit_ms"]["p50"]),
        tenths(&worker["commit_ms"]["p99"]),
        text(&worker["reason"]),
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn formats_the_status() {
        let status = json!({
            "group": "drain", "worker": "host:1", "now": "2026-11-11T00:00:20.500Z", "age_s": 0.42, "cap": {"orders_per_second": 2000, "source": "manual", "ramp": null},
            "arriving_per_second": 12.3, "receive_failures_per_second": 0.5, "limited_by": "cap",
            "settings": {"revision": 3, "holds": []},
            "committed_per_second": 1987.4, "commit_ms": {"p50": 6.1, "p99": 18.0},
            "lag": {"messages": 1234, "orders": 78976, "oldest_age_s": 72.0},
            "eta": {"trend": "draining", "seconds": 39.7, "drained_at": "2026-11-11T00:01:00Z"},
            "dead_letters": {"total": 3, "by_reason": {"unknown_sku": 3}, "oldest_age_s": 81.0},
            "workers": [{"name": "host:1", "state": "draining", "share": 2000, "committed_per_second": 1987.4,
                         "held_orders": 250, "commit_ms": {"p50": 6.1, "p99": null}, "reason": null}],
            "warnings": ["look here"],
        });
        assert_eq!(
            render(&status).as_str(),
            "drain: cap 2,000/s (manual), limited by cap\n\
             as of 2026-11-11T00:00:20.500Z by host:1, 0.4 s ago\n\
             settings revision 3\n\
             arriving 12/s, committed 1,987/s, commit p50 6.1 ms, p99 18.0 ms, 0.5 receives fail a second\n\
             lag about 78,976 orders (1,234 messages), oldest 1 min 12 s, drained in 40 s (2026-11-11T00:01:00Z)\n\
             dead letters 3 (unknown_sku 3), oldest 1 min 21 s\n\
             \n\
             WORKER  STATE     SHARE  COMMITTED/S  HELD  P50  P99  REASON\n\
             host:1  draining  2,000        1,987   250  6.1    -       -\n\
             ! look here\n"
        );
        let lag = json!({"orders": 14_000, "messages": 220});
        let growing = json!({"trend": "growing", "seconds": null, "drained_at": null});
        assert_eq!(lag_line(&lag, &growing), "lag about 14,000 orders (220 messages), growing");
        let unknown = json!({"error": "switched off", "oldest_age_s": 3.0});
        assert_eq!(lag_line(&unknown, &Value::Null), "lag unknown (switched off), oldest 3 s");
        assert_eq!(letters_line(&json!({"total": 0})), "dead letters none");
        assert_eq!(letters_line(&Value::Null), "dead letters unknown");
    }

    #[test]
    fn what_is_unknown_or_lapsed_or_old_is_named() {
        let status = json!({
            "group": "drain", "worker": "host:1", "now": "2026-11-11T00:00:20.500Z", "age_s": 75.2,
            "cap": {"orders_per_second": 2000, "source": "manual", "ramp": null},
            "lag": {"messages": null, "orders": null},
            "workers": [{"name": "host:1", "state": "stale"}, {"name": "host:2", "state": "lease_expired"}],
        });
        assert_eq!(
            render(&status).as_str(),
            "drain: cap 2,000/s (manual), 1 of 2 workers lapsed\n\
             as of 2026-11-11T00:00:20.500Z by host:1, 1 min 15 s ago: out of date\n\
             settings revision -\n\
             arriving -/s, committed -/s, commit p50 - ms, p99 - ms\n\
             lag unknown\n\
             dead letters unknown\n\
             \n\
             WORKER  STATE          SHARE  COMMITTED/S  HELD  P50  P99  REASON\n\
             host:1  stale              -            -     -    -    -       -\n\
             host:2  lease_expired      -            -     -    -    -       -\n"
        );
    }
}

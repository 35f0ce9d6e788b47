//! `status`: the pool at a glance.

use std::time::Duration;

use tokio::time::sleep;

use super::CommandError;
use super::client::AdminClient;
use super::operate::{cap_line, settings_lines};
use super::render::{count, number, or_dash, span, tenths};
use super::terminal::{Page, complain, print_json_line};
use crate::admin::StatusResponse;
use crate::config::StatusArgs;
use crate::control::CapSource;
use crate::monitor::{DeadLetterTotalsView, EtaView, LagView, StatusView, WorkerView};
use crate::pool::WorkerState;

/// Interval of `--watch`.
const WATCH_EVERY: Duration = Duration::from_secs(1);

/// An older status is not the pool's present one, seconds.
const CURRENT_S: f64 = 3.0;

/// Prints the status once, or repeatedly until interrupted.
pub(super) async fn status(args: StatusArgs) -> Result<(), CommandError> {
    let client = AdminClient::new(&args.call.admin)?;
    let json = args.call.json;
    let read = async || client.read::<StatusResponse>("/v1/status", &[]).await;
    if !args.watch {
        let status = read().await?;
        let printed = if json { print_json_line(&status) } else { shown(&status).print() };
        return Ok(printed?);
    }
    loop {
        // The watch survives a restart of the worker.
        match read().await {
            Ok(status) if json => print_json_line(&status)?,
            Ok(status) => shown(&status).print_over()?,
            Err(error) if json => complain(&error.to_string()),
            Err(error) => Page::of(error.to_string()).print_over()?,
        }
        sleep(WATCH_EVERY).await;
    }
}

fn shown(status: &StatusResponse) -> Page {
    match status {
        StatusResponse::Joined(status) => joined(status),
        StatusResponse::Unjoined(worker) => {
            let (state, reason) = (worker.state.as_str(), or_dash(worker.reason.as_deref()));
            Page::of(format!("{}: {state} ({reason})", worker.group))
        }
    }
}

fn joined(status: &StatusView) -> Page {
    let mut page = Page::default();
    let limit = status.limited_by.filter(|_| status.cap.source != CapSource::Paused);
    let limited_by = limit.map_or_else(String::new, |limit| format!(", limited by {}", limit.as_str()));
    let lapsed = lapsed(&status.workers);
    page.line(format!("{}: {}{limited_by}{lapsed}", status.group, cap_line(&status.cap)));
    page.line(time_line(status));
    settings_lines(&status.settings).iter().for_each(|line| page.line(line));
    let failures = match status.receive_failures_per_second {
        Some(failures) if failures > 0.0 => format!(", {failures:.1} receives fail a second"),
        _ => String::new(),
    };
    page.line(format!(
        "arriving {}/s, committed {}/s, commit p50 {} ms, p99 {} ms{failures}",
        number(status.arriving_per_second),
        number(status.committed_per_second),
        tenths(status.commit_ms.p50),
        tenths(status.commit_ms.p99)
    ));
    page.line(lag_line(&status.lag, status.eta.as_ref()));
    page.line(letters_line(status.dead_letters.as_ref()));
    let rows: Vec<_> = status.workers.iter().map(worker_row).collect();
    page.line("");
    page.table(&["WORKER", "STATE", "SHARE", "COMMITTED/S", "HELD", "P50", "P99", "REASON"], &rows);
    for warning in &status.warnings {
        page.line(format!("! {}", warning.text));
    }
    page
}

/// `, 1 of 3 workers lapsed`; empty: none has.
fn lapsed(workers: &[WorkerView]) -> String {
    let lapsed = workers.iter().filter(|worker| worker.state == WorkerState::LeaseExpired).count();
    if lapsed == 0 { String::new() } else { format!(", {lapsed} of {} workers lapsed", workers.len()) }
}

/// When the worker that answers read the pool's state, by the database's clock, and how long ago that is.
fn time_line(status: &StatusView) -> String {
    let at = format!("as of {} by {}", status.now, status.worker);
    if status.age_s > CURRENT_S {
        format!("{at}, {} ago: out of date", span(status.age_s))
    } else {
        format!("{at}, {:.1} s ago", status.age_s)
    }
}

fn lag_line(lag: &LagView, eta: Option<&EtaView>) -> String {
    let oldest = lag.oldest_age_s.map_or_else(String::new, |age| format!(", oldest {}", span(age)));
    if let Some(error) = &lag.error {
        return format!("lag unknown ({error}){oldest}");
    }
    if lag.orders.is_none() && lag.messages.is_none() {
        return format!("lag unknown{oldest}");
    }
    let eta = match eta.filter(|_| lag.orders != Some(0)) {
        None => String::new(),
        Some(eta) => match (eta.seconds, &eta.drained_at) {
            (Some(seconds), Some(at)) => format!(", drained in {} ({at})", span(seconds)),
            _ => format!(", {}", eta.trend.as_str()),
        },
    };
    format!("lag about {} orders ({} messages){oldest}{eta}", count(lag.orders), count(lag.messages))
}

fn letters_line(letters: Option<&DeadLetterTotalsView>) -> String {
    let Some(letters) = letters else { return "dead letters unknown".to_owned() };
    if letters.total == 0 {
        return "dead letters none".to_owned();
    }
    let by_reason: Vec<_> = letters
        .by_reason
        .iter()
        .map(|(reason, letters)| format!("{reason} {}", count(Some(*letters))))
        .collect();
    let oldest = letters.oldest_age_s.map_or_else(String::new, |age| format!(", oldest {}", span(age)));
    format!("dead letters {} ({}){oldest}", count(Some(letters.total)), by_reason.join(", "))
}

fn worker_row(worker: &WorkerView) -> Vec<String> {
    vec![
        worker.name.clone(),
        worker.state.as_str().to_owned(),
        count(Some(worker.share.into())),
        number(worker.committed_per_second),
        count(worker.held_orders),
        tenths(worker.commit_ms.p50),
        tenths(worker.commit_ms.p99),
        or_dash(worker.reason.as_deref()).to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::monitor::Trend;

    /// A status with the members of `parts` in the place of those that are not known.
    fn status(parts: &Value) -> StatusResponse {
        let mut status = json!({
            "group": "drain", "worker": "host:1", "is_cordoned": false, "now": "2026-11-11T00:00:20.500Z", "age_s": 0.42,
            "cap": {"orders_per_second": 2000, "source": "manual", "ramp": null, "paused_until": null},
            "settings": {"revision": 7, "default": 2000, "manual": null, "ceiling": null, "holds": [],
                         "schedule": null},
            "committed_per_second": null, "arriving_per_second": null, "receive_failures_per_second": null,
            "limited_by": null, "commit_ms": {"p50": null, "p99": null}, "totals": null,
            "lag": {}, "eta": null, "dead_letters": null, "workers": [], "warnings": [],
        });
        let members = parts.as_object().expect("an object");
        members.iter().for_each(|(name, value)| status[name] = value.clone());
        serde_json::from_value(status).expect("a status")
    }

    fn worker(name: &str, parts: &Value) -> Value {
        let mut worker = json!({
            "lease": "1", "name": name, "share": 0, "wanted": 0, "committed_per_second": null,
            "commit_ms": {"p50": null, "p99": null}, "state": "stale", "reason": null, "limit": null,
            "held_orders": null, "joined_at": "2026-11-11T00:00:00.000Z", "expires_in_ms": 1,
        });
        let members = parts.as_object().expect("an object");
        members.iter().for_each(|(name, value)| worker[name] = value.clone());
        worker
    }

    #[test]
    fn the_operators_page_shows_what_the_command_prints() {
        let draining = |name, committed: f64, p99: f64| {
            let figures = json!({
                "state": "draining", "share": 1000, "committed_per_second": committed, "held_orders": 250,
                "commit_ms": {"p50": 6.1, "p99": p99},
            });
            worker(name, &figures)
        };
        let status = status(&json!({
            "worker": "host:17",
            "arriving_per_second": 12.3, "limited_by": "cap",
            "committed_per_second": 1987.4, "commit_ms": {"p50": 6.1, "p99": 18.0},
            "lag": {"messages": 1234, "orders": 78976, "oldest_age_s": 72.0},
            "eta": {"trend": "draining", "seconds": 39.7, "drained_at": "2026-11-11T00:01:00.000Z"},
            "dead_letters": {"total": 3, "by_reason": {"unknown_sku": 3}, "oldest_age_s": 81.0},
            "workers": [draining("host:17", 994.0, 17.1), draining("host:21", 993.4, 18.0)],
        }));
        let block = format!("```console\n$ drain-worker status\n{}```\n", shown(&status).as_str());
        for page in [include_str!("../../docs/operate.md"), include_str!("../../docs/operate.zh-CN.md")] {
            assert!(page.contains(&block), "{block}");
        }
    }

    #[test]
    fn formats_the_lag_and_the_dead_letters() {
        let lag = LagView { orders: Some(14_000), messages: Some(220), ..LagView::default() };
        let growing = EtaView { trend: Trend::Growing, seconds: None, drained_at: None };
        assert_eq!(lag_line(&lag, Some(&growing)), "lag about 14,000 orders (220 messages), growing");
        let error = Some("switched off".to_owned());
        let unknown = LagView { error, oldest_age_s: Some(3.0), ..LagView::default() };
        assert_eq!(lag_line(&unknown, None), "lag unknown (switched off), oldest 3 s");
        assert_eq!(letters_line(Some(&DeadLetterTotalsView::default())), "dead letters none");
        assert_eq!(letters_line(None), "dead letters unknown");
    }

    #[test]
    fn what_is_unknown_or_lapsed_or_old_is_named() {
        let status = status(&json!({
            "age_s": 75.2, "receive_failures_per_second": 0.5,
            "warnings": [{"code": "stale", "text": "look here"}],
            "workers": [
                worker("host:1", &json!({})),
                worker("host:2", &json!({"state": "lease_expired"})),
            ],
        }));
        assert_eq!(
            shown(&status).as_str(),
            "drain: cap 2,000/s (manual), 1 of 2 workers lapsed\n\
             as of 2026-11-11T00:00:20.500Z by host:1, 1 min 15 s ago: out of date\n\
             settings revision 7\n\
             arriving -/s, committed -/s, commit p50 - ms, p99 - ms, 0.5 receives fail a second\n\
             lag unknown\n\
             dead letters unknown\n\
             \n\
             WORKER  STATE          SHARE  COMMITTED/S  HELD  P50  P99  REASON\n\
             host:1  stale              0            -     -    -    -       -\n\
             host:2  lease_expired      0            -     -    -    -       -\n\
             ! look here\n"
        );
        let joining = json!({"group": "drain", "state": "joining", "reason": "not yet", "cap": null,
                             "workers": [], "warnings": []});
        let joining = serde_json::from_value(joining).expect("a status");
        assert_eq!(shown(&joining).as_str(), "drain: joining (not yet)\n");
    }
}

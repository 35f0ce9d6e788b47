//! Commands about dead letters.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write as _};

use serde_json::{Value, json};

use super::CommandError;
use super::client::AdminClient;
use super::render::{number, table, text};
use crate::config::{DlqBulkArgs, DlqCommand, DlqListArgs, DlqShowArgs};

/// Dead letters of one call; even at a small cap a call is short.
const PAGE: usize = 100;

const IDS_MAX: usize = 500;

/// Outcomes after which an operator has to act.
const UNSETTLED: [&str; 2] = ["dead_lettered", "unreadable"];

pub(super) async fn dlq(command: DlqCommand) -> Result<(), CommandError> {
    match command {
        DlqCommand::List(args) => list(&args).await,
        DlqCommand::Show(args) => show(&args).await,
        DlqCommand::Redrive(args) => run_bulk(&args, "redrive", args.all).await,
        // A wiped payload cannot be restored.
        DlqCommand::Discard(args) => run_bulk(&args, "discard", true).await,
    }
}

async fn list(args: &DlqListArgs) -> Result<(), CommandError> {
    let reason = args.dead_letter_reason.as_deref().unwrap_or_default();
    let path = format!(
        "/v1/dead-letters?dead_letter_reason={reason}&state={}&after={}&limit={}",
        args.state, args.after, args.limit
    );
    let page = AdminClient::new(&args.admin)?.get(&path).await?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&page).unwrap_or_default());
        return Ok(());
    }
    let row = |letter: &Value| {
        let subject = if letter["order_id"].is_null() { &letter["message_id"] } else { &letter["order_id"] };
        let state = if letter["discarded_at"].is_null() { "open" } else { "discarded" };
        vec![
            text(&letter["id"]),
            text(&letter["reason"]),
            state.to_owned(),
            text(subject),
            text(&letter["attempts"]),
            text(&letter["last_failed_at"]),
            text(&letter["detail"]),
        ]
    };
    let rows: Vec<_> = page["letters"].as_array().into_iter().flatten().map(row).collect();
    let head = ["ID", "REASON", "STATE", "ORDER OR MESSAGE", "ATTEMPTS", "LAST FAILED", "DETAIL"];
    print!("{}", table(&head, &rows));
    match page["next"].as_i64() {
        Some(next) => println!("{} of {}; more with --after {next}", rows.len(), number(&page["total"])),
        None => println!("{} of {}", rows.len(), number(&page["total"])),
    }
    Ok(())
}

async fn show(args: &DlqShowArgs) -> Result<(), CommandError> {
    let letter = AdminClient::new(&args.admin)?.get(&format!("/v1/dead-letters/{}", args.id)).await?;
    println!("{}", serde_json::to_string_pretty(&letter).unwrap_or_default());
    Ok(())
}

/// Processes page after page until the last one, or until the worker stops.
async fn run_bulk(args: &DlqBulkArgs, verb: &str, asks: bool) -> Result<(), CommandError> {
    let client = AdminClient::new(&args.admin)?;
    if asks && !args.yes && !confirmed(verb, &describe_selection(args, &client).await?)? {
        return Err(CommandError::Unsettled("nothing was done".to_owned()));
    }
    let mut counts = BTreeMap::new();
    for selection in selections(args) {
        let mut after = args.after;
        loop {
            let body = body(&selection, after, args);
            let page = client.post(&format!("/v1/dead-letters/{verb}"), &body).await?;
            print_outcomes(&page, args.json);
            count(&page, &mut counts);
            let next = page["next"].as_i64();
            if let Some(reason) = page["stopped"].as_str() {
                let reason = format!("stopped: {reason}; continue with --after {}", next.unwrap_or(after));
                return Err(CommandError::Unsettled(reason));
            }
            match next {
                Some(next) => after = next,
                None => break,
            }
        }
    }
    if !args.json {
        println!("{}", summary(&counts));
    }
    let unsettled: u64 = UNSETTLED.iter().filter_map(|outcome| counts.get(*outcome)).sum();
    if unsettled == 0 {
        return Ok(());
    }
    Err(CommandError::Unsettled(format!("{unsettled} dead letters remain open: dlq list, dlq show ID")))
}

/// The selections of the calls: at most [`IDS_MAX`] numbers each.
fn selections(args: &DlqBulkArgs) -> Vec<Value> {
    if args.all {
        return vec![json!({ "all": true })];
    }
    if let Some(reason) = &args.dead_letter_reason {
        return vec![json!({ "dead_letter_reason": reason })];
    }
    let mut ids = args.ids.clone();
    ids.sort_unstable();
    ids.dedup();
    ids.chunks(IDS_MAX).map(|ids| json!({ "ids": ids })).collect()
}

fn body(selection: &Value, after: i64, args: &DlqBulkArgs) -> Value {
    let mut body = selection.clone();
    body["after"] = json!(after);
    body["limit"] = json!(PAGE);
    body["who"] = json!(args.context.who);
    body["reason"] = json!(args.context.reason);
    body
}

/// Describes the selection, for the confirmation.
async fn describe_selection(args: &DlqBulkArgs, client: &AdminClient) -> Result<String, CommandError> {
    if !args.all && args.dead_letter_reason.is_none() {
        return Ok(format!("{} dead letters", args.ids.len()));
    }
    let reason = args.dead_letter_reason.as_deref().unwrap_or_default();
    let page = client.get(&format!("/v1/dead-letters?dead_letter_reason={reason}&limit=1")).await?;
    Ok(format!("all {} open dead letters {reason}", number(&page["total"])).trim_end().to_owned())
}

pub(super) fn confirmed(verb: &str, what: &str) -> Result<bool, CommandError> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return Err(CommandError::Unsettled(format!("{verb} {what}? stdin is not a terminal: pass --yes")));
    }
    eprint!("{verb} {what}? [y/N] ");
    std::io::stderr().flush()?;
    let mut answer = String::new();
    stdin.read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn print_outcomes(page: &Value, json: bool) {
    if json {
        println!("{page}");
        return;
    }
    for letter in page["outcomes"].as_array().into_iter().flatten() {
        let parts = [&letter["id"], &letter["outcome"], &letter["order_id"], &letter["detail"]];
        let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_null()).map(text).collect();
        println!("{}", parts.join("  "));
    }
}

fn count(page: &Value, counts: &mut BTreeMap<String, u64>) {
    for letter in page["outcomes"].as_array().into_iter().flatten() {
        *counts.entry(text(&letter["outcome"])).or_default() += 1;
    }
}

/// `12 letters: 10 confirmed, 2 sold_out`.
fn summary(counts: &BTreeMap<String, u64>) -> String {
    let parts: Vec<_> = counts.iter().map(|(outcome, letters)| format!("{letters} {outcome}")).collect();
    let letters: u64 = counts.values().sum();
    if parts.is_empty() {
        "no dead letters".to_owned()
    } else {
        format!("{letters} letters: {}", parts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::config::{Cli, Command};

    fn parsed(flags: &[&str]) -> Result<DlqBulkArgs, clap::Error> {
        let words = ["drain-worker", "dlq", "redrive"].iter().chain(flags);
        match Cli::try_parse_from(words)?.command {
            Command::Dlq(DlqCommand::Redrive(args)) => Ok(args),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_command_has_exactly_one_selection() {
        for (flags, expected) in [
            (&["7", "3", "7"][..], Some(vec![json!({ "ids": [3, 7] })])),
            (
                &["--dead-letter-reason", "unknown_sku"],
                Some(vec![json!({ "dead_letter_reason": "unknown_sku" })]),
            ),
            (&["--all"], Some(vec![json!({ "all": true })])),
            (&[], None),
            (&["7", "--all"], None),
            (&["--all", "--dead-letter-reason", "unknown_sku"], None),
            (&["--dead-letter-reason", "a&b=c"], None),
            (&["seven"], None),
        ] {
            let found = parsed(flags).ok().map(|args| selections(&args));
            assert_eq!(found, expected, "{flags:?}");
        }
        let many: Vec<_> = (0..1_200).map(|id| id.to_string()).collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        let pieces = selections(&parsed(&many).expect("valid"));
        let lengths: Vec<_> =
            pieces.iter().map(|piece| piece["ids"].as_array().map_or(0, Vec::len)).collect();
        assert_eq!(lengths, [500, 500, 200]);
    }

    #[test]
    fn pages_add_up() {
        let mut counts = BTreeMap::new();
        count(&json!({ "outcomes": [{ "id": 1, "outcome": "confirmed" }] }), &mut counts);
        count(
            &json!({ "outcomes": [{ "id": 2, "outcome": "confirmed" }, { "id": 3, "outcome": "unreadable" }] }),
            &mut counts,
        );
        assert_eq!(summary(&counts), "3 letters: 2 confirmed, 1 unreadable");
        assert_eq!(summary(&BTreeMap::new()), "no dead letters");
    }
}

//! Commands about dead letters.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::CommandError;
use super::client::{AdminClient, with_context};
use super::render::{grouped, or_dash};
use super::terminal::{Page, ask, print, print_json_line};
use crate::admin::dead_letters::{
    DeadLetterDetailView, DeadLetterOrderView, DeadLetterPage, DeadLetterView, RedriveView,
};
use crate::config::{AuditContextArgs, DlqBulkArgs, DlqCommand, DlqDiscardArgs, DlqListArgs, DlqShowArgs};

/// Dead letters of one call; even at a small cap a call is short.
const PAGE: usize = 100;

const IDS_MAX: usize = 500;

/// Outcomes after which an operator has to act.
const UNSETTLED: [&str; 2] = ["dead_lettered", "unreadable"];

pub(super) async fn dlq(command: DlqCommand) -> Result<(), CommandError> {
    match command {
        DlqCommand::List(args) => list(&args).await,
        DlqCommand::Show(args) => show(&args).await,
        DlqCommand::Redrive(args) => redrive(&args).await,
        DlqCommand::Discard(args) => discard(&args).await,
        DlqCommand::Restore(args) => restore(&args).await,
    }
}

async fn list(args: &DlqListArgs) -> Result<(), CommandError> {
    let (after, limit) = (args.after.to_string(), args.limit.to_string());
    let parameters = [
        ("dead_letter_reason", args.dead_letter_reason.as_deref()),
        ("state", Some(args.state.as_str())),
        ("after", Some(after.as_str())),
        ("limit", Some(limit.as_str())),
    ];
    let letters: DeadLetterPage =
        AdminClient::new(&args.call.admin)?.read("/v1/dead-letters", &parameters).await?;
    Ok(print(args.call.json, &letters, listed)?)
}

fn listed(letters: &DeadLetterPage) -> Page {
    let mut page = Page::default();
    letters_table(&mut page, &letters.letters);
    let more = letters.next.map_or_else(String::new, |next| format!("; more with --after {next}"));
    page.line(format!("{} of {}{more}", letters.letters.len(), grouped(letters.total as f64)));
    page
}

pub(super) fn letters_table(page: &mut Page, letters: &[DeadLetterView]) {
    let row = |letter: &DeadLetterView| {
        let subject = letter.order_id.as_deref().or(letter.message_id.as_deref());
        let state = if letter.discarded_at.is_none() { "open" } else { "discarded" };
        vec![
            letter.id.to_string(),
            letter.reason.clone(),
            state.to_owned(),
            or_dash(subject).to_owned(),
            letter.attempts.to_string(),
            letter.last_failed_at.clone(),
            or_dash(Some(&letter.detail)).to_owned(),
        ]
    };
    let head = ["ID", "REASON", "STATE", "ORDER OR MESSAGE", "ATTEMPTS", "LAST FAILED", "DETAIL"];
    page.table(&head, &letters.iter().map(row).collect::<Vec<_>>());
}

async fn show(args: &DlqShowArgs) -> Result<(), CommandError> {
    let letter: DeadLetterDetailView =
        AdminClient::new(&args.call.admin)?.read(&format!("/v1/dead-letters/{}", args.id), &[]).await?;
    Ok(print(args.call.json, &letter, shown)?)
}

fn shown(detail: &DeadLetterDetailView) -> Page {
    let letter = &detail.letter;
    let mut page = Page::of(format!("dead letter {}: {} ({})", letter.id, letter.reason, letter.detail));
    page.line(format!("message {}", or_dash(letter.message_id.as_deref())));
    page.line(format!(
        "{} attempts, first failed {}, last failed {}",
        letter.attempts, letter.first_failed_at, letter.last_failed_at
    ));
    if let Some(at) = &letter.discarded_at {
        let (by, reason) =
            (or_dash(letter.discarded_by.as_deref()), or_dash(letter.discarded_reason.as_deref()));
        page.line(format!("discarded {at} by {by}: {reason}"));
        page.line(match &letter.restorable_until {
            Some(until) => format!("dlq restore can undo it until {until}"),
            None => "the payload is deleted".to_owned(),
        });
    }
    if let Some(error) = &detail.payload_error {
        page.line(format!("payload of {} bytes cannot be read: {error}", letter.payload_bytes));
    }
    let row = |order: &DeadLetterOrderView| {
        let items: Vec<_> =
            order.items.iter().map(|item| format!("{} x {}", item.quantity, item.sku)).collect();
        vec![
            order.order_id.clone(),
            order.sale_id.clone(),
            items.join(", "),
            order.accepted_at.clone(),
            order.digest.clone(),
        ]
    };
    if let Some(orders) = &detail.orders {
        page.line("");
        page.table(
            &["ORDER", "SALE", "ITEMS", "ACCEPTED", "DIGEST"],
            &orders.iter().map(row).collect::<Vec<_>>(),
        );
    }
    page
}

async fn redrive(args: &DlqBulkArgs) -> Result<(), CommandError> {
    let client = AdminClient::new(&args.bulk.call.admin)?;
    if args.all && !args.bulk.yes {
        let total = seen(&client, None).await?.total;
        confirm("redrive", &format!("all {} open dead letters", grouped(total as f64)))?;
    }
    let counts = page_by_page(&client, "/v1/dead-letters/redrive", args).await?;
    let unsettled: u64 = UNSETTLED.iter().filter_map(|outcome| counts.get(*outcome)).sum();
    if unsettled == 0 {
        return Ok(());
    }
    Err(CommandError::Unsettled(format!("{unsettled} dead letters remain open: dlq list, dlq show ID")))
}

async fn restore(args: &DlqBulkArgs) -> Result<(), CommandError> {
    let client = AdminClient::new(&args.bulk.call.admin)?;
    if args.all && !args.bulk.yes {
        confirm("restore", "all discarded dead letters whose payloads are still stored")?;
    }
    let counts = page_by_page(&client, "/v1/dead-letters/restore", args).await?;
    match counts.get("deleted") {
        None => Ok(()),
        Some(letters) => {
            Err(CommandError::Unsettled(format!("the payloads of {letters} dead letters are deleted")))
        }
    }
}

/// Makes an act on page after page until the last one, or until the worker stops, and counts the outcomes.
async fn page_by_page(
    client: &AdminClient,
    path: &str,
    args: &DlqBulkArgs,
) -> Result<BTreeMap<String, u64>, CommandError> {
    let mut counts = BTreeMap::new();
    let mut after = args.after;
    for (selection, last) in selections(&args.ids, args.dead_letter_reason.as_deref()) {
        loop {
            let body = body(&selection, after, &args.bulk.context);
            // The page of a restore has ids and outcomes alone.
            let page: RedriveView = client.post_bulk(path, &body).await?;
            print_outcomes(&page, args.bulk.call.json)?;
            count(&page, &mut counts);
            if let Some(reason) = page.stopped {
                let next = page.next.unwrap_or(after);
                let reason = format!("stopped: {reason}; continue with --after {next}");
                return Err(CommandError::Unsettled(reason));
            }
            match page.next {
                Some(next) => after = next,
                None => break,
            }
        }
        // A call that is continued with --after may begin behind all of these numbers.
        after = last.map_or(after, |last| last.max(after));
    }
    if !args.bulk.call.json {
        Page::of(summary(&counts)).print()?;
    }
    Ok(counts)
}

/// Discards what the operator confirmed, and nothing that arrived since.
async fn discard(args: &DlqDiscardArgs) -> Result<(), CommandError> {
    if args.bulk.context.reason.trim().is_empty() {
        return Err(CommandError::Usage(
            "dlq discard: --reason must be given: the payload is deleted after a while",
        ));
    }
    let client = AdminClient::new(&args.bulk.call.admin)?;
    let reason = args.dead_letter_reason.as_deref();
    let seen = if args.ids.is_empty() { Some(seen(&client, reason).await?) } else { None };
    let what = match &seen {
        Some(seen) => {
            let of = reason.map_or_else(String::new, |reason| format!(" of reason {reason}"));
            format!(
                "all {} open dead letters{of}, up to number {}",
                grouped(seen.total as f64),
                seen.newest_id
            )
        }
        None => format!("{} dead letters", args.ids.len()),
    };
    if !args.bulk.yes {
        confirm(
            "discard",
            &format!(
                "{what}: dlq restore can undo it until the payloads are deleted, a day later by default"
            ),
        )?;
    }
    let mut counts = BTreeMap::new();
    let mut left = seen.as_ref().map_or(0, |seen| seen.total);
    let mut after = 0;
    for (selection, last) in selections(&args.ids, reason) {
        loop {
            let mut body = body(&selection, after, &args.bulk.context);
            if let Some(seen) = &seen {
                body["newest_id"] = json!(seen.newest_id);
                body["count"] = json!(left);
            }
            // The page of a discard has ids and outcomes alone.
            let page: RedriveView = client.post_bulk("/v1/dead-letters/discard", &body).await?;
            print_outcomes(&page, args.bulk.call.json)?;
            count(&page, &mut counts);
            left = left.saturating_sub(page.outcomes.len() as u64);
            match page.next {
                Some(next) => after = next,
                None => break,
            }
        }
        after = last.unwrap_or(after);
    }
    if args.bulk.call.json { Ok(()) } else { Ok(Page::of(summary(&counts)).print()?) }
}

/// The selections of the calls: at most [`IDS_MAX`] numbers each, with the last of them, after which the next selection
/// continues the same act; without numbers, those of `reason`, or all.
fn selections(ids: &[i64], reason: Option<&str>) -> Vec<(Value, Option<i64>)> {
    if let Some(reason) = reason {
        return vec![(json!({ "dead_letter_reason": reason }), None)];
    }
    if ids.is_empty() {
        return vec![(json!({ "all": true }), None)];
    }
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    ids.dedup();
    ids.chunks(IDS_MAX).map(|ids| (json!({ "ids": ids }), ids.last().copied())).collect()
}

fn body(selection: &Value, after: i64, context: &AuditContextArgs) -> Value {
    let mut body = selection.clone();
    body["after"] = json!(after);
    body["limit"] = json!(PAGE);
    with_context(body, context)
}

/// Number and count of the open dead letters of a reason, or of all.
async fn seen(client: &AdminClient, reason: Option<&str>) -> Result<DeadLetterPage, CommandError> {
    Ok(client.read("/v1/dead-letters", &[("dead_letter_reason", reason), ("limit", Some("1"))]).await?)
}

/// # Errors
/// [`CommandError::Unsettled`] unless the operator agrees.
pub(super) fn confirm(verb: &str, what: &str) -> Result<(), CommandError> {
    if confirmed(verb, what)? { Ok(()) } else { Err(CommandError::Unsettled("nothing was done".to_owned())) }
}

/// # Errors
/// [`CommandError::Unsettled`] if standard input is no terminal.
pub(super) fn confirmed(verb: &str, what: &str) -> Result<bool, CommandError> {
    ask(&format!("{verb} {what}"))?
        .ok_or_else(|| CommandError::Unsettled(format!("{verb} {what}? stdin is not a terminal: pass --yes")))
}

fn print_outcomes(page: &RedriveView, json: bool) -> Result<(), CommandError> {
    if json {
        return Ok(print_json_line(page)?);
    }
    let mut text = Page::default();
    for letter in &page.outcomes {
        let id = letter.id.to_string();
        let parts =
            [Some(id.as_str()), Some(&letter.outcome), letter.order_id.as_deref(), letter.detail.as_deref()];
        text.line(parts.into_iter().flatten().collect::<Vec<_>>().join("  "));
    }
    Ok(text.print()?)
}

fn count(page: &RedriveView, counts: &mut BTreeMap<String, u64>) {
    for letter in &page.outcomes {
        *counts.entry(letter.outcome.clone()).or_default() += 1;
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
            (&["7", "3", "7"][..], Some(vec![(json!({ "ids": [3, 7] }), Some(7))])),
            (
                &["--dead-letter-reason", "unknown_sku"],
                Some(vec![(json!({ "dead_letter_reason": "unknown_sku" }), None)]),
            ),
            (&["--all"], Some(vec![(json!({ "all": true }), None)])),
            (&[], None),
            (&["7", "--all"], None),
            (&["--all", "--dead-letter-reason", "unknown_sku"], None),
            (&["--dead-letter-reason", "a&b=c"], None),
            (&["seven"], None),
        ] {
            let found =
                parsed(flags).ok().map(|args| selections(&args.ids, args.dead_letter_reason.as_deref()));
            assert_eq!(found, expected, "{flags:?}");
        }
        let many: Vec<_> = (0..1_200).map(|id| id.to_string()).collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        let pieces = selections(&parsed(&many).expect("valid").ids, None);
        let lengths: Vec<_> =
            pieces.iter().map(|(piece, last)| (piece["ids"].as_array().map_or(0, Vec::len), *last)).collect();
        assert_eq!(lengths, [(500, Some(499)), (500, Some(999)), (200, Some(1_199))]);
    }

    #[test]
    fn pages_add_up() {
        let page = |outcomes: &Value| -> RedriveView {
            serde_json::from_value(json!({ "outcomes": outcomes, "next": null })).expect("a page")
        };
        let mut counts = BTreeMap::new();
        count(&page(&json!([{ "id": 1, "outcome": "confirmed" }])), &mut counts);
        let second = json!([{ "id": 2, "outcome": "confirmed" }, { "id": 3, "outcome": "unreadable" }]);
        count(&page(&second), &mut counts);
        assert_eq!(summary(&counts), "3 letters: 2 confirmed, 1 unreadable");
        assert_eq!(summary(&BTreeMap::new()), "no dead letters");
    }
}

//! The command `purge`.

use std::collections::BTreeMap;

use time::format_description::well_known::Rfc3339;

use super::CommandError;
use super::client::{AdminClient, with_context};
use super::dlq::confirm;
use super::render::grouped;
use super::terminal::{Page, complain, print_json_line};
use crate::admin::{PurgeParameters, PurgeView};
use crate::config::PurgeArgs;

/// Purges page after page until nothing is left, or until the worker stops.
pub(super) async fn purge(args: PurgeArgs) -> Result<(), CommandError> {
    let json = args.bulk.call.json;
    let client = AdminClient::new(&args.bulk.call.admin)?;
    if !args.bulk.yes {
        confirm("purge", &describe(&args))?;
    }
    let mut rows = BTreeMap::new();
    let mut parameters = PurgeParameters {
        before: args.before.format(&Rfc3339).unwrap_or_default(),
        rows_before: args.rows_before.and_then(|at| at.format(&Rfc3339).ok()),
        cursor: None,
    };
    loop {
        let body = with_context(serde_json::to_value(&parameters)?, &args.bulk.context);
        let page: PurgeView = client.post_bulk("/v1/purge", &body).await?;
        if json {
            print_json_line(&page)?;
        }
        for (step, count) in &page.rows {
            *rows.entry(step.as_str()).or_default() += count;
        }
        if let Some(reason) = page.stopped {
            let done = summary(&rows);
            return Err(CommandError::Unsettled(format!(
                "stopped: {reason}; {done}; run the command again to continue"
            )));
        }
        if !json && page.next.is_some() {
            complain(&summary(&rows));
        }
        parameters.cursor = page.next;
        if parameters.cursor.is_none() {
            break;
        }
    }
    if !json {
        Page::of(summary(&rows)).print()?;
    }
    Ok(())
}

fn describe(args: &PurgeArgs) -> String {
    let rows = args.rows_before.map_or_else(String::new, |at| format!(", and all rows before {at}"));
    format!("personal data before {}{rows}", args.before)
}

/// `order_data 12,000, orders 4,000`.
fn summary(rows: &BTreeMap<&str, u64>) -> String {
    #[expect(clippy::cast_precision_loss, reason = "for display")]
    let parts: Vec<_> =
        rows.iter().map(|(step, count)| format!("{step} {}", grouped(*count as f64))).collect();
    if parts.is_empty() { "nothing to purge".to_owned() } else { parts.join(", ") }
}

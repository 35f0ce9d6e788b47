//! Commands about orders.

use super::CommandError;
use super::client::AdminClient;
use super::dlq::letters_table;
use super::render::{grouped, or_dash};
use super::terminal::{Page, complain, print};
use crate::admin::{DecidedOrderView, OrderDetailView, OrderPage};
use crate::config::{OrderCommand, OrderFindArgs, OrderShowArgs};

pub(super) async fn order(command: OrderCommand) -> Result<(), CommandError> {
    match command {
        OrderCommand::Show(args) => show(&args).await,
        OrderCommand::Find(args) => find(&args).await,
    }
}

async fn show(args: &OrderShowArgs) -> Result<(), CommandError> {
    let order: OrderDetailView =
        AdminClient::new(&args.call.admin)?.read(&format!("/v1/orders/{}", args.id), &[]).await?;
    Ok(print(args.call.json, &order, shown)?)
}

async fn find(args: &OrderFindArgs) -> Result<(), CommandError> {
    let (client, limit) = (AdminClient::new(&args.call.admin)?, args.limit.to_string());
    let mut after = args.after;
    loop {
        let from_here = after.to_string();
        let parameters = [
            ("user_id", args.user.as_deref()),
            ("reference", args.reference.as_deref()),
            ("from", args.from.as_deref()),
            ("to", args.to.as_deref()),
            ("after", Some(from_here.as_str())),
            ("limit", Some(limit.as_str())),
        ];
        let page: OrderPage = client.read("/v1/orders", &parameters).await?;
        match page.next {
            // Without a buyer, a page is a part of the orders that may have none.
            Some(next) if page.orders.is_empty() && args.user.is_none() => {
                complain(&format!("none up to sequence {next}; looking on"));
                after = next;
            }
            _ => return Ok(print(args.call.json, &page, found)?),
        }
    }
}

fn shown(order: &OrderDetailView) -> Page {
    let reason = order.reason.as_ref().map_or_else(String::new, |reason| format!(" ({reason})"));
    let mut page = Page::of(format!("{}: {}{reason}", order.order_id, order.state));
    if let Some(decided) = &order.decided {
        let buyer = decided.user_id.as_deref().unwrap_or("purged");
        page.line(format!("buyer {buyer}, sale {}, sequence {}", decided.sale_id, decided.sequence));
        page.line(format!("reference {}", or_dash(decided.client_reference.as_deref())));
        page.line(format!("accepted {}, decided {}", decided.accepted_at, decided.decided_at));
        page.line(format!("trace {}", or_dash(decided.traceparent.as_deref())));
        page.line(format!("digest {}", decided.digest));
        page.line(format!(
            "total {} {} (minor units), catalogue {}",
            grouped(decided.total_minor as f64),
            decided.currency,
            decided.catalogue_revision
        ));
        page.line("");
        let line = |(sku, line): (&String, &crate::admin::OrderLineView)| {
            vec![sku.clone(), line.quantity.to_string(), line.unit_price_minor.to_string()]
        };
        let rows: Vec<_> = decided.items.iter().map(line).collect();
        page.table(&["SKU", "QUANTITY", "UNIT PRICE"], &rows);
    }
    if !order.conflicts.is_empty() {
        let conflict = |conflict: &crate::admin::ConflictView| {
            vec![conflict.digest.clone(), conflict.first_seen_at.clone()]
        };
        let rows: Vec<_> = order.conflicts.iter().map(conflict).collect();
        page.line("");
        page.line("other payloads under this id, which were not decided:");
        page.table(&["DIGEST", "FIRST SEEN"], &rows);
    }
    if !order.dead_letters.is_empty() {
        page.line("");
        letters_table(&mut page, &order.dead_letters);
    }
    page
}

fn found(orders: &OrderPage) -> Page {
    let row = |order: &DecidedOrderView| {
        vec![
            order.sequence.to_string(),
            order.order_id.clone(),
            order.state.clone(),
            or_dash(order.reason.as_deref()).to_owned(),
            order.sale_id.clone(),
            order.accepted_at.clone(),
            order.decided_at.clone(),
            order.conflicts.to_string(),
            or_dash(order.client_reference.as_deref()).to_owned(),
        ]
    };
    let rows: Vec<_> = orders.orders.iter().map(row).collect();
    let mut page = Page::default();
    page.table(
        &["SEQUENCE", "ORDER", "STATE", "REASON", "SALE", "ACCEPTED", "DECIDED", "CONFLICTS", "REFERENCE"],
        &rows,
    );
    let more = orders.next.map_or_else(String::new, |next| format!("; more with --after {next}"));
    page.line(format!("{} orders{more}", rows.len()));
    if !orders.dead_letters.is_empty() {
        page.line("");
        page.line("not decided:");
        letters_table(&mut page, &orders.dead_letters);
    }
    page
}

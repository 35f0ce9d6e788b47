//! The command `sales`.

use super::CommandError;
use super::client::AdminClient;
use super::render::{grouped, or_dash};
use super::terminal::{Page, print};
use crate::admin::{SaleSkuView, SaleSummaryView, SaleView, SalesView};
use crate::config::SalesArgs;

pub(super) async fn sales(args: SalesArgs) -> Result<(), CommandError> {
    let client = AdminClient::new(&args.call.admin)?;
    match &args.sale {
        Some(sale) => {
            let view: SaleView = client.read(&format!("/v1/sales/{}", sale.as_str()), &[]).await?;
            Ok(print(args.call.json, &view, shown)?)
        }
        None => {
            let view: SalesView = client.read("/v1/sales", &[]).await?;
            Ok(print(args.call.json, &view, listed)?)
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "for display")]
fn units(value: i64) -> String {
    grouped(value as f64)
}

#[expect(clippy::cast_precision_loss, reason = "for display")]
fn orders(value: u64) -> String {
    grouped(value as f64)
}

fn listed(view: &SalesView) -> Page {
    let row = |sale: &SaleSummaryView| {
        vec![
            sale.sale_id.clone(),
            orders(sale.skus),
            units(sale.stock_total),
            units(sale.stock_reserved),
            units(sale.stock_total - sale.stock_reserved),
            or_dash(sale.closes_at.as_deref()).to_owned(),
        ]
    };
    let mut page = Page::default();
    let rows: Vec<_> = view.sales.iter().map(row).collect();
    page.table(&["SALE", "SKUS", "STOCK", "RESERVED", "LEFT", "CLOSES"], &rows);
    page
}

fn shown(view: &SaleView) -> Page {
    let recent = view.recent;
    let all = recent.confirmed + recent.sold_out + recent.limit_exceeded;
    let mut page = Page::of(format!(
        "{}: of the last {} orders {} confirmed, {} sold out, {} over the limit",
        view.sale_id,
        orders(all),
        orders(recent.confirmed),
        orders(recent.sold_out),
        orders(recent.limit_exceeded)
    ));
    page.line(
        "a confirmed order is counted at each of its SKUs, a rejected one at the first that did not fit",
    );
    page.line("");
    let row = |sku: &SaleSkuView| {
        vec![
            sku.sku.clone(),
            units(sku.stock_total),
            units(sku.stock_reserved),
            units(sku.stock_total - sku.stock_reserved),
            sku.per_user_limit.map_or_else(|| "-".to_owned(), units),
            orders(sku.recent.confirmed),
            orders(sku.recent.sold_out),
            orders(sku.recent.limit_exceeded),
        ]
    };
    let rows: Vec<_> = view.skus.iter().map(row).collect();
    page.table(&["SKU", "STOCK", "RESERVED", "LEFT", "LIMIT", "CONFIRMED", "SOLD OUT", "OVER LIMIT"], &rows);
    page
}

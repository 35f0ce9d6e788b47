//! Sales over HTTP, for operators: stock by SKU, and why orders are rejected.

use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use shared::problem::Problem;
use shared::time::rfc3339_millis;

use super::Admin;
use super::response::{json_response, unavailable};
use crate::store::{RecentOutcomes, SaleSkuState, SaleSummary};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SalesView {
    /// At most 1,000.
    pub sales: Vec<SaleSummaryView>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SaleSummaryView {
    pub sale_id: String,
    /// Number of SKUs.
    pub skus: u64,
    /// Units.
    pub stock_total: i64,
    /// Units.
    pub stock_reserved: i64,
    /// RFC 3339, by the catalogue.
    pub closes_at: Option<String>,
}

impl From<SaleSummary> for SaleSummaryView {
    fn from(sale: SaleSummary) -> Self {
        Self {
            sale_id: sale.sale_id,
            skus: sale.skus,
            stock_total: sale.stock_total,
            stock_reserved: sale.stock_reserved,
            closes_at: sale.closes_at.map(rfc3339_millis),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SaleView {
    pub sale_id: String,
    /// The orders of this sale among the last 10,000 decided ones of all sales; each is counted once.
    pub recent: RecentOutcomesView,
    pub skus: Vec<SaleSkuView>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SaleSkuView {
    pub sku: String,
    /// Units.
    pub stock_total: i64,
    /// Units.
    pub stock_reserved: i64,
    /// Maximum units of one buyer; `null`: no limit.
    pub per_user_limit: Option<i64>,
    /// The confirmed orders that have the SKU, and the rejected ones of which this SKU is the first that did not fit.
    pub recent: RecentOutcomesView,
}

/// Orders by outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecentOutcomesView {
    pub confirmed: u64,
    pub sold_out: u64,
    pub limit_exceeded: u64,
}

impl From<RecentOutcomes> for RecentOutcomesView {
    fn from(recent: RecentOutcomes) -> Self {
        let RecentOutcomes { confirmed, sold_out, limit_exceeded } = recent;
        Self { confirmed, sold_out, limit_exceeded }
    }
}

impl From<SaleSkuState> for SaleSkuView {
    fn from(sku: SaleSkuState) -> Self {
        Self {
            sku: sku.sku,
            stock_total: sku.stock_total,
            stock_reserved: sku.stock_reserved,
            per_user_limit: sku.per_user_limit,
            recent: sku.recent.into(),
        }
    }
}

pub(super) async fn list(State(admin): State<Admin>) -> Result<Response, Problem> {
    let sales = admin.store.list_sales().await.map_err(|error| unavailable(&error))?;
    Ok(json_response(&SalesView { sales: sales.into_iter().map(SaleSummaryView::from).collect() }))
}

pub(super) async fn show(
    State(admin): State<Admin>,
    Path(sale_id): Path<String>,
) -> Result<Response, Problem> {
    let state = admin.store.sale_state(&sale_id).await.map_err(|error| unavailable(&error))?;
    if state.skus.is_empty() {
        return Err(Problem::new(
            StatusCode::NOT_FOUND,
            "sale_not_found",
            "The database has no such sale: run init with the catalogue that has it.",
        ));
    }
    let skus = state.skus.into_iter().map(SaleSkuView::from).collect();
    Ok(json_response(&SaleView { sale_id, recent: state.recent.into(), skus }))
}

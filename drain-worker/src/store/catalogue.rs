//! Writes the catalogue's stock and limits.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use shared::catalogue::{Catalogue, Sale, Terms};
use shared::order::{SaleId, Sku};

use super::Store;
use super::batch_snapshot::SkuState;
use super::dialect::PoolKind;
use super::error::{DbError, StoreError};
use super::order_columns::quantities;
use super::pool::{AuditRecord, insert_audit};
use super::sql::{ColumnKind, ROWS_MAX, SqlRow, Statement, chunks, to_database};
use super::transaction::Transaction;
use crate::control::AuditContext;

/// Maximum duration of one attempt: a limit in mid-sale reads all orders.
const APPLY_TIMEOUT: Duration = Duration::from_secs(600);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CatalogueChanges {
    pub added: u64,
    /// SKUs whose stock or limit changed.
    pub changed: u64,
    /// SKUs that equal the catalogue.
    pub unchanged: u64,
}

/// A row to write.
type NewTerms<'a> = (&'a SaleId, &'a Sku, Terms);

impl Store {
    /// Writes the catalogue's stock and limits, in one transaction. Applying it again changes nothing. SKUs that get a
    /// limit in mid-sale start with the units that buyers already have: counting those reads all orders, and the sale's
    /// orders wait for it. Sales and SKUs that the catalogue does not name stay, because orders for them may be queued.
    ///
    /// # Errors
    /// [`StoreError::Catalogue`] with every fault if stock would fall below the reserved units; nothing is written then.
    /// [`StoreError::Transient`] or [`StoreError::Fatal`].
    pub async fn apply_catalogue(&self, catalogue: &Catalogue) -> Result<CatalogueChanges, StoreError> {
        self.apply(catalogue, None).await
    }

    /// As [`Store::apply_catalogue`], with an entry in `group`'s audit trail if anything changes.
    ///
    /// # Errors
    /// As [`Store::apply_catalogue`].
    pub async fn apply_catalogue_audited(
        &self,
        catalogue: &Catalogue,
        group: &str,
        context: &AuditContext,
    ) -> Result<CatalogueChanges, StoreError> {
        self.apply(catalogue, Some((group, context))).await
    }

    async fn apply(
        &self,
        catalogue: &Catalogue,
        audit: Option<(&str, &AuditContext)>,
    ) -> Result<CatalogueChanges, StoreError> {
        // Sales in their order, as everywhere, so that transactions that lock stock cannot deadlock.
        let sales: BTreeMap<_, _> = catalogue.sales().map(|sale| (&sale.id, sale)).collect();
        let sales: Vec<_> = sales.into_values().collect();
        match self.retrying("apply the catalogue", APPLY_TIMEOUT, || self.apply_once(&sales, audit)).await? {
            Ok(changes) => Ok(changes),
            Err(faults) => Err(StoreError::Catalogue { faults }),
        }
    }

    async fn apply_once(
        &self,
        sales: &[&Sale],
        audit: Option<(&str, &AuditContext)>,
    ) -> Result<Result<CatalogueChanges, Vec<String>>, DbError> {
        let mut transaction = self.begin(PoolKind::Writers).await?;
        let result = apply_sales(&mut transaction, sales, audit).await;
        transaction.end(result).await
    }
}

/// The inner error: the faults of the catalogue; nothing is written then.
async fn apply_sales(
    transaction: &mut Transaction,
    sales: &[&Sale],
    audit: Option<(&str, &AuditContext)>,
) -> Result<Result<CatalogueChanges, Vec<String>>, DbError> {
    let mut difference = Difference::default();
    for sale in sales {
        let present = lock_sale(transaction, sale).await?;
        difference.add(sale, &present);
    }
    if !difference.faults.is_empty() {
        return Ok(Err(difference.faults));
    }
    write_terms(transaction, &difference.terms).await?;
    for sale in sales {
        let closes_at = to_database(sale.closes_at);
        let update = Statement::new("UPDATE sale_skus SET closes_at = ? WHERE sale_id = ?")
            .bind(closes_at.as_str())
            .bind(sale.id.as_str());
        transaction.execute("write the end of a sale", update).await?;
    }
    for sale in difference.limits.chunk_by(|left, right| left.0 == right.0) {
        for skus in sale.chunks(ROWS_MAX) {
            count_purchases(transaction, skus).await?;
        }
    }
    if let Some((group, context)) = audit.filter(|_| !difference.terms.is_empty()) {
        let CatalogueChanges { added, changed, .. } = difference.changes;
        let detail = format!("{added} SKUs added, {changed} changed");
        let (before, after) = (json!(difference.before), json!(difference.after));
        let record = AuditRecord {
            action: "catalogue_applied",
            detail: &detail,
            revision: None,
            before: Some(&before),
            after: Some(&after),
        };
        insert_audit(transaction, group, record, context).await?;
    }
    Ok(Ok(difference.changes))
}

/// Stock and limit of SKUs, by sale, for the audit trail; `null`: the SKU is new.
type AuditedTerms<'a> = BTreeMap<&'a str, BTreeMap<&'a str, Value>>;

/// The difference between the catalogue and the database.
#[derive(Default)]
struct Difference<'a> {
    changes: CatalogueChanges,
    faults: Vec<String>,
    terms: Vec<NewTerms<'a>>,
    /// SKUs that had no limit and get one.
    limits: Vec<(&'a SaleId, &'a Sku)>,
    before: AuditedTerms<'a>,
    after: AuditedTerms<'a>,
}

impl<'a> Difference<'a> {
    fn add(&mut self, sale: &'a Sale, present: &BTreeMap<String, SkuState>) {
        for (sku, terms) in &sale.skus {
            let limit = terms.per_user_limit.map(i64::from);
            match present.get(sku.as_str()) {
                None => self.changes.added += 1,
                Some(state) if (state.total, state.per_user_limit) == (i64::from(terms.stock), limit) => {
                    self.changes.unchanged += 1;
                    continue;
                }
                Some(state) => {
                    self.changes.changed += 1;
                    if i64::from(terms.stock) < state.reserved {
                        self.faults.push(format!(
                            "sale {}: sku {sku}: stock {} is under the {} units already reserved",
                            sale.id, terms.stock, state.reserved
                        ));
                    }
                    if limit.is_some() && state.per_user_limit.is_none() {
                        self.limits.push((&sale.id, sku));
                    }
                }
            }
            let before = present
                .get(sku.as_str())
                .map(|state| json!({"stock": state.total, "per_user_limit": state.per_user_limit}));
            self.before.entry(sale.id.as_str()).or_default().insert(sku.as_str(), json!(before));
            let after = json!({"stock": terms.stock, "per_user_limit": limit});
            self.after.entry(sale.id.as_str()).or_default().insert(sku.as_str(), after);
            self.terms.push((&sale.id, sku, *terms));
        }
    }
}

async fn lock_sale(
    transaction: &mut Transaction,
    sale: &Sale,
) -> Result<BTreeMap<String, SkuState>, DbError> {
    const KINDS: &[ColumnKind] = &[ColumnKind::Text, ColumnKind::Int, ColumnKind::Int, ColumnKind::Int];
    let statement = Statement::new(
        "SELECT sku, stock_total, stock_reserved, per_user_limit FROM sale_skus WHERE sale_id = ? ORDER BY sku",
    )
    .text(transaction.dialect.for_update)
    .bind(sale.id.as_str())
    .rare();
    let mut present = BTreeMap::new();
    for row in transaction.fetch("lock a sale", statement, KINDS).await? {
        let state =
            SkuState { total: row.int(1)?, reserved: row.int(2)?, per_user_limit: row.optional_int(3)? };
        present.insert(row.text(0)?.to_owned(), state);
    }
    Ok(present)
}

async fn write_terms(transaction: &mut Transaction, rows: &[NewTerms<'_>]) -> Result<(), DbError> {
    for chunk in chunks(rows) {
        let mut statement =
            Statement::new("INSERT INTO sale_skus (sale_id, sku, stock_total, per_user_limit) VALUES ")
                .rows(chunk.len(), &["(?, ?, ?, ?)"])
                .text(transaction.dialect.update_terms)
                .rare();
        for (sale_id, sku, terms) in chunk {
            statement = statement
                .bind(sale_id.as_str())
                .bind(sku.as_str())
                .bind(terms.stock)
                .bind(terms.per_user_limit);
        }
        transaction.execute("write stock and limits", statement).await?;
    }
    Ok(())
}

/// SKUs of one sale that get their limit in mid-sale: earlier purchases were not counted, so they are counted now.
/// Their locks are held, so there are no purchases meanwhile.
async fn count_purchases(transaction: &mut Transaction, skus: &[(&SaleId, &Sku)]) -> Result<(), DbError> {
    let sale_id = skus[0].0.as_str();
    let names = || skus.iter().map(|(_, sku)| sku.as_str());
    // Left over from limits that were removed.
    let delete = Statement::new("DELETE FROM user_purchases WHERE sale_id = ? AND sku IN ")
        .bind(sale_id)
        .list(names())
        .rare();
    transaction.execute("forget purchases", delete).await?;
    let mut after = 0;
    loop {
        let mut bought = BTreeMap::new();
        let rows = confirmed_page(transaction, sale_id, after).await?;
        let Some(last) = rows.last() else { return Ok(()) };
        after = last.int(0)?;
        for row in &rows {
            for (sku, quantity) in quantities(row, 2)? {
                if names().any(|name| name == sku) {
                    *bought.entry((row.text(1)?, sku)).or_default() += quantity;
                }
            }
        }
        add_purchases(transaction, sale_id, &bought).await?;
    }
}

/// Reads sequence, buyer and lines of a sale's confirmed orders after a sequence number.
async fn confirmed_page(
    transaction: &mut Transaction,
    sale_id: &str,
    after: i64,
) -> Result<Vec<SqlRow>, DbError> {
    let statement = Statement::new(
        "SELECT sequence, user_id, items FROM orders WHERE sequence > ? AND sale_id = ? AND state = 1 \
         ORDER BY sequence LIMIT 5000",
    )
    .bind(after)
    .bind(sale_id)
    .rare();
    let kinds = &[ColumnKind::Int, ColumnKind::Text, ColumnKind::Text];
    transaction.fetch("read confirmed orders", statement, kinds).await
}

async fn add_purchases(
    transaction: &mut Transaction,
    sale_id: &str,
    bought: &BTreeMap<(&str, String), i64>,
) -> Result<(), DbError> {
    let rows: Vec<_> = bought.iter().collect();
    for chunk in chunks(&rows) {
        let mut statement =
            Statement::new("INSERT INTO user_purchases (sale_id, user_id, sku, quantity) VALUES ")
                .rows(chunk.len(), &["(?, ?, ?, ?)"])
                .text(transaction.dialect.add_to_purchases)
                .rare();
        for ((user_id, sku), quantity) in chunk {
            statement = statement.bind(sale_id).bind(*user_id).bind(sku.as_str()).bind(**quantity);
        }
        transaction.execute("count purchases", statement).await?;
    }
    Ok(())
}

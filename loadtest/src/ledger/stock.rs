//! Stock and limits: the confirmed lines against the catalogue and the database's own counters.

use std::collections::BTreeMap;

use super::fault::FaultCollector;
use super::rows::{OrderRow, PurchaseRow, SkuRow};
use crate::workload::Workload;

#[derive(Clone, Copy, Debug, Default)]
struct SkuUnits {
    /// Confirmed since the snapshot.
    confirmed: i64,
    /// Those of others whose decision is so close to the snapshot that it may include them.
    unsure: i64,
}

/// Units of one buyer of one limited SKU.
#[derive(Clone, Copy, Debug)]
struct BuyerUnits {
    buyer: u32,
    units: u32,
    sku_rank: u16,
    is_counted: bool,
}

impl BuyerUnits {
    const fn key(&self) -> (u32, u16) {
        (self.buyer, self.sku_rank)
    }
}

#[derive(Debug)]
pub(super) struct StockTally<'a> {
    workload: &'a Workload,
    ranks: BTreeMap<&'a str, usize>,
    /// By the rank of the SKU, as the three that follow.
    units: Vec<SkuUnits>,
    reserved_before: Vec<i64>,
    /// `None`: the database does not sell it.
    after: Vec<Option<SkuRow>>,
    unlisted: Vec<&'a str>,
    /// Ascending and without duplicates up to `merged`.
    buyers: Vec<BuyerUnits>,
    merged: usize,
}

impl<'a> StockTally<'a> {
    /// `before` and `after` are the sale's rows before the first request and now.
    pub(super) fn new(workload: &'a Workload, before: &[SkuRow], after: &'a [SkuRow]) -> Self {
        let skus = workload.skus();
        let ranks: BTreeMap<_, _> =
            skus.iter().enumerate().map(|(rank, sku)| (sku.name.as_str(), rank)).collect();
        let mut tally = Self {
            workload,
            units: vec![SkuUnits::default(); skus.len()],
            reserved_before: vec![0; skus.len()],
            after: vec![None; skus.len()],
            unlisted: Vec::new(),
            buyers: Vec::new(),
            merged: 0,
            ranks,
        };
        for row in before {
            if let Some(&rank) = tally.ranks.get(row.sku.as_str()) {
                tally.reserved_before[rank] = row.reserved;
            }
        }
        for row in after {
            match tally.ranks.get(row.sku.as_str()) {
                Some(&rank) => tally.after[rank] = Some(row.clone()),
                None => tally.unlisted.push(&row.sku),
            }
        }
        tally
    }

    /// Counts a confirmed order of this run.
    pub(super) fn add(&mut self, row: &OrderRow) {
        let buyer = self.buyer(&row.user_id);
        for line in &row.lines {
            let Some(&rank) = self.ranks.get(line.sku.as_str()) else { continue };
            self.units[rank].confirmed += line.quantity;
            let is_limited = self.workload.skus()[rank].terms.per_user_limit.is_some();
            if let (true, Some(buyer)) = (is_limited, buyer) {
                let units = u32::try_from(line.quantity).unwrap_or_default();
                if self.buyers.len() == self.buyers.capacity() {
                    self.merge();
                }
                self.buyers.push(BuyerUnits { buyer, units, sku_rank: rank as u16, is_counted: false });
            }
        }
    }

    /// Counts a confirmed order of someone else.
    pub(super) fn add_foreign(&mut self, row: &OrderRow, is_unsure: bool) {
        for line in &row.lines {
            if let Some(&rank) = self.ranks.get(line.sku.as_str()) {
                self.units[rank].confirmed += line.quantity;
                self.units[rank].unsure += if is_unsure { line.quantity } else { 0 };
            }
        }
    }

    fn buyer(&self, user_id: &str) -> Option<u32> {
        user_id.strip_prefix(self.workload.user_prefix())?.parse().ok()
    }

    fn merge(&mut self) {
        self.buyers.sort_unstable_by_key(BuyerUnits::key);
        self.buyers.dedup_by(|later, first| {
            let same = later.key() == first.key();
            first.units += if same { later.units } else { 0 };
            same
        });
        self.merged = self.buyers.len();
    }

    fn units_of(&mut self, buyer: u32, sku_rank: u16) -> Option<&mut BuyerUnits> {
        if self.merged < self.buyers.len() {
            self.merge();
        }
        let place = self.buyers.binary_search_by_key(&(buyer, sku_rank), BuyerUnits::key).ok()?;
        self.buyers.get_mut(place)
    }

    /// Compares the database's counter of one buyer.
    pub(super) fn check_purchase(&mut self, row: &PurchaseRow, faults: &mut FaultCollector) {
        let (buyer, rank) = (self.buyer(&row.user_id), self.ranks.get(row.sku.as_str()).copied());
        let counted = buyer.zip(rank).and_then(|(buyer, rank)| self.units_of(buyer, rank as u16));
        // The buyer is personal data; the SKU is not.
        match counted {
            Some(counted) => {
                counted.is_counted = true;
                if i64::from(counted.units) != row.units {
                    let example = format!("{}: {} of {}", row.sku, row.units, counted.units);
                    faults.add("purchases_wrong", example);
                }
            }
            None => faults.add("purchases_without_order", format!("{}: {}", row.sku, row.units)),
        }
    }

    /// Checks the sums. Call it after every order and purchase.
    pub(super) fn check(&mut self, faults: &mut FaultCollector) {
        self.merge();
        let skus = self.workload.skus();
        for counted in &self.buyers {
            let rank = usize::from(counted.sku_rank);
            let sku = &skus[rank];
            if sku.terms.per_user_limit.is_some_and(|limit| counted.units > limit) {
                faults.add("limit_exceeded", format!("{}: {}", sku.name, counted.units));
            }
            // Without a limit in the database nothing is counted, which is a fault of its own.
            let counts = self.after[rank].as_ref().is_some_and(|row| row.per_user_limit.is_some());
            if counts && !counted.is_counted {
                faults.add("purchases_missing", format!("{}: {}", sku.name, counted.units));
            }
        }
        for (rank, sku) in skus.iter().enumerate() {
            let (name, stock) = (&sku.name, i64::from(sku.terms.stock));
            let Some(row) = &self.after[rank] else {
                faults.add("sku_missing", name);
                continue;
            };
            if row.total != stock {
                faults.add("stock_differs_from_catalogue", format!("{name}: {} of {stock}", row.total));
            }
            if row.per_user_limit != sku.terms.per_user_limit.map(i64::from) {
                faults.add("limit_differs_from_catalogue", name);
            }
            let most = self.reserved_before[rank] + self.units[rank].confirmed;
            let least = most - self.units[rank].unsure;
            if least > stock {
                faults.add("oversold", format!("{name}: {least} of {stock}"));
            }
            if !(least..=most).contains(&row.reserved) {
                faults.add("stock_counter_wrong", format!("{name}: {} reserved, {most} sold", row.reserved));
            }
        }
        for name in &self.unlisted {
            faults.add("sku_unlisted", name);
        }
    }

    /// True if at the end enough is left for every line of request `number`. Stock only falls, so it was always so.
    pub(super) fn is_in_stock(&self, number: u64) -> bool {
        let spec = self.workload.request_spec(number);
        self.workload.lines(&spec).all(|line| {
            let rank = line.sku_rank;
            let sold = self.reserved_before[rank] + self.units[rank].confirmed;
            let taken = sold.max(self.after[rank].as_ref().map_or(0, |row| row.reserved));
            i64::from(line.sku.terms.stock) - taken >= i64::from(line.quantity)
        })
    }

    /// True if at the end the buyer of request `number` could have every line within the limits. A buyer's units only
    /// grow, so it was always so.
    pub(super) fn is_within_limits(&mut self, number: u64) -> bool {
        let workload = self.workload;
        let spec = workload.request_spec(number);
        workload.lines(&spec).all(|line| {
            let Some(limit) = line.sku.terms.per_user_limit else { return true };
            let has = self.units_of(spec.user, line.sku_rank as u16).map_or(0, |counted| counted.units);
            has + line.quantity <= limit
        })
    }
}

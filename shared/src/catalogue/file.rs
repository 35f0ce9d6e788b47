//! Reads a catalogue from TOML or JSON.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{
    Catalogue, CatalogueError, PRICE_MINOR_MAX, REVISION_BYTES_MAX, SKUS_MAX, STOCK_MAX, Sale, Terms,
};
use crate::order::{Currency, SaleId, Sku};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CatalogueFile {
    revision: String,
    sales: Vec<SaleFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SaleFile {
    id: String,
    opens_at: String,
    closes_at: String,
    currency: String,
    #[serde(default = "default_key")]
    order_id_key: String,
    skus: Vec<SkuFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SkuFile {
    sku: String,
    unit_price_minor: i64,
    stock: u32,
    per_user_limit: Option<u32>,
}

fn default_key() -> String {
    "default".to_owned()
}

impl Catalogue {
    /// Reads a catalogue; a name ending in `.json` is JSON, everything else TOML.
    ///
    /// # Errors
    /// [`CatalogueError`]: unreadable, malformed, or against the rules (all of them listed).
    pub fn load(path: &Path) -> Result<Self, CatalogueError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| CatalogueError::Read { path: path.to_owned(), source })?;
        let syntax = |message| CatalogueError::Syntax { path: path.to_owned(), message };
        let file: CatalogueFile = if path.extension().is_some_and(|extension| extension == "json") {
            serde_json::from_str(&text).map_err(|error| syntax(error.to_string()))?
        } else {
            toml::from_str(&text).map_err(|error| syntax(error.to_string()))?
        };
        check(file).map_err(|faults| CatalogueError::Invalid { path: path.to_owned(), faults })
    }

    /// Reads a catalogue from TOML text, for tests and the demo.
    ///
    /// # Errors
    /// As [`Catalogue::load`].
    pub fn from_toml(text: &str) -> Result<Self, CatalogueError> {
        let path = Path::new("(text)");
        let file = toml::from_str(text)
            .map_err(|error| CatalogueError::Syntax { path: path.to_owned(), message: error.to_string() })?;
        check(file).map_err(|faults| CatalogueError::Invalid { path: path.to_owned(), faults })
    }
}

fn check(file: CatalogueFile) -> Result<Catalogue, Vec<String>> {
    let mut faults = Vec::new();
    if file.revision.is_empty() || file.revision.len() > REVISION_BYTES_MAX {
        faults.push(format!("revision: must have 1 to {REVISION_BYTES_MAX} bytes"));
    }
    let mut sales = HashMap::with_capacity(file.sales.len());
    for sale in file.sales {
        let name = sale.id.clone();
        if let Some(sale) = check_sale(sale, &mut faults)
            && sales.insert(sale.id.clone(), sale).is_some()
        {
            faults.push(format!("sale {name}: given twice"));
        }
    }
    if faults.is_empty() { Ok(Catalogue { revision: file.revision, sales }) } else { Err(faults) }
}

/// Returns `None` if the sale has a fault, which is then in `faults`.
fn check_sale(file: SaleFile, faults: &mut Vec<String>) -> Option<Sale> {
    let faults_before = faults.len();
    let name = file.id;
    let mut fault = |field: &str, message: &dyn std::fmt::Display| {
        faults.push(format!("sale {name}: {field}: {message}"));
    };
    let id = SaleId::parse(&name).map_err(|error| fault("id", &error)).ok();
    let currency = Currency::parse(&file.currency).map_err(|error| fault("currency", &error)).ok();
    let mut instant = |field, text: &str| {
        OffsetDateTime::parse(text, &Rfc3339)
            .map_err(|_| fault(field, &"must be RFC 3339, such as 2026-11-11T00:00:00+08:00"))
            .ok()
    };
    let opens_at = instant("opens_at", &file.opens_at);
    let closes_at = instant("closes_at", &file.closes_at);
    if let (Some(opens_at), Some(closes_at)) = (opens_at, closes_at)
        && opens_at >= closes_at
    {
        fault("closes_at", &"must be later than opens_at");
    }
    if file.skus.is_empty() || file.skus.len() > SKUS_MAX {
        fault("skus", &format_args!("a sale has 1 to {SKUS_MAX} SKUs"));
    }
    let mut skus = BTreeMap::new();
    for entry in file.skus {
        let place = format!("sku {}", entry.sku);
        let Ok(sku) = Sku::parse(&entry.sku).map_err(|error| fault(&place, &error)) else { continue };
        if !(0..=PRICE_MINOR_MAX).contains(&entry.unit_price_minor) {
            fault(&place, &format_args!("unit_price_minor must be 0 to {PRICE_MINOR_MAX}"));
        }
        if entry.stock > STOCK_MAX {
            fault(&place, &format_args!("stock must be 0 to {STOCK_MAX}"));
        }
        if entry.per_user_limit == Some(0) {
            fault(&place, &"per_user_limit must be 1 or more; leave it out for no limit");
        }
        let terms = Terms {
            unit_price_minor: entry.unit_price_minor,
            stock: entry.stock,
            per_user_limit: entry.per_user_limit,
        };
        if skus.insert(sku, terms).is_some() {
            fault(&place, &"given twice");
        }
    }
    if faults.len() > faults_before {
        return None;
    }
    Some(Sale {
        id: id?,
        opens_at: opens_at?,
        closes_at: closes_at?,
        currency: currency?,
        order_id_key: file.order_id_key,
        skus,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_faults_are_named_at_once() {
        let text = r#"
            revision = ""
            [[sales]]
            id = "bad sale"
            opens_at = "noon"
            closes_at = "2026-11-11T00:00:00Z"
            currency = "yuan"
            skus = [{ sku = "A", unit_price_minor = -1, stock = 1, per_user_limit = 0 }]
        "#;
        let Err(CatalogueError::Invalid { faults, .. }) = Catalogue::from_toml(text) else {
            panic!("the catalogue is invalid")
        };
        for part in ["revision", "id:", "opens_at", "currency", "unit_price_minor", "per_user_limit"] {
            assert!(faults.iter().any(|fault| fault.contains(part)), "{part} in {faults:?}");
        }
    }

    #[test]
    fn a_misspelt_member_is_an_error_and_not_ignored() {
        let text = "revision = \"1\"\nsale = []\n";
        assert!(matches!(Catalogue::from_toml(text), Err(CatalogueError::Syntax { .. })));
    }
}

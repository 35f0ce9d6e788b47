//! The sources that the ledger compares the requests with.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use shared::catalogue::Catalogue;
use shared::config::{DatabaseUrl, Secret};
use shared::order::{OrderIdKey, OrderIdKeys, SaleId};

use crate::ledger::{LedgerReader, LookUpClient};
use crate::scenario::Scenario;
use crate::target::Target;
use crate::workload::{RunId, Workload};

/// Look-ups that are compared with the database's rows.
pub(super) const LOOK_UPS: usize = 200;

/// Look-ups without a database: all orders of a small run, a sample of a large one.
const LOOK_UPS_ALONE: usize = 10_000;

/// drain-worker's default of `--invisible-s`.
const DEFAULT_INVISIBLE: Duration = Duration::from_secs(60);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfferedSale {
    pub catalogue_toml: String,
    pub sale_id: String,
}

impl OfferedSale {
    /// The sale `id` of `catalogue`, or the first one. Without a catalogue, the scenario's own sale.
    ///
    /// # Errors
    /// If the catalogue cannot be read, or has no such sale.
    pub fn find(scenario: &Scenario, catalogue: Option<&Path>, id: Option<&str>) -> anyhow::Result<Self> {
        let catalogue_toml = match catalogue {
            Some(path) => toml_text(path).with_context(|| path.display().to_string())?,
            None => scenario.catalogue_toml(),
        };
        let catalogue = Catalogue::from_toml(&catalogue_toml)?;
        let sale = match id {
            Some(id) => catalogue.sale(&SaleId::parse(id)?),
            None => catalogue.sales().next(),
        };
        let sale_id = sale.context("the sale is not in the catalogue; set --sale")?.id.as_str().to_owned();
        Ok(Self { catalogue_toml, sale_id })
    }
}

/// The catalogue of a file, which may be JSON, as TOML.
fn toml_text(path: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(path)?;
    if path.extension().is_some_and(|extension| extension == "json") {
        return Ok(toml::to_string(&serde_json::from_str::<toml::Value>(&text)?)?);
    }
    Ok(text)
}

/// The places and keys of the ledger of a system that is already running.
#[derive(Clone, Debug, Default)]
pub struct LedgerSources {
    /// `None`: no ledger by the database.
    pub database_url: Option<DatabaseUrl>,
    /// The system's keys of order ids, `name=hex[,…]`; the ledger by the database needs them.
    pub order_id_keys: Option<Secret<String>>,
    /// The look-up.
    pub look_up: Option<Target>,
    /// Maximum orders to look up; `None`: [`LOOK_UPS`], or [`LOOK_UPS_ALONE`] without a database.
    pub look_ups_max: Option<usize>,
}

/// The sources that the ledger compares the requests with.
#[derive(Debug, Default)]
pub struct LedgerAccess {
    /// `None`: no ledger by the database.
    pub reader: Option<LedgerReader>,
    /// `None`: no look-ups.
    pub look_up: Option<LookUpClient>,
    /// Maximum orders to look up.
    pub look_ups_max: usize,
    /// Time for which the drain's workers hide a received message.
    pub invisible: Duration,
}

impl LedgerAccess {
    pub const fn keeps_a_ledger(&self) -> bool {
        self.reader.is_some() || self.look_up.is_some()
    }
}

impl LedgerSources {
    /// The requests of run `run_id` for `sale`. Without the system's keys, derived order ids only group the requests of
    /// an order.
    ///
    /// # Errors
    /// If the database is given without the key of the sale.
    pub fn workload(
        &self,
        scenario: &Scenario,
        sale: &OfferedSale,
        run_id: RunId,
    ) -> anyhow::Result<Workload> {
        let catalogue = Catalogue::from_toml(&sale.catalogue_toml)?;
        let sale = catalogue.sale(&SaleId::parse(&sale.sale_id)?);
        let sale = sale.context("the sale is not in the catalogue")?;
        let key = match &self.order_id_keys {
            Some(keys) => {
                let keys: OrderIdKeys = keys.expose().parse().context("SPILLWAY_ORDER_ID_KEYS")?;
                keys.get(&sale.order_id_key)
                    .with_context(|| format!("SPILLWAY_ORDER_ID_KEYS: no key `{}`", sale.order_id_key))?
                    .clone()
            }
            None if self.database_url.is_none() => OrderIdKey::new(&[0; 32])?,
            None => bail!("the ledger needs the system's keys of order ids: set SPILLWAY_ORDER_ID_KEYS"),
        };
        Workload::new(scenario, sale, key, run_id.number())
    }

    /// # Errors
    /// If the database does not respond.
    pub async fn open(&self) -> anyhow::Result<LedgerAccess> {
        let look_ups_max = if self.database_url.is_some() { LOOK_UPS } else { LOOK_UPS_ALONE };
        Ok(LedgerAccess {
            look_up: self.look_up.clone().map(LookUpClient::new),
            reader: match &self.database_url {
                Some(url) => Some(LedgerReader::connect(url).await?),
                None => None,
            },
            look_ups_max: self.look_ups_max.unwrap_or(look_ups_max),
            invisible: DEFAULT_INVISIBLE,
        })
    }

    /// False if the order ids in the responses are the only known ones.
    pub const fn knows_order_ids(&self) -> bool {
        self.order_id_keys.is_some()
    }
}

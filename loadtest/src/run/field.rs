//! Where the orders go and where the ledger reads: parts started here, or a system that is there already.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;

use anyhow::{Context, bail};
use shared::catalogue::Catalogue;
use shared::config::DatabaseUrl;
use shared::order::{OrderIdKey, OrderIdKeys, SaleId};

use crate::fc_local;
use crate::ledger::Reader;
use crate::report;
use crate::scenario::Scenario;
use crate::stage::{ServiceConfig, Services, Stack, Stage};
use crate::workload::Workload;

/// A sale's catalogue and which of its sales is played.
#[derive(Clone, Debug)]
pub struct Offer {
    /// TOML.
    pub catalogue_toml: String,
    /// The sale.
    pub sale_id: String,
}

/// What to start, besides the scenario.
#[derive(Clone, Debug)]
pub struct Setup {
    /// What is on sale.
    pub offer: Offer,
    /// Broker and database.
    pub stack: Stack,
    /// Flags of fc-local, if the orders are to go through it.
    pub through_fc: Option<Vec<String>>,
    /// What is to be killed.
    pub faults: Faults,
}

/// Parts that are to be killed in the middle of a run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// Kill the drain worker (SIGKILL) and start it again.
    pub worker: bool,
    /// The same for the embedded broker.
    pub broker: bool,
    /// Rows in the database at which the killing begins.
    pub at_rows: u64,
}

/// A system that is there already.
#[derive(Clone, Debug)]
pub struct External {
    /// `http://host:port`, nothing behind it.
    pub target: String,
    /// For the ledger, if it may read.
    pub database_url: Option<DatabaseUrl>,
    /// The order-id keys of the system, if the ledger is to check ids: `name=hex[,…]`.
    pub order_id_keys: Option<String>,
    /// The system's catalogue file; without one the scenario's own sale is asked for.
    pub catalogue: Option<PathBuf>,
    /// The sale in that catalogue.
    pub sale_id: Option<String>,
}

/// Broker, database and services of one run, or where they are.
#[derive(Debug)]
pub struct Field {
    /// What was started here.
    pub own: Option<(Stage, Services)>,
    /// Where orders go.
    pub target: SocketAddr,
    /// The `Host` header.
    pub host: String,
    /// What stands behind it.
    pub stack: report::Stack,
    /// For the ledger; `None`: the database is not to be read.
    pub reader: Option<Reader>,
    /// What is asked for.
    pub workload: Workload,
    faults: Faults,
}

impl Field {
    /// Starts everything for `scenario`.
    ///
    /// # Errors
    /// If a part does not start.
    pub async fn own(scenario: &Scenario, setup: Setup) -> anyhow::Result<Self> {
        let Setup { offer, stack, through_fc, faults } = setup;
        let catalogue = Catalogue::from_toml(&offer.catalogue_toml)?;
        let sale_id = SaleId::parse(&offer.sale_id)?;
        let sale = catalogue.sale(&sale_id).context("the catalogue lacks the sale")?;
        println!("Preparing: broker, schema, stock, the group's place on every queue");
        let stage = Stage::set(stack, &sale.order_id_key).await?;
        let config =
            ServiceConfig { catalogue_toml: offer.catalogue_toml, rate: scenario.drain.rate, through_fc };
        let started = start(&stage, &catalogue, &config).await;
        let services = match started {
            Ok(services) => services,
            Err(error) => bail!("{error:#}\nThe logs are in {}", stage.directory().display()),
        };
        let keys: OrderIdKeys = stage.order_id_keys.parse()?;
        let key = keys.get(&sale.order_id_key).context("the sale's key")?.clone();
        let reader = Reader::connect(&stage.read_url).await?;
        Ok(Self {
            target: services.ingest,
            host: "spillway".to_owned(),
            stack: stack.in_report(),
            reader: Some(reader),
            workload: Workload::new(scenario, sale, key, rand::random())?,
            own: Some((stage, services)),
            faults,
        })
    }

    /// Goes to a system that is there already.
    ///
    /// # Errors
    /// If something that was given is not right, or the database does not answer.
    pub async fn external(scenario: &Scenario, external: &External) -> anyhow::Result<Self> {
        let authority = authority(&external.target)?;
        let target = authority
            .to_socket_addrs()
            .with_context(|| format!("--target {}", external.target))?
            .next()
            .with_context(|| format!("--target {}: no address", external.target))?;
        let catalogue = match &external.catalogue {
            Some(path) => Catalogue::load(path)?,
            None => Catalogue::from_toml(&scenario.catalogue_toml())?,
        };
        let sale = match &external.sale_id {
            Some(name) => catalogue.sale(&SaleId::parse(name)?),
            None => catalogue.sales().next(),
        };
        let sale = sale.context("the catalogue lacks the sale; name it with --sale")?;
        let key = match &external.order_id_keys {
            Some(keys) => {
                let keys: OrderIdKeys = keys.parse().context("SPILLWAY_ORDER_ID_KEYS")?;
                keys.get(&sale.order_id_key)
                    .with_context(|| format!("SPILLWAY_ORDER_ID_KEYS: no key `{}`", sale.order_id_key))?
                    .clone()
            }
            // Without the ledger nobody looks at ids.
            None if external.database_url.is_none() => OrderIdKey::new(&[0; 32])?,
            None => bail!("the ledger needs the system's keys of order ids: set SPILLWAY_ORDER_ID_KEYS"),
        };
        let reader = match &external.database_url {
            Some(url) => Some(Reader::connect(url).await?),
            None => None,
        };
        Ok(Self {
            own: None,
            target,
            host: authority.to_owned(),
            stack: report::Stack::External,
            reader,
            workload: Workload::new(scenario, sale, key, rand::random())?,
            faults: Faults::default(),
        })
    }

    /// Processes to watch: name and pid.
    pub async fn processes(&self) -> Vec<(String, u32)> {
        let mut processes = vec![("loadtest".to_owned(), std::process::id())];
        if let Some((stage, services)) = &self.own {
            processes.extend(services.processes());
            // A stack that does not tell is watched less, and still tested.
            processes.extend(stage.processes().await.unwrap_or_default());
        }
        processes
    }

    /// Kills what is to be killed, and says so if a part has ended by itself.
    ///
    /// # Errors
    /// If a part has ended, or does not come back.
    pub async fn tend(&mut self, rows: u64) -> anyhow::Result<()> {
        let Some((stage, services)) = &mut self.own else { return Ok(()) };
        if rows >= self.faults.at_rows && std::mem::take(&mut self.faults.worker) {
            println!("\nkill -9: the drain worker, in the middle of the drain");
            services.crash_worker().await?;
        }
        if rows >= self.faults.at_rows && std::mem::take(&mut self.faults.broker) {
            println!("\nkill -9: the broker, in the middle of the sale");
            stage.crash_broker().await?;
        }
        stage.check()?;
        services.check()
    }

    /// Ends what was started here. `keep`: the data and the logs stay. What the platform tells of itself.
    ///
    /// # Errors
    /// If a part does not stop in order.
    pub async fn strike(self, keep: bool) -> anyhow::Result<Option<fc_local::Summary>> {
        drop(self.reader);
        let Some((stage, services)) = self.own else { return Ok(None) };
        let platform = services.stop().await?;
        stage.strike(keep).await?;
        Ok(platform)
    }

    /// Where the logs are, if they are here.
    #[must_use]
    pub fn logs(&self) -> Option<String> {
        self.own.as_ref().map(|(stage, _)| stage.directory().display().to_string())
    }
}

async fn start(stage: &Stage, catalogue: &Catalogue, config: &ServiceConfig) -> anyhow::Result<Services> {
    let prepared = drain_worker::init::init(
        &stage.migrate_url,
        catalogue,
        stage.client.clone(),
        &stage.group,
        &stage.topic,
    )
    .await?;
    stage.schema_changed().await?;
    let ingest = if config.through_fc.is_some() { "fc-local" } else { "ingest-fn" };
    println!("Starting {ingest} and drain-worker ({} queues)", prepared.queues);
    Services::start(config, stage).await
}

/// `host:port` of `http://host:port`.
fn authority(target: &str) -> anyhow::Result<&str> {
    let authority = target.strip_prefix("http://").map(|rest| rest.trim_end_matches('/'));
    match authority {
        Some(authority) if authority.contains(':') && !authority.contains('/') => Ok(authority),
        _ => bail!("--target {target}: write http://host:port; for TLS put a local proxy in between"),
    }
}

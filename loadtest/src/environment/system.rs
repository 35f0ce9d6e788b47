//! The system under test: started here, or already running.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use fc_model::real_time::FrontSummary;
use shared::catalogue::Catalogue;
use shared::config::DatabaseUrl;
use shared::order::{OrderIdKey, OrderIdKeys, SaleId};

use super::services::{INVISIBLE, Services};
use super::stack::{Environment, Stack};
use crate::ledger::{LedgerReader, LedgerSystem, LookUpClient, RunScope};
use crate::report::TestedStack;
use crate::scenario::Scenario;
use crate::target::Target;
use crate::workload::Workload;

/// Look-ups that are compared with the database's rows.
const LOOK_UPS: usize = 200;

/// Look-ups without a database: all orders of a small run, a sample of a large one.
const LOOK_UPS_ALONE: usize = 10_000;

/// drain-worker's default of `--invisible-s`.
const DEFAULT_INVISIBLE: Duration = Duration::from_secs(60);

#[derive(Clone, Debug)]
pub struct OfferedSale {
    pub catalogue_toml: String,
    pub sale_id: String,
}

#[derive(Clone, Debug)]
pub struct LaunchConfig {
    pub sale: OfferedSale,
    pub stack: Stack,
    /// Flags of fc-local; `None`: orders go to ingest-fn directly.
    pub through_fc: Option<Vec<String>>,
    pub faults: FaultPlan,
}

/// Processes to kill (SIGKILL) and restart during a run.
#[derive(Clone, Copy, Debug, Default)]
pub struct FaultPlan {
    pub kill_worker: bool,
    pub kill_broker: bool,
    /// Rows in the database at which the kills happen.
    pub at_rows: u64,
}

/// A system that is already running.
#[derive(Clone, Debug)]
pub struct ExternalSystem {
    pub target: Target,
    /// For the ledger; `None`: no ledger.
    pub database_url: Option<DatabaseUrl>,
    /// The system's keys of order ids, `name=hex[,…]`; the ledger needs them.
    pub order_id_keys: Option<String>,
    /// The system's catalogue; `None`: the scenario's own sale.
    pub catalogue: Option<PathBuf>,
    pub sale_id: Option<String>,
    /// `http://host:port` of the look-up, for the ledger.
    pub lookup_url: Option<String>,
    /// Maximum orders to look up; `None`: [`LOOK_UPS`], or [`LOOK_UPS_ALONE`] without a database.
    pub look_ups_max: Option<usize>,
}

#[derive(Debug)]
pub struct SystemUnderTest {
    /// `None` if the system was already running.
    pub launched: Option<(Environment, Services)>,
    pub target: Target,
    pub stack: TestedStack,
    pub ledger: LedgerAccess,
    /// False if the order ids in the responses are the only known ones.
    pub knows_order_ids: bool,
    pub workload: Workload,
    faults: FaultPlan,
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

impl SystemUnderTest {
    /// Starts broker, database and services, and initialises the schema.
    pub async fn launch(scenario: &Scenario, config: LaunchConfig) -> anyhow::Result<Self> {
        let LaunchConfig { sale: offered, stack, through_fc, faults } = config;
        let catalogue = Catalogue::from_toml(&offered.catalogue_toml)?;
        let sale_id = SaleId::parse(&offered.sale_id)?;
        let sale = catalogue.sale(&sale_id).context("the sale is not in the catalogue")?;
        println!("Preparing broker, schema, stock and the consumer group's offsets");
        let environment = Environment::start(stack, &sale.order_id_key).await?;
        let started = start_services(
            &environment,
            &catalogue,
            &offered.catalogue_toml,
            scenario.drain.rate,
            through_fc.as_deref(),
        );
        let services = match started.await {
            Ok(services) => services,
            Err(error) => bail!("{error:#}\nLogs: {}", environment.directory().display()),
        };
        let keys: OrderIdKeys = environment.order_id_keys.parse()?;
        let key = keys.get(&sale.order_id_key).context("the sale's key")?.clone();
        let reader = LedgerReader::connect(&environment.read_url).await?;
        let look_up = Some(LookUpClient::at(services.query));
        Ok(Self {
            target: Target::plain(services.ingest, "spillway"),
            stack: stack.into(),
            workload: Workload::new(scenario, sale, key, rand::random())?,
            launched: Some((environment, services)),
            faults,
            ledger: LedgerAccess {
                reader: Some(reader),
                look_up,
                look_ups_max: LOOK_UPS,
                invisible: INVISIBLE,
            },
            knows_order_ids: true,
        })
    }

    /// Uses a system that is already running.
    pub async fn attach(scenario: &Scenario, external: &ExternalSystem) -> anyhow::Result<Self> {
        let catalogue = match &external.catalogue {
            Some(path) => Catalogue::load(path)?,
            None => Catalogue::from_toml(&scenario.catalogue_toml())?,
        };
        let sale = match &external.sale_id {
            Some(name) => catalogue.sale(&SaleId::parse(name)?),
            None => catalogue.sales().next(),
        };
        let sale = sale.context("the sale is not in the catalogue; set --sale")?;
        let key = match &external.order_id_keys {
            Some(keys) => {
                let keys: OrderIdKeys = keys.parse().context("SPILLWAY_ORDER_ID_KEYS")?;
                keys.get(&sale.order_id_key)
                    .with_context(|| format!("SPILLWAY_ORDER_ID_KEYS: no key `{}`", sale.order_id_key))?
                    .clone()
            }
            // Without a database the ids of the responses count, and derived ones only group the requests of an order.
            None if external.database_url.is_none() => OrderIdKey::new(&[0; 32])?,
            None => bail!("the ledger needs the system's keys of order ids: set SPILLWAY_ORDER_ID_KEYS"),
        };
        let look_up = external.lookup_url.as_deref().map(LookUpClient::new).transpose()?;
        let look_ups_max = if external.database_url.is_some() { LOOK_UPS } else { LOOK_UPS_ALONE };
        let reader = match &external.database_url {
            Some(url) => Some(LedgerReader::connect(url).await?),
            None => None,
        };
        Ok(Self {
            launched: None,
            target: external.target.clone(),
            stack: TestedStack::External,
            workload: Workload::new(scenario, sale, key, rand::random())?,
            faults: FaultPlan::default(),
            ledger: LedgerAccess {
                reader,
                look_up,
                look_ups_max: external.look_ups_max.unwrap_or(look_ups_max),
                invisible: DEFAULT_INVISIBLE,
            },
            knows_order_ids: external.order_id_keys.is_some(),
        })
    }

    /// Remembers the database's state for the ledger; `None`: no ledger. Call it before the first request.
    pub async fn begin_ledger(&mut self) -> anyhow::Result<Option<RunScope>> {
        let Some(reader) = &mut self.ledger.reader else { return Ok(None) };
        let system = LedgerSystem {
            is_own: self.launched.is_some(),
            group: self.launched.as_ref().map(|(environment, _)| environment.group.clone()),
            invisible: self.ledger.invisible,
        };
        Ok(Some(reader.begin(&self.workload, system).await?))
    }

    pub const fn keeps_a_ledger(&self) -> bool {
        self.ledger.reader.is_some() || self.ledger.look_up.is_some()
    }

    /// Names and pids of the processes to sample.
    pub async fn processes(&self) -> Vec<(String, u32)> {
        let mut processes = vec![("loadtest".to_owned(), std::process::id())];
        if let Some((environment, services)) = &self.launched {
            processes.extend(services.processes());
            // Without pids of the real stack the run still works, with fewer samples.
            processes.extend(environment.processes().await.unwrap_or_default());
        }
        processes
    }

    /// Carries out the fault plan once the workers have settled `rows`, and checks that every process runs.
    pub async fn inject_faults(&mut self, rows: u64) -> anyhow::Result<()> {
        let Some((environment, services)) = &mut self.launched else { return Ok(()) };
        if rows >= self.faults.at_rows && std::mem::take(&mut self.faults.kill_worker) {
            println!("\nKilling the drain worker (SIGKILL) in the middle of the drain");
            services.crash_worker().await?;
        }
        if rows >= self.faults.at_rows && std::mem::take(&mut self.faults.kill_broker) {
            println!("\nKilling the broker (SIGKILL) in the middle of the sale");
            environment.crash_broker().await?;
        }
        environment.check()?;
        services.check()
    }

    /// Stops what was launched; `keep` leaves data and logs. Returns fc-local's summary, if it was used.
    pub async fn stop(self, keep: bool) -> anyhow::Result<Option<FrontSummary>> {
        drop(self.ledger);
        let Some((environment, services)) = self.launched else { return Ok(None) };
        let summary = services.stop().await?;
        environment.stop(keep).await?;
        Ok(summary)
    }

    pub fn log_directory(&self) -> Option<String> {
        self.launched.as_ref().map(|(environment, _)| environment.directory().display().to_string())
    }
}

async fn start_services(
    environment: &Environment,
    catalogue: &Catalogue,
    catalogue_toml: &str,
    drain_rate: u32,
    through_fc: Option<&[String]>,
) -> anyhow::Result<Services> {
    let prepared = drain_worker::init::init(
        &environment.migrate_url,
        catalogue,
        environment.client.clone(),
        &environment.group,
        &environment.topic,
    )
    .await?;
    environment.schema_changed().await?;
    let ingest = if through_fc.is_some() { "fc-local" } else { "ingest-fn" };
    println!("Starting {ingest} and drain-worker ({} queues)", prepared.queues);
    Services::start(environment, catalogue_toml, drain_rate, through_fc).await
}

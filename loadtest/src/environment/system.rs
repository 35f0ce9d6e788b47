//! The system under test: started here, or already running.

use anyhow::{Context, bail};
use drain_worker::control::AuditContext;
use fc_model::real_time::FrontSummary;
use shared::catalogue::Catalogue;
use shared::order::{OrderIdKeys, SaleId};

use super::services::{INVISIBLE, Services};
use super::sources::{LOOK_UPS, LedgerAccess, LedgerSources, OfferedSale};
use super::stack::{Environment, Stack};
use crate::ledger::{LedgerReader, LedgerSystem, LookUpClient, RunScope};
use crate::report::TestedStack;
use crate::scenario::Scenario;
use crate::target::Target;
use crate::workload::{RunId, Workload};

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
    pub sale: OfferedSale,
    pub sources: LedgerSources,
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
        let look_up = Some(LookUpClient::new(Target::plain(services.query, "spillway")));
        Ok(Self {
            target: Target::plain(services.ingest, "spillway"),
            stack: stack.into(),
            workload: Workload::new(scenario, sale, key, RunId::random().number())?,
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
    pub async fn attach(
        scenario: &Scenario,
        external: ExternalSystem,
        run_id: RunId,
    ) -> anyhow::Result<Self> {
        let ExternalSystem { target, sale, sources } = external;
        Ok(Self {
            launched: None,
            target,
            stack: TestedStack::External,
            workload: sources.workload(scenario, &sale, run_id)?,
            faults: FaultPlan::default(),
            ledger: sources.open().await?,
            knows_order_ids: sources.knows_order_ids(),
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
        &AuditContext::default(),
    )
    .await?;
    environment.schema_changed().await?;
    let ingest = if through_fc.is_some() { "fc-local" } else { "ingest-fn" };
    println!("Starting {ingest} and drain-worker ({} queues)", prepared.queues);
    Services::start(environment, catalogue_toml, drain_rate, through_fc).await
}

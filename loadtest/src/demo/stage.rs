//! Where the sale is played: broker and database, embedded or real.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use shared::config::DatabaseUrl;
use shared::rocketmq::{ClientConfig, Credentials};
use sqlx::mysql::MySqlConnection;
use sqlx::{AssertSqlSafe, Connection, Executor};
use tokio::process::Command;

use super::DemoArgs;
use crate::parts::{Child, free_address};

/// The embedded broker's topic.
const TOPIC: &str = "orders";

/// The embedded broker's group.
const GROUP: &str = "drain";

/// Broker and database of one run.
#[derive(Debug)]
pub(super) struct Stage {
    directory: PathBuf,
    /// The broker's connection.
    pub(super) client: ClientConfig,
    /// The run's topic.
    pub(super) topic: String,
    /// The run's consumer group.
    pub(super) group: String,
    /// For the schema: an account that may do DDL, no proxy between.
    pub(super) migrate_url: DatabaseUrl,
    /// For the worker.
    pub(super) worker_url: DatabaseUrl,
    /// For the ledger.
    pub(super) read_url: DatabaseUrl,
    /// For ingest-fn, and for deriving the ids that the answers must have.
    pub(super) order_id_keys: String,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// The broker's process.
    Embedded(Child),
    Real(Real),
}

/// What a real stage must undo or tell.
#[derive(Debug)]
struct Real {
    server_url: String,
    /// `None`: the proxy's own database, which stays.
    database: Option<String>,
    stack: Option<String>,
}

fn variable(name: &str) -> anyhow::Result<String> {
    std::env::var(name).with_context(|| {
        format!("--real needs {name}; run: infra/local/stack up && eval \"$(infra/local/stack env)\"")
    })
}

async fn stack(script: &str, arguments: &[&str]) -> anyhow::Result<()> {
    let output = Command::new(script).args(arguments).output().await.with_context(|| script.to_owned())?;
    if !output.status.success() {
        bail!("{script} {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

impl Stage {
    /// Sets the stage.
    pub(super) async fn set(args: &DemoArgs) -> anyhow::Result<Self> {
        let now_ms = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
        let run = format!("{now_ms}_{}", std::process::id());
        let directory = std::env::temp_dir().join(format!("spillway-demo-{run}"));
        std::fs::create_dir_all(&directory)?;
        let order_id_keys = format!("demo={:032x}{:032x}", rand::random::<u128>(), rand::random::<u128>());
        if args.real {
            Self::real(args, directory, &run, order_id_keys).await
        } else {
            let url: DatabaseUrl = format!("sqlite:{}", directory.join("orders.sqlite").display()).parse()?;
            let mut client = ClientConfig::new(free_address()?.into());
            client.request_timeout = Duration::from_secs(5);
            Ok(Self {
                kind: Kind::Embedded(start_broker(&directory, &client).await?),
                directory,
                client,
                topic: TOPIC.to_owned(),
                group: GROUP.to_owned(),
                migrate_url: url.clone(),
                worker_url: url.clone(),
                read_url: url,
                order_id_keys,
            })
        }
    }

    async fn real(
        args: &DemoArgs,
        directory: PathBuf,
        run: &str,
        order_id_keys: String,
    ) -> anyhow::Result<Self> {
        let endpoint = variable("SPILLWAY_TEST_ROCKETMQ_ENDPOINT")?.parse()?;
        let mut client = ClientConfig::new(endpoint);
        if let (Ok(access_key), Ok(secret_key)) = (
            std::env::var("SPILLWAY_TEST_ROCKETMQ_ACCESS_KEY"),
            std::env::var("SPILLWAY_TEST_ROCKETMQ_SECRET_KEY"),
        ) {
            client.credentials = Some(Credentials { access_key, secret_key, session_token: None });
        }
        let script = variable("SPILLWAY_TEST_STACK")?;
        let topic = format!("demo_{run}");
        let group = format!("demo_{run}_drain");
        println!("Making topic {topic} and group {group} on {}", client.endpoint);
        stack(&script, &["topic", &topic, "--queues", "8", "--group", &group]).await?;
        let (server_url, database, migrate_url, worker_url) = if args.proxy {
            let direct = variable("SPILLWAY_TEST_MYSQL_PROXY_DIRECT_URL")?;
            empty(&direct).await?;
            (direct.clone(), None, direct, variable("SPILLWAY_TEST_MYSQL_PROXY_URL")?)
        } else {
            let server = variable("SPILLWAY_TEST_MYSQL_URL")?;
            let database = format!("spillway_demo_{run}");
            execute(&server, format!("CREATE DATABASE {database} CHARACTER SET utf8mb4")).await?;
            let url = format!("{}/{database}", server.trim_end_matches('/'));
            (server, Some(database), url.clone(), url)
        };
        Ok(Self {
            directory,
            client,
            topic,
            group,
            read_url: migrate_url.parse()?,
            migrate_url: migrate_url.parse()?,
            worker_url: worker_url.parse()?,
            order_id_keys,
            kind: Kind::Real(Real { server_url, database, stack: args.proxy.then_some(script) }),
        })
    }

    /// Logs, and the embedded parts' data.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Ends the embedded broker as a crash would, and starts it again.
    pub(super) async fn crash_broker(&mut self) -> anyhow::Result<()> {
        if let Kind::Embedded(broker) = &mut self.kind {
            broker.kill().await?;
            *broker = start_broker(&self.directory, &self.client).await?;
        }
        Ok(())
    }

    /// Says so if the embedded broker has ended by itself.
    pub(super) fn check(&mut self) -> anyhow::Result<()> {
        match &mut self.kind {
            Kind::Embedded(broker) => broker.check(),
            Kind::Real(_) => Ok(()),
        }
    }

    /// Has the database proxy read the schema anew: it does so only at its start.
    pub(super) async fn schema_changed(&self) -> anyhow::Result<()> {
        match &self.kind {
            Kind::Real(Real { stack: Some(script), .. }) => {
                println!("Restarting the database proxy: it reads the schema only at its start");
                stack(script, &["restart", "proxy"]).await
            }
            Kind::Real(_) | Kind::Embedded(_) => Ok(()),
        }
    }

    /// Clears away what the run made.
    pub(super) async fn strike(self, keep: bool) -> anyhow::Result<()> {
        match self.kind {
            Kind::Embedded(broker) => broker.stop(Duration::from_secs(30)).await?,
            Kind::Real(Real { server_url, database: Some(database), .. }) if !keep => {
                execute(&server_url, format!("DROP DATABASE {database}")).await?;
            }
            Kind::Real(_) => {}
        }
        if keep {
            println!("Left behind: {}", self.directory.display());
            return Ok(());
        }
        Ok(std::fs::remove_dir_all(&self.directory)?)
    }
}

async fn start_broker(directory: &Path, client: &ClientConfig) -> anyhow::Result<Child> {
    let address = client.endpoint.to_string();
    let arguments = [
        format!("--dir={}", directory.join("broker").display()),
        format!("--listen={address}"),
        format!("--topic={TOPIC}"),
        format!("--group={GROUP}"),
    ];
    let mut broker = Child::start("broker", &arguments, &[], directory)?;
    broker.listening(address.parse()?, Duration::from_secs(20)).await?;
    Ok(broker)
}

/// `statement` is made here, of names made here.
async fn execute(url: &str, statement: String) -> anyhow::Result<()> {
    let mut connection = MySqlConnection::connect(url).await.context("MariaDB does not answer")?;
    connection.execute(sqlx::raw_sql(AssertSqlSafe(statement))).await?;
    Ok(connection.close().await?)
}

/// Drops every table of a database.
async fn empty(url: &str) -> anyhow::Result<()> {
    let mut connection = MySqlConnection::connect(url).await.context("MariaDB does not answer")?;
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT CAST(table_name AS CHAR) FROM information_schema.tables WHERE table_schema = DATABASE()",
    )
    .fetch_all(&mut connection)
    .await?;
    for table in tables {
        connection.execute(sqlx::raw_sql(AssertSqlSafe(format!("DROP TABLE `{table}`")))).await?;
    }
    Ok(connection.close().await?)
}

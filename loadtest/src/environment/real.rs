//! The real stack: what `infra/local/stack` has started.

use anyhow::{Context, bail};
use shared::config::DatabaseUrl;
use shared::rocketmq::{ClientConfig, Credentials};
use sqlx::mysql::MySqlConnection;
use sqlx::{AssertSqlSafe, Connection, Executor};
use tokio::process::Command;

/// The database and the script of a run on the real stack.
#[derive(Debug)]
pub(super) struct RealStack {
    server_url: String,
    /// `None`: the proxy's own database, which is never dropped.
    database: Option<String>,
    script: String,
}

/// Topic, group and database of one run.
pub(super) struct RunResources {
    pub(super) client: ClientConfig,
    pub(super) topic: String,
    pub(super) group: String,
    pub(super) migrate_url: DatabaseUrl,
    pub(super) worker_url: DatabaseUrl,
    pub(super) real: RealStack,
}

fn variable(name: &str) -> anyhow::Result<String> {
    std::env::var(name).with_context(|| {
        format!("--real needs {name}; run: infra/local/stack up && eval \"$(infra/local/stack env)\"")
    })
}

async fn run_script(script: &str, arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new(script).args(arguments).output().await.with_context(|| script.to_owned())?;
    if !output.status.success() {
        bail!("{script} {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

impl RunResources {
    /// Creates a topic, a group and a database for the run named `run`.
    pub(super) async fn create(proxy: bool, run: &str) -> anyhow::Result<Self> {
        let endpoint = variable("SPILLWAY_TEST_ROCKETMQ_ENDPOINT")?.parse()?;
        let mut client = ClientConfig::new(endpoint);
        if let (Ok(access_key), Ok(secret_key)) = (
            std::env::var("SPILLWAY_TEST_ROCKETMQ_ACCESS_KEY"),
            std::env::var("SPILLWAY_TEST_ROCKETMQ_SECRET_KEY"),
        ) {
            let credentials = Credentials { access_key, secret_key, session_token: None };
            client.credentials = Some(credentials.into());
        }
        let script = variable("SPILLWAY_TEST_STACK")?;
        let topic = format!("run_{run}");
        let group = format!("run_{run}_drain");
        println!("Creating topic {topic} and group {group} on {}", client.endpoints);
        run_script(&script, &["topic", &topic, "--queues", "8", "--group", &group]).await?;
        let (server_url, database, migrate_url, worker_url) = if proxy {
            let direct = variable("SPILLWAY_TEST_MYSQL_PROXY_DIRECT_URL")?;
            empty(&direct).await?;
            (direct.clone(), None, direct, variable("SPILLWAY_TEST_MYSQL_PROXY_URL")?)
        } else {
            let server = variable("SPILLWAY_TEST_MYSQL_URL")?;
            let database = format!("spillway_run_{run}");
            execute(&server, format!("CREATE DATABASE {database} CHARACTER SET utf8mb4")).await?;
            let url = format!("{}/{database}", server.trim_end_matches('/'));
            (server, Some(database), url.clone(), url)
        };
        Ok(Self {
            client,
            topic,
            group,
            migrate_url: migrate_url.parse()?,
            worker_url: worker_url.parse()?,
            real: RealStack { server_url, database, script },
        })
    }
}

impl RealStack {
    pub(super) async fn processes(&self) -> anyhow::Result<Vec<(String, u32)>> {
        // The exit code is ignored: a proxy that is down matters only to runs that use it.
        let output = Command::new(&self.script).arg("status").output().await?;
        Ok(read_status(&String::from_utf8_lossy(&output.stdout), self.database.is_none()))
    }

    pub(super) async fn schema_changed(&self) -> anyhow::Result<()> {
        if self.database.is_none() {
            println!("Restarting the database proxy: it reads the schema only at its start");
            run_script(&self.script, &["restart", "proxy"]).await?;
        }
        Ok(())
    }

    /// Drops the run's database, unless `keep`.
    pub(super) async fn drop(self, keep: bool) -> anyhow::Result<()> {
        match self.database {
            Some(database) if !keep => execute(&self.server_url, format!("DROP DATABASE {database}")).await,
            _ => Ok(()),
        }
    }
}

/// Reads pids from lines such as `broker   up  127.0.0.1:8081  pid 123 5.5.0`.
fn read_status(text: &str, proxy: bool) -> Vec<(String, u32)> {
    let process = |line: &str| {
        let name = match line.split_whitespace().next()? {
            "broker" => "broker",
            "mariadb" => "database",
            "proxy" if proxy => "database proxy",
            _ => return None,
        };
        let pid = line.split_whitespace().skip_while(|word| *word != "pid").nth(1)?.parse().ok()?;
        Some((name.to_owned(), pid))
    };
    text.lines().filter_map(process).collect()
}

/// `statement` holds only names created in this module.
async fn execute(url: &str, statement: String) -> anyhow::Result<()> {
    let mut connection = MySqlConnection::connect(url).await.context("cannot connect to MariaDB")?;
    connection.execute(sqlx::raw_sql(AssertSqlSafe(statement))).await?;
    Ok(connection.close().await?)
}

async fn empty(url: &str) -> anyhow::Result<()> {
    let mut connection = MySqlConnection::connect(url).await.context("cannot connect to MariaDB")?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stack_status_names_the_processes() {
        let text = "namesrv  up  127.0.0.1:9876   pid 11 5.5.0\nbroker   up  127.0.0.1:8081   pid 22 5.5.0\n\
                    mariadb  up  127.0.0.1:13306  pid 33 10.11\nproxy    down  127.0.0.1:13307  pid -\n";
        let expected = [("broker".to_owned(), 22), ("database".to_owned(), 33)];
        assert_eq!(read_status(text, true), expected);
        assert_eq!(read_status(&text.replace("pid -", "pid 44"), true).len(), 3);
    }
}

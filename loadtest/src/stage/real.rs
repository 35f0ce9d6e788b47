//! The real parts: what `infra/local/stack` has started.

use std::path::PathBuf;

use anyhow::{Context, bail};
use shared::rocketmq::{ClientConfig, Credentials};
use sqlx::mysql::MySqlConnection;
use sqlx::{AssertSqlSafe, Connection, Executor};
use tokio::process::Command;

use super::{Kind, Stage};

/// What a real stage must undo or tell.
#[derive(Debug)]
pub(super) struct Real {
    server_url: String,
    /// `None`: the proxy's own database, which stays.
    database: Option<String>,
    script: String,
}

fn variable(name: &str) -> anyhow::Result<String> {
    std::env::var(name).with_context(|| {
        format!("--real needs {name}; run: infra/local/stack up && eval \"$(infra/local/stack env)\"")
    })
}

async fn stack(script: &str, arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new(script).args(arguments).output().await.with_context(|| script.to_owned())?;
    if !output.status.success() {
        bail!("{script} {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Makes a topic, a group and a database for one run.
pub(super) async fn stage(
    proxy: bool,
    directory: PathBuf,
    run: &str,
    order_id_keys: String,
) -> anyhow::Result<Stage> {
    let endpoint = variable("SPILLWAY_TEST_ROCKETMQ_ENDPOINT")?.parse()?;
    let mut client = ClientConfig::new(endpoint);
    if let (Ok(access_key), Ok(secret_key)) = (
        std::env::var("SPILLWAY_TEST_ROCKETMQ_ACCESS_KEY"),
        std::env::var("SPILLWAY_TEST_ROCKETMQ_SECRET_KEY"),
    ) {
        client.credentials = Some(Credentials { access_key, secret_key, session_token: None });
    }
    let script = variable("SPILLWAY_TEST_STACK")?;
    let topic = format!("run_{run}");
    let group = format!("run_{run}_drain");
    println!("Making topic {topic} and group {group} on {}", client.endpoint);
    stack(&script, &["topic", &topic, "--queues", "8", "--group", &group]).await?;
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
    Ok(Stage {
        directory,
        client,
        topic,
        group,
        read_url: migrate_url.parse()?,
        migrate_url: migrate_url.parse()?,
        worker_url: worker_url.parse()?,
        order_id_keys,
        kind: Kind::Real(Real { server_url, database, script }),
    })
}

impl Real {
    pub(super) async fn processes(&self) -> anyhow::Result<Vec<(String, u32)>> {
        // Its exit code tells whether all is up; a proxy that is down matters only to whoever uses it.
        let output = Command::new(&self.script).arg("status").output().await?;
        Ok(read_status(&String::from_utf8_lossy(&output.stdout), self.database.is_none()))
    }

    pub(super) async fn schema_changed(&self) -> anyhow::Result<()> {
        if self.database.is_none() {
            println!("Restarting the database proxy: it reads the schema only at its start");
            stack(&self.script, &["restart", "proxy"]).await?;
        }
        Ok(())
    }

    pub(super) async fn strike(self, keep: bool) -> anyhow::Result<()> {
        match self.database {
            Some(database) if !keep => execute(&self.server_url, format!("DROP DATABASE {database}")).await,
            _ => Ok(()),
        }
    }
}

/// Pids out of lines such as `broker   up  127.0.0.1:8081  pid 123 5.5.0`.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stack_s_status_names_the_processes() {
        let text = "namesrv  up  127.0.0.1:9876   pid 11 5.5.0\nbroker   up  127.0.0.1:8081   pid 22 5.5.0\n\
                    mariadb  up  127.0.0.1:13306  pid 33 10.11\nproxy    down  127.0.0.1:13307  pid -\n";
        let expected = [("broker".to_owned(), 22), ("database".to_owned(), 33)];
        assert_eq!(read_status(text, true), expected);
        assert_eq!(read_status(&text.replace("pid -", "pid 44"), true).len(), 3);
    }
}

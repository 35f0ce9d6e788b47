//! Flags of the database.

use std::num::NonZeroU32;
use std::time::Duration;

use serde::Serialize;
use shared::config::{ConfigErrors, DatabaseUrl};

use crate::store::{StoreConfig, check_url};

#[derive(Clone, Debug, clap::Args, Serialize)]
#[command(next_help_heading = "Database")]
pub struct DatabaseArgs {
    /// URL: mysql://user:password@host:port/database or sqlite:FILE; prefer the environment variable
    #[arg(long, env = "SPILLWAY_DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub database_url: DatabaseUrl,

    /// Connections that write: the maximum of transactions in flight
    #[arg(long, env = "SPILLWAY_DATABASE_WRITERS_MAX", value_name = "COUNT", default_value = "4")]
    pub database_writers_max: NonZeroU32,

    /// Connections for lookups, separate from the writers'
    #[arg(long, env = "SPILLWAY_DATABASE_READERS_MAX", value_name = "COUNT", default_value = "2")]
    pub database_readers_max: NonZeroU32,

    /// Maximum wait for a connection, milliseconds
    #[arg(long, env = "SPILLWAY_DATABASE_ACQUIRE_TIMEOUT_MS", value_name = "MS", default_value_t = 5_000,
          value_parser = clap::value_parser!(u64).range(50..=60_000))]
    pub database_acquire_timeout_ms: u64,
}

impl DatabaseArgs {
    pub(crate) fn check(&self, errors: &mut ConfigErrors) {
        check(&self.database_url, errors);
    }

    #[must_use]
    pub fn store_config(&self) -> StoreConfig {
        StoreConfig {
            writers_max: self.database_writers_max,
            readers_max: self.database_readers_max,
            acquire_timeout: Duration::from_millis(self.database_acquire_timeout_ms),
            ..StoreConfig::default()
        }
    }
}

#[derive(Clone, Debug, clap::Args, Serialize)]
#[command(next_help_heading = "Database")]
pub struct MigratorArgs {
    /// URL, with an account that may change the schema; not through a pooling proxy; prefer the environment variable
    #[arg(long, env = "SPILLWAY_DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub database_url: DatabaseUrl,
}

impl MigratorArgs {
    pub(crate) fn check(&self, errors: &mut ConfigErrors) {
        check(&self.database_url, errors);
    }
}

fn check(url: &DatabaseUrl, errors: &mut ConfigErrors) {
    if let Err(fault) = check_url(url) {
        errors.push(format_args!("--database-url: {fault}"));
    }
}

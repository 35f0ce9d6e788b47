//! Settings of the connection to RocketMQ.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use spillway_rocketmq::{ClientConfig, Credentials, Endpoints, TlsConfig};

use super::{ConfigErrors, Secret};

/// Flags and environment variables for the connection to RocketMQ.
#[derive(Clone, Debug, clap::Args, Serialize)]
#[command(next_help_heading = "RocketMQ")]
pub struct RocketmqArgs {
    /// Access point of the broker's gRPC proxy, host:port
    #[arg(
        long,
        env = "SPILLWAY_ROCKETMQ_ENDPOINT",
        value_name = "HOST:PORT",
        default_value = "127.0.0.1:8081"
    )]
    pub rocketmq_endpoint: String,

    /// Namespace of the instance; empty for none
    #[arg(long, env = "SPILLWAY_ROCKETMQ_NAMESPACE", value_name = "NAME", default_value = "")]
    pub rocketmq_namespace: String,

    /// Access key: on the managed service the user name of the instance or of an ACL user
    #[arg(long, env = "SPILLWAY_ROCKETMQ_ACCESS_KEY", value_name = "KEY", hide_env_values = true)]
    pub rocketmq_access_key: Option<String>,

    /// Secret key of the access key; prefer the environment variable, flags show in process lists
    #[arg(long, env = "SPILLWAY_ROCKETMQ_SECRET_KEY", value_name = "SECRET", hide_env_values = true)]
    pub rocketmq_secret_key: Option<Secret<String>>,

    /// Use TLS; the broker's certificate is checked against the public roots
    #[arg(long, env = "SPILLWAY_ROCKETMQ_TLS")]
    pub rocketmq_tls: bool,

    /// PEM file of the root certificates to check the broker against; implies TLS
    #[arg(long, env = "SPILLWAY_ROCKETMQ_TLS_ROOTS", value_name = "FILE")]
    pub rocketmq_tls_roots: Option<PathBuf>,

    /// Time-out of one call to the broker, milliseconds
    #[arg(long, env = "SPILLWAY_ROCKETMQ_REQUEST_TIMEOUT_MS", value_name = "MS", default_value_t = 3_000,
          value_parser = clap::value_parser!(u64).range(50..=60_000))]
    pub rocketmq_request_timeout_ms: u64,

    /// Topic that carries the orders
    #[arg(long, env = "SPILLWAY_ORDERS_TOPIC", value_name = "TOPIC", default_value = "orders")]
    pub orders_topic: String,
}

impl RocketmqArgs {
    /// Builds the client's configuration. Records every error in `errors` and then returns `None`.
    pub fn client_config(&self, errors: &mut ConfigErrors) -> Option<ClientConfig> {
        let endpoints: Option<Endpoints> = self
            .rocketmq_endpoint
            .parse()
            .map_err(|error| errors.push(format_args!("--rocketmq-endpoint: {error}")))
            .ok();
        let credentials = match (&self.rocketmq_access_key, &self.rocketmq_secret_key) {
            (None, None) => None,
            (Some(access_key), Some(secret_key))
                if access_key.is_empty() || secret_key.expose().is_empty() =>
            {
                errors.push("--rocketmq-access-key, --rocketmq-secret-key: must not be empty");
                None
            }
            (Some(access_key), Some(secret_key)) => Some(
                Credentials {
                    access_key: access_key.clone(),
                    secret_key: secret_key.expose().clone(),
                    session_token: None,
                }
                .into(),
            ),
            _ => {
                errors.push("--rocketmq-access-key, --rocketmq-secret-key: set both or neither");
                None
            }
        };
        let tls = match &self.rocketmq_tls_roots {
            Some(path) => match std::fs::read(path) {
                Ok(pem) => Some(TlsConfig::roots(pem)),
                Err(error) => {
                    errors.push(format_args!("--rocketmq-tls-roots {}: {error}", path.display()));
                    return None;
                }
            },
            None if self.rocketmq_tls => Some(TlsConfig::public_roots()),
            None => None,
        };
        errors.require(
            is_topic_name(&self.orders_topic),
            "--orders-topic: must have 1 to 60 letters, digits, '-' and '_'",
        );
        let mut config = ClientConfig::new(endpoints?);
        config.namespace.clone_from(&self.rocketmq_namespace);
        config.credentials = credentials;
        config.tls = tls;
        config.request_timeout = Duration::from_millis(self.rocketmq_request_timeout_ms);
        config.connect_timeout = config.connect_timeout.min(config.request_timeout);
        Some(config)
    }
}

/// True if `name` satisfies the managed service's rule for names of topics and groups.
#[must_use]
pub fn is_topic_name(name: &str) -> bool {
    (1..=60).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

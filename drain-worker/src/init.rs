//! Preparation before the first publish.

use std::time::Duration;

use serde::Serialize;
use shared::catalogue::Catalogue;
use shared::config::DatabaseUrl;
use shared::rocketmq::{ClientConfig, ClientError, ConsumerConfig, DefaultContext, StreamConsumer};

use crate::control::AuditContext;
use crate::store::{Store, StoreConfig, StoreError};

/// A failed preparation. Nothing needs undoing: run it again.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    #[error("database: {0}")]
    Store(#[from] StoreError),
    #[error("RocketMQ: {0}")]
    Broker(#[from] ClientError),
}

#[derive(Clone, Copy, Debug, Serialize)]
pub struct Prepared {
    /// Queues on which the group now has an offset.
    pub queues: usize,
    pub waiting: usize,
}

/// Applies the migrations, writes the catalogue's stock and limits, which is on the audit trail, and sets the group's offset on every queue, so
/// that no later message is missed. Repeating it changes nothing.
///
/// # Errors
/// [`InitError`]; run it again.
pub async fn init(
    database_url: &DatabaseUrl,
    catalogue: &Catalogue,
    client: ClientConfig,
    group: &str,
    topic: &str,
    context: &AuditContext,
) -> Result<Prepared, InitError> {
    let store = Store::connect(database_url, StoreConfig::default()).await?;
    store.migrate().await?;
    store.apply_catalogue_audited(catalogue, group, context).await?;
    let mut config = ConsumerConfig::new(group, [topic]);
    config.extend_max = None;
    // No message is expected: the server's minimum is enough.
    config.long_polling_timeout = Duration::from_secs(1);
    let consumer = StreamConsumer::connect(client, config, DefaultContext).await?;
    let subscribed = consumer.initialize_offsets().await;
    consumer.close(Duration::from_secs(5)).await;
    let subscribed = subscribed?;
    Ok(Prepared { queues: subscribed.queues, waiting: subscribed.waiting })
}

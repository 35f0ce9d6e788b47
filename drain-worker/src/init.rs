//! What comes before the first publish.

use std::time::Duration;

use serde::Serialize;
use shared::catalogue::Catalogue;
use shared::config::DatabaseUrl;
use shared::rocketmq::{ClientConfig, ClientError, ConsumerConfig, DefaultContext, StreamConsumer};

use crate::store::{Store, StoreConfig, StoreError};

/// Why the preparation failed. Nothing it has done by then needs undoing: run it again.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// The database.
    #[error("database: {0}")]
    Store(#[from] StoreError),
    /// The broker.
    #[error("RocketMQ: {0}")]
    Broker(#[from] ClientError),
}

/// What the preparation found.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Prepared {
    /// Queues on which the group now has a place.
    pub queues: usize,
    /// Messages that already waited.
    pub waiting: usize,
}

/// Brings the schema up to date, takes over the catalogue's stock and limits, and gives the group its place on every
/// queue, so that nothing published from now on is missed. Doing it again changes nothing.
///
/// # Errors
/// [`InitError`].
pub async fn init(
    database_url: &DatabaseUrl,
    catalogue: &Catalogue,
    client: ClientConfig,
    group: &str,
    topic: &str,
) -> Result<Prepared, InitError> {
    let store = Store::connect(database_url, StoreConfig::default()).await?;
    store.migrate().await?;
    store.apply_catalogue(catalogue).await?;
    let mut config = ConsumerConfig::new(group, [topic]);
    config.extend_max = None;
    // Nothing is expected: the shortest that a server will wait is long enough.
    config.long_polling_timeout = Duration::from_secs(1);
    let consumer = StreamConsumer::connect(client, config, DefaultContext).await?;
    let subscribed = consumer.initialize_offsets().await;
    consumer.close(Duration::from_secs(5)).await;
    let subscribed = subscribed?;
    Ok(Prepared { queues: subscribed.queues, waiting: subscribed.waiting })
}

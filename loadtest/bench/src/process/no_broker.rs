//! ingest-fn with a publisher that acknowledges immediately: its cost without sending. Not a flag of ingest-fn, which
//! must never respond 202 for an order that no broker has.

use std::ffi::OsString;
use std::time::Duration;

use anyhow::anyhow;
use clap::Parser;
use ingest_fn::config::{Config, Settings};
use ingest_fn::publish::{OrderPublisher, PublishError};
use ingest_fn::server::serve;
use shared::envelope::EncodedOrder;
use shared::order::OrderId;
use tokio_util::sync::CancellationToken;

#[derive(Clone, Copy, Debug)]
struct DiscardingPublisher;

impl OrderPublisher for DiscardingPublisher {
    async fn publish(
        &self,
        _order_id: OrderId,
        order: EncodedOrder,
        _within: Duration,
    ) -> Result<(), PublishError> {
        // The encoding is part of what is measured.
        std::hint::black_box(order);
        Ok(())
    }
}

/// Serves until the process ends. `arguments` are ingest-fn's, the program's name first.
pub(super) fn run(arguments: impl IntoIterator<Item = OsString>) -> anyhow::Result<()> {
    let config = match Config::try_parse_from(arguments) {
        Ok(config) => config,
        Err(error) => error.exit(),
    };
    run_server(config.settings().map_err(|errors| anyhow!("{errors}"))?)
}

#[tokio::main(flavor = "current_thread")]
async fn run_server(settings: Settings) -> anyhow::Result<()> {
    shared::telemetry::metrics();
    let listener = shared::http::listen(settings.listen)?;
    Ok(serve(settings.server, listener, CancellationToken::new(), || Ok(DiscardingPublisher)).await?)
}

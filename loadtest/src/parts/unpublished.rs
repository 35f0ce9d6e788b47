//! ingest-fn with a broker that takes everything at once: what its own work costs, without the sending. It is no flag
//! of ingest-fn, which must never answer 202 for an order that no broker has.

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::anyhow;
use axum::serve::ListenerExt;
use clap::Parser;
use ingest_fn::app::{App, RequestLimits};
use ingest_fn::config::{Config, Settings};
use ingest_fn::publish::{OrderPublisher, PublishError};
use ingest_fn::router::router;
use shared::envelope::EncodedOrder;
use shared::order::OrderId;
use shared::time::SystemClock;

/// Acknowledges at once.
#[derive(Clone, Copy, Debug)]
struct Unpublished;

impl OrderPublisher for Unpublished {
    async fn publish(&self, _order_id: OrderId, order: EncodedOrder) -> Result<(), PublishError> {
        // The encoding is part of what is measured.
        std::hint::black_box(order);
        Ok(())
    }
}

/// Serves until the process ends. `arguments` are ingest-fn's own, the program's name first.
pub(super) fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let config = match Config::try_parse_from(arguments) {
        Ok(config) => config,
        Err(error) => error.exit(),
    };
    match config.settings().map_err(|errors| anyhow!("{errors}")).and_then(serve) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("unpublished: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn serve(settings: Settings) -> anyhow::Result<()> {
    shared::telemetry::metrics();
    let limits = RequestLimits {
        requests_max: settings.requests_max,
        body_timeout: settings.body_timeout,
        drain_timeout: settings.grace,
    };
    let app = App::new(settings.catalogue, &settings.order_id_keys, Unpublished, SystemClock, limits);
    let listener = shared::listen::listen(settings.listen)?.tap_io(|stream| {
        let _left_as_it_is = stream.set_nodelay(true);
    });
    Ok(axum::serve(listener, router(Arc::new(app))).await?)
}

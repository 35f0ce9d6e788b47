//! The calls of the protocol.

mod receive;
mod route;
mod send;
mod session;
mod settle;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::metadata::MetadataMap;

pub(crate) use self::receive::receive;
pub(crate) use self::route::route;
pub(crate) use self::send::send;
pub(crate) use self::session::{heartbeat, telemetry, terminate};
pub(crate) use self::settle::{ack, change};
use super::auth;
use super::clients::Clients;
use super::config::BrokerConfig;
use super::error::Refusal;
use super::faults::{Call, Faults};
use super::node::Nodes;
use super::topology::Topology;
use spillway_rocketmq::protocol::{Code, Resource, Status, header};

/// State that all calls share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: BrokerConfig,
    pub(crate) local: SocketAddr,
    pub(crate) topology: Arc<Topology>,
    pub(crate) nodes: Arc<Nodes>,
    pub(crate) clients: Arc<Clients>,
    /// Faults of connections, and of calls that concern no single broker.
    pub(crate) faults: Faults,
    /// One permit per byte of sends in flight.
    pub(crate) pending_bytes: Arc<Semaphore>,
    /// Cancelled to end long polls and Telemetry streams.
    pub(crate) stopping: CancellationToken,
}

/// The caller, from the call's metadata.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) client_id: String,
    /// Deadline of the call, if the client sent one.
    pub(crate) deadline: Option<Instant>,
    pub(crate) version: Option<String>,
}

impl Shared {
    /// Admits a call that concerns no single broker.
    pub(crate) fn begin(&self, call: Call, metadata: &MetadataMap) -> Result<Caller, Refusal> {
        let caller = self.admit(metadata)?;
        self.faults.begin(call)?;
        Ok(caller)
    }

    /// Checks the metadata that every call must carry.
    pub(crate) fn admit(&self, metadata: &MetadataMap) -> Result<Caller, Refusal> {
        if let Some(credentials) = &self.config.credentials {
            auth::check(credentials, metadata)?;
        }
        let text = |name| metadata.get(name).and_then(|value| value.to_str().ok());
        let client_id = text(header::CLIENT_ID).filter(|id| !id.is_empty());
        let Some(client_id) = client_id else {
            return Err(Refusal::new(Code::CLIENT_ID_REQUIRED, "client id cannot be empty"));
        };
        Ok(Caller {
            client_id: client_id.to_owned(),
            deadline: text("grpc-timeout").and_then(grpc_timeout).map(|timeout| Instant::now() + timeout),
            version: text(header::CLIENT_VERSION).map(str::to_owned),
        })
    }

    /// Waits while faults hold responses.
    pub(crate) async fn hold(&self, call: Call) {
        self.faults.hold(call, &self.stopping).await;
    }
}

/// Full name of a resource, with its namespace as prefix.
pub(crate) fn full_name(resource: Option<&Resource>) -> String {
    match resource {
        Some(Resource { resource_namespace, name }) if !resource_namespace.is_empty() => {
            format!("{resource_namespace}%{name}")
        }
        Some(Resource { name, .. }) => name.clone(),
        None => String::new(),
    }
}

pub(crate) fn ok() -> Status {
    Code::OK.status("OK")
}

/// The OK status.
pub(crate) fn status_of(result: Result<(), Refusal>) -> Status {
    result.map_or_else(Refusal::status, |()| ok())
}

/// Parses gRPC's time-out header: up to eight digits and a unit.
fn grpc_timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 {
        return None;
    }
    let value: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(value * 3600)),
        "M" => Some(Duration::from_secs(value * 60)),
        "S" => Some(Duration::from_secs(value)),
        "m" => Some(Duration::from_millis(value)),
        "u" => Some(Duration::from_micros(value)),
        "n" => Some(Duration::from_nanos(value)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_read_as_grpc_says() {
        assert_eq!(grpc_timeout("3000000u"), Some(Duration::from_secs(3)));
        assert_eq!(grpc_timeout("2M"), Some(Duration::from_secs(120)));
        for text in ["", "S", "123456789S", "1x", "é", "1é"] {
            assert_eq!(grpc_timeout(text), None, "{text}");
        }
    }

    #[test]
    fn a_namespace_goes_in_front() {
        let mut resource = Resource { resource_namespace: String::new(), name: "orders".to_owned() };
        assert_eq!(full_name(Some(&resource)), "orders");
        resource.resource_namespace = "ns".to_owned();
        assert_eq!(full_name(Some(&resource)), "ns%orders");
    }
}

//! The calls of the protocol.

mod receive;
mod route;
mod send;
mod session;
mod settle;

use std::net::SocketAddr;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tonic::Request;

pub(crate) use self::receive::receive;
pub(crate) use self::route::route;
pub(crate) use self::send::send;
pub(crate) use self::session::{heartbeat, telemetry, terminate};
pub(crate) use self::settle::{ack, change};
use super::clients::Clients;
use super::config::BrokerConfig;
use super::error::Refusal;
use super::faults::{Call, Faults};
use super::intake::{Caller, Intake, caller};
use super::node::Nodes;
use super::topology::Topology;
use spillway_rocketmq::protocol::{Code, Resource, Status};

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
    pub(crate) intake: Intake,
    /// Cancelled to end long polls and Telemetry streams.
    pub(crate) stopping: CancellationToken,
}

impl Shared {
    /// Begins a call that concerns no single broker.
    pub(crate) fn begin<T>(&self, call: Call, request: &Request<T>) -> Result<Caller, Refusal> {
        let caller = caller(request)?;
        self.faults.begin(call)?;
        Ok(caller)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_goes_in_front() {
        let mut resource = Resource { resource_namespace: String::new(), name: "orders".to_owned() };
        assert_eq!(full_name(Some(&resource)), "orders");
        resource.resource_namespace = "ns".to_owned();
        assert_eq!(full_name(Some(&resource)), "ns%orders");
    }
}

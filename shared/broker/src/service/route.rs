//! QueryRoute.

use std::net::IpAddr;
use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::{Shared, full_name, ok};
use crate::error::Refusal;
use spillway_rocketmq::protocol::{
    Address, AddressScheme, Broker, Endpoints, MessageQueue, MessageType, Permission, QueryRouteRequest,
    QueryRouteResponse,
};

/// Name of the only broker.
const BROKER_NAME: &str = "embedded";

/// Returns a topic's queues, all on this broker.
pub(crate) async fn route(
    shared: Arc<Shared>,
    request: Request<QueryRouteRequest>,
) -> Result<Response<QueryRouteResponse>, Status> {
    let result = match shared.admit(request.metadata()) {
        Ok(_) => queues(&shared, request.get_ref()).await,
        Err(refusal) => Err(refusal),
    };
    shared.hold().await;
    Ok(Response::new(match result {
        Ok(message_queues) => QueryRouteResponse { status: Some(ok()), message_queues },
        Err(refusal) => QueryRouteResponse { status: Some(refusal.status()), message_queues: Vec::new() },
    }))
}

async fn queues(shared: &Shared, request: &QueryRouteRequest) -> Result<Vec<MessageQueue>, Refusal> {
    let count = shared.store.queues(full_name(request.topic.as_ref())).await?;
    let broker = Broker {
        name: BROKER_NAME.to_owned(),
        id: 0,
        endpoints: Some(endpoints(shared, request.endpoints.as_ref())),
    };
    let queue = |id| MessageQueue {
        topic: request.topic.clone(),
        id: i32::try_from(id).unwrap_or(i32::MAX),
        permission: Permission::ReadWrite.into(),
        broker: Some(broker.clone()),
        accept_message_types: vec![MessageType::Normal.into()],
    };
    Ok((0..count).map(queue).collect())
}

/// Endpoint for clients. The one they used is right even behind an address translation.
fn endpoints(shared: &Shared, came_by: Option<&Endpoints>) -> Endpoints {
    match (&shared.config.advertised, came_by) {
        (Some((host, port)), _) => single(host, *port),
        (None, Some(came_by)) if !came_by.addresses.is_empty() => came_by.clone(),
        (None, _) => single(&shared.local.ip().to_string(), shared.local.port()),
    }
}

fn single(host: &str, port: u16) -> Endpoints {
    let scheme = match host.parse() {
        Ok(IpAddr::V4(_)) => AddressScheme::Ipv4,
        Ok(IpAddr::V6(_)) => AddressScheme::Ipv6,
        Err(_) => AddressScheme::DomainName,
    };
    Endpoints { scheme: scheme.into(), addresses: vec![Address { host: host.to_owned(), port: port.into() }] }
}

//! QueryRoute.

use std::net::IpAddr;
use std::sync::Arc;

use prost::Message as ProstMessage;
use tonic::{Request, Response, Status};

use super::{Shared, full_name, ok};
use crate::error::Refusal;
use crate::faults::Call;
use crate::topology::Member;
use spillway_rocketmq::protocol::{
    Address, AddressScheme, Broker, Code, Endpoints, MessageQueue, Permission, QueryRouteRequest,
    QueryRouteResponse,
};

const ILLEGAL_ACCESS_POINT: Code = Code(40_001);
/// Maximum encoded bytes of the endpoint that a client came by. The answer repeats it for every queue, up to 256 times per
/// broker.
const ENDPOINT_BYTES_MAX: usize = 1024;

/// Returns a topic's queues on every listed broker of the cluster. Each has the same queues.
pub(crate) async fn route(
    shared: Arc<Shared>,
    request: Request<QueryRouteRequest>,
) -> Result<Response<QueryRouteResponse>, Status> {
    let result = match shared.begin(Call::QueryRoute, &request) {
        Ok(_) => queues(&shared, request.get_ref()).await,
        Err(refusal) => Err(refusal),
    };
    shared.hold(Call::QueryRoute).await;
    Ok(Response::new(match result {
        Ok(message_queues) => QueryRouteResponse { status: Some(ok()), message_queues },
        Err(refusal) => QueryRouteResponse { status: Some(refusal.status()), message_queues: Vec::new() },
    }))
}

async fn queues(shared: &Shared, request: &QueryRouteRequest) -> Result<Vec<MessageQueue>, Refusal> {
    let came_by = request.endpoints.as_ref();
    if came_by.is_some_and(|endpoints| endpoints.encoded_len() > ENDPOINT_BYTES_MAX) {
        let reason = format!("the endpoint exceeds {ENDPOINT_BYTES_MAX} bytes");
        return Err(Refusal::new(ILLEGAL_ACCESS_POINT, reason));
    }
    let topic = full_name(request.topic.as_ref());
    let info = shared
        .nodes
        .ask(|store| {
            let topic = topic.clone();
            async move { store.topic(topic).await }
        })
        .await?;
    let mut queues = Vec::new();
    for member in shared.topology.listed() {
        let broker = Broker {
            name: member.name.clone(),
            id: member.id,
            endpoints: Some(endpoints(shared, member, came_by)),
        };
        queues.extend((0..info.queues).map(|id| MessageQueue {
            topic: request.topic.clone(),
            id: i32::try_from(id).unwrap_or(i32::MAX),
            permission: Permission::ReadWrite.into(),
            broker: Some(broker.clone()),
            accept_message_types: vec![info.message_type.into()],
        }));
    }
    Ok(queues)
}

/// Endpoint for clients. The one they used is right even behind an address translation.
fn endpoints(shared: &Shared, member: &Member, came_by: Option<&Endpoints>) -> Endpoints {
    match (&member.endpoint, came_by) {
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

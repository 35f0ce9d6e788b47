//! AckMessage and ChangeInvisibleDuration.

use std::collections::BTreeMap;
use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::{Shared, full_name, ok};
use crate::config::INVISIBLE_MAX;
use crate::error::Refusal;
use crate::faults::{Call, FailAt, drop_response};
use crate::intake::caller;
use crate::node::{Handle, Node};
use crate::store::{Acked, Receipt};
use spillway_rocketmq::protocol::{
    AckMessageRequest, AckMessageResponse, AckMessageResultEntry, ChangeInvisibleDurationRequest,
    ChangeInvisibleDurationResponse, Code, Status as ProtocolStatus, from_duration,
};

/// Settles messages; every entry has its own status. The response leaves when each broker concerned has answered.
pub(crate) async fn ack(
    shared: Arc<Shared>,
    request: Request<AckMessageRequest>,
) -> Result<Response<AckMessageResponse>, Status> {
    let refused =
        |refusal: Refusal| AckMessageResponse { status: Some(refusal.status()), entries: Vec::new() };
    if let Err(refusal) = caller(&request) {
        return Ok(Response::new(refused(refusal)));
    }
    let request = request.into_inner();
    // Positions and receipts of the entries of each broker.
    let mut parts: BTreeMap<u32, Vec<(usize, Option<Receipt>)>> = BTreeMap::new();
    // The first broker says that a handle of no broker here is invalid.
    let first = shared.nodes.first_number();
    for (position, entry) in request.entries.iter().enumerate() {
        let handle = entry.receipt_handle.parse::<Handle>().ok();
        let handle = handle.filter(|handle| shared.nodes.by_number(handle.node).is_some());
        let part = parts.entry(handle.map_or(first, |handle| handle.node)).or_default();
        part.push((position, handle.map(|handle| handle.receipt)));
    }
    if parts.is_empty() {
        parts.insert(first, Vec::new());
    }
    let names = (full_name(request.topic.as_ref()), full_name(request.group.as_ref()));
    let alone = parts.len() == 1;
    let settling = parts.into_iter().map(|(number, part)| {
        let (shared, names) = (&shared, &names);
        async move {
            let (positions, receipts): (Vec<_>, Vec<_>) = part.into_iter().unzip();
            let Some(node) = shared.nodes.by_number(number) else {
                return (positions, Err(Refusal::stopped()), None);
            };
            let (result, fail) = match node.faults.begin(Call::Ack) {
                Ok(fail) => (settle(&node, names, receipts).await, fail),
                Err(refusal) => (Err(refusal), None),
            };
            node.faults.hold(Call::Ack, &shared.stopping).await;
            (positions, result, fail)
        }
    });
    let mut statuses = vec![invalid_receipt(); request.entries.len()];
    let mut lost = None;
    for (positions, result, fail) in futures_util::future::join_all(settling).await {
        lost = lost.or(fail);
        match result {
            Ok(settled) => {
                for (position, status) in positions.into_iter().zip(settled) {
                    statuses[position] = status;
                }
            }
            Err(refusal) if alone => return drop_response(Response::new(refused(refusal)), lost),
            Err(refusal) => {
                positions.into_iter().for_each(|position| statuses[position] = refusal.clone().status());
            }
        }
    }
    answer(request, statuses, lost)
}

/// Settles the receipts of one broker. Returns the status of each.
async fn settle(
    node: &Node,
    (topic, group): &(String, String),
    receipts: Vec<Option<Receipt>>,
) -> Result<Vec<ProtocolStatus>, Refusal> {
    let scripted: Vec<_> = receipts.iter().map(|_| node.faults.next_ack_entry()).collect();
    let to_settle = receipts.into_iter().zip(&scripted).filter(|(_, code)| code.is_none());
    let receipts = to_settle.map(|(receipt, _)| receipt).collect();
    let mut outcomes = node.store.ack(topic.clone(), group.clone(), receipts).await?.into_iter();
    let status = |scripted: Option<Code>| match scripted {
        Some(code) => code.status("ordered fault: not settled"),
        None if outcomes.next() == Some(Acked::Settled) => ok(),
        None => invalid_receipt(),
    };
    Ok(scripted.into_iter().map(status).collect())
}

fn answer(
    request: AckMessageRequest,
    statuses: Vec<ProtocolStatus>,
    lost: Option<FailAt>,
) -> Result<Response<AckMessageResponse>, Status> {
    let status = match statuses.split_first() {
        None => Code::INTERNAL_SERVER_ERROR.status("ack message result is empty"),
        Some((first, others)) if others.iter().all(|status| status.code == first.code) => first.clone(),
        Some(_) => Code::MULTIPLE_RESULTS.status("MULTIPLE_RESULTS"),
    };
    let entries = request.entries.into_iter().zip(statuses).map(|(entry, status)| AckMessageResultEntry {
        message_id: entry.message_id,
        receipt_handle: entry.receipt_handle,
        status: Some(status),
    });
    let response = AckMessageResponse { status: Some(status), entries: entries.collect() };
    drop_response(Response::new(response), lost)
}

fn invalid_receipt() -> ProtocolStatus {
    Code::INVALID_RECEIPT_HANDLE.status("receipt handle is expired")
}

/// Changes the invisible duration, from now; zero makes the message visible immediately.
pub(crate) async fn change(
    shared: Arc<Shared>,
    request: Request<ChangeInvisibleDurationRequest>,
) -> Result<Response<ChangeInvisibleDurationResponse>, Status> {
    let result = match caller(&request).and_then(|_| find(&shared, request.get_ref())) {
        Ok((node, receipt)) => {
            let result = hide(&node, receipt, request.get_ref()).await;
            node.faults.hold(Call::ChangeInvisibleDuration, &shared.stopping).await;
            result
        }
        Err(refusal) => Err(refusal),
    };
    Ok(Response::new(match result {
        Ok(handle) => {
            ChangeInvisibleDurationResponse { status: Some(ok()), receipt_handle: handle.to_string() }
        }
        Err(refusal) => {
            ChangeInvisibleDurationResponse { status: Some(refusal.status()), receipt_handle: String::new() }
        }
    }))
}

/// Returns the broker of a receipt, and the receipt.
fn find(shared: &Shared, request: &ChangeInvisibleDurationRequest) -> Result<(Node, Receipt), Refusal> {
    let handle = request.receipt_handle.parse::<Handle>().ok();
    handle
        .and_then(|handle| Some((shared.nodes.by_number(handle.node)?, handle.receipt)))
        .ok_or_else(|| Refusal::new(Code::INVALID_RECEIPT_HANDLE, "receipt handle is not one of this broker"))
}

async fn hide(
    node: &Node,
    receipt: Receipt,
    request: &ChangeInvisibleDurationRequest,
) -> Result<Handle, Refusal> {
    node.faults.begin(Call::ChangeInvisibleDuration)?;
    // The lower bound applies to receives only: a nack asks for less.
    let invisible = request.invisible_duration.as_ref().map(from_duration).unwrap_or_default();
    if invisible > INVISIBLE_MAX {
        return Err(Refusal::new(Code::ILLEGAL_INVISIBLE_TIME, "the invisible time is too large"));
    }
    let (topic, group) = (full_name(request.topic.as_ref()), full_name(request.group.as_ref()));
    let receipt = node.store.change(topic, group, receipt, invisible).await?;
    Ok(Handle { node: node.number, receipt })
}

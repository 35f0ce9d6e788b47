//! AckMessage and ChangeInvisibleDuration.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::{Shared, full_name, ok};
use crate::config::INVISIBLE_MAX;
use crate::error::Refusal;
use crate::faults::drop_response;
use crate::store::{Acked, Receipt};
use spillway_rocketmq::protocol::{
    AckMessageRequest, AckMessageResponse, AckMessageResultEntry, ChangeInvisibleDurationRequest,
    ChangeInvisibleDurationResponse, Code, from_duration,
};

/// Settles messages; every entry has its own status.
pub(crate) async fn ack(
    shared: Arc<Shared>,
    request: Request<AckMessageRequest>,
) -> Result<Response<AckMessageResponse>, Status> {
    let (response, fail) = match shared.admit(request.metadata()).and_then(|_| shared.faults.next_ack()) {
        Ok(fail) => (settle(&shared, request.into_inner()).await, fail),
        Err(refusal) => (Err(refusal), None),
    };
    let response = response
        .unwrap_or_else(|refusal| AckMessageResponse { status: Some(refusal.status()), entries: Vec::new() });
    shared.hold().await;
    drop_response(Response::new(response), fail)
}

async fn settle(shared: &Shared, request: AckMessageRequest) -> Result<AckMessageResponse, Refusal> {
    let (topic, group) = (full_name(request.topic.as_ref()), full_name(request.group.as_ref()));
    let receipts = request.entries.iter().map(|entry| entry.receipt_handle.parse::<Receipt>().ok()).collect();
    let outcomes = shared.store.ack(topic, group, receipts).await?;
    let settled = outcomes.iter().filter(|outcome| **outcome == Acked::Settled).count();
    let status = if outcomes.is_empty() {
        Code::INTERNAL_SERVER_ERROR.status("ack message result is empty")
    } else if settled == outcomes.len() {
        ok()
    } else if settled == 0 {
        invalid_receipt()
    } else {
        Code::MULTIPLE_RESULTS.status("MULTIPLE_RESULTS")
    };
    let entries = request
        .entries
        .into_iter()
        .zip(outcomes)
        .map(|(entry, outcome)| AckMessageResultEntry {
            message_id: entry.message_id,
            receipt_handle: entry.receipt_handle,
            status: Some(match outcome {
                Acked::Settled => ok(),
                Acked::Invalid => invalid_receipt(),
            }),
        })
        .collect();
    Ok(AckMessageResponse { status: Some(status), entries })
}

fn invalid_receipt() -> spillway_rocketmq::protocol::Status {
    Code::INVALID_RECEIPT_HANDLE.status("receipt handle is expired")
}

/// Changes the invisible duration, from now; zero makes the message visible immediately.
pub(crate) async fn change(
    shared: Arc<Shared>,
    request: Request<ChangeInvisibleDurationRequest>,
) -> Result<Response<ChangeInvisibleDurationResponse>, Status> {
    let result = match shared.admit(request.metadata()) {
        Ok(_) => hide(&shared, request.get_ref()).await,
        Err(refusal) => Err(refusal),
    };
    shared.hold().await;
    Ok(Response::new(match result {
        Ok(receipt) => {
            ChangeInvisibleDurationResponse { status: Some(ok()), receipt_handle: receipt.to_string() }
        }
        Err(refusal) => {
            ChangeInvisibleDurationResponse { status: Some(refusal.status()), receipt_handle: String::new() }
        }
    }))
}

async fn hide(shared: &Shared, request: &ChangeInvisibleDurationRequest) -> Result<Receipt, Refusal> {
    // The lower bound applies to receives only: a nack asks for less.
    let invisible = request.invisible_duration.as_ref().map(from_duration).unwrap_or_default();
    if invisible > INVISIBLE_MAX {
        return Err(Refusal::new(Code::ILLEGAL_INVISIBLE_TIME, "the invisible time is too large"));
    }
    let receipt = request.receipt_handle.parse().map_err(|_| {
        Refusal::new(Code::INVALID_RECEIPT_HANDLE, "receipt handle is not one of this broker")
    })?;
    let (topic, group) = (full_name(request.topic.as_ref()), full_name(request.group.as_ref()));
    shared.store.change(topic, group, receipt, invisible).await
}

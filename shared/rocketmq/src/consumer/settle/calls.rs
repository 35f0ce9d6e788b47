//! The calls that settle messages. Each is made once.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::call_statistics::CallKind;
use crate::config::DURATION_MAX;
use crate::consumer::receipt::{Receipt, SettleError};
use crate::context::{ClientContext, Counters};
use crate::error::{ClientError, check};
use crate::protocol::{
    AckMessageEntry, AckMessageRequest, AckMessageResponse, ChangeInvisibleDurationRequest,
    ChangeInvisibleDurationResponse, Code, Resource, Status, duration, path,
};
use crate::transport::Transport;

/// A receipt with the handle to ack it by.
pub(super) struct AckEntry<'a> {
    pub(super) receipt: &'a Receipt,
    pub(super) handle: &'a str,
}

pub(in crate::consumer) struct SettleCalls {
    pub(in crate::consumer) group: Resource,
    pub(in crate::consumer) request_timeout: Duration,
    pub(in crate::consumer) counters: Arc<Counters>,
    pub(in crate::consumer) context: Arc<dyn ClientContext>,
}

impl SettleCalls {
    /// Acks the receipts of one broker and topic in one call. Returns the result of each.
    pub(super) async fn ack(
        &self,
        transport: &Transport,
        topic: &str,
        entries: &[AckEntry<'_>],
    ) -> Vec<Result<(), ClientError>> {
        let request = AckMessageRequest {
            group: Some(self.group.clone()),
            topic: Some(self.topic(topic)),
            entries: entries
                .iter()
                .map(|entry| AckMessageEntry {
                    message_id: entry.receipt.message_id.clone(),
                    receipt_handle: entry.handle.to_owned(),
                })
                .collect(),
        };
        let began = Instant::now();
        let response: Result<AckMessageResponse, _> =
            transport.unary(path::ACK_MESSAGE, request, self.request_timeout).await;
        // Entries have results of their own.
        let result = match &response {
            Ok(response) if response.entries.is_empty() => check("AckMessage", response.status.clone()),
            Ok(_) => Ok(()),
            Err(error) => Err(error.clone()),
        };
        let (calls, latency) = (&self.counters.calls, began.elapsed());
        calls.record(CallKind::Ack, topic, transport.endpoints(), latency, &result);
        match response {
            Ok(response) => results(response, entries.iter().map(|entry| entry.handle)),
            Err(error) => entries.iter().map(|_| Err(error.clone())).collect(),
        }
    }

    /// Hides the message for `hidden` from now and replaces the `handle` of its receipt, which the caller has locked.
    pub(in crate::consumer) async fn extend(
        &self,
        receipt: &Receipt,
        handle: &mut String,
        hidden: Duration,
    ) -> Result<(), SettleError> {
        let request = ChangeInvisibleDurationRequest {
            group: Some(self.group.clone()),
            topic: Some(self.topic(&receipt.topic)),
            receipt_handle: handle.clone(),
            invisible_duration: Some(duration(hidden)),
            message_id: receipt.message_id.clone(),
        };
        let asked_at = Instant::now();
        let transport = &receipt.transport;
        let response: Result<ChangeInvisibleDurationResponse, _> =
            transport.unary(path::CHANGE_INVISIBLE_DURATION, request, self.request_timeout).await;
        let response = response.and_then(|mut response| {
            check("ChangeInvisibleDuration", response.status.take()).map(|()| response)
        });
        let (kind, latency) = (CallKind::ChangeInvisibleDuration, asked_at.elapsed());
        self.counters.calls.record(kind, &receipt.topic, transport.endpoints(), latency, &response);
        let response = response.map_err(SettleError::from_call)?;
        if !response.receipt_handle.is_empty() {
            *handle = response.receipt_handle;
        }
        // From before the call, so that the client's deadline is never later than the broker's.
        receipt.set_hidden_until(asked_at + hidden.min(DURATION_MAX));
        Ok(())
    }

    fn topic(&self, name: &str) -> Resource {
        Resource { resource_namespace: self.group.resource_namespace.clone(), name: name.to_owned() }
    }
}

/// Returns each handle's result: its entry's status, or the call's if the response has no entry for it.
fn results<'a>(
    response: AckMessageResponse,
    handles: impl Iterator<Item = &'a str>,
) -> Vec<Result<(), ClientError>> {
    let mut by_handle: HashMap<String, Option<Status>> =
        response.entries.into_iter().map(|entry| (entry.receipt_handle, entry.status)).collect();
    // A mixed response without the handle's entry says nothing about it.
    let of_call = response.status.filter(|status| Code(status.code) != Code::MULTIPLE_RESULTS);
    handles
        .map(|handle| check("AckMessage", by_handle.remove(handle).unwrap_or_else(|| of_call.clone())))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::AckMessageResultEntry;

    #[test]
    fn an_entry_has_its_own_status_and_without_entries_the_calls_status_applies() {
        let entry = |handle: &str, code: Code| AckMessageResultEntry {
            message_id: String::new(),
            receipt_handle: handle.to_owned(),
            status: Some(code.status("")),
        };
        let code = |result: &Result<(), ClientError>| match result {
            Ok(()) => Some(Code::OK),
            Err(error) => error.code(),
        };
        let codes = |status: Code, entries: Vec<AckMessageResultEntry>| {
            let response = AckMessageResponse { status: Some(status.status("")), entries };
            results(response, ["a", "b"].into_iter()).iter().map(code).collect::<Vec<_>>()
        };
        let (failed, dead) = (Code::INTERNAL_SERVER_ERROR, Code::INVALID_RECEIPT_HANDLE);
        // In another order than asked.
        let mixed = codes(Code::MULTIPLE_RESULTS, vec![entry("b", failed), entry("a", dead)]);
        assert_eq!(mixed, [Some(dead), Some(failed)]);
        assert_eq!(codes(failed, Vec::new()), [Some(failed), Some(failed)]);
        assert_eq!(codes(Code::MULTIPLE_RESULTS, vec![entry("a", Code::OK)]), [Some(Code::OK), None]);
    }
}

//! SendMessage.

use std::sync::Arc;

use bytes::Bytes;
use prost::Message as ProstMessage;
use tonic::{Request, Response, Status};

use super::{Shared, full_name, ok};
use crate::error::Refusal;
use crate::faults::{Call, drop_response};
use crate::node::Node;
use crate::wire::{MessageHead, SendRequest};
use spillway_rocketmq::protocol::{Code, MessageType, SendMessageResponse, SendResultEntry};

/// Maximum bytes of one body, and of all bodies of a call.
pub(crate) const BODY_BYTES_MAX: usize = 4 << 20;
const USER_PROPERTIES_MAX: usize = 128;
const PROPERTY_BYTES_MAX: usize = 16 << 10;

const ILLEGAL_MESSAGE_TAG: Code = Code(40_004);
const ILLEGAL_MESSAGE_ID: Code = Code(40_009);
const MESSAGE_PROPERTY_CONFLICT_WITH_TYPE: Code = Code(40_014);
const MESSAGE_CORRUPTED: Code = Code(40_016);
const MESSAGE_BODY_EMPTY: Code = Code(41_302);
const MESSAGE_PROPERTIES_TOO_LARGE: Code = Code(43_101);

/// Checked messages.
struct Checked {
    topic: String,
    messages: Vec<Bytes>,
    bytes: usize,
    /// Joined by commas.
    message_ids: String,
}

/// Stores the messages. The response has one entry for any number of messages, as Apache's proxy returns for a batch.
pub(crate) async fn send(
    shared: Arc<Shared>,
    request: Request<SendRequest>,
) -> Result<Response<SendMessageResponse>, Status> {
    let node = match shared.admit(request.metadata()).and_then(|_| shared.nodes.next_for_send()) {
        Ok(node) => node,
        Err(refusal) => return Ok(Response::new(answer(Err(refusal)))),
    };
    let (response, fail) = match node.faults.begin(Call::Send) {
        Ok(fail) => (answer(store(&shared, &node, &request.into_inner()).await), fail),
        Err(refusal) => (answer(Err(refusal)), None),
    };
    node.faults.hold(Call::Send, &shared.stopping).await;
    drop_response(Response::new(response), fail)
}

fn answer(result: Result<(String, u64), Refusal>) -> SendMessageResponse {
    match result {
        Ok((message_id, offset)) => SendMessageResponse {
            status: Some(ok()),
            entries: vec![SendResultEntry {
                status: Some(ok()),
                message_id,
                transaction_id: String::new(),
                offset: i64::try_from(offset).unwrap_or(i64::MAX),
            }],
        },
        Err(refusal) => SendMessageResponse { status: Some(refusal.status()), entries: Vec::new() },
    }
}

async fn store(shared: &Shared, node: &Node, request: &SendRequest) -> Result<(String, u64), Refusal> {
    if node.is_slave {
        return Err(Refusal::new(
            Code::INTERNAL_SERVER_ERROR,
            "service not available: the broker is a slave",
        ));
    }
    let Checked { topic, messages, bytes, message_ids } = check(request)?;
    let permits = u32::try_from(bytes).unwrap_or(u32::MAX);
    let _under_way = shared
        .pending_bytes
        .try_acquire_many(permits)
        .map_err(|_| Refusal::new(Code::TOO_MANY_REQUESTS, "too many bytes wait to be stored"))?;
    // Copied, so that no message keeps its whole request in memory.
    let messages = messages.iter().map(|raw| Bytes::copy_from_slice(raw)).collect();
    let offset = node.store.send(topic, messages).await?;
    Ok((message_ids, offset))
}

fn check(request: &SendRequest) -> Result<Checked, Refusal> {
    let mut topic: Option<String> = None;
    let mut bytes = 0;
    let mut body_bytes = 0;
    let mut message_ids = String::new();
    for raw in &request.messages {
        let head = MessageHead::decode(raw.clone())
            .map_err(|_| Refusal::new(MESSAGE_CORRUPTED, "the message cannot be read"))?;
        let name = full_name(head.topic.as_ref());
        if topic.as_ref().is_some_and(|topic| *topic != name) {
            return Err(Refusal::new(MESSAGE_CORRUPTED, "topic in message is not same"));
        }
        topic = Some(name);
        body_bytes += head.body.len();
        bytes += raw.len();
        let message_id = check_head(head)?;
        if !message_ids.is_empty() {
            message_ids.push(',');
        }
        message_ids.push_str(&message_id);
    }
    if body_bytes > BODY_BYTES_MAX {
        return Err(Refusal::new(Code::MESSAGE_BODY_TOO_LARGE, "the bodies exceed the max: 4194304"));
    }
    match topic {
        Some(topic) => Ok(Checked { topic, messages: request.messages.clone(), bytes, message_ids }),
        None => Err(Refusal::new(MESSAGE_CORRUPTED, "no message to send")),
    }
}

/// Checks one message and returns its id.
fn check_head(head: MessageHead) -> Result<String, Refusal> {
    let system = head.system_properties.unwrap_or_default();
    if system.message_id.is_empty() {
        return Err(Refusal::new(ILLEGAL_MESSAGE_ID, "message id is empty"));
    }
    if head.body.is_empty() {
        return Err(Refusal::new(MESSAGE_BODY_EMPTY, "message body is empty"));
    }
    let ordinary = system.message_type == i32::from(MessageType::Normal)
        || system.message_type == i32::from(MessageType::Unspecified);
    if !ordinary || !system.message_group.is_empty() || system.delivery_timestamp.is_some() {
        let reason = "topics of this broker take normal messages only";
        return Err(Refusal::new(MESSAGE_PROPERTY_CONFLICT_WITH_TYPE, reason));
    }
    if system.tag.contains('|') {
        return Err(Refusal::new(ILLEGAL_MESSAGE_TAG, "tag cannot contain |"));
    }
    let property_bytes = head.user_properties.iter().map(Bytes::len).sum::<usize>()
        + system.keys.iter().map(String::len).sum::<usize>()
        + system.tag.len();
    if head.user_properties.len() > USER_PROPERTIES_MAX || property_bytes > PROPERTY_BYTES_MAX {
        let reason = "at most 128 user properties, 16 KiB together with keys and tag";
        return Err(Refusal::new(MESSAGE_PROPERTIES_TOO_LARGE, reason));
    }
    Ok(system.message_id)
}

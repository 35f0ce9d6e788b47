//! SendMessage.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use prost::Message as ProstMessage;
use tonic::{Request, Response, Status};

use super::{Shared, full_name, ok};
use crate::error::Refusal;
use crate::faults::{Call, drop_response};
use crate::intake::caller;
use crate::node::Node;
use crate::store::{NewMessages, Placement};
use crate::wire::{MessageHead, SendRequest, SystemHead};
use spillway_rocketmq::protocol::{Code, MessageType, SendMessageResponse, SendResultEntry, from_timestamp};

/// Maximum bytes of one body, and of all bodies of a call.
pub(crate) const BODY_BYTES_MAX: usize = 4 << 20;
const USER_PROPERTIES_MAX: usize = 128;
const PROPERTY_BYTES_MAX: usize = 16 << 10;
/// First number of bytes that a message group must not have: `maxMessageGroupSize` of Apache's proxy.
const GROUP_BYTES_END: usize = 64;
/// Maximum time until a delivery: `maxDelayTimeMills` of Apache's proxy.
const DELAY_MAX: Duration = Duration::from_secs(24 * 60 * 60);

const ILLEGAL_MESSAGE_TAG: Code = Code(40_004);
const ILLEGAL_MESSAGE_GROUP: Code = Code(40_006);
const ILLEGAL_MESSAGE_ID: Code = Code(40_009);
const ILLEGAL_DELIVERY_TIME: Code = Code(40_012);
const MESSAGE_PROPERTY_CONFLICT_WITH_TYPE: Code = Code(40_014);
const MESSAGE_CORRUPTED: Code = Code(40_016);
const MESSAGE_BODY_EMPTY: Code = Code(41_302);
const MESSAGE_PROPERTIES_TOO_LARGE: Code = Code(43_101);

/// Checked messages.
struct Checked {
    messages: NewMessages,
    /// Joined by commas.
    message_ids: String,
}

/// Stores the messages. The response has one entry for any number of messages, as Apache's proxy returns for a batch.
pub(crate) async fn send(
    shared: Arc<Shared>,
    request: Request<SendRequest>,
) -> Result<Response<SendMessageResponse>, Status> {
    let checked = caller(&request).and_then(|_| check(request.get_ref(), SystemTime::now()));
    let group_hash = match checked.as_ref().map(|checked| &checked.messages.placement) {
        Ok(Placement::Group(hash)) => Some(*hash),
        Ok(Placement::Anywhere | Placement::At(_)) | Err(_) => None,
    };
    let node = match caller(&request).and_then(|_| shared.nodes.next_for_send(group_hash)) {
        Ok(node) => node,
        Err(refusal) => return Ok(Response::new(answer(Err(refusal)))),
    };
    let (response, fail) = match node.faults.begin(Call::Send) {
        Ok(fail) => (answer(store(&node, checked).await), fail),
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

async fn store(node: &Node, checked: Result<Checked, Refusal>) -> Result<(String, u64), Refusal> {
    if node.is_slave {
        return Err(Refusal::new(
            Code::INTERNAL_SERVER_ERROR,
            "service not available: the broker is a slave",
        ));
    }
    let Checked { messages, message_ids } = checked?;
    let offset = node.store.send(messages).await?;
    Ok((message_ids, offset))
}

fn check(request: &SendRequest, now: SystemTime) -> Result<Checked, Refusal> {
    let mut topic: Option<String> = None;
    let mut body_bytes = 0;
    let mut message_ids = String::new();
    let mut placement: Option<Placement> = None;
    for raw in &request.messages {
        let head = MessageHead::decode(raw.clone())
            .map_err(|_| Refusal::new(MESSAGE_CORRUPTED, "the message cannot be read"))?;
        let name = full_name(head.topic.as_ref());
        if topic.as_ref().is_some_and(|topic| *topic != name) {
            return Err(Refusal::new(MESSAGE_CORRUPTED, "topic in message is not same"));
        }
        topic = Some(name);
        body_bytes += head.body.len();
        let system = check_head(head)?;
        if !message_ids.is_empty() {
            message_ids.push(',');
        }
        message_ids.push_str(&system.message_id);
        placement = Some(join(placement, place(&system, now)?)?);
    }
    if body_bytes > BODY_BYTES_MAX {
        return Err(Refusal::new(Code::MESSAGE_BODY_TOO_LARGE, "the bodies exceed the max: 4194304"));
    }
    let Some((topic, placement)) = topic.zip(placement) else {
        return Err(Refusal::new(MESSAGE_CORRUPTED, "no message to send"));
    };
    // Copied, so that no message keeps its whole request in memory.
    let messages = request.messages.iter().map(|raw| Bytes::copy_from_slice(raw)).collect();
    Ok(Checked { messages: NewMessages { topic, messages, placement }, message_ids })
}

/// Returns the place of a message. Its properties decide, as on Apache's proxy: a delivery time makes it DELAY, else a
/// message group FIFO.
fn place(system: &SystemHead, now: SystemTime) -> Result<Placement, Refusal> {
    if system.message_type == i32::from(MessageType::Transaction) {
        return Err(Refusal::new(Code::NOT_IMPLEMENTED, "this broker takes no transactional messages"));
    }
    if system.message_group.len() >= GROUP_BYTES_END {
        return Err(Refusal::new(ILLEGAL_MESSAGE_GROUP, "message group exceed the max size 64"));
    }
    match &system.delivery_timestamp {
        Some(deliver_at) => {
            let too_late = || {
                let reason = "the max delay time of message is too large, max is 86400000";
                Refusal::new(ILLEGAL_DELIVERY_TIME, reason)
            };
            let deliver_at = from_timestamp(deliver_at).ok_or_else(too_late)?;
            if deliver_at.duration_since(now).is_ok_and(|delay| delay > DELAY_MAX) {
                return Err(too_late());
            }
            let since = deliver_at.duration_since(UNIX_EPOCH).unwrap_or_default();
            Ok(Placement::At(vec![u64::try_from(since.as_millis()).unwrap_or(u64::MAX)]))
        }
        None if system.message_group.is_empty() => Ok(Placement::Anywhere),
        None => Ok(Placement::Group(crc32fast::hash(system.message_group.as_bytes()))),
    }
}

/// Joins the places of a call's messages, which must be of one type, and of one group.
fn join(first: Option<Placement>, next: Placement) -> Result<Placement, Refusal> {
    match (first, next) {
        (None, next) => Ok(next),
        (Some(Placement::At(mut times)), Placement::At(more)) => {
            times.extend(more);
            Ok(Placement::At(times))
        }
        (Some(first), next) if first == next => Ok(first),
        (Some(_), _) => {
            let reason = "the messages of a call are of one type and of one message group";
            Err(Refusal::new(MESSAGE_PROPERTY_CONFLICT_WITH_TYPE, reason))
        }
    }
}

/// Checks one message and returns its system properties.
fn check_head(head: MessageHead) -> Result<SystemHead, Refusal> {
    let system = head.system_properties.unwrap_or_default();
    if system.message_id.is_empty() {
        return Err(Refusal::new(ILLEGAL_MESSAGE_ID, "message id is empty"));
    }
    if head.body.is_empty() {
        return Err(Refusal::new(MESSAGE_BODY_EMPTY, "message body is empty"));
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
    Ok(system)
}

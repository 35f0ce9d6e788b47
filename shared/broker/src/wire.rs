//! Wire messages that carry user messages, declared so that bodies are neither parsed nor copied unnecessarily.
//!
//! A `bytes` field and an embedded message have the same encoding. The broker stores a producer's message as it came,
//! unknown fields included, and appends its own fields, which protobuf merges.

use bytes::{Bytes, BytesMut};
use md5::{Digest as _, Md5};
use prost::Message as ProstMessage;
use prost_types::{Duration, Timestamp};

use super::node::Handle;
use super::store::DeliveredMessage;
use spillway_rocketmq::protocol::{Digest, DigestType, Resource, Status, duration, timestamp};

/// [`spillway_rocketmq::protocol::SendMessageRequest`].
#[derive(Clone, PartialEq, ProstMessage)]
pub(crate) struct SendRequest {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    pub(crate) messages: Vec<Bytes>,
}

/// The part of a [`Message`] that is checked before it is stored.
#[derive(Clone, PartialEq, ProstMessage)]
pub(crate) struct MessageHead {
    #[prost(message, optional, tag = "1")]
    pub(crate) topic: Option<Resource>,
    #[prost(bytes = "bytes", repeated, tag = "2")]
    pub(crate) user_properties: Vec<Bytes>,
    #[prost(message, optional, tag = "3")]
    pub(crate) system_properties: Option<SystemHead>,
    #[prost(bytes = "bytes", tag = "4")]
    pub(crate) body: Bytes,
}

/// The part of [`SystemProperties`] that is checked.
#[derive(Clone, PartialEq, ProstMessage)]
pub(crate) struct SystemHead {
    #[prost(string, tag = "1")]
    pub(crate) tag: String,
    #[prost(string, repeated, tag = "2")]
    pub(crate) keys: Vec<String>,
    #[prost(string, tag = "3")]
    pub(crate) message_id: String,
    #[prost(int32, tag = "6")]
    pub(crate) message_type: i32,
    #[prost(message, optional, tag = "11")]
    pub(crate) delivery_timestamp: Option<Timestamp>,
    #[prost(string, tag = "17")]
    pub(crate) message_group: String,
}

/// [`spillway_rocketmq::protocol::ReceiveMessageResponse`]; exactly one field is set.
#[derive(Clone, PartialEq, ProstMessage)]
pub(crate) struct ReceiveResponse {
    #[prost(message, optional, tag = "1")]
    pub(crate) status: Option<Status>,
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub(crate) message: Option<Bytes>,
    #[prost(message, optional, tag = "3")]
    pub(crate) delivery_timestamp: Option<Timestamp>,
}

/// The body of a [`spillway_rocketmq::protocol::Message`].
#[derive(Clone, PartialEq, ProstMessage)]
struct MessageBody {
    #[prost(bytes = "bytes", tag = "4")]
    body: Bytes,
}

/// The fields that the broker appends to a stored message.
#[derive(Clone, PartialEq, ProstMessage)]
struct AddedToMessage {
    #[prost(message, optional, tag = "3")]
    system_properties: Option<AddedProperties>,
}

/// The part of a message's system properties that the broker sets. All fields are explicit: a value of 0 that is left out
/// would let the producer's own survive.
#[derive(Clone, PartialEq, ProstMessage)]
struct AddedProperties {
    #[prost(message, optional, tag = "4")]
    body_digest: Option<Digest>,
    #[prost(message, optional, tag = "9")]
    store_timestamp: Option<Timestamp>,
    #[prost(string, optional, tag = "12")]
    receipt_handle: Option<String>,
    #[prost(int32, optional, tag = "13")]
    queue_id: Option<i32>,
    #[prost(int64, optional, tag = "14")]
    queue_offset: Option<i64>,
    #[prost(message, optional, tag = "15")]
    invisible_duration: Option<Duration>,
    #[prost(int32, optional, tag = "16")]
    delivery_attempt: Option<i32>,
}

/// Returns the stored message with the fields of this delivery by broker number `node`, and the body's MD5 as Apache's
/// proxy adds it.
pub(crate) fn delivered(node: u32, taken: &DeliveredMessage) -> Bytes {
    // What is stored was decoded when it came.
    let body = MessageBody::decode(taken.raw.clone()).unwrap_or_default().body;
    let body_digest =
        Digest { r#type: DigestType::Md5.into(), checksum: hex::encode_upper(Md5::digest(&body)) };
    let added = AddedToMessage {
        system_properties: Some(AddedProperties {
            body_digest: Some(body_digest),
            store_timestamp: Some(timestamp(taken.stored_at)),
            receipt_handle: Some(Handle { node, receipt: taken.receipt }.to_string()),
            queue_id: Some(i32::try_from(taken.receipt.queue).unwrap_or(i32::MAX)),
            queue_offset: Some(i64::try_from(taken.receipt.offset).unwrap_or(i64::MAX)),
            invisible_duration: Some(duration(taken.invisible)),
            delivery_attempt: Some(taken.attempt.into()),
        }),
    };
    let mut whole = BytesMut::with_capacity(taken.raw.len() + added.encoded_len());
    whole.extend_from_slice(&taken.raw);
    // Fails only if the buffer cannot grow.
    let _cannot_fail = added.encode(&mut whole);
    whole.freeze()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::store::Receipt;
    use spillway_rocketmq::protocol::{Message, ReceiveContent, ReceiveMessageResponse, SystemProperties};

    #[test]
    fn what_was_sent_and_what_was_added_read_as_one_message() {
        for queue in [0, 3] {
            read_as_one_message(queue);
        }
    }

    fn read_as_one_message(queue: u32) {
        let sent = Message {
            topic: Some(Resource { name: "orders".to_owned(), ..Resource::default() }),
            user_properties: [("k".to_owned(), "v".to_owned())].into(),
            system_properties: Some(SystemProperties {
                tag: Some("t".to_owned()),
                keys: vec!["one".to_owned()],
                message_id: "id".to_owned(),
                // The broker's own fields override a producer's.
                queue_id: 99,
                ..SystemProperties::default()
            }),
            body: Bytes::from_static(b"body"),
        };
        let receipt = Receipt { topic: 0, group: 0, queue, offset: 8, lease: 5, until_ms: 6 };
        let taken = DeliveredMessage {
            raw: sent.encode_to_vec().into(),
            receipt,
            attempt: 2,
            stored_at: UNIX_EPOCH + Duration::from_secs(7),
            invisible: Duration::from_secs(30),
        };
        let response = ReceiveResponse { message: Some(delivered(2, &taken)), ..ReceiveResponse::default() };
        let read = ReceiveMessageResponse::decode(response.encode_to_vec().as_slice())
            .expect("the same wire format");
        let Some(ReceiveContent::Message(read)) = read.content else { panic!("not a message: {read:?}") };
        let system = read.system_properties.clone().expect("merged");
        assert_eq!((read.body, read.user_properties), (sent.body, sent.user_properties));
        assert_eq!((system.message_id.as_str(), system.tag(), system.keys.len()), ("id", "t", 1));
        assert_eq!((system.queue_id, system.queue_offset(), system.delivery_attempt()), (queue as i32, 8, 2));
        // `printf body | md5sum`
        let digest = system.body_digest.clone().expect("added");
        assert_eq!(
            (digest.r#type(), digest.checksum.as_str()),
            (DigestType::Md5, "841A2D689AD86BD1611447453C22C6FC")
        );
        assert_eq!(system.receipt_handle(), format!("2.{receipt}"));
    }
}

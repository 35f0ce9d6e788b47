//! Records of the log: framing, checksum, content.
//!
//! A record is `length u32 | crc32 u32 | payload`, little endian, with the checksum of the payload. A payload begins
//! with its kind. Messages have a fixed head before the producer's bytes; every other kind is protobuf, so that
//! fields can be added.

use prost::{Message as ProstMessage, Oneof};
use spillway_rocketmq::protocol::MessageType;

/// First bytes of every segment; the last byte is the version of the layout.
pub(crate) const MAGIC: &[u8; 8] = b"SPILLOG2";
/// Maximum bytes of a payload. The largest are checkpoints: about 20 bytes per message in flight.
pub(crate) const PAYLOAD_BYTES_MAX: usize = 1 << 28;

/// Maximum bytes of a payload that a search after damage considers: more than a message has.
const RESUME_BYTES_MAX: usize = 8 << 20;

/// Queue of a message that waits for its delivery time: `offset` is then its number, `stored_ms` the time.
pub(crate) const WAITING_QUEUE: u32 = u32::MAX;

const FRAME_BYTES: usize = 8;
const KIND_MESSAGE: u8 = 1;
const KIND_CHANGE: u8 = 2;
/// Bytes of kind, topic, queue, offset and time of storing.
const MESSAGE_HEAD_BYTES: usize = 1 + 4 + 4 + 8 + 8;

/// A stored message. `raw` is the protobuf [`spillway_rocketmq::protocol::Message`] as its producer sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MessageRecord<'a> {
    pub(crate) topic: u32,
    pub(crate) queue: u32,
    pub(crate) offset: u64,
    /// Milliseconds since 1970.
    pub(crate) stored_ms: u64,
    pub(crate) raw: &'a [u8],
}

impl MessageRecord<'_> {
    /// Bytes in the log, frame included.
    pub(crate) const fn encoded_bytes(&self) -> usize {
        record_bytes(self.raw.len())
    }
}

/// Bytes of a message of `raw_bytes` in the log, frame included.
pub(crate) const fn record_bytes(raw_bytes: usize) -> usize {
    FRAME_BYTES + MESSAGE_HEAD_BYTES + raw_bytes
}

/// A record that is not a message.
#[derive(Clone, PartialEq, ProstMessage)]
pub(crate) struct Change {
    #[prost(oneof = "ChangeKind", tags = "1, 2, 3, 4, 5, 6, 7")]
    pub(crate) kind: Option<ChangeKind>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum ChangeKind {
    /// A topic was created, or gained queues.
    #[prost(message, tag = "1")]
    Topic(TopicMade),
    /// A consumer group was created.
    #[prost(message, tag = "2")]
    Group(GroupMade),
    /// A group started on a queue.
    #[prost(message, tag = "3")]
    Started(Started),
    /// Messages were delivered, or hidden for longer.
    #[prost(message, tag = "4")]
    Delivered(Delivered),
    /// Messages were settled.
    #[prost(message, tag = "5")]
    Settled(Settled),
    /// The state without the messages; replaces everything read before.
    #[prost(message, tag = "6")]
    Checkpoint(Checkpoint),
    /// Messages whose delivery time came are in queues now.
    #[prost(message, tag = "7")]
    Due(Due),
}

#[derive(Clone, PartialEq, ProstMessage)]
pub(crate) struct TopicMade {
    #[prost(uint32, tag = "1")]
    pub(crate) id: u32,
    #[prost(string, tag = "2")]
    pub(crate) name: String,
    #[prost(uint32, tag = "3")]
    pub(crate) queues: u32,
    #[prost(enumeration = "MessageType", tag = "4")]
    pub(crate) message_type: i32,
}

#[derive(Clone, PartialEq, ProstMessage)]
pub(crate) struct GroupMade {
    #[prost(uint32, tag = "1")]
    pub(crate) id: u32,
    #[prost(string, tag = "2")]
    pub(crate) name: String,
}

#[derive(Clone, PartialEq, ProstMessage)]
pub(crate) struct Started {
    #[prost(uint32, tag = "1")]
    pub(crate) topic: u32,
    #[prost(uint32, tag = "2")]
    pub(crate) group: u32,
    #[prost(uint32, tag = "3")]
    pub(crate) queue: u32,
    /// First offset that the group gets.
    #[prost(uint64, tag = "4")]
    pub(crate) next: u64,
}

/// `queues`, `offsets` and `attempts` are parallel; entry `i` has the lease `lease_first + i`.
#[derive(Clone, PartialEq, ProstMessage)]
pub(crate) struct Delivered {
    #[prost(uint32, tag = "1")]
    pub(crate) topic: u32,
    #[prost(uint32, tag = "2")]
    pub(crate) group: u32,
    #[prost(uint64, tag = "3")]
    pub(crate) lease_first: u64,
    /// End of the invisible duration, milliseconds since 1970.
    #[prost(uint64, tag = "4")]
    pub(crate) until_ms: u64,
    #[prost(uint32, repeated, tag = "5")]
    pub(crate) queues: Vec<u32>,
    #[prost(uint64, repeated, tag = "6")]
    pub(crate) offsets: Vec<u64>,
    /// Deliveries so far, this one included.
    #[prost(uint32, repeated, tag = "7")]
    pub(crate) attempts: Vec<u32>,
}

/// `queues` and `offsets` are parallel.
#[derive(Clone, PartialEq, ProstMessage)]
pub(crate) struct Settled {
    #[prost(uint32, tag = "1")]
    pub(crate) topic: u32,
    #[prost(uint32, tag = "2")]
    pub(crate) group: u32,
    #[prost(uint32, repeated, tag = "3")]
    pub(crate) queues: Vec<u32>,
    #[prost(uint64, repeated, tag = "4")]
    pub(crate) offsets: Vec<u64>,
}

#[derive(Clone, PartialEq, ProstMessage)]
pub(crate) struct Checkpoint {
    #[prost(message, repeated, tag = "1")]
    pub(crate) topics: Vec<TopicState>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) groups: Vec<GroupMade>,
    #[prost(message, repeated, tag = "3")]
    pub(crate) cursors: Vec<CursorState>,
    /// Next unused lease.
    #[prost(uint64, tag = "4")]
    pub(crate) lease_next: u64,
    /// Numbers of the messages that wait for their delivery time.
    #[prost(uint64, repeated, tag = "5")]
    pub(crate) waiting: Vec<u64>,
    /// Next unused number.
    #[prost(uint64, tag = "6")]
    pub(crate) waiting_next: u64,
}

#[derive(Clone, PartialEq, ProstMessage)]
pub(crate) struct Due {
    #[prost(uint64, repeated, tag = "1")]
    pub(crate) numbers: Vec<u64>,
}

#[derive(Clone, PartialEq, ProstMessage)]
pub(crate) struct TopicState {
    #[prost(uint32, tag = "1")]
    pub(crate) id: u32,
    #[prost(string, tag = "2")]
    pub(crate) name: String,
    /// Next offset of each queue.
    #[prost(uint64, repeated, tag = "3")]
    pub(crate) next_offsets: Vec<u64>,
    #[prost(enumeration = "MessageType", tag = "4")]
    pub(crate) message_type: i32,
}

/// A group's cursor on one queue. The repeated fields are parallel: one entry for each delivered, unsettled
/// message.
#[derive(Clone, PartialEq, ProstMessage)]
pub(crate) struct CursorState {
    #[prost(uint32, tag = "1")]
    pub(crate) topic: u32,
    #[prost(uint32, tag = "2")]
    pub(crate) group: u32,
    #[prost(uint32, tag = "3")]
    pub(crate) queue: u32,
    #[prost(uint64, tag = "4")]
    pub(crate) next: u64,
    #[prost(uint64, tag = "5")]
    pub(crate) settled: u64,
    #[prost(uint64, repeated, tag = "6")]
    pub(crate) offsets: Vec<u64>,
    #[prost(uint32, repeated, tag = "7")]
    pub(crate) attempts: Vec<u32>,
    #[prost(uint64, repeated, tag = "8")]
    pub(crate) leases: Vec<u64>,
    #[prost(uint64, repeated, tag = "9")]
    pub(crate) until_ms: Vec<u64>,
}

/// Appends `message` to `out`.
pub(crate) fn put_message(out: &mut Vec<u8>, message: &MessageRecord<'_>) {
    frame(out, |out| {
        out.reserve(MESSAGE_HEAD_BYTES + message.raw.len());
        out.push(KIND_MESSAGE);
        out.extend_from_slice(&message.topic.to_le_bytes());
        out.extend_from_slice(&message.queue.to_le_bytes());
        out.extend_from_slice(&message.offset.to_le_bytes());
        out.extend_from_slice(&message.stored_ms.to_le_bytes());
        out.extend_from_slice(message.raw);
    });
}

/// Appends a change to `out`.
pub(crate) fn put_change(out: &mut Vec<u8>, kind: ChangeKind) {
    let change = Change { kind: Some(kind) };
    frame(out, |out| {
        out.push(KIND_CHANGE);
        out.reserve(change.encoded_len());
        // Fails only if the buffer cannot grow; a vector can.
        let _cannot_fail = change.encode(out);
    });
}

fn frame(out: &mut Vec<u8>, payload: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; FRAME_BYTES]);
    payload(out);
    let body = start + FRAME_BYTES;
    debug_assert!(out.len() - body <= PAYLOAD_BYTES_MAX, "a record is bounded by what it is made of");
    let length = u32::try_from(out.len() - body).unwrap_or(u32::MAX);
    let checksum = crc32fast::hash(&out[body..]);
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
    out[start + 4..body].copy_from_slice(&checksum.to_le_bytes());
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Record<'a> {
    Message(MessageRecord<'a>),
    Change(ChangeKind),
}

/// Result of reading a record.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Found<'a> {
    /// A whole record; the next begins at `end`.
    Record { record: Record<'a>, end: usize },
    /// The exact end of the segment.
    End,
    /// Not a whole record: truncated, damaged, or of an unknown kind.
    Torn,
}

/// Reads the record at `at`.
pub(crate) fn read(segment: &[u8], at: usize) -> Found<'_> {
    read_up_to(segment, at, PAYLOAD_BYTES_MAX)
}

fn read_up_to(segment: &[u8], at: usize, payload_bytes_max: usize) -> Found<'_> {
    let rest = segment.get(at..).unwrap_or_default();
    if rest.is_empty() {
        return Found::End;
    }
    let Some((head, rest)) = rest.split_first_chunk::<FRAME_BYTES>() else { return Found::Torn };
    let [l0, l1, l2, l3, c0, c1, c2, c3] = *head;
    let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
    let checksum = u32::from_le_bytes([c0, c1, c2, c3]);
    // Otherwise a run of zeros would be an empty record with a valid checksum.
    if length == 0 || length > payload_bytes_max {
        return Found::Torn;
    }
    let Some(payload) = rest.get(..length) else { return Found::Torn };
    // Before the checksum, which a search after damage would compute for every position.
    if !matches!(payload.first(), Some(&(KIND_MESSAGE | KIND_CHANGE))) {
        return Found::Torn;
    }
    if crc32fast::hash(payload) != checksum {
        return Found::Torn;
    }
    match decode(payload) {
        Some(record) => Found::Record { record, end: at + FRAME_BYTES + length },
        None => Found::Torn,
    }
}

/// Returns the position of the first whole record after the damaged one at `at`, if there is one.
///
/// Tries the end that the damaged record's length names, then every position. A checksum of 32 bits and a plausible length
/// make a false record unlikely; it would have to be damage that looks like one.
pub(crate) fn resume_after(segment: &[u8], at: usize) -> Option<usize> {
    let is_record = |at: &usize| matches!(read_up_to(segment, *at, RESUME_BYTES_MAX), Found::Record { .. });
    let length = segment.get(at..)?.first_chunk::<4>().map(|length| u32::from_le_bytes(*length) as usize);
    let named = length.and_then(|length| at.checked_add(FRAME_BYTES + length));
    named.filter(is_record).or_else(|| (at + 1..segment.len()).find(is_record))
}

fn decode(payload: &[u8]) -> Option<Record<'_>> {
    let (kind, body) = payload.split_first()?;
    match *kind {
        KIND_MESSAGE => {
            let (topic, body) = body.split_first_chunk::<4>()?;
            let (queue, body) = body.split_first_chunk::<4>()?;
            let (offset, body) = body.split_first_chunk::<8>()?;
            let (stored_ms, raw) = body.split_first_chunk::<8>()?;
            Some(Record::Message(MessageRecord {
                topic: u32::from_le_bytes(*topic),
                queue: u32::from_le_bytes(*queue),
                offset: u64::from_le_bytes(*offset),
                stored_ms: u64::from_le_bytes(*stored_ms),
                raw,
            }))
        }
        KIND_CHANGE => Change::decode(body).ok()?.kind.map(Record::Change),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Written {
        Message { topic: u32, queue: u32, offset: u64, raw: Vec<u8> },
        Settled(Vec<u64>),
    }

    fn written() -> impl Strategy<Value = Written> {
        prop_oneof![
            (any::<u32>(), any::<u32>(), any::<u64>(), proptest::collection::vec(any::<u8>(), 0..200))
                .prop_map(|(topic, queue, offset, raw)| Written::Message { topic, queue, offset, raw }),
            proptest::collection::vec(any::<u64>(), 0..20).prop_map(Written::Settled),
        ]
    }

    fn put(out: &mut Vec<u8>, written: &Written) {
        match written {
            Written::Message { topic, queue, offset, raw } => put_message(
                out,
                &MessageRecord { topic: *topic, queue: *queue, offset: *offset, stored_ms: 7, raw },
            ),
            Written::Settled(offsets) => put_change(out, settled(offsets)),
        }
    }

    fn settled(offsets: &[u64]) -> ChangeKind {
        ChangeKind::Settled(Settled {
            topic: 1,
            group: 2,
            queues: vec![0; offsets.len()],
            offsets: offsets.to_vec(),
        })
    }

    fn same(record: &Record<'_>, written: &Written) -> bool {
        match (record, written) {
            (Record::Message(read), Written::Message { topic, queue, offset, raw }) => {
                (read.topic, read.queue, read.offset, read.raw) == (*topic, *queue, *offset, raw.as_slice())
            }
            (Record::Change(read), Written::Settled(offsets)) => *read == settled(offsets),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn a_log_cut_anywhere_reads_as_a_prefix(
            records in proptest::collection::vec(written(), 0..20),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut log = Vec::new();
            let mut ends = vec![0];
            for record in &records {
                put(&mut log, record);
                ends.push(log.len());
            }
            let cut = cut.index(log.len() + 1);
            let log = &log[..cut];
            let whole = ends.iter().filter(|end| **end <= cut).count() - 1;

            let mut at = 0;
            let mut read_count = 0;
            while let Found::Record { record, end } = read(log, at) {
                prop_assert!(same(&record, &records[read_count]));
                read_count += 1;
                at = end;
            }
            prop_assert_eq!(read_count, whole);
            prop_assert_eq!(at, ends[whole]);
        }

        #[test]
        fn a_flipped_bit_is_found(raw in proptest::collection::vec(any::<u8>(), 0..64), bit in any::<prop::sample::Index>()) {
            let mut log = Vec::new();
            put_message(&mut log, &MessageRecord { topic: 1, queue: 2, offset: 3, stored_ms: 4, raw: &raw });
            let bit = bit.index(log.len() * 8);
            log[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(read(&log, 0), Found::Torn);
        }
    }

    #[test]
    fn zeros_are_not_records() {
        assert_eq!(read(&[0; 64], 0), Found::Torn);
    }

    #[test]
    fn the_size_of_a_record_is_known_before_it_is_written() {
        let record = MessageRecord { topic: 1, queue: 2, offset: 3, stored_ms: 4, raw: b"five5" };
        let mut log = Vec::new();
        put_message(&mut log, &record);
        assert_eq!(log.len(), record.encoded_bytes());
    }
}

//! ReceiveMessage.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_core::Stream;
use tokio::time::Instant;
use tonic::{Request, Response, Status};

use super::{Shared, full_name, ok};
use crate::config::INVISIBLE_MAX;
use crate::error::Refusal;
use crate::faults::Call;
use crate::intake::{Caller, caller};
use crate::node::Node;
use crate::store::{DeliveredMessage, TagFilter};
use crate::wire::{ReceiveResponse, delivered};
use spillway_rocketmq::protocol::{
    Code, FilterExpression, FilterType, ReceiveMessageRequest, from_duration, timestamp,
};

const BATCH_SIZE_MAX: i32 = 32;
const ILLEGAL_FILTER_EXPRESSION: Code = Code(40_010);
/// First client version that knows `ILLEGAL_POLLING_TIME`; the proxy compares versions as text.
const POLLING_TIME_VERSION: &str = "5.0.3";

pub(crate) type ReceiveStream = Pin<Box<dyn Stream<Item = Result<ReceiveResponse, Status>> + Send>>;

/// A checked receive.
struct Checked {
    topic: String,
    group: String,
    filter: TagFilter,
    max: usize,
    invisible: Duration,
    deadline: Instant,
}

/// Delivers messages: the status, the messages, and the start of the delivery.
pub(crate) async fn receive(
    shared: Arc<Shared>,
    request: Request<ReceiveMessageRequest>,
) -> Result<Response<ReceiveStream>, Status> {
    let broker = request.get_ref().message_queue.as_ref().and_then(|queue| queue.broker.as_ref());
    let name = broker.map_or("", |broker| broker.name.as_str());
    let (result, number) = match shared.nodes.by_name(name) {
        Ok(node) => {
            let result = take(&shared, &node, &request).await;
            node.faults.hold(Call::Receive, &shared.stopping).await;
            (result, node.number)
        }
        Err(refusal) => (Err(refusal), 0),
    };
    let (status, taken) = match result {
        Ok(taken) if taken.is_empty() => (Code::MESSAGE_NOT_FOUND.status("no new message"), taken),
        Ok(taken) => (ok(), taken),
        Err(refusal) => (refusal.status(), Vec::new()),
    };
    let began = timestamp(SystemTime::now());
    let first = ReceiveResponse { status: Some(status), ..ReceiveResponse::default() };
    let last = ReceiveResponse { delivery_timestamp: Some(began), ..ReceiveResponse::default() };
    let messages = taken.into_iter().map(move |taken| ReceiveResponse {
        message: Some(delivered(number, &taken)),
        ..ReceiveResponse::default()
    });
    let items = std::iter::once(first).chain(messages).chain([last]).map(Ok);
    Ok(Response::new(Box::pin(futures_util::stream::iter(items))))
}

async fn take(
    shared: &Shared,
    node: &Node,
    request: &Request<ReceiveMessageRequest>,
) -> Result<Vec<DeliveredMessage>, Refusal> {
    let caller = caller(request)?;
    node.faults.begin(Call::Receive)?;
    let Checked { topic, group, filter, max, invisible, deadline } =
        check(shared, &caller, request.get_ref())?;
    let polling = node.store.receive(topic, group, filter, max, invisible, deadline);
    // A stopping broker responds to waiting receives without messages.
    shared.stopping.run_until_cancelled(polling).await.unwrap_or(Ok(Vec::new()))
}

fn check(shared: &Shared, caller: &Caller, request: &ReceiveMessageRequest) -> Result<Checked, Refusal> {
    // Without either of these the real proxy fails with a null pointer, which clients see.
    let null = || Refusal::new(Code::INTERNAL_SERVER_ERROR, "null. NullPointerException");
    let client = shared.clients.get(&caller.client_id).ok_or_else(null)?;
    let gives_up = caller.deadline.ok_or_else(null)?;

    let now = Instant::now();
    let remaining = gives_up.saturating_duration_since(now);
    let (shortest, longest) = (shared.config.long_polling_min, shared.config.long_polling_max);
    let wanted = match &request.long_polling_timeout {
        Some(timeout) => from_duration(timeout),
        None => remaining.saturating_sub(client.request_timeout / 2),
    };
    let mut polling = wanted.clamp(shortest, longest);
    if polling > remaining {
        if remaining < shortest {
            let knows = caller.version.as_deref().is_some_and(|version| version >= POLLING_TIME_VERSION);
            let code = if knows { Code::ILLEGAL_POLLING_TIME } else { Code::BAD_REQUEST };
            return Err(Refusal::new(code, "The deadline time remaining is not enough for polling"));
        }
        polling = remaining;
    }
    if request.auto_renew {
        return Err(Refusal::new(Code::NOT_IMPLEMENTED, "this broker does not renew receipts"));
    }
    let invisible = request.invisible_duration.as_ref().map(from_duration).unwrap_or_default();
    if invisible < shared.config.invisible_min || invisible > INVISIBLE_MAX {
        return Err(Refusal::new(
            Code::ILLEGAL_INVISIBLE_TIME,
            "the invisible time is too small or too large",
        ));
    }
    if !(1..=BATCH_SIZE_MAX).contains(&request.batch_size) {
        return Err(Refusal::new(Code::BAD_REQUEST, "the batch size is not within 1 and 32"));
    }
    let topic = request.message_queue.as_ref().and_then(|queue| queue.topic.as_ref());
    Ok(Checked {
        topic: full_name(topic),
        group: full_name(request.group.as_ref()),
        filter: filter(request.filter_expression.as_ref())?,
        max: usize::try_from(request.batch_size).unwrap_or(1),
        invisible,
        deadline: now + polling,
    })
}

fn filter(expression: Option<&FilterExpression>) -> Result<TagFilter, Refusal> {
    let Some(expression) = expression else { return Ok(TagFilter::All) };
    match expression.r#type() {
        FilterType::Sql => Err(Refusal::new(Code::NOT_IMPLEMENTED, "this broker does not filter by SQL92")),
        FilterType::Tag | FilterType::Unspecified => TagFilter::parse(&expression.expression)
            .ok_or_else(|| Refusal::new(ILLEGAL_FILTER_EXPRESSION, "the expression names no tag")),
    }
}

//! Publishers and sinks for tests.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use ingest_fn::publish::{BatchSink, OrderPublisher, PublishError, SealedBatch};
use shared::envelope::{EncodedOrder, decode_batch, encode_batch};
use shared::order::{
    AcceptedOrder, AddressLine, Country, Currency, IdempotencyKey, OrderId, OrderIdKey, PayloadDigest,
    PricedItem, Quantity, SaleId, ShippingAddress, Sku, UserId,
};
use tokio::sync::{mpsc, oneshot};

use super::NOW;

/// Answers every order with the same result, immediately, and stores it.
#[derive(Clone, Debug)]
pub(crate) struct StubPublisher {
    /// `None`: it panics.
    answer: Option<Result<(), PublishError>>,
    published: Arc<Mutex<Vec<AcceptedOrder>>>,
}

impl StubPublisher {
    pub(crate) fn accepting() -> Self {
        Self { answer: Some(Ok(())), published: Arc::default() }
    }

    pub(crate) fn failing(error: PublishError) -> Self {
        Self { answer: Some(Err(error)), published: Arc::default() }
    }

    pub(crate) fn panicking() -> Self {
        Self { answer: None, published: Arc::default() }
    }

    pub(crate) fn published(&self) -> Vec<AcceptedOrder> {
        self.published.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl OrderPublisher for StubPublisher {
    async fn publish(
        &self,
        order_id: OrderId,
        order: EncodedOrder,
        _within: Duration,
    ) -> Result<(), PublishError> {
        let orders = decode_batch(&encode_batch([&order].into_iter())).expect("a batch of one");
        assert_eq!(orders[0].order_id, order_id);
        self.published.lock().unwrap_or_else(PoisonError::into_inner).extend(orders);
        self.answer.expect("this publisher panics")
    }
}

/// A batch in flight, settled by the test.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) body: Bytes,
    pub(crate) order_ids: Vec<OrderId>,
    pub(crate) answer: oneshot::Sender<Result<(), PublishError>>,
}

impl Sent {
    pub(crate) fn acknowledge(self) {
        self.answer.send(Ok(())).expect("the caller waits");
    }

    pub(crate) fn orders(&self) -> Vec<AcceptedOrder> {
        decode_batch(&self.body).expect("a batch")
    }
}

/// Passes each batch to the test, which settles it.
#[derive(Debug)]
pub(crate) struct HeldSink(mpsc::UnboundedSender<Sent>);

impl HeldSink {
    pub(crate) fn new() -> (Self, mpsc::UnboundedReceiver<Sent>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(sender), receiver)
    }
}

impl BatchSink for HeldSink {
    fn send(&self, batch: SealedBatch) -> impl Future<Output = Result<(), PublishError>> + Send + 'static {
        let (answer, answered) = oneshot::channel();
        // The test may have dropped the receiver; the batch then stays unanswered.
        let _unwatched = self.0.send(Sent { body: batch.body, order_ids: batch.order_ids, answer });
        async move { answered.await.unwrap_or(Err(PublishError::Failed)) }
    }
}

/// The id of a synthetic order.
pub(crate) fn order_id(number: u64) -> OrderId {
    let key = OrderIdKey::new(&[7; 32]).expect("long enough");
    let idempotency_key = IdempotencyKey::parse(&number.to_string()).expect("valid");
    OrderId::derive(
        &key,
        &SaleId::parse("s").expect("valid"),
        &UserId::parse("u").expect("valid"),
        &idempotency_key,
    )
}

pub(crate) fn order_ids(numbers: impl IntoIterator<Item = u64>) -> Vec<OrderId> {
    numbers.into_iter().map(order_id).collect()
}

/// Synthetic order `number`, with `padding` more bytes than the smallest, up to 190.
pub(crate) fn order_of_bytes(number: u64, padding: usize) -> EncodedOrder {
    let line = |text: &str| AddressLine::parse(text).expect("valid");
    EncodedOrder::new(&AcceptedOrder {
        order_id: order_id(number),
        digest: PayloadDigest::from_bytes([1; 32]),
        sale_id: SaleId::parse("s").expect("valid"),
        user_id: UserId::parse("u").expect("valid"),
        items: vec![PricedItem {
            sku: Sku::parse("A").expect("valid"),
            quantity: Quantity::new(1).expect("valid"),
            unit_price_minor: 100,
        }],
        currency: Currency::parse("CNY").expect("valid"),
        shipping_address: ShippingAddress {
            recipient: line("R"),
            line1: line(&"x".repeat(1 + padding)),
            line2: None,
            city: line("C"),
            region: None,
            postal_code: None,
            country: Country::parse("CN").expect("valid"),
            phone: None,
        },
        client_reference: None,
        accepted_at: NOW,
        catalogue_revision: "r1".to_owned(),
        traceparent: None,
    })
}

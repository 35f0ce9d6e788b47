//! What the broker has to carry.

use serde::Serialize;

use super::sizing::Load;
use super::specs::{BrokerSpec, Coalescing, RocketMq};

/// How RocketMQ treats a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum MessageType {
    /// What ingest-fn publishes
    Normal,
    /// Ordered within a group
    Fifo,
    /// Delivered later
    Delay,
    /// In two phases
    Transaction,
}

/// Orders that travel in one message, from an instance that takes `rps`.
///
/// While a send is under way orders gather for as long as the linger lasts; what is given by hand replaces that. Both
/// stop where a message is full. An order that is larger than a message travels alone.
#[must_use]
pub fn orders_per_message(load: &Load, coalescing: &Coalescing, rps: f64) -> f64 {
    let gathered = 1.0 + rps * coalescing.linger_ms.value / 1000.0;
    let wanted = load.orders_per_message.unwrap_or(gathered);
    let by_bytes = (coalescing.batch_bytes_max.value / load.order_bytes).floor();
    wanted.min(by_bytes).min(coalescing.batch_orders_max.value).max(1.0)
}

/// Sends and receives a second, as they are counted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Tps {
    /// Orders in a message.
    pub orders_per_message: f64,
    /// Bytes in a message.
    pub message_bytes: f64,
    /// How often one message counts.
    pub units: f64,
    /// Sends.
    pub send: f64,
    /// Receives.
    pub receive: f64,
    /// Least specification: sends get at most their share of it.
    pub needed: f64,
}

impl Tps {
    /// What `rps` orders in and `drain_rate` orders out come to.
    #[must_use]
    pub fn of(
        rules: &RocketMq,
        message_type: MessageType,
        rps: f64,
        drain_rate: f64,
        order_bytes: f64,
        orders_per_message: f64,
    ) -> Self {
        let message_bytes = order_bytes * orders_per_message;
        let factor = if message_type == MessageType::Normal { 1.0 } else { rules.special_type_factor.value };
        let units = (message_bytes / rules.unit_bytes.value).ceil().max(1.0) * factor;
        let (send, receive) = (rps / orders_per_message * units, drain_rate / orders_per_message * units);
        let needed = (send + receive).max(send / rules.send_share_max.value);
        Self { orders_per_message, message_bytes, units, send, receive, needed }
    }

    /// The smallest specification of the list that carries it all the time; absent if none does.
    #[must_use]
    pub fn spec<'a>(&self, rules: &'a RocketMq) -> Option<&'a BrokerSpec> {
        rules.specs.iter().find(|spec| spec.tps >= self.needed)
    }
}

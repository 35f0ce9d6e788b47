//! Load on the broker.

use serde::Serialize;

use super::specs::{BrokerSpec, RocketMq};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum BrokerMessageType {
    /// As ingest-fn publishes them
    Normal,
    /// Ordered within a group
    Fifo,
    /// Delivered later
    Delay,
    /// In two phases
    Transaction,
}

/// Billed sends and receives a second.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Tps {
    pub orders_per_message: f64,
    pub message_bytes: f64,
    pub units: f64,
    pub send: f64,
    pub receive: f64,
    /// Minimum specification: sends may use only a share of it.
    pub needed: f64,
}

impl Tps {
    /// Computes the TPS of `rps` published and `drain_rate` received orders.
    pub fn compute(
        rules: &RocketMq,
        message_type: BrokerMessageType,
        rps: f64,
        drain_rate: f64,
        order_bytes: f64,
        orders_per_message: f64,
    ) -> Self {
        let message_bytes = order_bytes * orders_per_message;
        let factor =
            if message_type == BrokerMessageType::Normal { 1.0 } else { rules.special_type_factor.value };
        let units = (message_bytes / rules.unit_bytes.value).ceil().max(1.0) * factor;
        let (send, receive) = (rps / orders_per_message * units, drain_rate / orders_per_message * units);
        let needed = (send + receive).max(send / rules.send_share_max.value);
        Self { orders_per_message, message_bytes, units, send, receive, needed }
    }

    /// The smallest specification that carries the load permanently; `None` if none does.
    pub fn spec<'a>(&self, rules: &'a RocketMq) -> Option<&'a BrokerSpec> {
        rules.specs.iter().find(|spec| spec.tps >= self.needed)
    }
}

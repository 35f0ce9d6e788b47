//! Flags of the commands about orders and sales.

use clap::{Args, Subcommand};
use shared::order::{OrderId, SaleId};

use super::operate::CallArgs;

#[derive(Debug, Subcommand)]
pub enum OrderCommand {
    /// Show one order: state, reason, times, trace, conflicts, dead letters
    Show(OrderShowArgs),
    /// List a buyer's orders, or those with a client reference, in the order of their decision
    Find(OrderFindArgs),
}

#[derive(Clone, Debug, Args)]
pub struct OrderShowArgs {
    /// The order's id, a UUID
    #[arg(value_name = "ID")]
    pub id: OrderId,

    #[command(flatten)]
    pub call: CallArgs,
}

#[derive(Clone, Debug, Args)]
pub struct OrderFindArgs {
    /// The buyer, as the gateway names them
    #[arg(long, value_name = "USER", required_unless_present = "reference")]
    pub user: Option<String>,

    /// Only orders with this client reference; without --user all orders are looked through, so give --from too
    #[arg(long, value_name = "TEXT")]
    pub reference: Option<String>,

    /// Only orders accepted at this instant or later, RFC 3339
    #[arg(long, value_name = "INSTANT")]
    pub from: Option<String>,

    /// Only orders accepted before, RFC 3339
    #[arg(long, value_name = "INSTANT")]
    pub to: Option<String>,

    /// Only orders with a higher sequence; continues where an earlier call ended
    #[arg(long, value_name = "SEQUENCE", default_value_t = 0)]
    pub after: i64,

    /// Maximum number of orders
    #[arg(long, value_name = "COUNT", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=200))]
    pub limit: u32,

    #[command(flatten)]
    pub call: CallArgs,
}

#[derive(Clone, Debug, Args)]
pub struct SalesArgs {
    /// Show this sale by SKU [default: list all sales]
    #[arg(value_name = "SALE")]
    pub sale: Option<SaleId>,

    #[command(flatten)]
    pub call: CallArgs,
}

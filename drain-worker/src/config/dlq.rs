//! Flags of the commands about dead letters.

use clap::{Args, Subcommand};

use super::operate::{AdminArgs, AuditContextArgs};

/// What to do with dead letters.
#[derive(Debug, Subcommand)]
pub enum DlqCommand {
    /// List dead letters
    List(DlqListArgs),
    /// Show one, and the orders in it
    Show(DlqShowArgs),
    /// Send them through the database again, at the pool's cap
    Redrive(DlqBulkArgs),
    /// Give them up: the payload is wiped, the state stays
    Discard(DlqBulkArgs),
}

/// Flags of `dlq list`.
#[derive(Clone, Debug, Args)]
pub struct DlqListArgs {
    /// Only those with this reason, such as unknown_sku
    #[arg(long, value_name = "REASON", value_parser = reason_name)]
    pub dead_letter_reason: Option<String>,

    /// Which: open (they need somebody), discarded or all
    #[arg(long, value_name = "STATE", default_value = "open", value_parser = ["open", "discarded", "all"])]
    pub state: String,

    /// Only those with a higher number
    #[arg(long, value_name = "ID", default_value_t = 0)]
    pub after: i64,

    /// Most letters
    #[arg(long, value_name = "COUNT", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=500))]
    pub limit: u32,

    /// Print JSON
    #[arg(long)]
    pub json: bool,

    /// The worker.
    #[command(flatten)]
    pub admin: AdminArgs,
}

/// Flags of `dlq show`.
#[derive(Clone, Debug, Args)]
pub struct DlqShowArgs {
    /// Number of the letter
    #[arg(value_name = "ID")]
    pub id: i64,

    /// The worker.
    #[command(flatten)]
    pub admin: AdminArgs,
}

/// Flags of `dlq redrive` and `dlq discard`.
#[derive(Clone, Debug, Args)]
pub struct DlqBulkArgs {
    /// Numbers of letters
    #[arg(value_name = "ID", required_unless_present_any = ["dead_letter_reason", "all"], conflicts_with_all = ["dead_letter_reason", "all"])]
    pub ids: Vec<i64>,

    /// All with this reason, such as unknown_sku
    #[arg(long, value_name = "REASON", value_parser = reason_name, conflicts_with = "all")]
    pub dead_letter_reason: Option<String>,

    /// All
    #[arg(long)]
    pub all: bool,

    /// Only those with a higher number: goes on where an earlier call stopped
    #[arg(long, value_name = "ID", default_value_t = 0)]
    pub after: i64,

    /// Do not ask
    #[arg(long, short)]
    pub yes: bool,

    /// Print JSON, one line a page
    #[arg(long)]
    pub json: bool,

    /// Who and why.
    #[command(flatten)]
    pub context: AuditContextArgs,

    /// The worker.
    #[command(flatten)]
    pub admin: AdminArgs,
}

/// A reason's name, which also stands in a URL.
fn reason_name(text: &str) -> Result<String, String> {
    let is_name = (1..=32).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    if is_name { Ok(text.to_owned()) } else { Err("1 to 32 small letters, digits and '_'".to_owned()) }
}

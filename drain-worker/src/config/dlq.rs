//! Flags of the commands about dead letters.

use clap::{Args, Subcommand};

use super::operate::{BulkArgs, CallArgs};

#[derive(Debug, Subcommand)]
pub enum DlqCommand {
    /// List dead letters
    List(DlqListArgs),
    /// Show one dead letter with its orders
    Show(DlqShowArgs),
    /// Commit the orders of dead letters again, at the pool's cap
    Redrive(DlqBulkArgs),
    /// Discard dead letters: delete the payload after a day, keep the state
    Discard(DlqDiscardArgs),
    /// Undo a discard while the payload is still stored
    Restore(DlqBulkArgs),
}

#[derive(Clone, Debug, Args)]
pub struct DlqListArgs {
    /// Only dead letters with this reason, such as unknown_sku
    #[arg(long, value_name = "REASON", value_parser = reason_name)]
    pub dead_letter_reason: Option<String>,

    /// Only dead letters in this state: open, discarded or all
    #[arg(long, value_name = "STATE", default_value = "open", value_parser = ["open", "discarded", "all"])]
    pub state: String,

    /// Only dead letters with a higher number
    #[arg(long, value_name = "ID", default_value_t = 0)]
    pub after: i64,

    /// Maximum number of dead letters
    #[arg(long, value_name = "COUNT", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=500))]
    pub limit: u32,

    #[command(flatten)]
    pub call: CallArgs,
}

#[derive(Clone, Debug, Args)]
pub struct DlqShowArgs {
    /// Number of the dead letter
    #[arg(value_name = "ID")]
    pub id: i64,

    #[command(flatten)]
    pub call: CallArgs,
}

#[derive(Clone, Debug, Args)]
pub struct DlqBulkArgs {
    /// Numbers of dead letters
    #[arg(value_name = "ID", required_unless_present_any = ["dead_letter_reason", "all"], conflicts_with_all = ["dead_letter_reason", "all"])]
    pub ids: Vec<i64>,

    /// All dead letters with this reason, such as unknown_sku
    #[arg(long, value_name = "REASON", value_parser = reason_name, conflicts_with = "all")]
    pub dead_letter_reason: Option<String>,

    /// All dead letters
    #[arg(long)]
    pub all: bool,

    /// Only dead letters with a higher number; continues where an earlier call stopped
    #[arg(long, value_name = "ID", default_value_t = 0)]
    pub after: i64,

    #[command(flatten)]
    pub bulk: BulkArgs,
}

#[derive(Clone, Debug, Args)]
pub struct DlqDiscardArgs {
    /// Numbers of dead letters
    #[arg(value_name = "ID", required_unless_present_any = ["dead_letter_reason", "all"], conflicts_with_all = ["dead_letter_reason", "all"])]
    pub ids: Vec<i64>,

    /// All open dead letters with this reason at the moment of the confirmation
    #[arg(long, value_name = "REASON", value_parser = reason_name, conflicts_with = "all")]
    pub dead_letter_reason: Option<String>,

    /// All open dead letters at the moment of the confirmation
    #[arg(long)]
    pub all: bool,

    /// `--reason` must be given
    #[command(flatten)]
    pub bulk: BulkArgs,
}

/// A reason's name; it is also part of a URL.
fn reason_name(text: &str) -> Result<String, String> {
    let is_name = (1..=32).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    if is_name { Ok(text.to_owned()) } else { Err("1 to 32 small letters, digits and '_'".to_owned()) }
}

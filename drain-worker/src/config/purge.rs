//! Flags of `purge`.

use clap::Args;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{Date, OffsetDateTime};

use super::operate::BulkArgs;

#[derive(Clone, Debug, Args)]
pub struct PurgeArgs {
    /// Remove personal data (buyer, address, reference, trace) of what was decided before: a day such as 2026-10-01 (UTC), or
    /// RFC 3339; at least the broker's retention ago
    #[arg(long, value_name = "DATE", value_parser = instant)]
    pub before: OffsetDateTime,

    /// Also delete rows of what was decided before, with conflicts, discarded dead letters and the audit trail; at least 30
    /// days ago [default: delete no rows]
    #[arg(long, value_name = "DATE", value_parser = instant)]
    pub rows_before: Option<OffsetDateTime>,

    #[command(flatten)]
    pub bulk: BulkArgs,
}

/// A day begins at midnight UTC.
fn instant(text: &str) -> Result<OffsetDateTime, String> {
    let day = Date::parse(text, format_description!("[year]-[month]-[day]"));
    day.map(|day| day.midnight().assume_utc()).or_else(|_| OffsetDateTime::parse(text, &Rfc3339)).map_err(
        |_| "must be a day such as 2026-10-01, or RFC 3339 such as 2026-10-01T00:00:00+08:00".to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_date_is_a_day_in_utc_or_an_instant() {
        assert_eq!(instant("2026-10-01"), Ok(datetime!(2026-10-01 00:00 UTC)));
        assert_eq!(instant("2026-10-01T08:00:00+08:00"), Ok(datetime!(2026-10-01 00:00 UTC)));
        for wrong in ["", "2026-13-01", "01.10.2026", "yesterday"] {
            assert!(instant(wrong).is_err(), "{wrong}");
        }
    }
}

//! The catalogue of a scenario's sale.

use std::fmt::Write;

use super::Scenario;

pub const SALE_ID: &str = "rehearsal";

impl Scenario {
    /// The catalogue as TOML: hot SKUs first by name (`HOT-0001`), then the others (`SKU-00001`).
    pub fn catalogue_toml(&self) -> String {
        let mut text = format!(
            "revision = \"{}\"\n\n[[sales]]\nid = \"{SALE_ID}\"\nopens_at = \"2026-01-01T00:00:00Z\"\n\
             closes_at = \"2036-01-01T00:00:00Z\"\ncurrency = \"CNY\"\norder_id_key = \"loadtest\"\n",
            self.name
        );
        let sale = self.sale;
        for number in 1..=sale.skus {
            let hot = number <= sale.hot_skus;
            let (name, stock) = if hot { ("HOT", sale.hot_stock) } else { ("SKU", sale.stock) };
            // Writing to a string cannot fail.
            let _written = write!(
                text,
                "\n[[sales.skus]]\nsku = \"{name}-{number:05}\"\nunit_price_minor = {}\nstock = {stock}\n",
                1_000 + number
            );
            if hot && sale.hot_limit > 0 {
                let _written = writeln!(text, "per_user_limit = {}", sale.hot_limit);
            }
        }
        text
    }
}

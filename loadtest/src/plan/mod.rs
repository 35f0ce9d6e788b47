//! Sizes and prices a sale.

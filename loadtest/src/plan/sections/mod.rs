//! What the plan says, section by section.

mod instances;
mod price;
mod sale;
mod services;

pub(super) use instances::instances;
pub(super) use price::price;
pub(super) use sale::sale;
pub(super) use services::{broker, database, gateway};

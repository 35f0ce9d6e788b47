//! A file for each family of routes.

pub mod health;
pub mod invoke;
pub mod lifecycle;
pub mod openapi;
pub mod orders;

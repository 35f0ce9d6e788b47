//! Cases that every database must pass.

pub(crate) mod catalogues;
pub(crate) mod concurrency;
pub(crate) mod dead_letters;
pub(crate) mod locks;
pub(crate) mod lookups;
pub(crate) mod outcomes;
pub(crate) mod poison;
pub(crate) mod pool;
pub(crate) mod purge;
pub(crate) mod redelivery;
pub(crate) mod redrive;

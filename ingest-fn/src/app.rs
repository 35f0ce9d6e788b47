//! The state behind the routes of one worker, created before its first request.

use std::sync::Arc;

use crate::gateway::Gateway;
use crate::instance::Instance;
use crate::limits::RequestLimits;
use crate::sales::Sales;

#[derive(Debug)]
pub struct App<P, C> {
    /// Shared by all workers.
    pub instance: Arc<Instance>,
    pub gateway: Arc<Gateway>,
    pub sales: Arc<Sales>,
    pub publisher: P,
    pub clock: C,
    pub limits: RequestLimits,
}

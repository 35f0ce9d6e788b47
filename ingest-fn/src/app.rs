//! The state behind the routes of one worker, created before its first request.

use std::sync::Arc;

use crate::current_sales::CurrentSales;
use crate::gateway::Gateway;
use crate::instance::Instance;
use crate::limits::RequestLimits;

#[derive(Debug)]
pub struct App<P, C> {
    /// Shared by all workers.
    pub instance: Arc<Instance>,
    pub gateway: Arc<Gateway>,
    pub sales: Arc<CurrentSales>,
    pub publisher: P,
    pub clock: C,
    pub limits: RequestLimits,
}

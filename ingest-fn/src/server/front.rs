//! The first fork: orders go straight to their service, everything else by the router.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::routing::future::RouteFuture;
use futures_util::future::Either;
use http::{Method, Request, Response};
use hyper::body::Incoming;
use shared::time::Clock;

use crate::app::App;
use crate::publish::OrderPublisher;
use crate::router::{self, ORDERS_PATH, OrdersService};

/// What a connection's requests go to. Clones are cheap.
///
/// The router has the orders' route too and would do the same; the fork saves an order the look-up and two boxes.
#[derive(Clone, Debug)]
pub struct Dispatch<P, C> {
    orders: OrdersService<P, C>,
    router: Router,
}

impl<P: OrderPublisher, C: Clock + Clone> Dispatch<P, C> {
    /// For one worker.
    pub fn new(app: &Arc<App<P, C>>) -> Self {
        Self { orders: router::orders(app), router: router::router(app.clone()) }
    }
}

impl<P: OrderPublisher, C: Clock + Clone> hyper::service::Service<Request<Incoming>> for Dispatch<P, C> {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future =
        Either<<OrdersService<P, C> as tower::Service<Request<Incoming>>>::Future, RouteFuture<Infallible>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        if request.method() == Method::POST && request.uri().path() == ORDERS_PATH {
            Either::Left(tower::Service::call(&mut self.orders.clone(), request))
        } else {
            Either::Right(tower::Service::call(&mut self.router.clone(), request))
        }
    }
}

//! Routes a request's path to its call.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use prost::Message as ProstMessage;
use tonic::body::Body;
use tonic::server::{Grpc, NamedService};
use tonic_prost::ProstCodec;
use tower::{Service, service_fn};

use super::intake::{BodyLimit, CALL_BYTES_MAX, SEND_BYTES_MAX};
use super::prometheus;
use super::service::{self, Shared};
use spillway_rocketmq::protocol::{SERVICE, path};

/// The gRPC service. Clones are cheap.
#[derive(Clone, Debug)]
pub(crate) struct Messaging {
    shared: Arc<Shared>,
}

impl Messaging {
    pub(crate) const fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }
}

impl NamedService for Messaging {
    const NAME: &'static str = SERVICE;
}

impl Service<http::Request<Body>> for Messaging {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let shared = self.shared.clone();
        // One boxed future per call, no larger than that call needs.
        macro_rules! call {
            ($kind:ident, $limit:ident, $function:path) => {
                Box::pin(async move {
                    let (request, _permits) = shared.intake.admit(request, BodyLimit::$limit).await;
                    let call = service_fn(move |request| $function(shared.clone(), request));
                    Ok(grpc().$kind(call, request).await)
                })
            };
        }
        match request.uri().path() {
            path::SEND_MESSAGE => call!(unary, Send, service::send),
            path::RECEIVE_MESSAGE => call!(server_streaming, Call, service::receive),
            path::ACK_MESSAGE => call!(unary, Call, service::ack),
            path::CHANGE_INVISIBLE_DURATION => call!(unary, Call, service::change),
            path::QUERY_ROUTE => call!(unary, Call, service::route),
            path::HEARTBEAT => call!(unary, Call, service::heartbeat),
            path::TELEMETRY => Box::pin(async move {
                let request = shared.intake.admit_stream(request);
                let call = service_fn(move |request| service::telemetry(shared.clone(), request));
                Ok(grpc().max_decoding_message_size(CALL_BYTES_MAX).streaming(call, request).await)
            }),
            path::NOTIFY_CLIENT_TERMINATION => call!(unary, Call, service::terminate),
            prometheus::PATH if request.method() == http::Method::GET => {
                Box::pin(async move { Ok(prometheus::metrics(&shared.nodes).await) })
            }
            _ => Box::pin(async { Ok(tonic::Status::unimplemented("").into_http()) }),
        }
    }
}

fn grpc<Req, Res>() -> Grpc<ProstCodec<Res, Req>>
where
    Req: ProstMessage + Default + Send + 'static,
    Res: ProstMessage + Send + 'static,
{
    Grpc::new(ProstCodec::default()).max_decoding_message_size(SEND_BYTES_MAX)
}

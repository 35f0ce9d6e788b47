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

use super::prometheus;
use super::service::{self, Shared};
use spillway_rocketmq::protocol::{SERVICE, path};

/// Maximum bytes of the largest send: bodies of 4 MiB, their properties, and the framing.
const DECODE_BYTES_MAX: usize = 16 << 20;

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
            ($kind:ident, $function:path) => {
                Box::pin(async move {
                    let call = service_fn(move |request| $function(shared.clone(), request));
                    Ok(grpc().$kind(call, request).await)
                })
            };
        }
        match request.uri().path() {
            path::SEND_MESSAGE => call!(unary, service::send),
            path::RECEIVE_MESSAGE => call!(server_streaming, service::receive),
            path::ACK_MESSAGE => call!(unary, service::ack),
            path::CHANGE_INVISIBLE_DURATION => call!(unary, service::change),
            path::QUERY_ROUTE => call!(unary, service::route),
            path::HEARTBEAT => call!(unary, service::heartbeat),
            path::TELEMETRY => call!(streaming, service::telemetry),
            path::NOTIFY_CLIENT_TERMINATION => call!(unary, service::terminate),
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
    Grpc::new(ProstCodec::default()).max_decoding_message_size(DECODE_BYTES_MAX)
}

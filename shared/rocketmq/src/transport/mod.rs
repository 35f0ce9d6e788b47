//! Calls to a server, over one connection that is opened on demand and replaced when it is dead.

mod connection;
mod connector;
mod pool;
#[cfg(feature = "tls")]
mod tls;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_core::Stream;
use http::Uri;
use http::uri::PathAndQuery;
use prost::Message;
use tokio::time::{Instant, timeout};
use tonic::client::Grpc;
use tonic::transport::{Channel, Endpoint as TonicEndpoint};
use tonic::{Code as GrpcCode, Streaming};
use tonic_prost::ProstCodec;

use crate::auth::Signer;
use crate::config::ClientConfig;
use crate::endpoints::Endpoints;
use crate::error::ClientError;

use connection::Connection;
use connector::Connector;
pub(crate) use pool::Transports;

/// Maximum bytes of a stream's item: a message of 4 MiB with its properties fits.
const DECODE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// The name of the call in errors: the last part of its path.
fn call_name(path: &'static str) -> &'static str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The connection to one server.
#[derive(Debug)]
pub(crate) struct Transport {
    endpoints: Endpoints,
    channels: TonicEndpoint,
    connector: Connector,
    signer: Arc<Signer>,
    request_timeout: Duration,
    current: Mutex<Connection>,
}

impl Transport {
    fn new(config: &ClientConfig, signer: Arc<Signer>, connector: Connector) -> Result<Self, ClientError> {
        let endpoints = connector.endpoints.clone();
        let Some(first) = endpoints.addresses().first() else {
            return Err(ClientError::Config("an access point without an address".to_owned()));
        };
        let invalid =
            |error: &dyn std::fmt::Display| ClientError::Config(format!("endpoint {first}: {error}"));
        // The connector does TLS, so the channel must not; servers see the origin.
        let origin = format!("{}://{first}", connector.scheme());
        let origin = origin.parse::<Uri>().map_err(|error| invalid(&error))?;
        let channels = TonicEndpoint::from_shared(format!("http://{first}"))
            .map_err(|error| invalid(&error))?
            .origin(origin)
            // Many concurrent bodies of a few KiB would stall at the default windows of 64 KiB.
            .initial_stream_window_size(1 << 20)
            .initial_connection_window_size(8 << 20);
        let current = Mutex::new(Connection::new(0, connect_lazily(&channels, &connector)));
        let request_timeout = config.request_timeout;
        Ok(Self { endpoints, channels, connector, signer, request_timeout, current })
    }

    pub(crate) const fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    fn current(&self) -> Connection {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces connection `generation`, unless that was done already. Calls in flight on the old one run to their end.
    fn replace(&self, generation: u64) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.generation == generation {
            *current = Connection::new(generation + 1, connect_lazily(&self.channels, &self.connector));
            tracing::debug!(endpoint = %self.endpoints, generation, "connection replaced");
        }
    }

    /// Returns the error of a call that began at `began` and got no answer within `bound`. Replaces a dead connection:
    /// after a thaw or a silent network failure it looks open, and only silence shows it.
    fn timed_out(
        &self,
        connection: &Connection,
        path: &'static str,
        began: Instant,
        bound: Duration,
    ) -> ClientError {
        if connection.is_dead(began, self.request_timeout) {
            self.replace(connection.generation);
        }
        ClientError::Timeout { call: call_name(path), after: bound }
    }

    /// One request and one response, within `bound`.
    pub(crate) async fn unary<Req, Res>(
        &self,
        path: &'static str,
        request: Req,
        bound: Duration,
    ) -> Result<Res, ClientError>
    where
        Req: Message + 'static,
        Res: Message + Default + 'static,
    {
        let mut request = self.signer.request(request)?;
        request.set_timeout(bound);
        let (answer, _connection) = self
            .begin(path, bound, true, async |grpc| {
                let codec: ProstCodec<Req, Res> = ProstCodec::default();
                grpc.unary(request, PathAndQuery::from_static(path), codec).await
            })
            .await?;
        Ok(answer)
    }

    /// One request and a stream of responses. `bound` applies to the start of the stream and to each response; it is also
    /// the deadline sent to the server.
    pub(crate) async fn server_stream<Req, Res>(
        &self,
        path: &'static str,
        request: Req,
        bound: Duration,
    ) -> Result<ResponseStream<'_, Res>, ClientError>
    where
        Req: Message + 'static,
        Res: Message + Default + 'static,
    {
        let mut request = self.signer.request(request)?;
        request.set_timeout(bound);
        let (stream, connection) = self
            .begin(path, bound, false, async |grpc| {
                let codec: ProstCodec<Req, Res> = ProstCodec::default();
                grpc.server_streaming(request, PathAndQuery::from_static(path), codec).await
            })
            .await?;
        Ok(ResponseStream { transport: self, connection, path, bound, stream })
    }

    /// A stream in each direction. `bound` applies to the start only.
    pub(crate) async fn bidirectional<Req, Res>(
        &self,
        path: &'static str,
        requests: impl Stream<Item = Req> + Send + 'static,
        bound: Duration,
    ) -> Result<ResponseStream<'_, Res>, ClientError>
    where
        Req: Message + 'static,
        Res: Message + Default + 'static,
    {
        let request = self.signer.request(requests)?;
        let (stream, connection) = self
            .begin(path, bound, false, async |grpc| {
                let codec: ProstCodec<Req, Res> = ProstCodec::default();
                grpc.streaming(request, PathAndQuery::from_static(path), codec).await
            })
            .await?;
        Ok(ResponseStream { transport: self, connection, path, bound, stream })
    }

    /// Makes a call on the current connection and waits at most `bound` for its response or stream. Returns the
    /// connection as well. `is_prompt`: the server answers within the time-out of a request.
    async fn begin<T>(
        &self,
        path: &'static str,
        bound: Duration,
        is_prompt: bool,
        call: impl AsyncFnOnce(&mut Grpc<Channel>) -> Result<tonic::Response<T>, tonic::Status>,
    ) -> Result<(T, Connection), ClientError> {
        let connection = self.current();
        let began = Instant::now();
        if is_prompt {
            connection.asked();
        }
        let mut grpc = Grpc::new(connection.channel.clone()).max_decoding_message_size(DECODE_BYTES_MAX);
        let calling = async {
            grpc.ready().await.map_err(|error| {
                // The channel itself ended; a broken connection it would reopen.
                self.replace(connection.generation);
                ClientError::Transport { endpoint: self.endpoints.to_string(), reason: with_causes(&error) }
            })?;
            match call(&mut grpc).await {
                Ok(answer) => {
                    connection.answered();
                    Ok(answer.into_inner())
                }
                Err(status) => Err(self.call_error(&connection, path, began, bound, &status)),
            }
        };
        match timeout(bound, calling).await {
            Ok(answer) => Ok((answer?, connection)),
            Err(_elapsed) => Err(self.timed_out(&connection, path, began, bound)),
        }
    }

    /// Maps a gRPC status. The protocol has its own codes in bodies; a gRPC status means that transport or server failed.
    fn call_error(
        &self,
        connection: &Connection,
        path: &'static str,
        began: Instant,
        bound: Duration,
        status: &tonic::Status,
    ) -> ClientError {
        // tonic enforces the deadline too, and then returns Cancelled, as for a connection that breaks.
        let is_timeout = match status.code() {
            GrpcCode::DeadlineExceeded => true,
            GrpcCode::Cancelled => began.elapsed() >= bound,
            _ => false,
        };
        if !is_timeout {
            // An answer, or a broken connection, which the channel reopens.
            connection.answered();
        }
        match status.code() {
            _ if is_timeout => self.timed_out(connection, path, began, bound),
            GrpcCode::ResourceExhausted => {
                ClientError::Throttled { message: format!("gRPC: {}", status.message()) }
            }
            GrpcCode::Unauthenticated => ClientError::Status {
                code: crate::protocol::Code::UNAUTHORIZED,
                message: format!("gRPC: {}", status.message()),
            },
            GrpcCode::PermissionDenied => ClientError::Status {
                code: crate::protocol::Code::FORBIDDEN,
                message: format!("gRPC: {}", status.message()),
            },
            // Apache's proxy ends a telemetry stream with this status, for example for a missing group.
            GrpcCode::InvalidArgument => ClientError::Status {
                code: crate::protocol::Code::BAD_REQUEST,
                message: format!("gRPC: {}", status.message()),
            },
            GrpcCode::Unimplemented => ClientError::Status {
                code: crate::protocol::Code::NOT_IMPLEMENTED,
                message: format!("gRPC: {}", status.message()),
            },
            _ => ClientError::Transport {
                endpoint: self.endpoints.to_string(),
                reason: format!("{}: {}", status.code(), with_causes(status)),
            },
        }
    }
}

/// Returns a channel that connects at its first call.
fn connect_lazily(channels: &TonicEndpoint, connector: &Connector) -> Channel {
    let connector = connector.clone();
    channels.connect_with_connector_lazy(tower::service_fn(move |_: Uri| connector.clone().connect()))
}

/// Formats an error with its causes: tonic's own text is often only "transport error".
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let part = error.to_string();
        if !text.contains(&part) {
            text.push_str(": ");
            text.push_str(&part);
        }
        cause = error.source();
    }
    text
}

/// The responses of a [`Transport::server_stream`].
#[derive(Debug)]
pub(crate) struct ResponseStream<'a, Res> {
    transport: &'a Transport,
    connection: Connection,
    path: &'static str,
    bound: Duration,
    stream: Streaming<Res>,
}

impl<Res> ResponseStream<'_, Res> {
    /// Returns the stream without its bound.
    pub(crate) fn into_inner(self) -> Streaming<Res> {
        self.stream
    }

    /// Returns the next response; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Res>, ClientError> {
        let began = Instant::now();
        match timeout(self.bound, self.stream.message()).await {
            Ok(Ok(response)) => {
                self.connection.answered();
                Ok(response)
            }
            Ok(Err(status)) => {
                Err(self.transport.call_error(&self.connection, self.path, began, self.bound, &status))
            }
            Err(_elapsed) => Err(self.transport.timed_out(&self.connection, self.path, began, self.bound)),
        }
    }
}

//! Connections: one per server, opened on demand, replaced after a failure.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_core::Stream;
use http::uri::PathAndQuery;
use prost::Message;
use tokio::time::timeout;
use tonic::client::Grpc;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint as TonicEndpoint};
use tonic::{Code as GrpcCode, Streaming};
use tonic_prost::ProstCodec;

use crate::auth::Signer;
use crate::config::{ClientConfig, Endpoint, Tls};
use crate::error::ClientError;

/// Maximum bytes of a stream's item: a message of 4 MiB with its properties fits.
const DECODE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// The name of the call in errors: the last part of its path.
fn call_name(path: &'static str) -> &'static str {
    path.rsplit('/').next().unwrap_or(path)
}

/// All connections of one client, by server; at most one for each server in the routes.
#[derive(Debug)]
pub(crate) struct Transports {
    config: Arc<ClientConfig>,
    signer: Arc<Signer>,
    by_endpoint: Mutex<HashMap<Endpoint, Arc<Transport>>>,
}

impl Transports {
    pub(crate) fn new(config: Arc<ClientConfig>, client_id: &str) -> Result<Self, ClientError> {
        let signer = Arc::new(Signer::new(&config, client_id)?);
        let transports = Self { config, signer, by_endpoint: Mutex::default() };
        // Reports an invalid endpoint or certificate now, not at the first call.
        transports.access_point()?;
        Ok(transports)
    }

    /// The connection to the configured endpoint.
    pub(crate) fn access_point(&self) -> Result<Arc<Transport>, ClientError> {
        self.get(&self.config.endpoint)
    }

    pub(crate) fn get(&self, endpoint: &Endpoint) -> Result<Arc<Transport>, ClientError> {
        let mut by_endpoint = self.by_endpoint.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(transport) = by_endpoint.get(endpoint) {
            return Ok(transport.clone());
        }
        let transport = Arc::new(Transport::new(&self.config, self.signer.clone(), endpoint.clone())?);
        by_endpoint.insert(endpoint.clone(), transport.clone());
        Ok(transport)
    }

    pub(crate) fn all(&self) -> Vec<Arc<Transport>> {
        self.by_endpoint.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}

/// The connection to one server.
#[derive(Debug)]
pub(crate) struct Transport {
    endpoint: Endpoint,
    connector: TonicEndpoint,
    signer: Arc<Signer>,
    current: Mutex<Connection>,
}

#[derive(Clone, Debug)]
struct Connection {
    generation: u64,
    channel: Channel,
}

impl Transport {
    fn new(config: &ClientConfig, signer: Arc<Signer>, endpoint: Endpoint) -> Result<Self, ClientError> {
        let scheme = if config.tls == Tls::Off { "http" } else { "https" };
        let invalid =
            |error: tonic::transport::Error| ClientError::Config(format!("endpoint {endpoint}: {error}"));
        let mut connector = TonicEndpoint::from_shared(format!("{scheme}://{endpoint}"))
            .map_err(invalid)?
            .connect_timeout(config.connect_timeout)
            .tcp_nodelay(true)
            // Many concurrent bodies of a few KiB would stall at the default windows of 64 KiB.
            .initial_stream_window_size(1 << 20)
            .initial_connection_window_size(8 << 20);
        connector = match &config.tls {
            Tls::Off => connector,
            Tls::PublicRoots => {
                connector.tls_config(ClientTlsConfig::new().with_webpki_roots()).map_err(invalid)?
            }
            Tls::Roots(pem) => connector
                .tls_config(ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)))
                .map_err(invalid)?,
        };
        let channel = connector.connect_lazy();
        Ok(Self { endpoint, connector, signer, current: Mutex::new(Connection { generation: 0, channel }) })
    }

    fn current(&self) -> Connection {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces connection `generation`, unless that was done already. Calls in flight on the old one run to their end.
    fn replace(&self, generation: u64) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.generation == generation {
            *current = Connection { generation: generation + 1, channel: self.connector.connect_lazy() };
            tracing::debug!(endpoint = %self.endpoint, generation, "connection replaced");
        }
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
        let mut request = self.signer.request(request);
        request.set_timeout(bound);
        let (answer, _generation) = self
            .begin(path, bound, async |grpc| {
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
        let mut request = self.signer.request(request);
        request.set_timeout(bound);
        let (stream, generation) = self
            .begin(path, bound, async |grpc| {
                let codec: ProstCodec<Req, Res> = ProstCodec::default();
                grpc.server_streaming(request, PathAndQuery::from_static(path), codec).await
            })
            .await?;
        Ok(ResponseStream { transport: self, generation, path, bound, stream })
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
        let request = self.signer.request(requests);
        let (stream, generation) = self
            .begin(path, bound, async |grpc| {
                let codec: ProstCodec<Req, Res> = ProstCodec::default();
                grpc.streaming(request, PathAndQuery::from_static(path), codec).await
            })
            .await?;
        Ok(ResponseStream { transport: self, generation, path, bound, stream })
    }

    /// Makes a call on the current connection and waits at most `bound` for its response or stream. Returns the
    /// connection's generation as well.
    ///
    /// A time-out replaces the connection: after a thaw or a silent network failure a connection may look open and be
    /// dead, and only a time-out shows it.
    async fn begin<T>(
        &self,
        path: &'static str,
        bound: Duration,
        call: impl AsyncFnOnce(&mut Grpc<Channel>) -> Result<tonic::Response<T>, tonic::Status>,
    ) -> Result<(T, u64), ClientError> {
        let Connection { generation, channel } = self.current();
        let mut grpc = Grpc::new(channel).max_decoding_message_size(DECODE_BYTES_MAX);
        let calling = async {
            grpc.ready().await.map_err(|error| self.transport_error(generation, &error))?;
            call(&mut grpc).await.map_err(|status| self.call_error(generation, path, bound, &status))
        };
        match timeout(bound, calling).await {
            Ok(answer) => Ok((answer?.into_inner(), generation)),
            Err(_elapsed) => {
                self.replace(generation);
                Err(ClientError::Timeout { call: call_name(path), after: bound })
            }
        }
    }

    fn transport_error(&self, generation: u64, error: &tonic::transport::Error) -> ClientError {
        self.replace(generation);
        ClientError::Transport { endpoint: self.endpoint.to_string(), reason: with_causes(error) }
    }

    /// Maps a gRPC status. The protocol has its own codes in bodies; a gRPC status means that transport or server failed.
    fn call_error(
        &self,
        generation: u64,
        path: &'static str,
        bound: Duration,
        status: &tonic::Status,
    ) -> ClientError {
        match status.code() {
            // tonic enforces the deadline too, and returns Cancelled.
            GrpcCode::DeadlineExceeded | GrpcCode::Cancelled => {
                self.replace(generation);
                ClientError::Timeout { call: call_name(path), after: bound }
            }
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
            _ => {
                self.replace(generation);
                ClientError::Transport {
                    endpoint: self.endpoint.to_string(),
                    reason: format!("{}: {}", status.code(), with_causes(status)),
                }
            }
        }
    }
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
    generation: u64,
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
        match timeout(self.bound, self.stream.message()).await {
            Ok(result) => result
                .map_err(|status| self.transport.call_error(self.generation, self.path, self.bound, &status)),
            Err(_elapsed) => {
                self.transport.replace(self.generation);
                Err(ClientError::Timeout { call: call_name(self.path), after: self.bound })
            }
        }
    }
}

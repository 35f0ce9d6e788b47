//! Connections: made on demand, one a server, replaced after any break.

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

/// Room for the largest item of a stream: a message of 4 MiB with its properties.
const DECODE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// The last part of a path names the call in errors.
fn call_name(path: &'static str) -> &'static str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Every connection of one client, by server. As many as the routes name, which is as many as there are proxies.
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
        // Finds a faulty endpoint or certificate now, not at the first call.
        transports.access_point()?;
        Ok(transports)
    }

    /// The server the client was given.
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
            // Bodies of a few KiB from many concurrent calls: the default windows of 64 KiB would stall them.
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

    pub(crate) const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    fn current(&self) -> Connection {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Gives up connection `generation`, unless somebody already has. Calls under way on it run to their end.
    fn replace(&self, generation: u64) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.generation == generation {
            *current = Connection { generation: generation + 1, channel: self.connector.connect_lazy() };
            tracing::debug!(endpoint = %self.endpoint, generation, "connection given up");
        }
    }

    /// One request, one answer, within `bound`.
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

    /// One request, many answers; each answer and the stream's beginning within `bound`, which is also the
    /// deadline that the server is told.
    pub(crate) async fn server_stream<Req, Res>(
        &self,
        path: &'static str,
        request: Req,
        bound: Duration,
    ) -> Result<AnswerStream<'_, Res>, ClientError>
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
        Ok(AnswerStream { transport: self, generation, path, bound, stream })
    }

    /// Streams both ways; the beginning within `bound`, the stream itself without one.
    pub(crate) async fn bidirectional<Req, Res>(
        &self,
        path: &'static str,
        requests: impl Stream<Item = Req> + Send + 'static,
        bound: Duration,
    ) -> Result<AnswerStream<'_, Res>, ClientError>
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
        Ok(AnswerStream { transport: self, generation, path, bound, stream })
    }

    /// Makes a call on the current connection and waits for its answer, or its stream, for at most `bound`. Says
    /// which connection it was.
    ///
    /// A connection that gives no answer in time is given up: after a thaw or a silent network failure it may
    /// look open and be dead, and nothing but a time-out would ever tell.
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

    /// The protocol puts its own codes into bodies; a gRPC status means that transport or server broke.
    fn call_error(
        &self,
        generation: u64,
        path: &'static str,
        bound: Duration,
        status: &tonic::Status,
    ) -> ClientError {
        match status.code() {
            // tonic enforces the deadline as well, and calls it cancelled.
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
            // Apache's proxy ends a telemetry stream so, for a missing group among others.
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

/// An error with what caused it: tonic's own text is often just "transport error".
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

/// The answers to a [`Transport::server_stream`].
#[derive(Debug)]
pub(crate) struct AnswerStream<'a, Res> {
    transport: &'a Transport,
    generation: u64,
    path: &'static str,
    bound: Duration,
    stream: Streaming<Res>,
}

impl<Res> AnswerStream<'_, Res> {
    /// The stream by itself, without bounds.
    pub(crate) fn into_inner(self) -> Streaming<Res> {
        self.stream
    }

    /// The next answer; `None` at the end.
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

//! Client of a worker's admin port.

use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use shared::problem::Problem;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::config::AdminArgs;

/// Maximum wait for a response; redriving a page takes as long as the cap requires.
const RESPONSE_WAIT: Duration = Duration::from_secs(60);

const RESPONSE_BYTES_MAX: usize = 16 << 20;

#[derive(Debug, thiserror::Error)]
pub enum AdminClientError {
    #[error("--admin-url: must look like http://host:port")]
    Url,
    #[error(
        "no worker answers at {url}: {reason}; is a worker running there? name another one with --admin-url"
    )]
    Unreachable { url: String, reason: String },
    #[error("{status} {code}: {detail}")]
    Rejected { status: u16, code: String, detail: String },
    #[error("{url} answered {status} with a response that is not a worker's")]
    NotAWorker { url: String, status: u16 },
}

pub(super) struct AdminClient {
    url: String,
    authority: String,
    host: String,
    port: u16,
    token: Option<String>,
}

impl AdminClient {
    /// The worker that the flags name.
    ///
    /// # Errors
    /// [`AdminClientError::Url`].
    pub(super) fn new(args: &AdminArgs) -> Result<Self, AdminClientError> {
        let uri: Uri = args.admin_url.parse().map_err(|_| AdminClientError::Url)?;
        let authority =
            uri.authority().filter(|_| uri.scheme_str() == Some("http")).ok_or(AdminClientError::Url)?;
        if authority.as_str().contains('@') {
            return Err(AdminClientError::Url);
        }
        Ok(Self {
            url: args.admin_url.trim_end_matches('/').to_owned(),
            authority: authority.as_str().to_owned(),
            host: authority.host().trim_matches(['[', ']']).to_owned(),
            port: authority.port_u16().unwrap_or(80),
            token: args.admin_token.as_ref().map(|token| token.expose().clone()),
        })
    }

    pub(super) async fn get(&self, path: &str) -> Result<Value, AdminClientError> {
        self.call(Method::GET, path, None).await
    }

    pub(super) async fn put(&self, path: &str, body: &Value) -> Result<Value, AdminClientError> {
        self.call(Method::PUT, path, Some(body)).await
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> Result<Value, AdminClientError> {
        self.call(Method::POST, path, Some(body)).await
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, AdminClientError> {
        match timeout(RESPONSE_WAIT, self.exchange(method, path, body)).await {
            Ok(result) => result,
            Err(_elapsed) => {
                Err(self.unreachable(format!("no response within {} s", RESPONSE_WAIT.as_secs())))
            }
        }
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, AdminClientError> {
        let stream = TcpStream::connect((self.host.as_str(), self.port))
            .await
            .map_err(|error| self.unreachable(error.to_string()))?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| self.unreachable(error.to_string()))?;
        // The connection ends with its one exchange, which reports its errors.
        let connection = tokio::spawn(async move { connection.await.is_ok() });
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, &self.authority)
            .header("connection", "close");
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let body = body.map(ToString::to_string).unwrap_or_default();
        let request = request
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| self.unreachable(error.to_string()))?;
        let response =
            sender.send_request(request).await.map_err(|error| self.unreachable(error.to_string()))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), RESPONSE_BYTES_MAX).collect().await;
        let body = body.map_err(|error| self.unreachable(error.to_string()))?.to_bytes();
        connection.abort();
        self.read(status, &body)
    }

    fn read(&self, status: StatusCode, body: &[u8]) -> Result<Value, AdminClientError> {
        let foreign = || AdminClientError::NotAWorker { url: self.url.clone(), status: status.as_u16() };
        if status.is_success() {
            return serde_json::from_slice(body).map_err(|_| foreign());
        }
        let problem: Problem = serde_json::from_slice(body).map_err(|_| foreign())?;
        Err(AdminClientError::Rejected { status: problem.status, code: problem.code, detail: problem.detail })
    }

    fn unreachable(&self, reason: String) -> AdminClientError {
        AdminClientError::Unreachable { url: self.url.clone(), reason }
    }
}

//! Asks a worker's admin port.

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

/// Longest wait for an answer; redriving a page takes as long as the cap lets it.
const RESPONSE_WAIT: Duration = Duration::from_secs(60);

/// Longest answer.
const RESPONSE_BYTES_MAX: usize = 16 << 20;

/// Why the worker did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum AdminClientError {
    /// The address.
    #[error("--admin-url: must look like http://host:port")]
    Url,
    /// No connection.
    #[error("{url} does not answer: {reason}; is a worker running there? name another one with --admin-url")]
    Unreachable {
        /// Who was asked.
        url: String,
        /// What went wrong.
        reason: String,
    },
    /// The worker refuses.
    #[error("{status} {code}: {detail}")]
    Rejected {
        /// The HTTP status.
        status: u16,
        /// Stable name of what is wrong.
        code: String,
        /// What to do about it.
        detail: String,
    },
    /// Something else answers there.
    #[error("{url} answered {status} with something that is not a worker's")]
    NotAWorker {
        /// Who was asked.
        url: String,
        /// The HTTP status.
        status: u16,
    },
}

/// A worker's admin port.
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

    /// GET.
    ///
    /// # Errors
    /// [`AdminClientError`].
    pub(super) async fn get(&self, path: &str) -> Result<Value, AdminClientError> {
        self.call(Method::GET, path, None).await
    }

    /// PUT.
    ///
    /// # Errors
    /// [`AdminClientError`].
    pub(super) async fn put(&self, path: &str, body: &Value) -> Result<Value, AdminClientError> {
        self.call(Method::PUT, path, Some(body)).await
    }

    /// POST.
    ///
    /// # Errors
    /// [`AdminClientError`].
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
            Err(_elapsed) => Err(self.unreachable(format!("no answer within {} s", RESPONSE_WAIT.as_secs()))),
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
        // It ends with its one exchange; what it ends with shows in that.
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

use std::str::FromStr;

use anyhow::{Context, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use shared::gateway::{
    BODY_MD5_LENGTH, Canonical, SECRET_LENGTH_MIN, SIGNATURE, SIGNATURE_HEADERS, SIGNATURE_KEY, body_md5,
    parameters,
};

use super::head::RequestFields;

/// Signs requests as API Gateway does before it forwards them.
#[derive(Clone)]
pub struct GatewaySigner {
    key_name: String,
    key: Hmac<Sha256>,
}

impl std::fmt::Debug for GatewaySigner {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("GatewaySigner").field("key_name", &self.key_name).finish_non_exhaustive()
    }
}

impl FromStr for GatewaySigner {
    type Err = anyhow::Error;

    /// Reads the first of `name=secret[,name=secret…]`, as in a service's `SPILLWAY_GATEWAY_SECRETS`. An error never
    /// quotes the text.
    fn from_str(secrets: &str) -> anyhow::Result<Self> {
        let first = secrets.split(',').next().unwrap_or_default();
        let (name, secret) = first.split_once('=').context("must be name=secret[,name=secret…]")?;
        let (name, secret) = (name.trim(), secret.trim());
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
            bail!("the name of the secret must be visible ASCII");
        }
        if secret.len() < SECRET_LENGTH_MIN {
            bail!("the secret has fewer than {SECRET_LENGTH_MIN} characters");
        }
        Ok(Self { key_name: name.to_owned(), key: Hmac::new_from_slice(secret.as_bytes())? })
    }
}

impl GatewaySigner {
    /// Appends the headers of the signature, which covers `headers`: distinct names, and values.
    pub(super) fn sign(
        &self,
        request: &RequestFields<'_>,
        mut headers: Vec<(&str, &str)>,
        out: &mut Vec<u8>,
    ) {
        headers.sort_unstable();
        let form = if request.is_form { std::str::from_utf8(request.body).unwrap_or_default() } else { "" };
        let mut md5 = [0; BODY_MD5_LENGTH];
        let canonical = Canonical {
            method: &request.method,
            path: request.path,
            body_md5: if request.is_form { "" } else { body_md5(request.body, &mut md5) },
            headers: &headers,
            // What cannot be decoded is not signed; the service rejects it.
            parameters: &parameters("", form).unwrap_or_default(),
        };
        let mut mac = self.key.clone();
        mac.update(&canonical.to_bytes());
        let signature = STANDARD.encode(mac.finalize().into_bytes());
        let names: Vec<_> = headers.iter().map(|(name, _)| *name).collect();
        for (name, value) in
            [(SIGNATURE_KEY, &self.key_name), (SIGNATURE_HEADERS, &names.join(",")), (SIGNATURE, &signature)]
        {
            out.extend_from_slice(b"\r\n");
            out.extend_from_slice(name.as_str().as_bytes());
            out.extend_from_slice(b": ");
            out.extend_from_slice(value.as_bytes());
        }
    }
}

use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use shared::gateway::{
    BODY_MD5_LENGTH, Canonical, KeysError, SIGNATURE, SIGNATURE_HEADERS, SIGNATURE_KEY, SigningKeys,
    body_md5, parameters,
};

use super::head::{RequestFields, write_header};

/// Signs requests as API Gateway does before it forwards them, with the first of several secrets.
#[derive(Clone, Debug)]
pub struct GatewaySigner {
    keys: SigningKeys,
}

impl FromStr for GatewaySigner {
    type Err = KeysError;

    /// Reads `name=secret[,name=secret…]`, as in a service's `SPILLWAY_GATEWAY_SECRETS`.
    fn from_str(secrets: &str) -> Result<Self, KeysError> {
        Ok(Self { keys: secrets.parse()? })
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
            body_md5: if request.is_form || request.body.is_empty() {
                ""
            } else {
                body_md5(request.body, &mut md5)
            },
            headers: &headers,
            // What cannot be decoded is not signed; the service rejects it.
            parameters: &parameters("", form).unwrap_or_default(),
        };
        let (key_name, signature) = self.keys.sign(&canonical.to_bytes());
        let names: Vec<_> = headers.iter().map(|(name, _)| *name).collect();
        for (name, value) in [
            (SIGNATURE_KEY, key_name),
            (SIGNATURE_HEADERS, &names.join(",")),
            (SIGNATURE, &STANDARD.encode(signature)),
        ] {
            write_header(name.as_str(), value, out);
        }
    }
}

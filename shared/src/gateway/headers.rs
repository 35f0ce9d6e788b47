//! `X-Ca-Proxy-Signature-Headers`: the list of signed headers.

use http::{HeaderMap, HeaderName};

use super::error::SignatureError;

/// Maximum names in the list: far more than a gateway signs, few enough to compare each pair.
pub const LISTED_MAX: usize = 64;

/// The listed names, sorted.
#[derive(Debug)]
pub struct SignedHeaders<'a>(Vec<&'a str>);

impl<'a> SignedHeaders<'a> {
    /// Parses the list; an empty list names no header.
    ///
    /// # Errors
    /// [`SignatureError::TooManyHeaders`]; [`SignatureError::RepeatedHeader`] if a name appears twice, in any case: the
    /// place of its value in the signed string would be ambiguous.
    pub fn parse(list: &'a str) -> Result<Self, SignatureError> {
        if list.is_empty() {
            return Ok(Self(Vec::new()));
        }
        let mut names = Vec::with_capacity(16);
        for name in list.split(',') {
            if names.len() == LISTED_MAX {
                return Err(SignatureError::TooManyHeaders);
            }
            if names.iter().any(|earlier: &&str| earlier.eq_ignore_ascii_case(name)) {
                return Err(SignatureError::RepeatedHeader);
            }
            names.push(name);
        }
        // Case-sensitive, as the gateway sorts: `B` comes before `a`.
        names.sort_unstable();
        Ok(Self(names))
    }

    /// True if `name` is listed.
    #[must_use]
    pub fn contain(&self, name: &HeaderName) -> bool {
        self.0.iter().any(|listed| listed.eq_ignore_ascii_case(name.as_str()))
    }

    /// Returns the listed headers that are present, with their values.
    ///
    /// # Errors
    /// [`SignatureError::RepeatedHeader`] if one is present more than once: only the first value would be signed.
    /// [`SignatureError::Undecodable`] if a value is not visible ASCII: its bytes are ambiguous.
    pub fn values(&self, headers: &'a HeaderMap) -> Result<Vec<(&'a str, &'a str)>, SignatureError> {
        let mut values = Vec::with_capacity(self.0.len());
        for name in &self.0 {
            // As at the gateway, a listed header that is absent is not signed; nor can it be added later.
            if let Some(value) = at_most_one(headers.get_all(*name).iter())? {
                values.push((*name, value.to_str().map_err(|_| SignatureError::Undecodable)?));
            }
        }
        Ok(values)
    }
}

/// Returns the only item, or `None` if there is none; more than one is an error.
pub(super) fn at_most_one<T>(mut items: impl Iterator<Item = T>) -> Result<Option<T>, SignatureError> {
    let first = items.next();
    if items.next().is_some() { Err(SignatureError::RepeatedHeader) } else { Ok(first) }
}

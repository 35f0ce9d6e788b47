//! `X-Ca-Proxy-Signature-Headers`: which headers are signed.

use http::{HeaderMap, HeaderName};

use super::verify::Fault;

/// Most names in the list: far more than a gateway has to sign, few enough to compare each with each.
pub const LISTED_MAX: usize = 64;

/// The names as listed, sorted.
#[derive(Debug)]
pub struct SignedHeaders<'a>(Vec<&'a str>);

impl<'a> SignedHeaders<'a> {
    /// Reads the list; an absent or empty one names nothing.
    ///
    /// # Errors
    /// [`Fault::TooManyHeaders`], and [`Fault::RepeatedHeader`] if a name is there twice, in whatever case: then it
    /// would be open which place in the string its value has.
    pub fn parse(list: &'a str) -> Result<Self, Fault> {
        if list.is_empty() {
            return Ok(Self(Vec::new()));
        }
        let mut names = Vec::with_capacity(16);
        for name in list.split(',') {
            if names.len() == LISTED_MAX {
                return Err(Fault::TooManyHeaders);
            }
            if names.iter().any(|earlier: &&str| earlier.eq_ignore_ascii_case(name)) {
                return Err(Fault::RepeatedHeader);
            }
            names.push(name);
        }
        // As written: in the gateway's own sort, `B` comes before `a`.
        names.sort_unstable();
        Ok(Self(names))
    }

    /// Whether `name` is listed.
    #[must_use]
    pub fn contain(&self, name: &HeaderName) -> bool {
        self.0.iter().any(|listed| listed.eq_ignore_ascii_case(name.as_str()))
    }

    /// The listed headers that are there, with their values.
    ///
    /// # Errors
    /// [`Fault::RepeatedHeader`] if one is there more than once: only the first value would be signed.
    /// [`Fault::Undecodable`] if a value is not visible ASCII: its bytes could be read in more than one way.
    pub fn values(&self, headers: &'a HeaderMap) -> Result<Vec<(&'a str, &'a str)>, Fault> {
        let mut values = Vec::with_capacity(self.0.len());
        for name in &self.0 {
            // What is listed and not there is not signed, as the gateway has it; it cannot be added later either.
            if let Some(value) = at_most_one(headers.get_all(*name).iter())? {
                values.push((*name, value.to_str().map_err(|_| Fault::Undecodable)?));
            }
        }
        Ok(values)
    }
}

/// The one item, if there is one.
pub(super) fn at_most_one<T>(mut items: impl Iterator<Item = T>) -> Result<Option<T>, Fault> {
    let first = items.next();
    if items.next().is_some() { Err(Fault::RepeatedHeader) } else { Ok(first) }
}

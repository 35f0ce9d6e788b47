//! Query and form, decoded as a servlet decodes them, each name once.

use std::borrow::Cow;

use percent_encoding::percent_decode;

/// Name and value, decoded.
pub type Parameter<'a> = (Cow<'a, str>, Cow<'a, str>);

/// Most parameters of one request.
pub const PARAMETERS_MAX: usize = 64;

/// Why parameters cannot be signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParameterFault {
    /// A name is there twice. Only its first value would be signed.
    Repeated,
    /// More than [`PARAMETERS_MAX`].
    TooMany,
    /// A `%` without two hexadecimal digits, or bytes that are not UTF-8.
    Undecodable,
    /// A `&`, or in a name a `=`, once decoded. Nothing is escaped in the signed string, so that `a=b%26c=d` and
    /// `a=b&c=d` would have the same signature.
    Ambiguous,
}

/// The parameters of `query` and, where the body is a form, of `form`, sorted by name as Java sorts text.
///
/// # Errors
/// [`ParameterFault`].
pub fn parameters<'a>(query: &'a str, form: &'a str) -> Result<Vec<Parameter<'a>>, ParameterFault> {
    let mut all = Vec::new();
    for pair in query.split('&').chain(form.split('&')).filter(|pair| !pair.is_empty()) {
        if all.len() == PARAMETERS_MAX {
            return Err(ParameterFault::TooMany);
        }
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (decode(name)?, decode(value)?);
        if name.contains(['&', '=']) || value.contains('&') {
            return Err(ParameterFault::Ambiguous);
        }
        all.push((name, value));
    }
    all.sort_unstable_by(|(left, _), (right, _)| left.encode_utf16().cmp(right.encode_utf16()));
    if all.windows(2).any(|pair| pair[0].0 == pair[1].0) {
        return Err(ParameterFault::Repeated);
    }
    Ok(all)
}

/// Form decoding (`+` is a space), strict: what a lenient decoder would replace could be anything.
fn decode(text: &str) -> Result<Cow<'_, str>, ParameterFault> {
    let is_escape =
        |rest: &str| rest.as_bytes().get(..2).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit));
    if !text.split('%').skip(1).all(is_escape) {
        return Err(ParameterFault::Undecodable);
    }
    if !text.contains('+') {
        return percent_decode(text.as_bytes()).decode_utf8().map_err(|_| ParameterFault::Undecodable);
    }
    let spaced = text.replace('+', " ");
    let decoded = percent_decode(spaced.as_bytes()).decode_utf8().map_err(|_| ParameterFault::Undecodable)?;
    Ok(Cow::Owned(decoded.into_owned()))
}

//! Query and form parameters, decoded as a servlet decodes them.

use std::borrow::Cow;

use percent_encoding::percent_decode;

/// Decoded name and value.
pub type Parameter<'a> = (Cow<'a, str>, Cow<'a, str>);

/// Maximum parameters of one request.
pub const PARAMETERS_MAX: usize = 64;

/// The reason why parameters have no unambiguous signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParameterError {
    /// A name appears twice; only its first value would be signed.
    Repeated,
    /// More than [`PARAMETERS_MAX`].
    TooMany,
    /// A `%` without two hexadecimal digits, or bytes that are not UTF-8.
    Undecodable,
    /// A decoded text contains `&`, or a decoded name `=`. The signed string has no escapes, so `a=b%26c=d` and `a=b&c=d`
    /// would have the same signature.
    Ambiguous,
}

/// Decodes the parameters of `query` and, if the body is a form, of `form`; sorted by name as Java sorts strings.
///
/// # Errors
/// [`ParameterError`].
pub fn parameters<'a>(query: &'a str, form: &'a str) -> Result<Vec<Parameter<'a>>, ParameterError> {
    let mut all = Vec::new();
    for pair in query.split('&').chain(form.split('&')).filter(|pair| !pair.is_empty()) {
        if all.len() == PARAMETERS_MAX {
            return Err(ParameterError::TooMany);
        }
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (decode(name)?, decode(value)?);
        if name.contains(['&', '=']) || value.contains('&') {
            return Err(ParameterError::Ambiguous);
        }
        all.push((name, value));
    }
    all.sort_unstable_by(|(left, _), (right, _)| left.encode_utf16().cmp(right.encode_utf16()));
    if all.windows(2).any(|pair| pair[0].0 == pair[1].0) {
        return Err(ParameterError::Repeated);
    }
    Ok(all)
}

/// Strict form decoding (`+` is a space): a lenient decoder's replacement characters would be ambiguous.
fn decode(text: &str) -> Result<Cow<'_, str>, ParameterError> {
    let is_escape =
        |rest: &str| rest.as_bytes().get(..2).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit));
    if !text.split('%').skip(1).all(is_escape) {
        return Err(ParameterError::Undecodable);
    }
    if !text.contains('+') {
        return percent_decode(text.as_bytes()).decode_utf8().map_err(|_| ParameterError::Undecodable);
    }
    let spaced = text.replace('+', " ");
    let decoded = percent_decode(spaced.as_bytes()).decode_utf8().map_err(|_| ParameterError::Undecodable)?;
    Ok(Cow::Owned(decoded.into_owned()))
}

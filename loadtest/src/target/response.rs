//! Parses an HTTP/1.1 response in a buffer.

use std::borrow::Cow;

use memchr::memmem;

/// Maximum size of a response, bytes; the service's are far smaller.
pub(crate) const RESPONSE_BYTES_MAX: usize = 256 * 1024;

const HEADERS_MAX: usize = 64;

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct HttpResponse<'a> {
    pub(crate) status: u16,
    pub(crate) close: bool,
    pub(crate) retry_after_s: Option<u32>,
    pub(crate) body: Cow<'a, [u8]>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ResponseParse<'a> {
    Partial,
    Complete(HttpResponse<'a>),
    Invalid,
}

/// Parses the response at the start of `input`. A connection has one request in flight, so bytes after the response
/// make it invalid. Bodies need a length or chunks.
pub(crate) fn parse(input: &[u8]) -> ResponseParse<'_> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    let head_bytes = match response.parse(input) {
        Ok(httparse::Status::Complete(bytes)) => bytes,
        Ok(httparse::Status::Partial) => return bounded(input),
        Err(_) => return ResponseParse::Invalid,
    };
    let (Some(status), rest) = (response.code, &input[head_bytes..]) else { return ResponseParse::Invalid };
    if (100..200).contains(&status) {
        // `100 Continue` and similar responses precede the final response.
        return if status == 101 { ResponseParse::Invalid } else { parse(rest) };
    }
    let mut length = None;
    let mut chunked = false;
    let mut close = response.version == Some(0);
    let mut retry_after_s = None;
    for header in response.headers.iter() {
        let value = || std::str::from_utf8(header.value).unwrap_or_default().trim();
        if header.name.eq_ignore_ascii_case("content-length") {
            length = value().parse::<usize>().ok();
        } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
            chunked = value().eq_ignore_ascii_case("chunked");
        } else if header.name.eq_ignore_ascii_case("connection") {
            close = value().eq_ignore_ascii_case("close");
        } else if header.name.eq_ignore_ascii_case("retry-after") {
            retry_after_s = value().parse().ok();
        }
    }
    let body = if chunked {
        match dechunk(rest) {
            Dechunked::Complete(body) => Cow::Owned(body),
            Dechunked::Partial => return bounded(input),
            Dechunked::Invalid => return ResponseParse::Invalid,
        }
    } else {
        match length.or_else(|| matches!(status, 204 | 304).then_some(0)) {
            Some(length) if length > RESPONSE_BYTES_MAX || rest.len() > length => {
                return ResponseParse::Invalid;
            }
            Some(length) if rest.len() < length => return bounded(input),
            Some(_) => Cow::Borrowed(rest),
            None => return ResponseParse::Invalid,
        }
    };
    ResponseParse::Complete(HttpResponse { status, close, retry_after_s, body })
}

fn bounded(input: &[u8]) -> ResponseParse<'_> {
    if input.len() > RESPONSE_BYTES_MAX { ResponseParse::Invalid } else { ResponseParse::Partial }
}

enum Dechunked {
    Partial,
    Complete(Vec<u8>),
    Invalid,
}

fn dechunk(mut input: &[u8]) -> Dechunked {
    let mut body = Vec::new();
    loop {
        let (begin, size) = match httparse::parse_chunk_size(input) {
            Ok(httparse::Status::Complete(complete)) => complete,
            Ok(httparse::Status::Partial) => return Dechunked::Partial,
            Err(_) => return Dechunked::Invalid,
        };
        let rest = &input[begin..];
        if size == 0 {
            // Trailers end with an empty line, as the head does.
            let ended = rest.starts_with(b"\r\n") || memmem::find(rest, b"\r\n\r\n").is_some();
            return if ended { Dechunked::Complete(body) } else { Dechunked::Partial };
        }
        let Some(size) = usize::try_from(size).ok().filter(|size| *size <= RESPONSE_BYTES_MAX) else {
            return Dechunked::Invalid;
        };
        if rest.len() < size + 2 {
            return Dechunked::Partial;
        }
        body.extend_from_slice(&rest[..size]);
        if &rest[size..size + 2] != b"\r\n" {
            return Dechunked::Invalid;
        }
        input = &rest[size + 2..];
    }
}

pub(crate) fn problem_code(body: &[u8]) -> Option<&str> {
    // The first code is the problem's own; those of its details follow later.
    let begin = memmem::find(body, b"\"code\":\"")? + 8;
    let length = memchr::memchr(b'"', &body[begin..])?;
    std::str::from_utf8(&body[begin..begin + length]).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complete(input: &[u8]) -> HttpResponse<'_> {
        match parse(input) {
            ResponseParse::Complete(answer) => answer,
            other => panic!("{other:?} of {}", String::from_utf8_lossy(input)),
        }
    }

    #[test]
    fn responses_are_parsed_incrementally() {
        let whole =
            b"HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nContent-Length: 8\r\n\r\n{\"a\":10}";
        for end in 0..whole.len() {
            assert_eq!(parse(&whole[..end]), ResponseParse::Partial, "{end}");
        }
        let answer = complete(whole);
        assert_eq!((answer.status, answer.close), (202, false));
        assert_eq!(&*answer.body, b"{\"a\":10}");
    }

    #[test]
    fn chunks_are_joined_incrementally() {
        let whole = b"HTTP/1.1 429 Too Many\r\ntransfer-encoding: chunked\r\nretry-after: 2\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
        for end in 0..whole.len() {
            assert_eq!(parse(&whole[..end]), ResponseParse::Partial, "{end}");
        }
        let answer = complete(whole);
        assert_eq!(&*answer.body, b"abcde");
        assert_eq!(answer.retry_after_s, Some(2));
    }

    #[test]
    fn input_that_is_not_one_response_is_invalid() {
        for input in [
            &b"SSH-2.0-OpenSSH\r\n\r\n"[..],
            b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nab",
            b"HTTP/1.1 200 OK\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ncontent-length: 999999999\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
            b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        ] {
            assert_eq!(parse(input), ResponseParse::Invalid, "{}", String::from_utf8_lossy(input));
        }
    }

    #[test]
    fn interim_responses_are_skipped_and_connection_close_is_detected() {
        let answer = complete(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 413 Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
        assert_eq!((answer.status, answer.close), (413, true));
        assert!(complete(b"HTTP/1.0 204 No Content\r\n\r\n").close);
    }

    #[test]
    fn the_problem_code_is_found() {
        let body = br#"{"type":"urn:x","status":422,"code":"invalid_order","errors":[{"code":"too_long"}]}"#;
        assert_eq!(problem_code(body), Some("invalid_order"));
        assert_eq!(problem_code(b"<html>"), None);
    }
}

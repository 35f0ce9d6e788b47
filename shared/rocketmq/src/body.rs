//! Encoding and digest of a message's body, as the official Java client reads and writes them.

use std::io::{Read, Write};

use bytes::Bytes;
use flate2::Compression;
use flate2::read::{MultiGzDecoder, ZlibDecoder};
use flate2::write::ZlibEncoder;
use md5::{Digest as _, Md5};
use sha1::Sha1;

use crate::protocol::{Digest, DigestType, Encoding};

/// The reason why the body of a received message is not what its producer sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BodyFault {
    /// The body does not match its digest: it was changed on its way, or in the broker.
    #[error("the body does not match its digest")]
    DigestMismatch,
    /// The body is compressed in a format that this client does not read (LZ4, Zstandard), or is not compressed although
    /// the message says so.
    #[error("the body's compression is unknown")]
    UnknownCompression,
    /// The compressed body is broken.
    #[error("the compressed body is broken")]
    BrokenCompression,
    /// The decompressed body exceeds [`crate::ConsumerConfig::body_bytes_max`].
    #[error("the decompressed body exceeds the maximum")]
    TooLarge,
}

/// Checks `body` against `digest` and decompresses it to at most `bytes_max`. Digests of unknown kinds are not checked.
pub(crate) fn decode(
    body: &Bytes,
    encoding: i32,
    digest: Option<&Digest>,
    bytes_max: usize,
) -> Result<Bytes, BodyFault> {
    if digest.is_some_and(|digest| checksum(digest.r#type(), body).is_some_and(|sum| !same(&sum, digest))) {
        return Err(BodyFault::DigestMismatch);
    }
    if encoding != i32::from(Encoding::Gzip) {
        return Ok(body.clone());
    }
    // The protocol's `GZIP` stands for any compression: the format of another client's body is known by its first bytes.
    match body.as_ref() {
        [0x1f, 0x8b, ..] => read(MultiGzDecoder::new(body.as_ref()), bytes_max),
        [0x78, ..] => read(ZlibDecoder::new(body.as_ref()), bytes_max),
        _ => Err(BodyFault::UnknownCompression),
    }
}

/// Compresses `body`; `None` if that does not make it smaller.
///
/// The format is zlib, although the protocol names it `GZIP`: it is the only one that clients of RocketMQ 4's protocol and
/// the Java client up to 5.0.7 read (its `uncompressBytesGzip` is an `InflaterInputStream`); later ones read both.
pub(crate) fn compress(body: &[u8]) -> Option<Bytes> {
    let mut encoder = ZlibEncoder::new(Vec::with_capacity(body.len() / 2), Compression::fast());
    // Writing to memory does not fail.
    encoder.write_all(body).ok()?;
    let compressed = encoder.finish().ok()?;
    (compressed.len() < body.len()).then(|| compressed.into())
}

fn read(decoder: impl Read, bytes_max: usize) -> Result<Bytes, BodyFault> {
    let mut body = Vec::new();
    // One byte more shows that there is more.
    let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
    decoder.take(limit).read_to_end(&mut body).map_err(|_| BodyFault::BrokenCompression)?;
    if body.len() > bytes_max { Err(BodyFault::TooLarge) } else { Ok(body.into()) }
}

fn checksum(kind: DigestType, body: &[u8]) -> Option<String> {
    match kind {
        DigestType::Unspecified => None,
        // Java's `Long.toHexString`: without leading zeros.
        DigestType::Crc32 => Some(format!("{:x}", crc32fast::hash(body))),
        DigestType::Md5 => Some(hex::encode(Md5::digest(body))),
        DigestType::Sha1 => Some(hex::encode(Sha1::digest(body))),
    }
}

fn same(sum: &str, digest: &Digest) -> bool {
    sum.eq_ignore_ascii_case(&digest.checksum)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MAX: usize = 1 << 20;

    fn digest(kind: DigestType, checksum: &str) -> Option<Digest> {
        Some(Digest { r#type: kind.into(), checksum: checksum.to_owned() })
    }

    // By `printf hello | md5sum`, `sha1sum`, and Python's `zlib.crc32`. Java leaves the leading zero of the
    // CRC of `aa` out.
    #[test]
    fn digests_are_checked_as_other_tools_compute_them() {
        use DigestType::{Crc32, Md5, Sha1, Unspecified};
        let decode = |body: &'static str, digest: Option<Digest>| {
            decode(&Bytes::from_static(body.as_bytes()), Encoding::Identity.into(), digest.as_ref(), MAX)
        };
        for (body, kind, checksum, valid) in [
            ("hello", Md5, "5D41402ABC4B2A76B9719D911017C592", true),
            ("hello", Md5, "5d41402abc4b2a76b9719d911017c592", true),
            ("hello", Sha1, "AAF4C61DDCC5E8A2DABEDE0F3B482CD9AEA9434D", true),
            ("hello", Crc32, "3610A686", true),
            ("aa", Crc32, "78A19D7", true),
            ("hellp", Md5, "5D41402ABC4B2A76B9719D911017C592", false),
            ("hellp", Sha1, "AAF4C61DDCC5E8A2DABEDE0F3B482CD9AEA9434D", false),
            ("hellp", Crc32, "3610A686", false),
            ("hello", Unspecified, "anything", true),
        ] {
            let decoded = decode(body, digest(kind, checksum));
            assert_eq!(decoded.is_ok(), valid, "{kind:?} of {body}");
        }
        assert_eq!(decode("hello", None).as_deref(), Ok(b"hello".as_slice()));
    }

    // `python3 -c "import zlib; zlib.compress(b'hello hello hello')"`, and `gzip.compress(…, mtime=0)`.
    const ZLIB: &str = "789ccb48cdc9c957c84090003a2e067d";
    const GZIP: &str = "1f8b0800000000000203cb48cdc9c957c84090008088f9e511000000";

    #[test]
    fn bodies_that_python_compressed_are_read() {
        let decode =
            |hex: &str, max| decode(&hex::decode(hex).expect("hex").into(), Encoding::Gzip.into(), None, max);
        for compressed in [ZLIB, GZIP] {
            assert_eq!(decode(compressed, MAX).as_deref(), Ok(b"hello hello hello".as_slice()));
            assert_eq!(decode(compressed, 17).map(|body| body.len()), Ok(17));
            assert_eq!(decode(compressed, 16), Err(BodyFault::TooLarge));
            assert_eq!(decode(&compressed[..compressed.len() - 10], MAX), Err(BodyFault::BrokenCompression));
        }
        // LZ4, Zstandard, and a body that is not compressed.
        for body in ["04224d18aa", "28b52ffdaa", "68656c6c6f", ""] {
            assert_eq!(decode(body, MAX), Err(BodyFault::UnknownCompression), "{body}");
        }
    }

    proptest! {
        #[test]
        fn compressed_bodies_are_restored_and_arbitrary_ones_do_not_panic(body: Vec<u8>, repeated in 1_usize..200) {
            let body = body.repeat(repeated);
            if let Some(compressed) = compress(&body) {
                prop_assert!(compressed.len() < body.len());
                let decoded = decode(&compressed, Encoding::Gzip.into(), None, MAX);
                prop_assert_eq!(decoded.as_deref(), Ok(body.as_slice()));
            }
            let _any = decode(&body.into(), Encoding::Gzip.into(), None, MAX);
        }
    }
}

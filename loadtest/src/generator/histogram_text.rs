//! A histogram as text: HdrHistogram V2, compressed, in Base64, as HdrHistogram's own tools read it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::serialization::{Deserializer as HistogramReader, Serializer as _, V2DeflateSerializer};
use hdrhistogram::{Counter, Histogram};
use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serializer};

pub(super) fn serialize<C: Counter, S: Serializer>(
    histogram: &Histogram<C>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut bytes = Vec::new();
    V2DeflateSerializer::new().serialize(histogram, &mut bytes).map_err(S::Error::custom)?;
    serializer.serialize_str(&STANDARD.encode(bytes))
}

pub(super) fn deserialize<'de, C: Counter, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Histogram<C>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let bytes = STANDARD.decode(text).map_err(D::Error::custom)?;
    HistogramReader::new().deserialize(&mut bytes.as_slice()).map_err(D::Error::custom)
}

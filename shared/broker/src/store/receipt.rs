//! Receipt handles: each settles one delivery of one message.

use std::fmt;
use std::str::FromStr;

/// A delivery. Each delivery of a message has another lease, which invalidates older receipts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Receipt {
    pub(crate) topic: u32,
    pub(crate) group: u32,
    pub(crate) queue: u32,
    pub(crate) offset: u64,
    pub(crate) lease: u64,
    /// Expiry, milliseconds since 1970.
    pub(crate) until_ms: u64,
}

impl fmt::Display for Receipt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { topic, group, queue, offset, lease, until_ms } = self;
        write!(formatter, "{topic:x}.{group:x}.{queue:x}.{offset:x}.{lease:x}.{until_ms:x}")
    }
}

/// The text is not a receipt handle of this broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotAReceipt;

impl FromStr for Receipt {
    type Err = NotAReceipt;

    fn from_str(text: &str) -> Result<Self, NotAReceipt> {
        let mut parts = text.split('.');
        let mut next = || parts.next().and_then(|part| u64::from_str_radix(part, 16).ok()).ok_or(NotAReceipt);
        let mut short = || next().and_then(|part| u32::try_from(part).map_err(|_| NotAReceipt));
        let (topic, group, queue) = (short()?, short()?, short()?);
        let (offset, lease, until_ms) = (next()?, next()?, next()?);
        match parts.next() {
            None => Ok(Self { topic, group, queue, offset, lease, until_ms }),
            Some(_) => Err(NotAReceipt),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_receipt_reads_back(ids: [u32; 3], numbers: [u64; 3]) {
            let [topic, group, queue] = ids;
            let [offset, lease, until_ms] = numbers;
            let receipt = Receipt { topic, group, queue, offset, lease, until_ms };
            prop_assert_eq!(receipt.to_string().parse(), Ok(receipt));
        }

        #[test]
        fn no_text_upsets_the_parser(text in ".{0,80}") {
            let _either = text.parse::<Receipt>();
        }
    }

    #[test]
    fn other_texts_are_no_receipts() {
        for text in ["", "1.2.3", "1.2.3.4.5.6.7", "1.2.3.4.5.x", "1ffffffff.2.3.4.5.6"] {
            assert_eq!(text.parse::<Receipt>(), Err(NotAReceipt), "{text}");
        }
    }
}

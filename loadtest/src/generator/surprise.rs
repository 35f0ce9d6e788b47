//! Responses that no rule allows, counted as they arrive: an invalid request accepted or rejected for another reason, a
//! valid one rejected permanently.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::in_flight::RequestEnd;
use crate::workload::{InvalidRequest, RequestKind};

/// Maximum kinds of surprises in the report.
const KINDS_MAX: usize = 30;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Surprise {
    /// `None`: a valid order.
    invalid: Option<InvalidRequest>,
    accepted: bool,
    /// Number of the problem code.
    code: u16,
}

impl Surprise {
    fn of(kind: RequestKind, end: RequestEnd, code: Option<&str>, number: u16) -> Option<Self> {
        let refused = |invalid| Some(Self { invalid, accepted: false, code: number });
        match (kind, end) {
            (RequestKind::Invalid(what), RequestEnd::Accepted) => {
                Some(Self { invalid: Some(what), accepted: true, code: number })
            }
            // The gateway's signature, too, allows one key only.
            (RequestKind::Invalid(InvalidRequest::TwoKeys), RequestEnd::Refused)
                if code == Some("signature_invalid") =>
            {
                None
            }
            (RequestKind::Invalid(what), RequestEnd::Refused) if code != Some(what.code()) => {
                refused(Some(what))
            }
            (RequestKind::Invalid(_), _) => None,
            // The body may be too slow for the server.
            (RequestKind::SlowBody, RequestEnd::Refused) if code == Some("body_timeout") => None,
            // The key belongs to the payload that was accepted first: the order's own, or its changed repetition's.
            (_, RequestEnd::Refused) if code == Some("key_reused") => None,
            (_, RequestEnd::Refused) => refused(None),
            _ => None,
        }
    }

    fn text(self, codes: &[Arc<str>]) -> String {
        let code = codes.get(usize::from(self.code)).map_or("?", AsRef::as_ref);
        match (self.invalid, self.accepted) {
            (Some(what), true) => format!("an invalid request ({what:?}) was accepted (202)"),
            (Some(what), false) => format!("an invalid request ({what:?}) was refused as {code}"),
            (None, _) => format!("a valid order was refused as {code}"),
        }
    }
}

/// Surprises by kind. A few kinds at most, so a scan finds one.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct SurpriseCounts(Vec<(Surprise, u64)>);

impl SurpriseCounts {
    /// `number`: that of the problem code.
    pub(super) fn count(&mut self, kind: RequestKind, end: RequestEnd, code: Option<&str>, number: u16) {
        if let Some(surprise) = Surprise::of(kind, end, code, number) {
            self.add(surprise, 1);
        }
    }

    fn add(&mut self, surprise: Surprise, times: u64) {
        match self.0.iter_mut().find(|(known, _)| *known == surprise) {
            Some((_, count)) => *count += times,
            None => self.0.push((surprise, times)),
        }
    }

    /// Replaces each problem code by its number in `numbers`.
    pub(super) fn renumber(&mut self, numbers: &[u16]) {
        for (surprise, _) in &mut self.0 {
            surprise.code = numbers.get(usize::from(surprise.code)).copied().unwrap_or(surprise.code);
        }
    }

    pub(super) fn merge(&mut self, other: Self) {
        for (surprise, times) in other.0 {
            self.add(surprise, times);
        }
    }

    /// One line for each kind, in the order of their texts.
    pub(super) fn lines(&self, codes: &[Arc<str>]) -> Vec<String> {
        let mut lines: Vec<_> =
            self.0.iter().map(|(surprise, times)| (surprise.text(codes), times)).collect();
        lines.sort_unstable();
        lines.into_iter().take(KINDS_MAX).map(|(text, times)| format!("{times} × {text}")).collect()
    }
}

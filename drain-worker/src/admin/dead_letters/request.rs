//! Requests about dead letters.

use serde::Deserialize;

use super::letters_max;
use crate::admin::audited_request::AuditedRequest;
use crate::control::AuditContext;
use crate::store::{DeadLetterSelection, DeadLetterStatus, PAGE_LETTERS_MAX, PageRequest, SeenDeadLetters};

/// The query of `GET /v1/dead-letters`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListQuery {
    /// Only dead letters with this reason; empty: all.
    #[serde(default)]
    dead_letter_reason: String,
    /// `open` (default), `discarded` or `all`.
    #[serde(default)]
    state: String,
    #[serde(default)]
    after: i64,
    #[serde(default = "list_limit")]
    limit: u32,
}

const fn list_limit() -> u32 {
    50
}

const fn bulk_limit() -> u32 {
    100
}

impl ListQuery {
    pub(super) fn selection(&self) -> DeadLetterSelection {
        if self.dead_letter_reason.is_empty() {
            DeadLetterSelection::All
        } else {
            DeadLetterSelection::Reason(self.dead_letter_reason.clone())
        }
    }

    pub(super) fn standing(&self) -> Result<DeadLetterStatus, String> {
        match self.state.as_str() {
            "" | "open" => Ok(DeadLetterStatus::Open),
            "discarded" => Ok(DeadLetterStatus::Discarded),
            "all" => Ok(DeadLetterStatus::Any),
            _ => Err("state must be open, discarded or all".to_owned()),
        }
    }

    pub(super) fn page(&self) -> Result<PageRequest, String> {
        Ok(PageRequest { after: self.after, letters_max: letters_max(self.limit)? })
    }
}

/// Parameters of a redrive, a discard or a restore: a page of a selection.
///
/// Exactly one of `ids`, `dead_letter_reason` and `all` must be present, so that an omitted field never selects
/// everything.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BulkParameters {
    ids: Option<Vec<i64>>,
    dead_letter_reason: Option<String>,
    all: Option<bool>,
    #[serde(default)]
    after: i64,
    #[serde(default = "bulk_limit")]
    limit: u32,
    newest_id: Option<i64>,
    count: Option<u64>,
}

/// A redrive, a discard or a restore, checked.
#[derive(Clone, Debug)]
pub(super) struct BulkRequest {
    pub(super) selection: DeadLetterSelection,
    pub(super) page: PageRequest,
    pub(super) context: AuditContext,
    /// The dead letters that the caller saw before a discard.
    pub(super) seen: Option<SeenDeadLetters>,
}

impl BulkRequest {
    /// # Errors
    /// A message for the caller.
    fn new(AuditedRequest { parameters, context }: AuditedRequest<BulkParameters>) -> Result<Self, String> {
        let selection = match (parameters.ids, parameters.dead_letter_reason, parameters.all) {
            (Some(ids), None, None) if (1..=PAGE_LETTERS_MAX as usize).contains(&ids.len()) => {
                DeadLetterSelection::Ids(ids.into_iter().collect())
            }
            (Some(_), None, None) => return Err(format!("ids must have 1 to {PAGE_LETTERS_MAX} numbers")),
            (None, Some(reason), None) => DeadLetterSelection::Reason(reason),
            (None, None, Some(true)) => DeadLetterSelection::All,
            _ => {
                return Err("exactly one of \"ids\", \"dead_letter_reason\" and \"all\": true must be given"
                    .to_owned());
            }
        };
        let page = PageRequest { after: parameters.after, letters_max: letters_max(parameters.limit)? };
        let seen = match (parameters.newest_id, parameters.count) {
            (Some(newest_id), Some(count)) => Some(SeenDeadLetters { newest_id, count }),
            (None, None) => None,
            _ => return Err("newest_id and count must be given together".to_owned()),
        };
        Ok(Self { selection, page, context, seen })
    }

    /// As [`BulkRequest::new`], for a redrive or a restore, which take what there is.
    ///
    /// # Errors
    /// A message for the caller.
    pub(super) fn unbounded(request: AuditedRequest<BulkParameters>) -> Result<Self, String> {
        match Self::new(request)? {
            Self { seen: Some(_), .. } => Err("newest_id and count bound a discard only".to_owned()),
            request => Ok(request),
        }
    }

    /// As [`BulkRequest::new`], for a discard, which can be undone only for a while: it has a reason, and dead letters that are not
    /// named by number are bounded by what the caller saw.
    ///
    /// # Errors
    /// A message for the caller.
    pub(super) fn discard(request: AuditedRequest<BulkParameters>) -> Result<Self, String> {
        let request = Self::new(request)?;
        if request.context.reason.trim().is_empty() {
            return Err("reason must be given: a discard deletes the payload in the end".to_owned());
        }
        match (&request.selection, request.seen) {
            (DeadLetterSelection::Ids(_), Some(_)) => {
                Err("newest_id and count do not go with \"ids\"".to_owned())
            }
            (DeadLetterSelection::Reason(_) | DeadLetterSelection::All, None) => Err(
                "newest_id and count must be given: those of GET /v1/dead-letters, as they were confirmed"
                    .to_owned(),
            ),
            _ => Ok(request),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::auth::Actor;

    fn read(body: &str) -> Result<BulkRequest, String> {
        AuditedRequest::read(body.as_bytes(), &Actor::default()).and_then(BulkRequest::unbounded)
    }

    fn read_discard(body: &str) -> Result<BulkRequest, String> {
        AuditedRequest::read(body.as_bytes(), &Actor::default()).and_then(BulkRequest::discard)
    }

    #[test]
    fn a_body_has_exactly_one_selection() {
        for (body, expected) in [
            (r#"{"ids":[3,1,3]}"#, Ok(DeadLetterSelection::Ids([1, 3].into()))),
            (
                r#"{"dead_letter_reason":"unknown_sku","after":7,"limit":9}"#,
                Ok(DeadLetterSelection::Reason("unknown_sku".to_owned())),
            ),
            (r#"{"all":true,"who":"ann","reason":"fixed"}"#, Ok(DeadLetterSelection::All)),
            (r#"{"all":false}"#, Err("exactly one of")),
            (r#"{"all":true,"ids":[1]}"#, Err("exactly one of")),
            (r"{}", Err("exactly one of")),
            (r#"{"ids":[]}"#, Err("ids must have")),
            (r#"{"all":true,"limit":0}"#, Err("limit must be 1 to 500")),
            (r#"{"all":true,"limit":501}"#, Err("limit must be 1 to 500")),
            (r#"{"all":true,"idz":[1]}"#, Err("unknown field")),
            (r#"{"all":true,"newest_id":7,"count":3}"#, Err("bound a discard only")),
            ("", Err("exactly one of")),
            ("{", Err("EOF")),
        ] {
            match (read(body), expected) {
                (Ok(request), Ok(selection)) => assert_eq!(request.selection, selection, "{body}"),
                (Err(error), Err(part)) => assert!(error.contains(part), "{body}: {error}"),
                (found, _) => panic!("{body}: {found:?}"),
            }
        }
        for (body, expected) in [
            (r#"{"ids":[1],"reason":"a test"}"#, Ok(None)),
            (
                r#"{"all":true,"newest_id":7,"count":3,"reason":"a test"}"#,
                Ok(Some(SeenDeadLetters { newest_id: 7, count: 3 })),
            ),
            (r#"{"ids":[1]}"#, Err("reason must be given")),
            (r#"{"ids":[1],"reason":"  "}"#, Err("reason must be given")),
            (r#"{"ids":[1],"newest_id":7,"count":3,"reason":"a test"}"#, Err("do not go with")),
            (r#"{"all":true,"reason":"a test"}"#, Err("newest_id and count must be given")),
            (r#"{"dead_letter_reason":"x","count":3,"reason":"a test"}"#, Err("given together")),
        ] {
            match (read_discard(body), expected) {
                (Ok(request), Ok(seen)) => assert_eq!(request.seen, seen, "{body}"),
                (Err(error), Err(part)) => assert!(error.contains(part), "{body}: {error}"),
                (found, _) => panic!("{body}: {found:?}"),
            }
        }
        let long = format!(r#"{{"all":true,"who":"{}"}}"#, "a".repeat(65));
        assert_eq!(read(&long).map(|_| ()), Err("who has at most 64 characters".to_owned()));
    }
}

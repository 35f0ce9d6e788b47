//! What callers ask for.

use serde::Deserialize;

use super::letters_max;
use crate::control::{NAME_CHARS_MAX, Origin, WHY_CHARS_MAX};
use crate::store::{PAGE_LETTERS_MAX, Page, Selection, Standing};

/// The query of `GET /v1/dead-letters`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListQuery {
    /// Only letters with this reason; empty: all.
    #[serde(default)]
    reason: String,
    /// `open` (need somebody), `discarded` (given up) or `all`.
    #[serde(default)]
    state: String,
    /// Only letters with a higher number.
    #[serde(default)]
    after: i64,
    /// Most letters.
    #[serde(default = "list_limit")]
    limit: u32,
}

const fn list_limit() -> u32 {
    50
}

const fn act_limit() -> u32 {
    100
}

impl ListQuery {
    pub(super) fn selection(&self) -> Selection {
        if self.reason.is_empty() { Selection::All } else { Selection::Reason(self.reason.clone()) }
    }

    pub(super) fn standing(&self) -> Result<Standing, String> {
        match self.state.as_str() {
            "" | "open" => Ok(Standing::Open),
            "discarded" => Ok(Standing::Discarded),
            "all" => Ok(Standing::Any),
            _ => Err("state must be open, discarded or all".to_owned()),
        }
    }

    pub(super) fn page(&self) -> Result<Page, String> {
        Ok(Page { after: self.after, letters_max: letters_max(self.limit)? })
    }
}

/// What is to be done with which letters.
#[derive(Clone, Debug)]
pub struct Act {
    pub(super) selection: Selection,
    pub(super) page: Page,
    pub(super) origin: Origin,
}

/// As it is sent. Exactly one of `ids`, `reason` and `all` must be there: nobody acts on everything by leaving a
/// field out.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    ids: Option<Vec<i64>>,
    reason: Option<String>,
    all: Option<bool>,
    #[serde(default)]
    after: i64,
    #[serde(default = "act_limit")]
    limit: u32,
    #[serde(default)]
    who: String,
    #[serde(default)]
    why: String,
}

impl Act {
    /// Reads a body of `POST /v1/dead-letters/redrive` or `…/discard`.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub fn read(body: &[u8]) -> Result<Self, String> {
        let body: Body = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        let selection = match (body.ids, body.reason, body.all) {
            (Some(ids), None, None) if (1..=PAGE_LETTERS_MAX as usize).contains(&ids.len()) => {
                Selection::Ids(ids.into_iter().collect())
            }
            (Some(_), None, None) => return Err(format!("ids must have 1 to {PAGE_LETTERS_MAX} numbers")),
            (None, Some(reason), None) => Selection::Reason(reason),
            (None, None, Some(true)) => Selection::All,
            _ => return Err("exactly one of \"ids\", \"reason\" and \"all\": true must be given".to_owned()),
        };
        for (name, text, chars_max) in [("who", &body.who, NAME_CHARS_MAX), ("why", &body.why, WHY_CHARS_MAX)]
        {
            if text.chars().count() > chars_max {
                return Err(format!("{name} has at most {chars_max} characters"));
            }
        }
        let page = Page { after: body.after, letters_max: letters_max(body.limit)? };
        Ok(Self { selection, page, origin: Origin { who: body.who, why: body.why } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_selects_in_exactly_one_way() {
        for (body, expected) in [
            (r#"{"ids":[3,1,3]}"#, Ok(Selection::Ids([1, 3].into()))),
            (
                r#"{"reason":"unknown_sku","after":7,"limit":9}"#,
                Ok(Selection::Reason("unknown_sku".to_owned())),
            ),
            (r#"{"all":true,"who":"ann","why":"mended"}"#, Ok(Selection::All)),
            (r#"{"all":false}"#, Err("exactly one of")),
            (r#"{"all":true,"ids":[1]}"#, Err("exactly one of")),
            (r"{}", Err("exactly one of")),
            (r#"{"ids":[]}"#, Err("ids must have")),
            (r#"{"all":true,"limit":0}"#, Err("limit must be 1 to 500")),
            (r#"{"all":true,"limit":501}"#, Err("limit must be 1 to 500")),
            (r#"{"all":true,"idz":[1]}"#, Err("unknown field")),
            ("", Err("EOF")),
        ] {
            match (Act::read(body.as_bytes()), expected) {
                (Ok(act), Ok(selection)) => assert_eq!(act.selection, selection, "{body}"),
                (Err(error), Err(part)) => assert!(error.contains(part), "{body}: {error}"),
                (found, _) => panic!("{body}: {found:?}"),
            }
        }
        let long = format!(r#"{{"all":true,"who":"{}"}}"#, "a".repeat(65));
        assert_eq!(Act::read(long.as_bytes()).map(|_| ()), Err("who has at most 64 characters".to_owned()));
    }
}

//! The catalogue's faults as problems of fields.

use shared::catalogue::RuleViolation;
use shared::problem::FieldProblem;

use super::Code;

/// The faults that lie in fields, sorted by pointer; `index_of` finds a SKU's place in the request. A sale's state
/// lies in no field.
pub fn rule_problems(faults: &[RuleViolation], index_of: impl Fn(&str) -> usize) -> Vec<FieldProblem> {
    let problem = |code: Code, pointer: String, detail: String| FieldProblem {
        code: code.as_str().to_owned(),
        pointer,
        detail,
    };
    let mut problems: Vec<_> = faults
        .iter()
        .filter_map(|fault| match fault {
            RuleViolation::UnknownSale => {
                Some(problem(Code::UnknownSale, "/sale_id".to_owned(), "there is no such sale".to_owned()))
            }
            RuleViolation::UnknownSku { sku } => Some(problem(
                Code::UnknownSku,
                format!("/items/{}/sku", index_of(sku.as_str())),
                "the sale does not sell this SKU".to_owned(),
            )),
            RuleViolation::QuantityOverLimit { sku, limit } => Some(problem(
                Code::QuantityOverLimit,
                format!("/items/{}/quantity", index_of(sku.as_str())),
                format!("one buyer may have at most {limit}"),
            )),
            RuleViolation::WrongCurrency { expected } => Some(problem(
                Code::WrongCurrency,
                "/currency".to_owned(),
                format!("the sale is in {expected}"),
            )),
            RuleViolation::NotOpen { .. } | RuleViolation::Closed { .. } => None,
        })
        .collect();
    problems.sort_by(|left, right| left.pointer.cmp(&right.pointer));
    problems
}

/// The one code of all of these faults, if it is one that clients branch on.
pub(super) fn common_code(faults: &[FieldProblem]) -> Option<Code> {
    const RULES: [Code; 4] =
        [Code::UnknownSale, Code::UnknownSku, Code::QuantityOverLimit, Code::WrongCurrency];
    let first = faults.first()?;
    let code = RULES.into_iter().find(|code| code.as_str() == first.code)?;
    faults.iter().all(|fault| fault.code == first.code).then_some(code)
}

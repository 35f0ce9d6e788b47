//! The catalogue's faults as problems of fields.

use shared::catalogue::RuleViolation;
use shared::problem::FieldProblem;

use super::ErrorCode;

/// The faults that lie in fields, sorted by pointer; `index_of` finds a SKU's place in the request. A sale's state
/// lies in no field.
pub fn rule_problems(faults: &[RuleFault], index_of: impl Fn(&str) -> usize) -> Vec<FieldProblem> {
    let problem = |code: ErrorCode, pointer: String, detail: String| FieldProblem {
        code: code.as_str().to_owned(),
        pointer,
        detail,
    };
    let mut problems: Vec<_> = faults
        .iter()
        .filter_map(|fault| match fault {
            RuleFault::UnknownSale => Some(problem(
                ErrorCode::UnknownSale,
                "/sale_id".to_owned(),
                "there is no such sale".to_owned(),
            )),
            RuleFault::UnknownSku { sku } => Some(problem(
                ErrorCode::UnknownSku,
                format!("/items/{}/sku", index_of(sku.as_str())),
                "the sale does not sell this SKU".to_owned(),
            )),
            RuleFault::QuantityOverLimit { sku, limit } => Some(problem(
                ErrorCode::QuantityOverLimit,
                format!("/items/{}/quantity", index_of(sku.as_str())),
                format!("one buyer may have at most {limit}"),
            )),
            RuleFault::WrongCurrency { expected } => Some(problem(
                ErrorCode::WrongCurrency,
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
pub(super) fn common_code(faults: &[FieldProblem]) -> Option<ErrorCode> {
    const RULES: [ErrorCode; 4] = [
        ErrorCode::UnknownSale,
        ErrorCode::UnknownSku,
        ErrorCode::QuantityOverLimit,
        ErrorCode::WrongCurrency,
    ];
    let first = faults.first()?;
    let code = RULES.into_iter().find(|code| code.as_str() == first.code)?;
    faults.iter().all(|fault| fault.code == first.code).then_some(code)
}

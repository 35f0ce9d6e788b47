//! Turns `validator`'s errors into problems with JSON pointers.

use shared::problem::FieldProblem;
use validator::{ValidationErrors, ValidationErrorsKind};

/// Every fault, in no order. Values never appear: they may be personal data.
pub(super) fn field_problems(errors: &ValidationErrors) -> Vec<FieldProblem> {
    let mut problems = Vec::new();
    collect(errors, "", &mut problems);
    problems
}

fn collect(errors: &ValidationErrors, parent: &str, problems: &mut Vec<FieldProblem>) {
    for (field, kind) in errors.errors() {
        // Our members need no escaping (RFC 6901): they hold neither `~` nor `/`.
        let pointer = format!("{parent}/{field}");
        match kind {
            ValidationErrorsKind::Field(faults) => problems.extend(faults.iter().map(|fault| FieldProblem {
                code: code(&fault.code).to_owned(),
                pointer: pointer.clone(),
                detail: fault.message.as_deref().unwrap_or("is not valid").to_owned(),
            })),
            ValidationErrorsKind::Struct(inner) => collect(inner, &pointer, problems),
            ValidationErrorsKind::List(list) => {
                for (index, inner) in list {
                    collect(inner, &format!("{pointer}/{index}"), problems);
                }
            }
        }
    }
}

/// `validator`'s own names for its built-in rules, as ours.
fn code(name: &str) -> &str {
    match name {
        "length" => "wrong_count",
        "range" => "out_of_range",
        other => other,
    }
}

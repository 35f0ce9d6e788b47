//! Parameters that differ between two scenarios, and whether they matter.

use std::collections::BTreeMap;

use serde_json::Value;

use super::ScenarioDifference;
use crate::scenario::Scenario;

/// Parameters that do not change the load: names, expectations, the generator's own bounds. A seed changes the choices
/// but not their kind.
const HARMLESS: [&str; 7] = [
    "name",
    "description",
    "seed",
    "expect",
    "abort",
    "generator.threads",
    "generator.send_delay_p999_us_max",
];

pub(super) fn differences(a: &Scenario, b: &Scenario) -> Vec<ScenarioDifference> {
    let (a, b) = (flat(a), flat(b));
    let mut parameters: Vec<_> = a.keys().chain(b.keys()).collect();
    parameters.sort();
    parameters.dedup();
    let value = |values: &BTreeMap<String, Value>, parameter: &String| {
        values.get(parameter).cloned().unwrap_or_default()
    };
    let all = parameters.into_iter().map(|parameter| ScenarioDifference {
        parameter: parameter.clone(),
        a: value(&a, parameter),
        b: value(&b, parameter),
        decisive: !is_harmless(parameter),
    });
    all.filter(|difference| difference.a != difference.b).collect()
}

/// `parameter` of a phase is judged as if it were the scenario's: `phases.2.name` as `name`.
fn is_harmless(parameter: &str) -> bool {
    let of_phase = parameter.strip_prefix("phases.").and_then(|rest| rest.split_once('.'));
    let parameter = of_phase.map_or(parameter, |(_number, parameter)| parameter);
    let is_within = |rest: &str| rest.is_empty() || rest.starts_with('.');
    HARMLESS.iter().any(|harmless| parameter.strip_prefix(harmless).is_some_and(is_within))
}

fn flat(scenario: &Scenario) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    // A scenario is plain JSON: this cannot fail, and a scenario without values would differ from every other.
    flatten(String::new(), serde_json::to_value(scenario).unwrap_or_default(), &mut found);
    found
}

fn flatten(path: String, value: Value, found: &mut BTreeMap<String, Value>) {
    let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                flatten(below(&name), value, found);
            }
        }
        Value::Array(values) => {
            for (index, value) in values.into_iter().enumerate() {
                flatten(below(&index.to_string()), value, found);
            }
        }
        value => {
            found.insert(path, value);
        }
    }
}

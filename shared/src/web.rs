//! The chart module of the drain worker's console and of loadtest's report (`web/chart.js`).

/// The module as JavaScript source: an ES module without imports.
pub const CHART_JS: &str = include_str!("../web/chart.js");

/// The module for a classic inline script: without the keyword `export`.
#[must_use]
pub fn chart_js_inline() -> String {
    CHART_JS.replace("\nexport ", "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_inline_form_has_no_module_syntax() {
        let inline = chart_js_inline();
        assert!(!inline.lines().any(|line| line.starts_with("export ") || line.starts_with("import ")));
        assert_eq!(inline.lines().count(), CHART_JS.lines().count());
    }
}

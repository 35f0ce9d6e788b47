//! Reads samples of Prometheus' text format, of a few metrics among thousands of lines: the crates for it store them all.

type Labels<'a> = Vec<(&'a str, String)>;

/// One sample of a text.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricSample<'a> {
    /// Including a suffix such as `_bucket`.
    pub name: &'a str,
    labels: Labels<'a>,
    /// May be NaN or infinite.
    pub value: f64,
}

impl MetricSample<'_> {
    /// The value of a label; `None`: the sample does not have it.
    #[must_use]
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_str())
    }
}

/// The samples whose name is in `wanted`. Lines that are not samples are skipped: a scrape has thousands of lines,
/// and only a few matter here.
pub fn metric_samples<'a>(text: &'a str, wanted: &'a [&'a str]) -> impl Iterator<Item = MetricSample<'a>> {
    text.lines().filter_map(move |line| {
        let end = line.find(|c: char| c == '{' || c.is_ascii_whitespace())?;
        let (name, rest) = line.split_at(end);
        if !wanted.contains(&name) {
            return None;
        }
        let (labels, rest) = match rest.strip_prefix('{') {
            Some(inner) => labels(inner)?,
            None => (Vec::new(), rest),
        };
        // A timestamp may follow.
        let value = rest.split_ascii_whitespace().next()?.parse().ok()?;
        Some(MetricSample { name, labels, value })
    })
}

/// Returns the labels, and the text after the closing brace.
fn labels(mut text: &str) -> Option<(Labels<'_>, &str)> {
    let mut found = Vec::new();
    loop {
        text = text.trim_start_matches([' ', ',']);
        if let Some(rest) = text.strip_prefix('}') {
            return Some((found, rest));
        }
        let (key, rest) = text.split_once('=')?;
        let (value, rest) = quoted(rest.trim_start().strip_prefix('"')?)?;
        found.push((key.trim(), value));
        text = rest;
    }
}

/// Returns a value up to its closing quote, and the text after it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(match chars.next()?.1 {
                'n' => '\n',
                other => other,
            }),
            _ => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn samples_parse_as_prometheus_writes_them() {
        let text = "# HELP a what it is\n# TYPE a gauge\na{x=\"1\",y=\"q\\\"\\\\\\n,}=\"} 3.0 1700000000\n\
                    a 4\nb{x=\"1\"} 5\na{broken 6\na{x=\"1\"} none\na{} 1e3\n";
        let found: Vec<_> = metric_samples(text, &["a"]).collect();
        let values: Vec<_> = found.iter().map(|sample| sample.value).collect();
        assert_eq!(values, [3.0, 4.0, 1000.0]);
        assert_eq!(found[0].label("y"), Some("q\"\\\n,}="));
        assert_eq!((found[0].label("x"), found[0].label("z")), (Some("1"), None));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(labels in prop::collection::btree_map("[a-z_]{1,8}", any::<String>(), 0..5),
                                   value in 0_u64..1 << 50) {
            let escaped: Vec<_> = labels
                .iter()
                .map(|(key, value)| {
                    let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
                    format!("{key}=\"{value}\"")
                })
                .collect();
            let line = format!("m{{{}}} {value}", escaped.join(","));
            let found: Vec<_> = metric_samples(&line, &["m"]).collect();
            prop_assert_eq!(found.len(), 1, "{}", line);
            for (key, value) in &labels {
                prop_assert_eq!(found[0].label(key), Some(value.as_str()));
            }
            prop_assert_eq!(found[0].value, value as f64);
        }

        #[test]
        fn parsing_never_panics(text in any::<String>()) {
            let line = format!("m{text}");
            let _any = metric_samples(&line, &["m"]).count();
        }
    }
}

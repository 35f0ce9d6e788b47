//! Prometheus' text format, version 0.0.4 (certain: its documentation of exposition formats).

use std::fmt::{self, Write as _};
use std::sync::atomic::Ordering;

use metrics::Key;

use super::Series;

/// Renders all series, families sorted by kind and name.
pub(super) fn render(series: &Series) -> String {
    let mut text = String::with_capacity(4_096);
    // Writing to a String cannot fail.
    let _written = write_all(&mut text, series);
    text
}

fn write_all(text: &mut String, series: &Series) -> fmt::Result {
    let mut family = Family { series, last: String::new() };
    for (key, value) in &series.counters {
        family.begin(text, key, "counter")?;
        writeln!(text, "{} {}", Name(key, "", None), value.load(Ordering::Relaxed))?;
    }
    for (key, value) in &series.gauges {
        let value = f64::from_bits(value.load(Ordering::Relaxed));
        // An unknown value: alerts see a series that is missing.
        if value.is_nan() {
            continue;
        }
        family.begin(text, key, "gauge")?;
        writeln!(text, "{} {value}", Name(key, "", None))?;
    }
    for (key, value) in &series.histograms {
        family.begin(text, key, "histogram")?;
        let snapshot = value.snapshot();
        for (bound, samples) in &snapshot.buckets {
            writeln!(text, "{} {samples}", Name(key, "_bucket", Some(&bound.to_string())))?;
        }
        writeln!(text, "{} {}", Name(key, "_bucket", Some("+Inf")), snapshot.count)?;
        writeln!(text, "{} {}", Name(key, "_sum", None), snapshot.sum)?;
        writeln!(text, "{} {}", Name(key, "_count", None), snapshot.count)?;
    }
    Ok(())
}

/// Writes the `HELP` and `TYPE` lines once per name.
struct Family<'a> {
    series: &'a Series,
    last: String,
}

impl Family<'_> {
    fn begin(&mut self, text: &mut String, key: &Key, kind: &str) -> fmt::Result {
        let name = key.name();
        if self.last == name {
            return Ok(());
        }
        name.clone_into(&mut self.last);
        if let Some(description) = self.series.descriptions.get(name) {
            writeln!(text, "# HELP {name} {}", description.replace('\\', "\\\\").replace('\n', "\\n"))?;
        }
        writeln!(text, "# TYPE {name} {kind}")
    }
}

/// A series' name with a suffix, its labels, and the bound of a bucket.
pub(super) struct Name<'a>(pub(super) &'a Key, pub(super) &'static str, pub(super) Option<&'a str>);

impl fmt::Display for Name<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(key, suffix, bound) = self;
        write!(formatter, "{}{suffix}", key.name())?;
        let labels = key.labels().map(|label| (label.key(), label.value()));
        for (index, (label, value)) in labels.chain(bound.map(|bound| ("le", bound))).enumerate() {
            let opening = if index == 0 { '{' } else { ',' };
            let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            write!(formatter, "{opening}{label}=\"{value}\"")?;
        }
        if key.labels().len() + usize::from(bound.is_some()) > 0 { formatter.write_char('}') } else { Ok(()) }
    }
}

//! `loadtest report` and `loadtest compare`.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;

use super::compare::{CompareSettings, ComparisonOutcome, compare as compare_reports, compare_repeated};
use super::{RunReport, read, schema_json, write_csv, write_html, write_junit};

/// Formats beside the report's page and its JSON.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ReportExports {
    /// Write the verdict to this file as JUnit XML: a test case per expectation, for the ledger and for surprises
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,

    /// Write the timeline to this file as CSV, one row per interval
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
}

impl ReportExports {
    /// Returns the files.
    ///
    /// # Errors
    /// If one cannot be written.
    pub fn write(&self, report: &RunReport) -> anyhow::Result<Vec<&Path>> {
        if let Some(path) = &self.junit {
            write_junit(report, path)?;
        }
        if let Some(path) = &self.csv {
            write_csv(report, path)?;
        }
        Ok(self.junit.iter().chain(&self.csv).map(PathBuf::as_path).collect())
    }
}

/// Render a report again from its JSON: as a page, JUnit XML or CSV; or print the JSON's schema.
#[derive(Clone, Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct ReportArgs {
    #[command(subcommand)]
    about: Option<ReportTopic>,

    /// Report to render, as JSON
    #[arg(required = true)]
    file: Option<PathBuf>,

    /// Page to write [default: beside the report, with the extension .html; none with --junit or --csv]
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,

    #[command(flatten)]
    exports: ReportExports,
}

#[derive(Clone, Copy, Debug, clap::Subcommand)]
enum ReportTopic {
    /// Print the JSON Schema of reports
    Schema,
}

/// Report what changed between two runs, or two groups of runs, beyond noise.
///
/// All runs must have played the same scenario. Of two runs, the intervals of the timelines are paired and tested. Of two
/// groups, each run is one observation (the exact rank-sum test), so that differences between runs of the same version
/// count as noise; fewer than four runs on a side prove nothing at 5 %. Latencies of a run whose generator was late are
/// never compared.
#[derive(Clone, Debug, clap::Args)]
#[command(
    override_usage = "loadtest compare [OPTIONS] <A> <B>\n       loadtest compare [OPTIONS] --before <A>... --after <B>...",
    after_help = "Exit codes: 0 nothing is worse beyond noise, 1 something is or B failed where A did not, 2 invalid \
                  flags or not a report, 3 nothing was found worse but not everything could be compared."
)]
pub struct CompareArgs {
    /// Report of the baseline
    #[arg(requires = "b", required_unless_present = "before", conflicts_with = "before")]
    a: Option<PathBuf>,

    /// Report to compare with it
    b: Option<PathBuf>,

    /// Reports of repeated runs of the baseline
    #[arg(long, value_name = "A", num_args = 1.., requires = "after")]
    before: Vec<PathBuf>,

    /// Reports of repeated runs to compare with them
    #[arg(long, value_name = "B", num_args = 1.., requires = "before")]
    after: Vec<PathBuf>,

    /// With --before: compare only this metric, chosen before the runs; may be repeated. The fewer metrics, the fewer
    /// runs suffice
    #[arg(long, value_name = "NAME", requires = "before")]
    metric: Vec<String>,

    /// Write the comparison to this file as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Minimum change that matters, percent of A's value
    #[arg(long, value_name = "PER CENT", default_value_t = 5.0, value_parser = percent)]
    effect: f64,

    /// Minimum change of the share of shed requests that matters, percentage points
    #[arg(long, value_name = "POINTS", default_value_t = 1.0, value_parser = percent)]
    share_effect: f64,

    /// Maximum probability of any false claim, percent
    #[arg(long, value_name = "PER CENT", default_value_t = 5.0, value_parser = percent)]
    level: f64,
}

fn percent(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if (0.0..=100.0).contains(&value) { Ok(value) } else { Err("not within 0 to 100".to_owned()) }
}

/// Prints `text`. A closed pipe (`| head`) is not an error.
fn say(text: &str) -> io::Result<()> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

pub fn report(args: ReportArgs) -> anyhow::Result<ExitCode> {
    if let Some(ReportTopic::Schema) = args.about {
        say(&schema_json()?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let file = args.file.context("no report given")?;
    let report = read(&file)?;
    let exported = args.exports.write(&report)?;
    for path in &exported {
        say(&format!("{}\n", path.display()))?;
    }
    if let Some(html) = args.html.or_else(|| exported.is_empty().then(|| file.with_extension("html"))) {
        write_html(&report, &html)?;
        say(&format!("{}\n", html.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Compares two runs; the exit code is the result.
pub fn compare(args: &CompareArgs) -> ExitCode {
    match print_comparison(args) {
        Ok(ComparisonOutcome::NothingWorse) => ExitCode::SUCCESS,
        Ok(ComparisonOutcome::Worse) => ExitCode::FAILURE,
        Ok(ComparisonOutcome::Incomplete) => ExitCode::from(3),
        // Exit code 1 means "worse", which a mistyped file name must not report.
        Err(error) => {
            eprintln!("loadtest: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn print_comparison(args: &CompareArgs) -> anyhow::Result<ComparisonOutcome> {
    let settings = CompareSettings {
        level: args.level / 100.0,
        effect_min: args.effect / 100.0,
        share_effect_min: args.share_effect / 100.0,
    };
    if let (Some(a), Some(b)) = (&args.a, &args.b) {
        let comparison = compare_reports(&read(a)?, &read(b)?, settings);
        write_comparison(args, &comparison)?;
        return Ok(comparison.outcome);
    }
    let read_all =
        |paths: &[PathBuf]| paths.iter().map(|path| read(path)).collect::<anyhow::Result<Vec<_>>>();
    let (before, after) = (read_all(&args.before)?, read_all(&args.after)?);
    let comparison = compare_repeated(&before, &after, &args.metric, settings)?;
    write_comparison(args, &comparison)?;
    Ok(comparison.outcome)
}

fn write_comparison<C: std::fmt::Display + serde::Serialize>(
    args: &CompareArgs,
    comparison: &C,
) -> anyhow::Result<()> {
    say(&format!("{comparison}\n"))?;
    if let Some(path) = &args.json {
        let json = serde_json::to_vec_pretty(comparison)?;
        fs::write(path, json).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}

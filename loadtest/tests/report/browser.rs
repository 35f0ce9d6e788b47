//! The page as a browser renders it. `SPILLWAY_TEST_CHROMIUM` names the browser; without it these tests are skipped.

use std::path::Path;
use std::process::Command;

use loadtest::report::{RunReport, html};
use tempfile::TempDir;

use super::runs::{self, HOSTILE};

/// The rendered `page` as HTML; `None` without a browser.
fn drawn(name: &str, page: &str) -> Option<String> {
    let Some(chromium) = std::env::var_os("SPILLWAY_TEST_CHROMIUM") else {
        println!("skipped: SPILLWAY_TEST_CHROMIUM is not set");
        return None;
    };
    // Kept for inspection.
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("report-{name}.html"));
    std::fs::write(&file, page).expect("written");
    let profile = TempDir::new().expect("a directory");
    let output = Command::new(chromium)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .args(["--window-size=1280,1000", "--virtual-time-budget=5000", "--dump-dom"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("file://{}", file.display()))
        .output()
        .expect("the browser runs");
    let dom = String::from_utf8(output.stdout).expect("text");
    assert!(output.status.success() && dom.contains("<main>"), "{}", String::from_utf8_lossy(&output.stderr));
    // The scripts are last; their text is not part of the visible page.
    let (visible, _scripts) = dom.split_once("<script").expect("scripts");
    // Numbers are tied to their units.
    Some(visible.replace("&nbsp;", " "))
}

fn drawn_report(name: &str, report: &RunReport) -> Option<String> {
    drawn(name, &html(report).expect("a page"))
}

/// The root element's tag, which carries the result.
fn root(dom: &str) -> &str {
    dom.split('>').find(|tag| tag.contains("<html")).expect("a root")
}

#[track_caller]
fn assert_drawn(dom: &str, charts: usize) {
    let root = root(dom);
    assert!(root.contains("data-ready=\"true\"") && !root.contains("data-error"), "{root}");
    assert!(root.contains(&format!("data-charts=\"{charts}\"")), "{root}");
    assert!(dom.contains("<div id=\"page-error\" role=\"alert\" hidden"), "no error box");
    for none in ["NaN", "null", "undefined", "Infinity", "[object"] {
        assert!(!dom.contains(none), "{none} on the page");
    }
}

fn between<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let (_, rest) = text.split_once(from).unwrap_or_else(|| panic!("no {from}"));
    rest.split_once(to).unwrap_or_else(|| panic!("no {to} after {from}")).0
}

/// Shape and length of each series' path in a chart.
fn series<'a>(dom: &'a str, chart: &str) -> Vec<(&'a str, usize)> {
    let figure = between(dom, &format!("<figure id=\"{chart}\""), "</figure>");
    let paths = figure.split("<path ").skip(1).filter(|path| path.contains("data-series"));
    paths
        .map(|path| {
            let shape = between(path, " d=\"", "\"");
            assert!(shape.starts_with('M'), "{chart}: {shape:?}");
            (between(path, "data-series=\"", "\""), shape.matches(',').count())
        })
        .collect()
}

#[test]
fn a_passed_run_is_rendered_completely() {
    let report = runs::good();
    let Some(dom) = drawn_report("good", &report) else { return };
    assert_drawn(&dom, 8);
    assert!(root(&dom).contains("data-verdict=\"passed\""));
    assert!(dom.contains("</svg>Passed</h1>"), "the verdict comes first");
    assert!(dom.contains(
        "all 243,912 accepted orders are in the database exactly once and as ordered, and nothing else is."
    ));
    assert!(!dom.contains("Latencies void"));
    // A point per interval, twice for areas: they have a lower edge.
    let (sale, whole) = (20, report.timeline.len());
    for (chart, expected) in [
        (
            "chart-load",
            vec![
                ("accepted", 2 * sale),
                ("shed", 2 * sale),
                ("refused", 2 * sale),
                ("unknown", 2 * sale),
                ("planned", sale),
            ],
        ),
        ("chart-latency", vec![("max", sale), ("p99", sale), ("p90", sale), ("p50", sale)]),
        ("chart-queue", vec![("queued", 2 * whole), ("queued", whole)]),
        ("chart-drain", vec![("committed", 2 * whole), ("committed", whole)]),
        (
            "chart-cpu",
            ["ingest-fn", "broker", "drain-worker", "database", "loadtest"]
                .map(|name| (name, 2 * sale))
                .to_vec(),
        ),
        (
            "chart-memory",
            ["ingest-fn", "broker", "drain-worker", "database", "loadtest"].map(|name| (name, sale)).to_vec(),
        ),
        (
            "chart-distribution",
            [&report.latency.accepted, &report.latency.shed, &report.latency.all]
                .into_iter()
                .zip(["accepted", "shed", "all"])
                .map(|(latency, name)| (name, latency.curve.len()))
                .collect(),
        ),
        ("chart-send-delay", vec![("send delay", report.generator.send_delay.curve.len())]),
    ] {
        assert_eq!(series(&dom, chart), expected, "{chart}");
    }
    assert!(dom.contains("cap 2,000/s") && dom.contains("the machine has 4"));
    // Metrics as the page prints them.
    for text in
        ["50,000/s", "248,889", "2,000", "RocketMQ and MariaDB", "Apache RocketMQ 5.5.0", "hang_up_after_ms"]
    {
        assert!(dom.contains(text), "{text}");
    }
}

#[test]
fn void_latencies_are_labelled_void() {
    let Some(dom) = drawn_report("void", &runs::void()) else { return };
    assert_drawn(&dom, 8);
    assert!(dom.contains("Latencies void: the generator itself was late."));
    assert!(dom.contains("99.9 % of requests were sent within 7.9 ms; the bound is 2 ms."));
    assert!(dom.contains("<dt>p99 of accepted</dt><dd><b>void</b>"), "no value for void latencies");
    assert_eq!(
        dom.matches("Void: the generator was late. Not the server’s latencies.").count(),
        2,
        "on both charts"
    );
    assert!(!dom.contains("latencies are the server’s"));
}

#[test]
fn a_failed_run_names_its_failures() {
    let Some(dom) = drawn_report("failed", &runs::failed()) else { return };
    assert_drawn(&dom, 8);
    assert!(root(&dom).contains("data-verdict=\"failed\""));
    for text in [
        "</svg>Failed, interrupted</h1>",
        "The ledger does not add up: 3 × accepted_order_lost, 1 × oversold.",
        "1 of 3 expectations missed: accepted_p99_us.",
        "1 surprise: responses that no rule allows.",
        "018f6b1e7a41",
        "HOT-1: 2,004 of 2,000",
    ] {
        assert!(dom.contains(text), "{text}");
    }
}

#[test]
fn an_aborted_run_names_the_breach_and_the_thresholds_of_phases() {
    let Some(dom) = drawn_report("aborted", &runs::aborted()) else { return };
    assert_drawn(&dom, 8);
    for text in [
        "</svg>Failed, aborted</h1>",
        " after the start: shed_share was 0.93, outside at most 0.5, for 10",
        "<code>[abort]</code>",
        "<code>shed_share@peak</code>",
    ] {
        assert!(dom.contains(text), "{text}");
    }
}

#[test]
fn quoted_text_is_never_markup() {
    let mut report = runs::failed();
    report.scenario.name = HOSTILE.to_owned();
    report.scenario.description = HOSTILE.to_owned();
    report.processes[0].name = HOSTILE.to_owned();
    report.expectations[0].name = HOSTILE.to_owned();
    report.totals.refused_by_code.insert(HOSTILE.to_owned(), 3);
    report.run.parts.insert(HOSTILE.to_owned(), HOSTILE.to_owned());
    report.run.machine.cpu_model = HOSTILE.to_owned();
    let Some(dom) = drawn_report("hostile", &report) else { return };
    assert_drawn(&dom, 8);
    assert!(!dom.contains("<img") && !root(&dom).contains("hacked"));
    let shown = "&lt;/script&gt;&lt;img src=x onerror=";
    for part in [
        &format!("<code>200 OK {shown}"),
        &format!("<p class=\"scenario\">{shown}"),
        &format!("<title>{shown}"),
    ] {
        assert!(dom.contains(part.as_str()), "{part}");
    }
}

#[test]
fn missing_data_is_labelled_missing() {
    let Some(dom) = drawn_report("external", &runs::external()) else { return };
    assert_drawn(&dom, 4);
    assert!(dom.contains("Not judged, without a ledger"));
    assert!(dom.contains("nothing is proven about the orders"));
    assert_eq!(dom.matches("No data: the database was not read.").count(), 3, "queue, drain, ledger");
    assert_eq!(dom.matches("No data: no process was sampled.").count(), 2, "CPU, memory");
    assert!(dom.contains("<section id=\"expectations\" aria-labelledby=\"expectations-title\" hidden"));
}

#[test]
fn very_short_and_very_long_runs_are_rendered() {
    for (name, report, charts) in
        [("empty", runs::empty(), 0), ("single", runs::single(), 8), ("long", runs::long(), 8)]
    {
        let Some(dom) = drawn_report(name, &report) else { return };
        assert_drawn(&dom, charts);
        if name == "single" {
            // A single value is a dot, not a line.
            let latency = between(&dom, "<figure id=\"chart-latency\"", "</figure>");
            assert_eq!(latency.matches("<circle class=\"dot").count(), 4);
        }
        if name == "long" {
            let planned = series(&dom, "chart-load").last().copied();
            assert_eq!(planned, Some(("planned", 600)));
            // Intervals without a response are gaps: each is followed by a new path segment.
            let p99 = between(
                between(&dom, "<figure id=\"chart-latency\"", "</figure>"),
                "data-series=\"p99\" d=\"",
                "\"",
            );
            assert_eq!(p99.matches('M').count(), 8);
        }
    }
}

#[test]
fn a_page_that_fails_to_render_shows_the_error() {
    let page = html(&runs::good()).expect("a page");
    let broken = page.replacen("\"timeline\":[", "\"timeline\":7,\"lost\":[", 1);
    assert_ne!(page, broken);
    let Some(dom) = drawn("broken", &broken) else { return };
    let root = root(&dom);
    assert!(root.contains("data-error=") && !root.contains("data-ready"), "{root}");
    assert!(dom.contains(
        "<div id=\"page-error\" role=\"alert\"><strong>This page could not be rendered completely."
    ));
}

/// Pointer and keyboard, played by a script that is added to the page.
const HANDS: &str = r##"<script nonce="page">
const plot = (chart) => document.querySelector(`#${chart} .plot`);
const press = (chart, key) => plot(chart).dispatchEvent(new KeyboardEvent("keydown", { key, cancelable: true }));
const point = (chart, clientX) => plot(chart).dispatchEvent(new PointerEvent("pointermove", { clientX }));
const click = (chart, text) => [...document.querySelectorAll(`#${chart} button`)].find((button) => button.textContent === text).click();
const note = (name, chart) => { document.body.dataset[name] = plot(chart).getAttribute("aria-valuetext"); };
const box = plot("chart-distribution").getBoundingClientRect();
point("chart-distribution", box.left - 50); note("beforeTheEdge", "chart-distribution");
point("chart-distribution", box.right + 50); note("behindTheEdge", "chart-distribution");
press("chart-load", "Home"); press("chart-load", "ArrowLeft"); note("first", "chart-load");
for (let step = 0; step < 8; step += 1) press("chart-load", "ArrowRight");
note("ninth", "chart-load");
document.body.dataset.crossed = document.querySelectorAll(".cross").length;
document.body.dataset.readouts = document.querySelectorAll(".readout:not([hidden])").length;
press("chart-load", "Escape");
document.body.dataset.left = document.querySelectorAll(".cross").length;
click("chart-load", "shed"); click("chart-queue", "Only the sale");
document.querySelector("#chart-load details").open = true;
document.getElementById("theme").click();
</script></body>"##;

#[test]
fn values_can_be_read_with_the_pointer_and_the_keyboard() {
    let report = runs::good();
    let page = html(&report).expect("a page").replace("</body>", HANDS);
    let Some(dom) = drawn("hands", &page) else { return };
    assert_drawn(&dom, 8);
    let at = |interval: usize| {
        let interval = report.timeline[interval];
        [interval.accepted, interval.shed].map(thousands)
    };
    let [accepted, shed] = at(8);
    let body = between(&dom, "<body ", ">");
    for part in [
        "data-before-the-edge=\"0 % within: accepted ".to_owned(),
        "data-first=\"0 to 1 s: accepted 100/s, shed 0/s, ".to_owned(),
        format!(
            "data-ninth=\"8 to 9 s: accepted {accepted}/s, shed {shed}/s, refused 250/s, unknown 2/s, planned 50,000/s\""
        ),
        // All time charts show the same moment, except the drain's; only the pointed one prints values. The quantile
        // chart keeps its own moment until the pointer leaves it.
        "data-crossed=\"7\"".to_owned(),
        "data-readouts=\"2\"".to_owned(),
        "data-left=\"1\"".to_owned(),
    ] {
        assert!(body.contains(&part), "{part}: {body}");
    }
    assert!(between(body, "data-behind-the-edge=\"", "\"").contains("accepted –, shed –, all "), "{body}");
    let visible: Vec<_> = series(&dom, "chart-load").into_iter().map(|(name, _)| name).collect();
    assert_eq!(visible, ["accepted", "refused", "unknown", "planned"]);
    assert_eq!(series(&dom, "chart-queue"), [("queued", 40), ("queued", 20)], "the sale alone");
    let table = between(between(&dom, "<figure id=\"chart-load\"", "</figure>"), "<tbody>", "</tbody>");
    assert_eq!(table.matches("<tr>").count(), 20, "the same as a table");
    assert!(root(&dom).contains("data-theme="));
}

fn thousands(number: u64) -> String {
    let (thousands, rest) = (number / 1_000, number % 1_000);
    if thousands == 0 { rest.to_string() } else { format!("{thousands},{rest:03}") }
}

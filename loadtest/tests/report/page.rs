//! The page's source, without a browser.

use loadtest::report::{RunReport, html};

use super::runs;

fn embedded(page: &str) -> RunReport {
    let (_, rest) = page.split_once("<script type=\"application/json\" id=\"report\">").expect("a report");
    let (json, _) = rest.split_once("</script>").expect("an end");
    serde_json::from_str(json).expect("a report")
}

#[test]
fn the_page_holds_the_report() {
    for report in [runs::good(), runs::failed(), runs::aborted(), runs::empty()] {
        assert_eq!(embedded(&html(&report).expect("a page")), report);
    }
}

#[test]
fn the_page_is_self_contained() {
    let page = html(&runs::good()).expect("a page");
    let addresses: Vec<_> =
        page.match_indices("://").map(|(at, _)| &page[at.saturating_sub(5)..at + 25]).collect();
    assert!(addresses.iter().all(|address| address.contains("http://www.w3.org/2000/svg")), "{addresses:?}");
    for loads in [" src=", "<link", "@import", "fetch(", "XMLHttpRequest", "import("] {
        assert!(!page.contains(loads), "{loads}");
    }
    assert_eq!(page.matches("url(").count(), page.matches("url(#").count(), "only what is on the page");
    assert!(page.contains("default-src 'none'"), "and the browser holds it to that");
}

#[test]
fn no_report_text_ends_the_script() {
    let plain = html(&runs::good()).expect("a page");
    let hostile = html(&runs::failed()).expect("a page");
    for mark in ["</script", "<script", "<!--", "<img"] {
        assert_eq!(hostile.matches(mark).count(), plain.matches(mark).count(), "{mark}");
    }
}

/// The page is joined in one pass: a value that looks like a placeholder stays a value.
#[test]
fn a_value_that_looks_like_a_placeholder_is_kept() {
    let mut report = runs::good();
    report.scenario.name = "{{css}} {{json}}".to_owned();
    let page = html(&report).expect("a page");
    assert!(page.contains("<title>{{css}} {{json}}: passed</title>"));
    assert_eq!(embedded(&page), report);
}

//! Style rules that a machine can check.

#![allow(clippy::expect_used, reason = "a test says what it expects")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Maximum lines of a source file: a longer one has more than one concern.
const LINES_MAX: usize = 500;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

/// Files below `folder`, without build output.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry")) {
        let (path, name) = (entry.path(), entry.file_name());
        if name == ".git" || name == "target" || name == "node_modules" {
            continue;
        }
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
}

fn rust_files() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    files(&root(), &mut found);
    let rust = found.into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    rust.map(|path| (path.clone(), fs::read_to_string(&path).expect("text"))).collect()
}

#[test]
fn source_files_have_one_concern() {
    let long: Vec<_> = rust_files()
        .into_iter()
        .map(|(path, text)| (path, text.lines().count()))
        .filter(|(_, lines)| *lines > LINES_MAX)
        .collect();
    assert!(long.is_empty(), "split by responsibility: {long:?}");
}

#[test]
fn nothing_is_left_for_later_in_the_code() {
    // In parts, so that this file does not name them.
    let marks = [["TO", "DO"], ["FIX", "ME"], ["XX", "X"]].map(|parts| parts.concat());
    for (path, text) in rust_files() {
        for mark in &marks {
            assert!(!text.contains(mark.as_str()), "{}: {mark}", path.display());
        }
    }
}

#[test]
fn a_lint_is_switched_off_only_with_a_reason() {
    for (path, text) in rust_files() {
        for (number, line) in text.lines().enumerate() {
            let off = line.trim_start();
            if off.starts_with("#[allow(") || off.starts_with("#![allow(") {
                // The reason may stand on one of the next lines.
                let rest: String = text.lines().skip(number).take(6).collect();
                assert!(rest.contains("reason ="), "{}:{}", path.display(), number + 1);
            }
        }
    }
}

/// Words that make a reader ask what happens: each stands for a verb of the field, or hides the component that acts.
const VAGUE_WORDS: &str = "nobody, somebody, anybody, whoever, whatever, whichever, tell, tells, told, give up, \
    gives up, gave up, given up, giving up, come back, comes back, came back, coming back, comes again, came again, \
    mend, mends, mended, labours, takes over, took over, taken over, taking over, lone, stranger, strangers";

/// A doc comment is a sentence about the component, not a fragment.
const FRAGMENT_STARTS: [&str; 6] = ["Whether", "Who", "What", "How", "Its", "Of"];

#[test]
fn texts_name_the_component_and_use_the_verbs_of_the_field() {
    let mut found = Vec::new();
    for (path, text) in rust_files().into_iter().filter(|(path, _)| !path.ends_with("shared/tests/tidy.rs")) {
        let mut is_in_doc = false;
        for (number, line) in text.lines().enumerate() {
            let place = || format!("{}:{}: {}", path.display(), number + 1, line.trim());
            let doc = ["/// ", "//! "].iter().find_map(|start| line.trim_start().strip_prefix(start));
            let first = doc.and_then(|doc| doc.split_whitespace().next()).unwrap_or_default();
            if !is_in_doc && FRAGMENT_STARTS.contains(&first) {
                found.push(place());
            }
            is_in_doc = doc.is_some();
            let words = words_of(line);
            if VAGUE_WORDS.split(", ").any(|word| words.contains(&format!(" {word} "))) {
                found.push(place());
            }
        }
    }
    assert!(found.is_empty(), "{} lines:\n{}", found.len(), found.join("\n"));
}

/// The words of a line's comment, string literals and function name, in lower case, with single spaces around each.
fn words_of(line: &str) -> String {
    let comment = line.find("//").map_or("", |start| &line[start..]);
    let strings = line.split('"').skip(1).step_by(2);
    let name = line.split("fn ").nth(1).and_then(|rest| rest.split('(').next()).unwrap_or_default();
    let text: Vec<_> = strings.chain([comment, name]).collect();
    let words: Vec<_> = text
        .iter()
        .flat_map(|text| text.split(|letter: char| !letter.is_alphanumeric()))
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect();
    format!(" {} ", words.join(" "))
}

#[test]
fn the_top_level_is_what_the_readme_shows() {
    let expected = BTreeSet::from(
        [
            "Cargo.toml",
            "Cargo.lock",
            "README.md",
            "README.zh-CN.md",
            "LICENSE",
            "ingest-fn",
            "drain-worker",
            "shared",
            "infra",
            "loadtest",
        ]
        .map(str::to_owned),
    );
    let found: BTreeSet<_> = fs::read_dir(root())
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("text"))
        .filter(|name| !name.starts_with('.') && name != "target")
        .collect();
    assert_eq!(found, expected);
    let readme = fs::read_to_string(root().join("README.md")).expect("text");
    for part in
        ["ingest-fn", "drain-worker", "shared", "shared/rocketmq", "shared/broker", "infra", "loadtest"]
    {
        assert!(root().join(part).join("README.md").is_file(), "{part} has a README");
        assert!(readme.contains(&format!("`{part}/`")), "the README says where {part} is");
    }
    for command in ["cargo run --release -p loadtest -- demo", "cargo test --workspace"] {
        assert!(readme.contains(command), "{command}");
    }
}

/// The names that GitHub gives to a document's headings: lower case, spaces as dashes, other punctuation left out.
fn anchors(document: &str) -> BTreeSet<String> {
    let mut is_code = false;
    let headings = document.lines().filter(|line| {
        is_code ^= line.trim_start().starts_with("```");
        !is_code && line.starts_with('#')
    });
    let name = |heading: &str| {
        let text = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = text.chars().filter(|letter| letter.is_alphanumeric() || [' ', '-', '_'].contains(letter));
        kept.map(|letter| if letter == ' ' { '-' } else { letter }).collect()
    };
    headings.map(name).collect()
}

#[test]
fn links_in_documents_lead_somewhere() {
    let mut found = Vec::new();
    files(&root(), &mut found);
    for path in found.into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "md")) {
        let text = fs::read_to_string(&path).expect("text");
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.contains("://") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let folder = path.parent().expect("a folder");
            let target = if file.is_empty() { path.clone() } else { folder.join(file) };
            assert!(target.exists(), "{}: {link}", path.display());
            if !anchor.is_empty() && target.extension().is_some_and(|extension| extension == "md") {
                let headings = anchors(&fs::read_to_string(&target).expect("text"));
                assert!(
                    headings.contains(anchor),
                    "{}: {link}: the headings are {headings:?}",
                    path.display()
                );
            }
        }
    }
}

//! Style that a machine can check.

#![allow(clippy::expect_used, reason = "a test says what it expects")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Longest source file, lines: beyond it a file has more than one concern.
const LINES_MAX: usize = 500;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

/// Files below `folder`, without what git does not keep.
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
                let rest: String = text.lines().skip(number).take(4).collect();
                assert!(rest.contains("reason ="), "{}:{}", path.display(), number + 1);
            }
        }
    }
}

#[test]
fn the_top_level_is_what_the_readme_shows() {
    let expected = BTreeSet::from(
        [
            "Cargo.toml",
            "Cargo.lock",
            "README.md",
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
    for part in ["ingest-fn", "drain-worker", "shared", "shared/rocketmq", "infra", "loadtest"] {
        assert!(root().join(part).join("README.md").is_file(), "{part} has a README");
        assert!(readme.contains(&format!("`{part}/`")), "the README says where {part} is");
    }
    for command in ["cargo run --release -p loadtest -- demo", "cargo test --workspace"] {
        assert!(readme.contains(command), "{command}");
    }
}

#[test]
fn every_fault_of_the_ledger_is_documented() {
    let readme = fs::read_to_string(root().join("loadtest/README.md")).expect("text");
    let code = fs::read_to_string(root().join("loadtest/src/ledger/check.rs")).expect("text");
    let names: Vec<_> = code
        .split('"')
        .skip(1)
        .step_by(2)
        .filter(|text| {
            text.contains('_') && text.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_')
        })
        .collect();
    assert!(names.len() >= 15, "{names:?}");
    for name in names {
        assert!(readme.contains(&format!("`{name}`")), "{name}");
    }
}

#[test]
fn links_in_documents_lead_somewhere() {
    let mut found = Vec::new();
    files(&root(), &mut found);
    for path in found.into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "md")) {
        let text = fs::read_to_string(&path).expect("text");
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = target.split('#').next().unwrap_or_default();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            let folder = path.parent().expect("a folder");
            assert!(folder.join(target).exists(), "{}: {target}", path.display());
        }
    }
}

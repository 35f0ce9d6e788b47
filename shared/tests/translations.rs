//! The Chinese documents say what the English ones say, part by part.

#![allow(clippy::expect_used, reason = "a test says what it expects")]

use std::fs;
use std::path::{Path, PathBuf};

/// The suffix of a translation's name.
const CHINESE: &str = ".zh-CN.md";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

/// One block of a document: its kind, and what a translation must keep.
#[derive(Debug, PartialEq, Eq)]
struct Block {
    kind: String,
    /// Code of a fenced block; of other blocks the code spans and link targets, sorted, because word order differs.
    literals: Vec<String>,
}

/// The blocks of a document, and its lines of prose. Links to the other language are left out.
fn parse(text: &str) -> (Vec<Block>, Vec<String>) {
    let (mut blocks, mut prose) = (Vec::new(), Vec::new());
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.trim().is_empty() || line.contains("简体中文") {
            continue;
        }
        if line.trim_start().starts_with("```") {
            let code = lines.by_ref().take_while(|line| !line.trim_start().starts_with("```"));
            blocks.push(Block { kind: line.to_owned(), literals: code.map(str::to_owned).collect() });
            continue;
        }
        let marker = line.split_whitespace().next().unwrap_or_default();
        let kind = if marker.chars().all(|letter| letter == '#') || ["-", "|"].contains(&marker) {
            marker.to_owned()
        } else if marker.ends_with('.') && marker.starts_with(|letter: char| letter.is_ascii_digit()) {
            "1.".to_owned()
        } else {
            "text".to_owned()
        };
        let code = line.split('`').skip(1).step_by(2).map(str::to_owned);
        let links = line.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        let links = links.map(|target| target.split('#').next().unwrap_or_default().replace(CHINESE, ".md"));
        let mut literals: Vec<String> = code.chain(links).collect();
        literals.sort();
        blocks.push(Block { kind, literals });
        prose.push(line.to_owned());
    }
    (blocks, prose)
}

/// Chinese characters of a line.
fn chinese_letters(line: &str) -> usize {
    line.chars().filter(|letter| ('\u{4e00}'..='\u{9fff}').contains(letter)).count()
}

fn translations() -> Vec<PathBuf> {
    let listed = std::process::Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard", &format!("*{CHINESE}")])
        .current_dir(root())
        .output()
        .expect("git");
    String::from_utf8(listed.stdout).expect("text").lines().map(|path| root().join(path)).collect()
}

#[test]
fn a_translation_has_every_block_command_and_link() {
    let found = translations();
    for expected in ["README.zh-CN.md", "drain-worker/docs/operate.zh-CN.md"] {
        assert!(found.contains(&root().join(expected)), "{expected} is missing");
    }
    for path in found {
        let text = fs::read_to_string(&path).expect("text");
        let original = path.to_string_lossy().replace(CHINESE, ".md");
        let original = fs::read_to_string(original).expect("the English document");
        let ((blocks, _), (expected, english)) = (parse(&text), parse(&original));
        for (number, (block, wanted)) in blocks.iter().zip(&expected).enumerate() {
            let before = english.get(number.saturating_sub(1));
            assert_eq!(block, wanted, "{}: block {number}, near {before:?}", path.display());
        }
        assert_eq!(blocks.len(), expected.len(), "{}: as many blocks", path.display());
    }
}

/// A paragraph that was added in English alone, or copied.
#[test]
fn a_translation_is_in_chinese() {
    for path in translations() {
        let (_, prose) = parse(&fs::read_to_string(&path).expect("text"));
        for line in prose {
            let code: usize = line.split('`').skip(1).step_by(2).map(|code| code.chars().count()).sum();
            let words = line
                .split_whitespace()
                .filter(|word| word.starts_with(|letter: char| letter.is_ascii_alphabetic()));
            // Names, and tables of code, have no Chinese.
            if words.count() >= 4 && code * 2 < line.chars().count() {
                assert!(chinese_letters(&line) > 4, "{}: {line}", path.display());
            }
        }
    }
}

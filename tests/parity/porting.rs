//! The worked example of `docs/porting.md`: the Python there, run live, and `examples/porting.rs`.

use std::path::Path;
use std::process::Command;

use crate::live::{python_side, succeed};
use crate::support::libtorch;

#[allow(dead_code)]
#[path = "../../examples/porting.rs"]
mod example;

/// The block of `docs/porting.md` that begins with this line.
fn block(language: &str) -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/porting.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (_, block) = page.split_once(&format!("\n```{language}\n")).unwrap();
    block.split_once("```").unwrap().0.to_owned()
}

#[test]
fn the_page_shows_the_example() {
    let source = include_str!("../../examples/porting.rs");
    assert!(source.contains(&block("rust")), "docs/porting.md and examples/porting.rs are not the same");
}

#[test]
fn the_example_prints_pythons_numbers() {
    let _turn = libtorch();
    let Some(python) = python_side("the example of docs/porting.md") else { return };
    let printed = succeed(Command::new(python).args(["-c", &block("python")]));
    let totals = example::totals().unwrap();
    let lines: Vec<String> = totals.iter().enumerate().map(|(i, total)| format!("{i} {total}")).collect();
    assert_eq!(printed.lines().collect::<Vec<_>>(), lines);
}

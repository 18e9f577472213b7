//! The versions in `xtask/src/pinned.rs` are those that everything else names. After a change of `pinned.rs`, this test lists the
//! places to change.

use std::fs;
use std::path::{Path, PathBuf};

#[path = "../src/pinned.rs"]
mod pinned;

use pinned::{D2L, TORCH, TORCHVISION};

/// Words before a version, and the version that must follow. One of two parts, as in "seen with libtorch 2.11", is an observation
/// and may differ.
const NAMED: [(&str, &str); 9] = [
    ("libtorch ", TORCH),
    ("PyTorch ", TORCH),
    ("torch==", TORCH),
    ("TORCH_VERSION: &str = \"", TORCH),
    // The stored references and the notebooks, in which the first cell prints it.
    ("\"torch\": \"", TORCH),
    ("\"torch           ", TORCH),
    ("torchvision==", TORCHVISION),
    ("d2l==", D2L),
    ("d2l ", D2L),
];

/// These files tell what happened with other versions.
const HISTORY: [&str; 2] = ["CHANGELOG.md", "docs/upgrading.md"];

/// The kinds of files to look into.
const WRITTEN: [&str; 9] = ["cpp", "h", "ipynb", "json", "md", "py", "rs", "toml", "txt"];

#[test]
fn every_place_names_the_pinned_versions() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut files = Vec::new();
    add_files(root, &mut files);
    let mut others = Vec::new();
    let mut places = 0;
    for file in &files {
        let shown = file.strip_prefix(root).unwrap();
        if HISTORY.iter().any(|history| shown == Path::new(history)) {
            continue;
        }
        for (number, line) in (1..).zip(fs::read_to_string(file).unwrap_or_default().lines()) {
            for (word, wanted) in NAMED {
                for version in versions_after(word, line) {
                    places += 1;
                    if version != wanted {
                        others.push(format!("{}:{number}: {word}{version}, not {wanted}", shown.display()));
                    }
                }
            }
        }
    }
    assert!(others.is_empty(), "\n{}", others.join("\n"));
    assert!(places > 10, "only {places} places: have the words changed?");
}

/// The versions of three parts that follow `word` in `line`.
fn versions_after<'a>(word: &str, line: &'a str) -> impl Iterator<Item = &'a str> {
    let after = line.match_indices(word).map(|(place, word)| &line[place + word.len()..]);
    let numbers = after.map(|rest| rest.split(|c: char| !c.is_ascii_digit() && c != '.').next().unwrap());
    numbers.map(|number| number.trim_end_matches('.')).filter(|number| number.split('.').count() == 3)
}

/// The files below `folder` that the project's people and scripts write.
fn add_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let (path, kind) = (entry.path(), entry.file_type().unwrap());
        if kind.is_dir() && ![".git", "target", "reports"].iter().any(|other| path.ends_with(other)) {
            add_files(&path, files);
        } else if kind.is_file() && WRITTEN.iter().any(|kind| path.extension() == Some(kind.as_ref())) {
            files.push(path);
        }
    }
}

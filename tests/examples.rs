//! Every program of `examples/` prints what the comment at its end says. They round, so that every machine prints the same.

use std::env::consts::EXE_SUFFIX;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder of the examples, next to the folder of this test's executable. `cargo test` builds them.
fn built(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(Path::parent).expect("cargo runs tests from PROFILE/deps");
    profile.join("examples").join(format!("{name}{EXE_SUFFIX}"))
}

/// The lines after `// Output:`, up to the end of the file.
fn promised(source: &str) -> Option<String> {
    let (_, output) = source.split_once("\n// Output:\n")?;
    output
        .lines()
        .map(|line| {
            line.strip_prefix("//").map(|line| format!("{}\n", line.strip_prefix(' ').unwrap_or(line)))
        })
        .collect()
}

#[test]
fn examples_show_what_they_claim() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut ran = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        assert_eq!(path.extension().and_then(|e| e.to_str()), Some("rs"), "{}: a program", path.display());
        let source = fs::read_to_string(&path).unwrap();
        let promised = promised(&source).unwrap_or_else(|| panic!("{name} does not end in // Output:"));

        let program = built(name);
        assert!(program.exists(), "{} is not built: cargo build --examples", program.display());
        // Some examples write files to the current folder.
        let place = tempfile::tempdir().unwrap();
        let output = Command::new(program).current_dir(&place).output().unwrap();
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        let printed = String::from_utf8(output.stdout).unwrap();
        assert_eq!(printed, promised, "{name}");
        ran += 1;
    }
    assert!(ran > 0, "there are examples");
}

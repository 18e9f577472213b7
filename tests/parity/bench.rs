//! The benchmark's two sides: that Python measures what it is asked for, each way that it has.

use std::process::Command;

use crate::live::{Live, succeed};

#[test]
fn every_subject_is_measured_beside_python() {
    let Some(live) = Live::find("bench") else { return };
    let out = live.folder.path().join("bench");
    let mut command = Command::new(env!("CARGO_BIN_EXE_d2l_ch7"));
    // The folder of the checkout has the Python side; d2l's loop wants five batches.
    command
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["bench", "--quiet", "--device", "cpu", "--rounds", "1"]);
    command
        .args(["--recipes", "book,adamw,cifar", "--train-examples", "1280", "--data-dir"])
        .arg(live.data());
    succeed(command.arg("--out").arg(&out));
    let report = std::fs::read_to_string(out.join("report.md")).unwrap();
    assert!(!report.contains("not measured"), "{report}");
    let mut csv = csv::Reader::from_path(out.join("bench.csv")).unwrap();
    let who: Vec<String> = csv.records().map(|row| row.unwrap()[2].to_owned()).collect();
    let count = |name: &str| who.iter().filter(|who| *who == name).count();
    // 24 batch norms and 5 steps; epochs of two recipes and two variants, of which d2l has a loop for one recipe.
    assert_eq!(count("PyTorch"), 29);
    assert_eq!(count("the notebook's loop"), 4);
    assert_eq!(count("the notebook's loop, by its own timer"), 2);
    assert_eq!(count("a plain PyTorch loop"), 4);
    assert_eq!(count("the notebook's DataLoader") + count("tensors in memory"), 2);
}

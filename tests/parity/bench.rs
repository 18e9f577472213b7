//! The Python side of the benchmark measures everything that it is asked for.

use std::process::Command;

use crate::live::{Live, succeed};

/// The names of the measured sides, for each subject; and the report.
fn bench(live: &Live, out: &str, arguments: &[&str]) -> (Vec<String>, String) {
    let out = live.folder.path().join(out);
    let mut command = Command::new(env!("CARGO_BIN_EXE_d2l_ch7"));
    // The folder of the checkout has the Python side.
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(["bench", "--quiet", "--device", "cpu"]);
    command.args(["--rounds", "1", "--data-dir"]).arg(live.data()).args(arguments);
    succeed(command.arg("--out").arg(&out));
    let mut csv = csv::Reader::from_path(out.join("bench.csv")).unwrap();
    let who = csv.records().map(|row| row.unwrap()[2].to_owned()).collect();
    (who, std::fs::read_to_string(out.join("report.md")).unwrap())
}

#[test]
fn every_subject_is_measured_beside_python() {
    let Some(live) = Live::find("bench") else { return };
    // d2l's loop wants five batches.
    let recipes = ["--recipes", "book,adamw", "--train-examples", "1280"];
    let (who, report) = bench(&live, "fashion-mnist", &recipes);
    assert!(!report.lines().any(|line| line.starts_with("- ")), "no remark: {report}");
    let count = |name: &str| who.iter().filter(|who| *who == name).count();
    // 24 batch norms and 4 steps; epochs of two recipes and two variants, of which d2l has a loop for one recipe.
    assert_eq!(count("PyTorch"), 28);
    assert_eq!(count("the notebook's loop"), 4);
    assert_eq!(count("the notebook's loop, by its own timer"), 2);
    assert_eq!(count("a plain PyTorch loop"), 4);
    assert_eq!(count("the notebook's DataLoader") + count("tensors in memory"), 2);

    // The notebook's numerics, and mixed precision with channels last.
    let (who, report) = bench(&live, "cifar", &["--recipes", "cifar", "--sections", "step"]);
    assert_eq!(who, ["this program", "PyTorch", "this program", "PyTorch"], "{report}");
}

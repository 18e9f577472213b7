//! `d2l_ch7 bench` measures each subject in Rust and in Python: no measurement of Python's is missing.
//!
//! The times differ from run to run, so this test compares none. A time of Python's is that of `bench_worker.py`, for a
//! training step:
//!
//! ```python
//! start = time.perf_counter()
//! for _ in range(iterations):
//!     optimizer.zero_grad()
//!     nn.functional.cross_entropy(net(X), y).backward()
//!     optimizer.step()
//! seconds = (time.perf_counter() - start) / iterations
//! ```

use std::process::Command;

use d2l_ch7::norm::Variant;

use crate::live::{Live, succeed};

/// Runs `d2l_ch7 bench`; gives the column `who` of its bench.csv, and its report.
fn bench(live: &Live, out: &str, arguments: &[&str]) -> (Vec<String>, String) {
    let out = live.folder.path().join(out);
    let mut command = Command::new(env!("CARGO_BIN_EXE_d2l_ch7"));
    // The program looks for `notebooks_ref/bench_worker.py` in the current folder.
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
    // d2l's loop needs five batches.
    let recipes = ["--recipes", "book,adamw", "--train-examples", "1280"];
    let (who, report) = bench(&live, "fashion-mnist", &recipes);
    assert!(!report.lines().any(|line| line.starts_with("- ")), "no remark: {report}");
    let count = |name: &str| who.iter().filter(|who| *who == name).count();
    // Of each variant, PyTorch has 12 batch norms and the steps of two recipes; only `book` has a loop in d2l.
    let variants = Variant::NOTEBOOKS.len();
    assert_eq!(count("PyTorch"), 14 * variants);
    assert_eq!(count("the notebook's loop"), 2 * variants);
    assert_eq!(count("the notebook's loop, by its own timer"), variants);
    assert_eq!(count("a plain PyTorch loop"), 2 * variants);
    assert_eq!(count("the notebook's DataLoader") + count("tensors in memory"), 2);

    // Two steps: float32 as in the notebook, and mixed precision with channels last.
    let (who, report) = bench(&live, "cifar", &["--recipes", "cifar", "--sections", "step"]);
    let of_a_subject = ["this program", "this program with libtorch's kernels", "PyTorch"];
    assert_eq!(who, [of_a_subject, of_a_subject].concat(), "{report}");
}

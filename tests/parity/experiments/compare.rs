//! Whole runs against Python, live: this machine runs the program and the notebook's loop, and compares them bit for bit.
//!
//! `train.run`; for `adamw`, which d2l has no loop for, `loops.train` does the same with AdamW:
//!
//! ```python
//! train_iter, test_iter = fashion_mnist.torchvision_loaders(data_dir, batch_size, 2100, 500, workers=4)
//! torch.manual_seed(seed)
//! net = RECIPES["book"].build("scratch")
//! d2l.train_ch6(net, train_iter, test_iter, num_epochs, lr, torch.device("cpu"))
//! save_file(net.state_dict(), "weights.safetensors")
//! ```
//!
//! `torchvision_loaders` gives the loaders of `d2l.load_data_fashion_mnist`, without its download, of the first 2,100 and 500
//! images.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;

use d2l_ch7::experiments::recipes::{RECIPES, Recipe};
use d2l_ch7::norm::Variant;
use d2l_ch7::report::read_metrics;

use crate::live::{Live, assert_same_figures, assert_same_weights, succeed};
use crate::support::{has_cuda, libtorch};

/// One run: the options that both programs get.
struct Run {
    recipe: &'static str,
    variant: &'static str,
    seed: &'static str,
    threads: &'static str,
    /// `cpu`, or `cuda` with deterministic kernels.
    device: &'static str,
    /// Python's `--loop`: `notebook` is d2l's own loop with worker processes, `plain` the same arithmetic without them.
    python_loop: &'static str,
}

impl Run {
    /// Trains in Rust. Gives the run directory.
    fn rust(&self, live: &Live) -> PathBuf {
        self.rust_by(live, &[])
    }

    /// Trains in Rust with further `arguments`. Gives the run directory.
    fn rust_by(&self, live: &Live, arguments: &[&str]) -> PathBuf {
        let Run { recipe, variant, seed, threads, .. } = self;
        let name = format!("{recipe}-{variant}-{seed}-{threads}{}", arguments.concat());
        let out = live.folder.path().join(name);
        succeed(
            Command::new(env!("CARGO_BIN_EXE_d2l_ch7"))
                .args(["compare", "--variants", self.variant, "--quiet"])
                .args(self.arguments())
                .args(arguments)
                .arg("--data-dir")
                .arg(live.data())
                .arg("--out")
                .arg(&out),
        );
        out
    }

    /// Trains in Python. Gives the file with the figures and the file with the weights.
    fn reference(&self, live: &Live) -> (PathBuf, PathBuf) {
        let (json, weights) = python_files(live, 0);
        succeed(live.python("train.py").args(self.python_arguments(&json, &weights)));
        (json, weights)
    }

    fn python_arguments(&self, json: &Path, weights: &Path) -> Vec<OsString> {
        let words = ["--variant", self.variant, "--loop", self.python_loop];
        let files = [OsStr::new("--out"), json.as_os_str(), OsStr::new("--weights"), weights.as_os_str()];
        let words = words.into_iter().chain(self.arguments()).map(OsString::from);
        words.chain(files.map(OsString::from)).collect()
    }

    fn arguments(&self) -> Vec<&'static str> {
        let deterministic = (self.device != "cpu").then_some("--deterministic");
        [["--recipe", self.recipe], ["--seed", self.seed], ["--threads", self.threads], ["--epochs", "2"]]
            .concat()
            .into_iter()
            .chain(["--device", self.device])
            .chain(deterministic)
            .chain(self.examples())
            .collect()
    }

    /// The numbers of images: at least five batches, which d2l's loop needs, and of a LeNet a smaller last one.
    fn examples(&self) -> Vec<&'static str> {
        let recipe = Recipe::named(self.recipe).unwrap();
        if !recipe.is_lenet() {
            return ["--train-examples", "10", "--test-examples", "3", "--batch-size", "2"].into();
        }
        if recipe.resize.is_some() {
            // Resized to 224x224, each image has 64 times the pixels.
            return ["--train-examples", "84", "--test-examples", "24", "--batch-size", "16"].into();
        }
        ["--train-examples", "2100", "--test-examples", "500"].into()
    }
}

/// The files with the figures and with the weights of one of several runs in Python.
fn python_files(live: &Live, run: usize) -> (PathBuf, PathBuf) {
    let file = |name: &str| live.folder.path().join(format!("{run}.{name}"));
    (file("json"), file("safetensors"))
}

fn check(live: &Live, run: &Run) {
    check_by(live, run, &[&[]]);
}

/// Compares the run with Python, once for each of the `loops`: the arguments that choose the program's loop.
fn check_by(live: &Live, run: &Run, loops: &[&[&str]]) {
    let python = run.reference(live);
    for arguments in loops {
        assert_same(&run.rust_by(live, arguments), run, &python);
    }
}

/// Compares the run directory `out` with what Python wrote.
fn assert_same(out: &Path, run: &Run, (json, weights): &(PathBuf, PathBuf)) {
    assert_same_figures(out, json, 2);
    assert_same_weights(&out.join(format!("weights/{}.safetensors", run.variant)), weights);
}

/// The chapter's large networks: every variant with two threads, and one with one thread, against d2l's own `train_ch6`. One Python
/// takes all runs of a network (`train_each.py`).
#[test]
fn the_chapters_runs_are_d2ls_to_the_last_bit() {
    let _turn = libtorch();
    let Some(live) = Live::find("the chapter's networks against d2l's loop") else { return };
    for recipe in RECIPES.iter().filter(|recipe| !recipe.is_lenet()) {
        let run = |variant: Variant, threads| Run {
            recipe: recipe.name,
            variant: variant.name(),
            seed: "3",
            threads,
            device: "cpu",
            python_loop: "notebook",
        };
        let one_thread = run(recipe.variants[0], "1");
        let runs: Vec<Run> =
            Variant::IN_PYTHON.map(|variant| run(variant, "2")).into_iter().chain([one_thread]).collect();
        let mut python = live.python("train_each.py");
        for (i, run) in runs.iter().enumerate() {
            let (json, weights) = python_files(&live, i);
            // One worker process in the place of four: the same bits sooner.
            python.arg("--run").args(run.python_arguments(&json, &weights)).args(["--workers", "1"]);
        }
        succeed(&mut python);
        for (i, run) in runs.iter().enumerate() {
            let (out, python) = (run.rust(&live), python_files(&live, i));
            assert_same(&out, run, &python);
            // AlexNet's weights and checkpoints would add up to gigabytes.
            std::fs::remove_dir_all(out).unwrap();
            std::fs::remove_file(python.1).unwrap();
        }
    }
}

/// Every recipe with a LeNet, and every variant, with different seeds, against the notebook's loop.
#[test]
fn runs_are_the_notebooks_to_the_last_bit() {
    let _turn = libtorch();
    let Some(live) = Live::find("whole runs against the notebook's loop") else { return };
    let mut seeds = ["0", "7", "1", "3", "0", "123456789", "2", "5", "0", "8"].into_iter().cycle();
    for recipe in RECIPES.iter().filter(|recipe| recipe.is_lenet()).map(|recipe| recipe.name) {
        for (variant, seed) in Variant::IN_PYTHON.map(Variant::name).into_iter().zip(&mut seeds) {
            check(
                &live,
                &Run { recipe, variant, seed, threads: "2", device: "cpu", python_loop: "notebook" },
            );
        }
    }
}

/// On a GPU, with deterministic kernels: the loop that waits for every batch, the loop that waits for none, and a CUDA graph.
#[test]
fn runs_on_cuda_are_pythons_to_the_last_bit() {
    let _turn = libtorch();
    let what = "whole runs on CUDA against Python's";
    let Some(live) = Live::find(what).filter(|_| has_cuda(what)) else { return };
    for recipe in RECIPES.iter().map(|recipe| recipe.name) {
        for variant in Variant::IN_PYTHON.map(Variant::name) {
            let run = Run { recipe, variant, seed: "0", threads: "2", device: "cuda", python_loop: "plain" };
            check_by(&live, &run, &[&["--eager"], &[], &["--graph"]]);
        }
    }
}

/// One thread gives other bits than two threads: they must be those of Python with one thread.
#[test]
fn one_thread_is_pythons_one_thread() {
    let _turn = libtorch();
    let Some(live) = Live::find("whole runs with one thread") else { return };
    for variant in Variant::IN_PYTHON.map(Variant::name) {
        check(
            &live,
            &Run { recipe: "book", variant, seed: "0", threads: "1", device: "cpu", python_loop: "plain" },
        );
    }
}

/// Two variants that train in one process, epoch by epoch, draw the random numbers that each would draw alone.
#[test]
fn taking_turns_changes_no_bit() {
    let _turn = libtorch();
    let Some(live) = Live::find("variants in turn against variants alone") else { return };
    let run = |variant| Run {
        recipe: "dropout",
        variant,
        seed: "4",
        threads: "2",
        device: "cpu",
        python_loop: "plain",
    };
    let together = run("scratch,native").rust(&live);
    for variant in ["scratch", "native"] {
        let alone = run(variant).rust(&live);
        let of = |out: &Path| {
            let records = read_metrics(&out.join("metrics.csv")).unwrap();
            let records = records.into_iter().filter(|record| record.variant == variant);
            records.map(|r| (r.epoch, r.train_loss.to_bits(), r.test_acc.to_bits())).collect::<Vec<_>>()
        };
        assert_eq!(of(&together).len(), 2);
        assert_eq!(of(&together), of(&alone), "{variant}");
        let weights = |out: &Path| out.join(format!("weights/{variant}.safetensors"));
        assert_same_weights(&weights(&together), &weights(&alone));
    }
}

/// Rust and Python evaluate a file of weights alike, whichever of them trained it. `evaluate.py`:
///
/// ```python
/// net = RECIPES["adamw"].build(variant)
/// net.load_state_dict(load_file("weights.safetensors"), strict=True)
/// _, test_iter = fashion_mnist.memory_loaders(data_dir, 64, None, 500)
/// loss, accuracy = loops.evaluate(net, test_iter, torch.device("cpu"))
/// ```
#[test]
fn weights_load_on_the_other_side() {
    let _turn = libtorch();
    let Some(live) = Live::find("weights on the other side") else { return };
    for variant in Variant::IN_PYTHON.map(Variant::name) {
        let run =
            Run { recipe: "adamw", variant, seed: "6", threads: "2", device: "cpu", python_loop: "plain" };
        let arguments =
            ["--recipe", "adamw", "--variant", variant, "--threads", "2", "--test-examples", "500"];
        let rust_weights = run.rust(&live).join(format!("weights/{variant}.safetensors"));
        let (_, python_weights) = run.reference(&live);
        for weights in [rust_weights, python_weights] {
            let python = succeed(live.python("evaluate.py").arg(&weights).args(arguments));
            let rust = succeed(
                Command::new(env!("CARGO_BIN_EXE_d2l_ch7"))
                    .arg("evaluate")
                    .arg(&weights)
                    .args(arguments)
                    .args(["--device", "cpu", "--data-dir"])
                    .arg(live.data()),
            );
            assert_eq!(rust, python, "{}", weights.display());
        }
    }
}

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
//!
//! The tests need Fashion-MNIST and a Python (`D2L_PYTHON`, else `python3`) that can import PyTorch 2.11.0, torchvision, d2l
//! and safetensors; `cargo xtask test` provides it. Without them the tests report that they were skipped; with
//! D2L_REQUIRE_LIVE=1 they fail.

use std::path::{Path, PathBuf};
use std::process::Command;

use d2l_ch7::data::FashionMnist;
use d2l_ch7::experiments::recipes::RECIPES;
use d2l_ch7::report::read_metrics;
use serde_json::Value;
use tch::Tensor;

use crate::support::{bytes, has_cuda, libtorch, missing, notebooks_ref};

/// What a live test needs: a Python, Fashion-MNIST, and a folder for temporary files.
pub struct Live {
    python: String,
    data: PathBuf,
    pub folder: tempfile::TempDir,
}

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

/// The Python to compare with. If it lacks a package, reports that and gives none.
pub fn python_side(what: &str) -> Option<String> {
    let python = std::env::var("D2L_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let imports =
        "import torch, torchvision, d2l.torch, safetensors.torch; print(torch.__version__.split('+')[0])";
    let version = match Command::new(&python).args(["-c", imports]).output() {
        Ok(output) if output.status.success() => String::from_utf8(output.stdout).unwrap(),
        Ok(output) => {
            let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
            missing(what, &format!("{python}: {}", stderr.trim_end().lines().last().unwrap_or_default()));
            return None;
        }
        Err(error) => {
            missing(what, &format!("{python}: {error}"));
            return None;
        }
    };
    if version.trim() != d2l_ch7::torch::TORCH_VERSION {
        missing(what, &format!("{python} has PyTorch {}", version.trim()));
        return None;
    }
    Some(python)
}

impl Live {
    /// Finds everything. If something is missing, reports that and gives none.
    pub fn find(what: &str) -> Option<Self> {
        let python = python_side(what)?;
        match FashionMnist::load(None, false) {
            Ok(data) => Some(Self {
                python,
                data: data.folder().to_owned(),
                folder: tempfile::tempdir().expect("a folder for temporary files"),
            }),
            Err(error) => {
                missing(what, &error.to_string());
                None
            }
        }
    }

    /// The folder of Fashion-MNIST.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// The command `python -m MODULE`.
    pub fn module(&self, module: &str) -> Command {
        let mut command = Command::new(&self.python);
        command.args(["-m", module]);
        command
    }

    /// The command that runs a script of `notebooks_ref`.
    pub fn script(&self, script: &str) -> Command {
        let mut command = Command::new(&self.python);
        command.arg(notebooks_ref().join(script));
        command
    }

    /// The same with `--data-dir`, the folder of Fashion-MNIST.
    pub fn python(&self, script: &str) -> Command {
        let mut command = self.script(script);
        command.arg("--data-dir").arg(&self.data);
        command
    }

    /// Trains in Rust. Gives the run directory.
    fn rust(&self, run: &Run) -> PathBuf {
        self.rust_by(run, &[])
    }

    /// Trains in Rust with further `arguments`. Gives the run directory.
    fn rust_by(&self, run: &Run, arguments: &[&str]) -> PathBuf {
        let Run { recipe, variant, seed, threads, .. } = run;
        let name = format!("{recipe}-{variant}-{seed}-{threads}{}", arguments.concat());
        let out = self.folder.path().join(name);
        succeed(
            Command::new(env!("CARGO_BIN_EXE_d2l_ch7"))
                .args(["compare", "--variants", run.variant, "--quiet"])
                .args(run.arguments())
                .args(arguments)
                .arg("--data-dir")
                .arg(&self.data)
                .arg("--out")
                .arg(&out),
        );
        out
    }

    /// Trains in Python. Gives the file with the figures and the file with the weights.
    fn reference(&self, run: &Run) -> (PathBuf, PathBuf) {
        let (json, weights) =
            (self.folder.path().join("out.json"), self.folder.path().join("python.safetensors"));
        succeed(
            self.python("train.py")
                .args(["--variant", run.variant, "--loop", run.python_loop])
                .args(run.arguments())
                .arg("--out")
                .arg(&json)
                .arg("--weights")
                .arg(&weights),
        );
        (json, weights)
    }
}

impl Run {
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

    /// The numbers of images: at least five batches, which d2l's loop needs, and a smaller last one.
    fn examples(&self) -> Vec<&'static str> {
        match self.recipe {
            // Each image has 64 times the pixels.
            "lenet224" => ["--train-examples", "84", "--test-examples", "24", "--batch-size", "16"].into(),
            _ => ["--train-examples", "2100", "--test-examples", "500"].into(),
        }
    }
}

/// Runs a command and gives its standard output. If it fails, panics with its standard error.
pub fn succeed(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}\n{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Compares two files of weights, name by name and byte by byte.
pub fn assert_same_weights(rust: &Path, python: &Path) {
    let read = |path: &Path| {
        let mut tensors = Tensor::read_safetensors(path).unwrap();
        tensors.sort_by(|(a, _), (b, _)| a.cmp(b));
        tensors
    };
    let (rust, python) = (read(rust), read(python));
    let names =
        |tensors: &[(String, Tensor)]| tensors.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&rust), names(&python));
    for ((name, rust), (_, python)) in rust.iter().zip(&python) {
        assert_eq!((rust.kind(), rust.size()), (python.kind(), python.size()), "{name}");
        assert!(bytes(rust) == bytes(python), "{name}: bits differ");
    }
}

/// Compares the figures of a run directory with one variant, bit by bit, with those that Python wrote.
pub fn assert_same_figures(out: &Path, json: &Path, epochs: usize) {
    let python: Value = serde_json::from_str(&std::fs::read_to_string(json).unwrap()).unwrap();
    let rust = read_metrics(&out.join("metrics.csv")).unwrap();
    let records = python["epoch_records"].as_array().unwrap();
    assert_eq!(rust.len(), epochs);
    assert_eq!(records.len(), epochs);
    for (rust, python) in rust.iter().zip(records) {
        let figures = [
            ("train_loss", rust.train_loss),
            ("train_acc", rust.train_acc),
            ("test_loss", rust.test_loss),
            ("test_acc", rust.test_acc),
        ];
        for (name, value) in figures {
            // d2l's own loops compute no test loss.
            if let Some(bits) = python["bits"].get(name) {
                let place = format!("{} epoch {} {name}", out.display(), rust.epoch);
                assert_eq!(format!("{:016x}", value.to_bits()), bits.as_str().unwrap(), "{place}");
            }
        }
        assert!(python["bits"].as_object().unwrap().len() >= 3, "loss and both accuracies were compared");
    }
}

fn check(live: &Live, run: &Run) {
    check_by(live, run, &[&[]]);
}

/// Compares the run with Python, once for each of the `loops`: the arguments that choose the program's loop.
fn check_by(live: &Live, run: &Run, loops: &[&[&str]]) {
    let (python, python_weights) = live.reference(run);
    for arguments in loops {
        let out = live.rust_by(run, arguments);
        assert_same_figures(&out, &python, 2);
        assert_same_weights(&out.join(format!("weights/{}.safetensors", run.variant)), &python_weights);
    }
}

/// Every recipe and variant, with different seeds, against the notebook's loop.
#[test]
fn runs_are_the_notebooks_to_the_last_bit() {
    let _turn = libtorch();
    let Some(live) = Live::find("whole runs against the notebook's loop") else { return };
    let seeds = [["0", "7"], ["1", "3"], ["0", "123456789"], ["2", "5"], ["0", "8"]];
    for (recipe, seeds) in RECIPES.iter().map(|recipe| recipe.name).zip(seeds.into_iter().cycle()) {
        for (variant, seed) in ["scratch", "native"].into_iter().zip(seeds) {
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
        for variant in ["scratch", "native"] {
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
    for variant in ["scratch", "native"] {
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
    let together = live.rust(&run("scratch,native"));
    for variant in ["scratch", "native"] {
        let alone = live.rust(&run(variant));
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
    for variant in ["scratch", "native"] {
        let run =
            Run { recipe: "adamw", variant, seed: "6", threads: "2", device: "cpu", python_loop: "plain" };
        let arguments =
            ["--recipe", "adamw", "--variant", variant, "--threads", "2", "--test-examples", "500"];
        let rust_weights = live.rust(&run).join(format!("weights/{variant}.safetensors"));
        let (_, python_weights) = live.reference(&run);
        for weights in [rust_weights, python_weights] {
            let python = succeed(live.python("evaluate.py").arg(&weights).args(arguments));
            let rust = succeed(
                Command::new(env!("CARGO_BIN_EXE_d2l_ch7"))
                    .arg("evaluate")
                    .arg(&weights)
                    .args(arguments)
                    .args(["--device", "cpu", "--data-dir"])
                    .arg(&live.data),
            );
            assert_eq!(rust, python, "{}", weights.display());
        }
    }
}

/// Everything that `d2l_ch7 basics` stores, with seeds and threads that the stored references lack, and for an image file.
#[test]
fn basics_are_pythons() {
    let _turn = libtorch();
    let Some(live) = Live::find("basics against Python") else { return };
    let image = live.folder.path().join("image.png");
    let mut encoder = png::Encoder::new(std::fs::File::create(&image).unwrap(), 50, 37);
    encoder.set_color(png::ColorType::Rgba);
    let pixels: Vec<u8> = (0..50 * 37 * 4u32).map(|i| (i * i / 91) as u8).collect();
    encoder.write_header().unwrap().write_image_data(&pixels).unwrap();

    let of_file = ["--image", image.to_str().unwrap()];
    for (seed, threads, file) in [("-1", "2", &of_file[..0]), ("18446744073709551615", "1", &of_file)] {
        let out = live.folder.path().join(format!("basics-{seed}"));
        let python = live.folder.path().join("basics.safetensors");
        let arguments = [&["--seed", seed, "--threads", threads], file].concat();
        succeed(
            Command::new(env!("CARGO_BIN_EXE_d2l_ch7")).arg("basics").args(&arguments).arg("--out").arg(&out),
        );
        let script = notebooks_ref().join("basics.py");
        succeed(Command::new(&live.python).arg(script).args(&arguments).arg("--out").arg(&python));
        assert_same_weights(&out.join("basics.safetensors"), &python);
    }
}

//! Live tests: the Python of this machine, and comparisons of what it writes with what the program writes.
//!
//! The tests need Fashion-MNIST and a Python (`D2L_PYTHON`, else `python3`) that can import PyTorch 2.11.0, torchvision, d2l
//! and safetensors; `cargo xtask test` provides it. Without them the tests report that they were skipped; with
//! D2L_REQUIRE_LIVE=1 they fail.

use std::path::{Path, PathBuf};
use std::process::Command;

use d2l_ch7::data::FashionMnist;
use d2l_ch7::report::read_metrics;
use serde_json::Value;
use tch::Tensor;

use crate::support::{bytes, missing, notebooks_ref};

/// What a live test needs: a Python, Fashion-MNIST, and a folder for temporary files.
pub struct Live {
    pub python: String,
    data: PathBuf,
    pub folder: tempfile::TempDir,
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
    if version.trim() != tch_extra::TORCH_VERSION {
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

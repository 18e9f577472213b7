//! Python as it measures the same subjects: `notebooks_ref/bench_worker.py` answers one question after the other.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use serde::de::DeserializeOwned;
use tch::Device;
use tch_extra::device_name;

use super::jobs::DataSets;
use super::subject::Subject;
use crate::{Error, Result};

/// Part of a checkout, whose folder is the current one.
const WORKER: &str = "notebooks_ref/bench_worker.py";

/// A running Python; it ends when it is dropped.
pub(super) struct Python {
    /// The version of its PyTorch, which is the worker's first line.
    pub torch: String,
    child: Child,
    answers: BufReader<ChildStdout>,
}

/// The ways to do a subject by their names, in the worker's order: the seconds of one, or why it could not be measured.
pub(super) type Answer = Vec<(String, Result<f64, String>)>;

impl Python {
    /// Starts the worker with the program `D2L_PYTHON`, else `python3`; an error says why Python is not measured.
    pub fn start(device: Device, data: &DataSets) -> Result<Self> {
        if !Path::new(WORKER).is_file() {
            return Err(not_measured(&format!("no {WORKER} here")));
        }
        let set = std::env::var_os("D2L_PYTHON").filter(|program| !program.is_empty());
        let program = PathBuf::from(set.unwrap_or_else(|| "python3".into()));
        let mut command = Command::new(&program);
        command.args([WORKER, "--device", &device_name(device)]);
        command.args(["--threads", &tch::get_num_threads().to_string()]);
        for (option, set) in [("--fashion-mnist", &data.fashion_mnist), ("--cifar10", &data.cifar10)] {
            command.args(set.iter().flat_map(|set| [option.as_ref(), set.folder().as_os_str()]));
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command
            .spawn()
            .map_err(|error| not_measured(&format!("cannot start {}: {error}", program.display())))?;
        let answers = BufReader::new(child.stdout.take().expect("asked for above"));
        let mut python = Self { torch: String::new(), child, answers };
        python.torch = python.read()?;
        Ok(python)
    }

    /// Measures every way to do `subject`, `iterations` times in a row.
    pub fn measure(&mut self, subject: &Subject, iterations: usize) -> Result<Answer> {
        let question = serde_json::to_string(&(subject, iterations)).expect("words and numbers serialize");
        let mut questions = self.child.stdin.as_ref().expect("open until this is dropped");
        writeln!(questions, "{question}")
            .map_err(|error| not_measured(&format!("Python is gone: {error}")))?;
        self.read()
    }

    fn read<T: DeserializeOwned>(&mut self) -> Result<T> {
        let mut line = String::new();
        self.answers.read_line(&mut line).map_err(|error| not_measured(&error.to_string()))?;
        serde_json::from_str(&line).map_err(|_| match line.trim() {
            "" => not_measured("Python ended; it may lack PyTorch"),
            text => not_measured(&format!("Python says: {text}")),
        })
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        // This closes its input, without which it ends by itself.
        let _ = self.child.wait();
    }
}

fn not_measured(why: &str) -> Error {
    Error::failed(
        format!("only this program was measured: {why}"),
        "start `cargo xtask bench` in the checkout, which finds or installs what Python needs; or give --no-python",
    )
}

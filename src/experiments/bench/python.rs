//! Python as it measures the same subjects: `notebooks_ref/bench_worker.py` answers one question after the other.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde::{Deserialize, Serialize};
use tch::Device;

use super::subject::Subject;
use crate::torch::device_name;
use crate::{Error, Result};

/// Part of a checkout, whose folder is the current one.
const WORKER: &str = "notebooks_ref/bench_worker.py";

/// A running Python; it ends when it is dropped.
pub(super) struct Python {
    /// Its PyTorch.
    pub torch: String,
    child: Child,
    questions: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

/// Options for the folders of the data sets that are measured on: `--fashion-mnist`, `--cifar10`.
pub(super) type Folders = Vec<(&'static str, PathBuf)>;

#[derive(Serialize)]
struct Question<'a> {
    #[serde(flatten)]
    subject: &'a Subject,
    /// How many times; the answer is the mean.
    iterations: usize,
}

/// The worker's first line.
#[derive(Deserialize)]
struct Greeting {
    torch: String,
}

/// What was measured.
#[derive(Deserialize)]
pub(super) struct Answer {
    /// Names of the ways to do it and their seconds, in the worker's order.
    pub seconds: Vec<(String, f64)>,
    /// Names of the ways that could not be measured, and why.
    pub missing: Vec<(String, String)>,
}

impl Python {
    /// Starts the worker with the program `D2L_PYTHON`, else `python3`; an error says why Python is not measured.
    pub fn start(device: Device, folders: &Folders) -> Result<Self> {
        if !Path::new(WORKER).is_file() {
            return Err(nothing_beside(&format!("no {WORKER} here")));
        }
        let set = std::env::var_os("D2L_PYTHON").filter(|program| !program.is_empty());
        let program = PathBuf::from(set.unwrap_or_else(|| "python3".into()));
        let mut command = Command::new(&program);
        command.args([WORKER, "--device", &device_name(device)]);
        command.args(["--threads", &tch::get_num_threads().to_string()]);
        for (option, folder) in folders {
            command.arg(option).arg(folder);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command
            .spawn()
            .map_err(|error| nothing_beside(&format!("cannot start {}: {error}", program.display())))?;
        let questions = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().expect("asked for above"));
        let mut python = Self { torch: String::new(), child, questions, answers };
        python.torch = python.read::<Greeting>()?.torch;
        Ok(python)
    }

    /// Measures `subject` once, each way that Python has.
    pub fn measure(&mut self, subject: &Subject, iterations: usize) -> Result<Answer> {
        let mut line =
            serde_json::to_vec(&Question { subject, iterations }).expect("words and numbers serialize");
        line.push(b'\n');
        let questions = self.questions.as_mut().expect("open until this is dropped");
        questions.write_all(&line).map_err(|error| nothing_beside(&format!("Python is gone: {error}")))?;
        self.read()
    }

    fn read<T: for<'de> Deserialize<'de>>(&mut self) -> Result<T> {
        let mut line = String::new();
        self.answers.read_line(&mut line).map_err(|error| nothing_beside(&error.to_string()))?;
        serde_json::from_str(&line).map_err(|_| match line.trim() {
            "" => nothing_beside("Python ended; it may lack PyTorch"),
            text => nothing_beside(&format!("Python says: {text}")),
        })
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        // Without questions it ends by itself.
        drop(self.questions.take());
        let _ = self.child.wait();
    }
}

fn nothing_beside(why: &str) -> Error {
    Error::failed(
        format!("nothing was measured beside this program: {why}"),
        "start `cargo xtask bench` in the checkout, which finds or installs what Python needs; or give --no-python",
    )
}

//! The Python beside: `notebooks_ref/bench_worker.py`, which measures what it is asked for, question by question.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde::{Deserialize, Serialize};
use tch::Device;

use super::subject::Subject;
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

/// Where the data sets are that are measured on.
#[derive(Default)]
pub(super) struct Folders {
    pub fashion_mnist: Option<PathBuf>,
    pub cifar10: Option<PathBuf>,
}

#[derive(Serialize)]
struct Question<'a> {
    #[serde(flatten)]
    subject: &'a Subject,
    /// How many times, of which one takes the mean.
    iterations: usize,
}

#[derive(Deserialize)]
struct Greeting {
    torch: String,
}

/// What was measured.
#[derive(Deserialize)]
pub(super) struct Answer {
    /// Seconds by who took them, in the worker's order.
    pub seconds: Vec<(String, f64)>,
    /// Who could not be measured, and why.
    pub missing: Vec<(String, String)>,
}

impl Python {
    /// Starts the worker; an error says why there is nothing beside which to measure.
    pub fn start(device: Device, folders: &Folders) -> Result<Self> {
        if !Path::new(WORKER).is_file() {
            return Err(nothing_beside(&format!("no {WORKER} here")));
        }
        let program = program();
        let mut command = Command::new(&program);
        command.args([
            WORKER,
            "--device",
            &device_argument(device),
            "--threads",
            &tch::get_num_threads().to_string(),
        ]);
        for (option, folder) in [("--fashion-mnist", &folders.fashion_mnist), ("--cifar10", &folders.cifar10)]
        {
            if let Some(folder) = folder {
                command.arg(option).arg(folder);
            }
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| nothing_beside(&format!("cannot start {}: {error}", program.display())))?;
        let (Some(questions), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            unreachable!("both were asked for")
        };
        let mut python = Self {
            torch: String::new(),
            child,
            questions: Some(questions),
            answers: BufReader::new(answers),
        };
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

/// D2L_PYTHON, else python3.
fn program() -> PathBuf {
    std::env::var_os("D2L_PYTHON")
        .filter(|program| !program.is_empty())
        .unwrap_or_else(|| "python3".into())
        .into()
}

fn device_argument(device: Device) -> String {
    match device {
        Device::Cuda(index) => format!("cuda:{index}"),
        _ => "cpu".to_owned(),
    }
}

fn nothing_beside(why: &str) -> Error {
    Error::failed(
        format!("nothing was measured beside this program: {why}"),
        "start `cargo xtask bench` in the checkout, which finds or installs what Python needs; or give --no-python",
    )
}

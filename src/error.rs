//! Errors a user can act on: one line what went wrong and where, one line what to do.

use tch_extra::MOST_THREADS;

/// The result of everything in this crate that can fail for a reason outside it.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, and what to do about it: a line each.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct Error {
    what: String,
    remedy: String,
    exit_code: u8,
    backtrace: Option<String>,
}

impl Error {
    fn new(what: impl Into<String>, remedy: impl Into<String>, exit_code: u8) -> Self {
        Self { what: what.into(), remedy: remedy.into(), exit_code, backtrace: None }
    }

    /// The run cannot go on: `what` happened (name the file, the epoch, the value), and `remedy` says what to do.
    pub fn failed(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(what, remedy, 1)
    }

    /// The command line asks for something that cannot be.
    pub fn usage(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(what, remedy, 2)
    }

    /// A person stopped the run (Ctrl-C, SIGTERM, SIGHUP), and what was finished is saved; see [`interrupt::error`](crate::interrupt::error).
    pub fn interrupted(what: impl Into<String>, remedy: impl Into<String>, exit_code: u8) -> Self {
        Self::new(what, remedy, exit_code)
    }

    /// The same error with a panic's backtrace.
    #[must_use]
    pub fn with_backtrace(self, backtrace: Option<String>) -> Self {
        Self { backtrace, ..self }
    }

    /// The same error with the name of the process it comes from in front.
    #[must_use]
    pub fn of(self, process: &str) -> Self {
        Self { what: format!("{process}: {}", self.what), ..self }
    }

    /// The line that says what to do.
    pub fn remedy(&self) -> &str {
        &self.remedy
    }

    /// The panic's backtrace, if this was a panic and `RUST_BACKTRACE` asks for one.
    pub fn backtrace(&self) -> Option<&str> {
        self.backtrace.as_deref()
    }

    /// Whether a person stopped the run.
    pub fn is_interruption(&self) -> bool {
        self.exit_code >= 128
    }

    /// The process's exit code: 1 failed, 2 the command line was wrong, 128 and the signal's number if a person stopped the run.
    pub fn exit_code(&self) -> u8 {
        self.exit_code
    }
}

impl From<tch_c10d::Error> for Error {
    fn from(error: tch_c10d::Error) -> Self {
        use tch_c10d::Error as E;
        let what = error.to_string();
        match error {
            E::Torch(error) => error.into(),
            E::Nul(_) => Self::usage(what, "give text without NUL"),
            E::TooManyRanks(_) => Self::usage(what, "start fewer processes"),
            E::MissingVariables(_) => Self::usage(
                what,
                "start the program with torchrun --no-python, set all of them, or unset all to run one process",
            ),
            E::BadVariable { .. } => Self::usage(
                what,
                "start the program with torchrun --no-python, or correct what sets the variable",
            ),
            E::NoStore { .. } => Self::failed(
                what,
                "check MASTER_ADDR and MASTER_PORT, and that rank 0 or torchrun runs there",
            ),
            _ => Self::failed(
                what,
                "build where PyTorch is installed by pip, which brings the headers of NCCL and CUDA; or give --device cpu",
            ),
        }
    }
}

impl From<tch_extra::Error> for Error {
    fn from(error: tch_extra::Error) -> Self {
        use tch_extra::Error as E;
        let what = error.to_string();
        match error {
            E::TooManyThreads(threads) => Self::usage(
                format!("--threads {threads} is more than {MOST_THREADS}"),
                format!(
                    "give --threads 1 to {MOST_THREADS}; more than there are processors make nothing faster"
                ),
            ),
            E::ThreadLimit { variable, most, .. } => {
                let or_less = if most > 1 { " or less" } else { "" };
                Self::usage(what, format!("unset {variable}, or give --threads {most}{or_less}"))
            }
            E::NoGraphs { .. } => Self::failed(
                what,
                "run without graphs; `d2l_ch7 doctor` says what keeps a GPU from being used",
            ),
            E::NoDevice { .. } => {
                Self::failed(what, "`d2l_ch7 doctor` says what keeps a GPU from being used")
            }
            E::OtherGenerators(_) => Self::failed(what, "resume on the device that the run was started on"),
            E::StateDict { .. } => {
                Self::failed(what, "give the weights that a run of the same recipe and variant saved")
            }
            E::OptimizerState(_) => {
                Self::failed(what, "resume with the options that the run was started with")
            }
            _ => Self::failed(
                what,
                "if the device ran out of memory, choose a smaller --batch-size; else please report this",
            ),
        }
    }
}

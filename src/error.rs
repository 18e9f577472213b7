//! Errors a user can act on: one line what went wrong and where, one line what to do.

mod crates;

use std::path::Path;

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

    /// The same error with the name of what it comes from in front, such as a process.
    #[must_use]
    pub fn of(self, origin: &str) -> Self {
        Self { what: format!("{origin}: {}", self.what), ..self }
    }

    /// The same error with another line that says what to do.
    #[must_use]
    pub fn with_remedy(self, remedy: impl Into<String>) -> Self {
        Self { remedy: remedy.into(), ..self }
    }

    /// The same error of a run in `dir`, whose remedy ends with the way on.
    #[must_use]
    pub fn resumable(self, dir: &Path) -> Self {
        let dir = dir.display();
        let remedy = match self.remedy() {
            "" => format!("the results so far are in {dir}; `d2l_ch7 --resume {dir}` goes on"),
            remedy => format!("{remedy}; `d2l_ch7 --resume {dir}` goes on"),
        };
        self.with_remedy(remedy)
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

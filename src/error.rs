//! Errors a user can act on: one line what went wrong and where, one line what to do.

use crate::interrupt;

/// The result of everything in this crate that can fail for a reason outside it.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, and what to do about it; each a line for a person.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct Error {
    what: String,
    remedy: String,
    kind: Kind,
    backtrace: Option<String>,
}

/// What an [`Error`] means for the process: its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The run failed: exit code 1.
    Failed,
    /// The command line was wrong: exit code 2.
    Usage,
    /// Someone stopped the run (Ctrl-C, SIGTERM, SIGHUP); what was finished is saved: exit code 130, 143 or 129.
    Interrupted,
}

impl Error {
    fn new(what: impl Into<String>, remedy: impl Into<String>, kind: Kind) -> Self {
        Self { what: what.into(), remedy: remedy.into(), kind, backtrace: None }
    }

    /// The run cannot go on: `what` happened (name the file, the epoch, the value), `remedy` mends it.
    pub fn failed(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(what, remedy, Kind::Failed)
    }

    /// The command line asks for something that cannot be.
    pub fn usage(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(what, remedy, Kind::Usage)
    }

    /// A person stopped the run.
    pub fn interrupted(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(what, remedy, Kind::Interrupted)
    }

    /// The same error with the way to a panic.
    #[must_use]
    pub fn with_backtrace(self, backtrace: Option<String>) -> Self {
        Self { backtrace, ..self }
    }

    /// The same error as one of `whom`, who is named before what went wrong.
    #[must_use]
    pub fn of(self, whom: &str) -> Self {
        Self { what: format!("{whom}: {}", self.what), ..self }
    }

    /// The line that says what to do.
    pub fn remedy(&self) -> &str {
        &self.remedy
    }

    /// The way to the panic that this was, if `RUST_BACKTRACE` asked for it.
    pub fn backtrace(&self) -> Option<&str> {
        self.backtrace.as_deref()
    }

    /// What this means for the process.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The process's exit code: 1 failed, 2 usage, that of the signal if interrupted.
    pub fn exit_code(&self) -> u8 {
        match self.kind {
            Kind::Failed => 1,
            Kind::Usage => 2,
            Kind::Interrupted => interrupt::exit_code(),
        }
    }
}

//! Errors a user can act on: one line what went wrong and where, one line what to do.

use crate::interrupt;

/// The result of everything in this crate that can fail for a reason outside it.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, and what to do about it: a line each.
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

    /// The run cannot go on: `what` happened (name the file, the epoch, the value), and `remedy` says what to do.
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

    /// What kind of error this is.
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

//! The error for users: one line states what is wrong, one line how to fix it.
//!
//! A [`Problem`] is an error itself or, with `anyhow`'s `context`, explains another error.

use std::fmt;

/// The exit code of a program that Ctrl-C stopped.
pub const INTERRUPTED: u8 = 130;

/// What is wrong and how to fix it, a line each.
#[derive(Debug)]
pub struct Problem {
    what: String,
    remedy: String,
    exit_code: u8,
}

impl Problem {
    /// The set-up cannot go on (exit code 1).
    pub fn new(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what: what.into(), remedy: remedy.into(), exit_code: 1 }
    }

    /// The command line was wrong (exit code 2).
    pub fn usage(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { exit_code: 2, ..Self::new(what, remedy) }
    }

    /// A person stopped the set-up (exit code 130).
    pub fn interrupted(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { exit_code: INTERRUPTED, ..Self::new(what, remedy) }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.what)
    }
}

impl std::error::Error for Problem {}

/// The line that states how to fix it.
pub fn remedy(error: &anyhow::Error) -> &str {
    match error.downcast_ref::<Problem>() {
        Some(problem) => &problem.remedy,
        None => "mend the cause that is named, then run the same command again",
    }
}

/// The exit code of the process after this error.
pub fn exit_code(error: &anyhow::Error) -> u8 {
    error.downcast_ref::<Problem>().map_or(1, |problem| problem.exit_code)
}

//! Standard output and standard error, which may be closed, full, or read by nobody any more.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};
use std::sync::Once;

use crate::{Error, Result};

/// Prints `text`, for which the command was called, and ends the line.
///
/// # Errors
/// See [`printed`].
pub fn print(text: impl Display) -> Result<()> {
    printed(io::stdout().write_all(format!("{text}\n").as_bytes()))
}

/// The outcome of writing to standard output. A reader that wants no more (`| head -1`) is no error.
///
/// # Errors
/// If standard output takes nothing for another reason, such as a full disk.
pub fn printed(outcome: io::Result<()>) -> Result<()> {
    match outcome {
        Err(e) if e.kind() != ErrorKind::BrokenPipe => Err(Error::failed(
            format!("cannot write to standard output: {e}"),
            "send it to a place that has room",
        )),
        _ => Ok(()),
    }
}

/// Prints a line of a run. The run's files are what counts: where the line cannot be printed, the run goes on, after one
/// warning.
pub fn say(line: impl Display) {
    static WARNED: Once = Once::new();
    if let Err(error) = print(line) {
        WARNED.call_once(|| {
            complain(format_args!("warning: {error}; the run's files are written all the same"))
        });
    }
}

/// Writes a line, or a few, to standard error. Nobody can be told if it takes none.
pub fn complain(text: impl Display) {
    let _ = io::stderr().write_all(format!("{text}\n").as_bytes());
}

/// The text in one line: control characters, such as a file's name may have, as escapes.
pub fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { c.escape_default().to_string() } else { c.to_string() })
        .collect()
}

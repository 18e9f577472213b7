//! `d2l_ch7 doctor`: what would keep a run from starting, or from using the GPU, said before a run meets it.
//!
//! [`facts`](Facts) are looked up on this machine; [`findings`] judges them, and is a function of them alone.

mod facts;
mod findings;

use std::io::Write;

pub use facts::{DataSet, Facts, Gpu, Libtorch};
pub use findings::{Finding, Status, findings};

use crate::{Error, Result};

/// Looks at this machine and writes a line a finding, and one of what to do below each that is not ok.
///
/// # Errors
/// If something would keep every run from working; a GPU that cannot be used is not such a thing.
pub fn run(out: &mut dyn Write) -> Result<()> {
    let findings = findings(&Facts::gather());
    for finding in &findings {
        write!(out, "{finding}").map_err(|e| {
            Error::failed(format!("cannot write the findings: {e}"), "give standard output somewhere to go")
        })?;
    }
    match findings.iter().filter(|finding| finding.status == Status::Problem).count() {
        0 => Ok(()),
        problems => Err(Error::failed(
            format!("runs cannot work here: {problems} of the lines above begin with problem"),
            "do what stands below each, then run `d2l_ch7 doctor` again",
        )),
    }
}

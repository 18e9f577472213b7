//! `d2l_ch7 doctor`: what would keep a run from starting, or from using the GPU, said before a run meets it.
//!
//! [`facts`](Facts) are looked up on this machine; [`findings()`] judges them, and is a function of them alone.

mod facts;
mod findings;

pub use facts::{DataSet, Facts, Gpu};
pub use findings::{Finding, Status, findings};

use crate::{Error, Result, output};

/// Looks at this machine and prints a line a finding, and one of what to do below each that is not ok.
///
/// # Errors
/// If something would keep every run from working, which a GPU that cannot be used does not; or if nothing can be printed.
pub fn run() -> Result<()> {
    let findings = findings(&Facts::gather());
    output::print(findings.iter().map(Finding::to_string).collect::<String>().trim_end())?;
    match findings.iter().filter(|finding| finding.status == Status::Problem).count() {
        0 => Ok(()),
        problems => Err(Error::failed(
            format!("runs cannot work here: {problems} of the lines above begin with problem"),
            "do what stands below each, then run `d2l_ch7 doctor` again",
        )),
    }
}

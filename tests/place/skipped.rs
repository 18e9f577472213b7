//! A test that this machine cannot run says so.

use std::io::Write;

/// Prints in one line on standard error that something was not tested, and why. The test harness does not capture it, and one write
/// keeps it apart from the lines of other tests.
pub fn skipped(what: &str, why: &str) {
    let line = format!("SKIPPED {what}: {}\n", why.trim().replace('\n', "; "));
    std::io::stderr().write_all(line.as_bytes()).expect("standard error can be written");
}

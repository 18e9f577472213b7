//! What a machine cannot test is said, not passed over.

use std::io::Write;

/// Says on standard error, past the test harness's capture, that something was not tested, and why: in one line, and in one
/// piece, as other tests write too.
pub fn skipped(what: &str, why: &str) {
    let line = format!("SKIPPED {what}: {}\n", why.trim().replace('\n', "; "));
    std::io::stderr().write_all(line.as_bytes()).expect("standard error can be written");
}

//! Ctrl-C: once asks the run to end at the next batch, twice ends the process at once.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::{Error, Result, torch};

static REQUESTED: AtomicBool = AtomicBool::new(false);

/// Watches for Ctrl-C (and SIGTERM, SIGHUP) from now on. Once a process.
///
/// # Errors
/// If the system does not let it, or if it was called before.
pub fn watch() -> Result<()> {
    ctrlc::set_handler(|| {
        if REQUESTED.swap(true, Ordering::Relaxed) {
            torch::exit_at_once(130);
        }
    })
    .map_err(|error| Error::failed(format!("cannot watch for Ctrl-C: {error}"), "please report this"))
}

/// Whether someone asked the run to end.
pub fn requested() -> bool {
    REQUESTED.load(Ordering::Relaxed)
}

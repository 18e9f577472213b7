//! Ctrl-C, SIGTERM and SIGHUP: the first asks the run to end at the next batch, the second ends the process at once.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use std::{env, io, thread};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

use crate::{Error, Result};

/// The signal that came; 0 before the first.
static SIGNAL: LazyLock<Arc<AtomicUsize>> = LazyLock::new(Arc::default);

/// Watches for these signals from now on. Once a process.
///
/// # Errors
/// If the system does not let it.
pub fn watch() -> Result<()> {
    let asked = Arc::new(AtomicBool::new(false));
    // What the process was started to ignore stays ignored: SIGHUP under nohup, SIGINT of a script's background job.
    for signal in [SIGHUP, SIGINT, SIGTERM].into_iter().filter(|&signal| !tch_extra::is_ignored(signal)) {
        // In this order: the first signal finds that nobody asked before.
        flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&asked))
            .and_then(|_| flag::register(signal, Arc::clone(&asked)))
            .and_then(|_| flag::register_usize(signal, Arc::clone(&SIGNAL), signal as usize))
            .map_err(|e| {
                Error::failed(format!("cannot watch for signal {signal}: {e}"), "please report this")
            })?;
    }
    Ok(())
}

/// The variable that a program sets for a process that must not outlive it. The process' standard input is a pipe from the program.
pub const ENDS_WITH_STDIN: &str = "D2L_ENDS_WITH_STDIN";

/// How long such a process may take to end.
const GRACE: Duration = Duration::from_secs(10);

/// Where [`ENDS_WITH_STDIN`] is set: ends the run as SIGTERM does once standard input is closed, which also happens when the process
/// at its other end is killed. Once a process, after [`watch`].
pub fn end_with_parent() {
    if env::var_os(ENDS_WITH_STDIN).is_none() {
        return;
    }
    thread::spawn(|| {
        // The program writes nothing: this returns when the pipe is closed.
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        let _ = SIGNAL.compare_exchange(0, SIGTERM as usize, Ordering::Relaxed, Ordering::Relaxed);
        thread::sleep(GRACE);
        tch_extra::exit_at_once(exit_code().into());
    });
}

/// Whether someone asked the run to end.
pub fn requested() -> bool {
    SIGNAL.load(Ordering::Relaxed) != 0
}

/// The error of a run that ends because someone asked for it.
pub fn error(what: impl Into<String>, remedy: impl Into<String>) -> Error {
    Error::interrupted(what, remedy, exit_code())
}

/// The exit code of a run that was asked to end, as shells have it: 130 after Ctrl-C, 143 after SIGTERM, 129 after SIGHUP.
pub fn exit_code() -> u8 {
    128 + SIGNAL.load(Ordering::Relaxed) as u8
}

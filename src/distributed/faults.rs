//! What a rank says when its job breaks off, and when it ends by itself.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use tch_c10d::{Fault, Job, Launch, is_of_exchange};

use crate::{Error, interrupt, output};

/// How long a rank may take to end after SIGTERM or Ctrl-C. One that waits for another rank does not see the signal.
const FAREWELL: Duration = Duration::from_secs(10);
/// How often the thread looks for a signal.
const PULSE: Duration = Duration::from_millis(500);

const RESUME: &str =
    "look at that rank's own messages; the same command with --resume goes on from the last checkpoint";

/// Ends the process with these two lines.
fn end(what: &str, exit_code: u8) -> ! {
    output::complain(format_args!("error: {what}\nhelp: {RESUME}"));
    tch_extra::exit_at_once(exit_code.into())
}

/// Until it is dropped, ends a process that was asked to end and does not.
pub(super) fn farewell() -> Sender<()> {
    let (stop, stopped) = channel::<()>();
    thread::spawn(move || {
        let mut told = None;
        while stopped.recv_timeout(PULSE) == Err(RecvTimeoutError::Timeout) {
            if interrupt::requested() && told.get_or_insert_with(Instant::now).elapsed() > FAREWELL {
                let what = "interrupted in the middle of a step, or while it waited for another rank";
                end(what, interrupt::exit_code());
            }
        }
    });
    stop
}

/// An error of this rank as its job sees it, which ends.
pub(super) fn explained(job: Job, error: Error) -> Error {
    let rank = job.launch().rank;
    let interrupted = error.is_interruption();
    if !interrupted && !is_of_exchange(&error.to_string()) {
        let reason = serde_json::to_vec(&(error.to_string(), error.remedy())).expect("text serializes");
        job.fail(&reason);
        // A wrong command line is every rank's.
        return if error.exit_code() == 2 { error } else { error.of(&format!("rank {rank}")) };
    }
    let (timeout, unanswered) = (job.timeout(), unanswered(job.launch(), &error));
    let fault = job.fault(unanswered);
    match fault {
        Fault::AllLive | Fault::StoreGone if interrupted => error,
        Fault::AllLive => Error::failed(
            format!("rank {rank}: {fault}: {error}"),
            format!(
                "if one is slower than the others by more than {} s, give a longer --dist-timeout",
                timeout.as_secs()
            ),
        ),
        Fault::StoreGone => Error::failed(format!("rank {rank}: {fault}: {error}"), RESUME),
        Fault::Failed { rank, reason } => {
            let (what, remedy): (String, String) =
                serde_json::from_slice(&reason).unwrap_or_else(|_| ("unknown".to_owned(), RESUME.to_owned()));
            Error::failed(format!("rank {rank}: {what}"), remedy)
        }
        Fault::Silent { .. } | Fault::Absent { .. } => Error::failed(fault.to_string(), RESUME),
    }
}

/// What ends the process where the store does not answer.
fn unanswered(launch: &Launch, error: &Error) -> impl FnOnce() + Send + use<> {
    let (rank, host, port) = (launch.rank, &launch.store.host, launch.store.port);
    let what = format!(
        "rank {rank}: the store at {host}:{port} does not answer: rank 0 or torchrun there, or the way to it, is gone: {error}"
    );
    let exit_code = error.exit_code();
    move || end(&what, exit_code)
}

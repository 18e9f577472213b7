//! When something goes wrong on one rank, all end, and say on which it was.
//!
//! A rank that fails by itself leaves its reason at the store. One that is killed or hangs cannot, and so each rank shows there
//! that it lives, twice a second; a rank whose exchange broke off looks which other one no longer does.

use std::cell::OnceCell;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tch_c10d::{Store, StoreAddress};

use super::launch::Launch;
use crate::{Error, Result, interrupt, output, panics};

/// Between two signs of life.
const PULSE: Duration = Duration::from_millis(500);
/// A rank without a sign of life for so long is taken for dead.
const SILENCE: Duration = Duration::from_secs(3);
/// How long a rank may take to end after SIGTERM or Ctrl-C. One that waits for another rank does not see the signal.
const FAREWELL: Duration = Duration::from_secs(10);
/// How long a rank may look for the cause when its exchange broke off. A store that is cut off gives no answer at all. With
/// what it takes to end, it stays within the 15 seconds that the README states.
const PATIENCE: Duration = Duration::from_secs(14);
/// How long a question to the store may take.
const ANSWER: Duration = Duration::from_secs(5);

/// Where the ranks of a job meet, and this one among them.
#[derive(Debug)]
pub(super) struct Meeting {
    pub launch: Launch,
    pub store: Store,
    pub timeout: Duration,
    _pulse: Pulse,
    /// Dropped last: what goes before it may wait for the store.
    watchdog: OnceCell<Sender<()>>,
}

impl Meeting {
    pub fn new(launch: Launch, timeout: Duration) -> Result<Self> {
        let (rank, StoreAddress { host, port, .. }) = (launch.rank, &launch.store);
        let store = Store::connect(&launch.store, timeout).map_err(|error| {
            Error::failed(
                format!("rank {rank} cannot reach the store at {host}:{port} ({error})"),
                "check MASTER_ADDR and MASTER_PORT, and that rank 0 or torchrun runs there",
            )
        })?;
        let address = StoreAddress { serve: false, ..launch.store.clone() };
        let pulse = Pulse::start(Store::connect(&address, timeout)?, key(ALIVE, launch.rank));
        Ok(Self { launch, store, timeout, _pulse: pulse, watchdog: OnceCell::new() })
    }

    /// Runs `f`; if it fails here or on another rank, tells where.
    pub fn guarded<T>(&self, f: impl FnOnce() -> Result<T>) -> Result<T> {
        let outcome = panics::caught(f).map_err(|error| self.explained(error));
        self.leave();
        outcome
    }

    /// An error of this rank as the job sees it.
    fn explained(&self, error: Error) -> Error {
        let rank = self.launch.rank;
        let interrupted = error.is_interruption();
        if !interrupted && !is_of_exchange(&error.to_string()) {
            let reason = serde_json::to_vec(&(error.to_string(), error.remedy())).expect("text serializes");
            // Where the store is gone, nobody is left to be told.
            let _ = self.store.set(&key(FAILED, rank), &reason);
            // A wrong command line is every rank's.
            return if error.exit_code() == 2 { error } else { error.of(&format!("rank {rank}")) };
        }
        self.watchdog.get_or_init(|| watchdog(&self.launch, &error));
        match self.who_failed() {
            Ok(Some(found)) => found,
            Ok(None) | Err(_) if interrupted => error,
            Ok(None) => Error::failed(
                format!(
                    "rank {rank}: the exchange with the other ranks broke off, though all of them run: {error}"
                ),
                format!(
                    "if one is slower than the others by more than {} s, give a longer --dist-timeout",
                    self.timeout.as_secs()
                ),
            ),
            Err(_) => {
                let what = format!("rank {rank}: the store is gone, and with it rank 0 or torchrun: {error}");
                Error::failed(what, RESUME)
            }
        }
    }

    /// The rank at fault, if one left a reason or shows no sign of life.
    fn who_failed(&self) -> Result<Option<Error>> {
        let others: Vec<usize> = (0..self.launch.size).filter(|&rank| rank != self.launch.rank).collect();
        let pulses =
            |ranks: &[usize]| ranks.iter().map(|&rank| self.pulse_of(rank)).collect::<Result<Vec<_>>>();
        let (start, before) = (Instant::now(), pulses(&others)?);
        while start.elapsed() < SILENCE {
            for &rank in &others {
                if self.store.has(&key(FAILED, rank))? {
                    let left = self.store.get(&key(FAILED, rank), ANSWER)?;
                    let (what, remedy): (String, String) = serde_json::from_slice(&left)
                        .unwrap_or_else(|_| ("unknown".to_owned(), RESUME.to_owned()));
                    return Ok(Some(Error::failed(format!("rank {rank}: {what}"), remedy)));
                }
            }
            thread::sleep(PULSE / 5);
        }
        let after = pulses(&others)?;
        for ((rank, before), after) in others.into_iter().zip(before).zip(after) {
            if before == after && !self.store.has(&key(LEFT, rank))? {
                let silent = SILENCE.as_secs();
                let what = match after {
                    Some(_) => format!("rank {rank} was killed or hangs: no sign of life for {silent} s"),
                    None => format!("rank {rank} did not come within {} s", self.timeout.as_secs()),
                };
                return Ok(Some(Error::failed(what, RESUME)));
            }
        }
        Ok(None)
    }

    fn pulse_of(&self, rank: usize) -> Result<Option<Vec<u8>>> {
        let key = key(ALIVE, rank);
        if self.store.has(&key)? { Ok(Some(self.store.get(&key, ANSWER)?)) } else { Ok(None) }
    }

    /// Says that this rank goes, whatever the reason. The rank that serves the store goes when the others that live have gone.
    fn leave(&self) {
        let _ = self.store.set(&key(LEFT, self.launch.rank), b"");
        if !self.launch.store.serve {
            return;
        }
        let pulse = |rank| self.pulse_of(rank).ok().flatten();
        let start = Instant::now();
        let before: Vec<_> = (0..self.launch.size).map(pulse).collect();
        let gone = |rank: usize| {
            let silent = before[rank].is_none() || start.elapsed() > SILENCE && pulse(rank) == before[rank];
            silent || self.store.has(&key(LEFT, rank)).unwrap_or(true)
        };
        while start.elapsed() < 3 * SILENCE && !(0..self.launch.size).all(gone) {
            thread::sleep(PULSE / 5);
        }
    }
}

// What each rank shows at the store, under its number: signs of life, why it failed, that it goes.
const ALIVE: &str = "pulse";
const FAILED: &str = "failed";
const LEFT: &str = "left";

fn key(what: &str, rank: usize) -> String {
    format!("{what}/{rank}")
}

const RESUME: &str =
    "look at that rank's own messages; the same command with --resume goes on from the last checkpoint";

/// Whether the text is of an exchange that broke off, which is never the first cause. The classes of c10d's errors do not
/// come through the backward pass; their words do.
fn is_of_exchange(text: &str) -> bool {
    ["gloo", "Gloo", "onnection", "imed out", "timeout", "socket", "Failed to recv", "Broken pipe"]
        .iter()
        .any(|word| text.contains(word))
}

/// A thread that shows signs of life, over a connection of its own, until it is dropped.
#[derive(Debug)]
struct Pulse {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Pulse {
    fn start(store: Store, key: String) -> Self {
        let (stop, stopped) = channel();
        let thread = thread::spawn(move || {
            let mut told = None;
            for beat in 0u64.. {
                if interrupt::requested() && told.get_or_insert_with(Instant::now).elapsed() > FAREWELL {
                    output::complain(format_args!(
                        "error: interrupted in the middle of a step, or while it waited for another rank\nhelp: {RESUME}"
                    ));
                    tch_extra::exit_at_once(interrupt::exit_code().into());
                }
                let shown = store.set(&key, &beat.to_le_bytes());
                if shown.is_err() || stopped.recv_timeout(PULSE) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
            }
        });
        Self { stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        drop(self.stop.take());
        // It ends by itself; a panic in it changes nothing.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Ends the process with the error that it has, unless what it gives is dropped in time.
fn watchdog(launch: &Launch, error: &Error) -> Sender<()> {
    let (stop, stopped) = channel::<()>();
    let (rank, StoreAddress { host, port, .. }) = (launch.rank, &launch.store);
    let silent = format!(
        "rank {rank}: the store at {host}:{port} does not answer: rank 0 or torchrun there, or the way to it, is gone: {error}"
    );
    let exit_code = error.exit_code();
    thread::spawn(move || {
        if stopped.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
            output::complain(format_args!("error: {silent}\nhelp: {RESUME}"));
            tch_extra::exit_at_once(exit_code.into());
        }
    });
    stop
}

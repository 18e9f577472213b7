//! A process as a rank of its job, and which rank is at fault when an exchange breaks off.
//!
//! A rank that fails by itself leaves its reason at the store. One that is killed or hangs cannot, and so each rank shows there
//! that it lives, twice a second; a rank whose exchange broke off looks which other one no longer does.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tch::Device;

use crate::{Error, Launch, ProcessGroup, Result, Store, StoreAddress};

/// Between two signs of life.
const PULSE: Duration = Duration::from_millis(500);
/// A rank without a sign of life for so long is taken for dead.
const SILENCE: Duration = Duration::from_secs(3);
/// How long a rank may look for the cause when its exchange broke off. With what it takes to end, it stays within 15 seconds.
const PATIENCE: Duration = Duration::from_secs(14);
/// How long a question to the store may take.
const ANSWER: Duration = Duration::from_secs(5);

/// This process as a rank of its job. While it lives, a thread shows the other ranks that this one lives.
///
/// A rank leaves its job by dropping it, or by [`fail`](Self::fail) or [`fault`](Self::fault). The one that serves the store waits
/// until the others have left, 9 s at most.
#[derive(Debug)]
pub struct Job {
    launch: Launch,
    store: Store,
    timeout: Duration,
    _pulse: Pulse,
}

/// Why an exchange between ranks broke off.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A rank failed by itself.
    #[error("rank {rank}: {}", String::from_utf8_lossy(.reason))]
    Failed {
        /// The rank.
        rank: usize,
        /// What it gave to [`Job::fail`].
        reason: Vec<u8>,
    },
    /// A rank shows no sign of life any more.
    #[error("rank {rank} was killed or hangs: no sign of life for {} s", .silence.as_secs())]
    Silent {
        /// The rank.
        rank: usize,
        /// How long this rank waited for a sign.
        silence: Duration,
    },
    /// A rank never joined.
    #[error("rank {rank} did not come within {} s", .timeout.as_secs())]
    Absent {
        /// The rank.
        rank: usize,
        /// The job's timeout.
        timeout: Duration,
    },
    /// All ranks live: one is slower than another by more than the timeout, or the network between two of them failed.
    #[error("the exchange with the other ranks broke off, though all of them run")]
    AllLive,
    /// Nobody serves the store any more.
    #[error("the store is gone, and with it rank 0 or torchrun")]
    StoreGone,
}

/// Whether an error with this message is of an exchange that broke off, for which [`Job::fault`] finds the cause. The classes of
/// c10d's errors do not come through the backward pass; their words do.
pub fn is_of_exchange(message: &str) -> bool {
    ["gloo", "Gloo", "onnection", "imed out", "timeout", "socket", "Failed to recv", "Broken pipe"]
        .iter()
        .any(|word| message.contains(word))
}

impl Job {
    /// Joins the job, which begins for this rank when it reaches the store. It tries, and later waits for other ranks, as long as
    /// `timeout`.
    ///
    /// # Errors
    /// If it cannot reach the store.
    pub fn join(launch: Launch, timeout: Duration) -> Result<Self> {
        let connect = |address: &StoreAddress| {
            Store::connect(address, timeout).map_err(|error| match error {
                Error::Torch(why) => {
                    Error::NoStore { rank: launch.rank, host: address.host.clone(), port: address.port, why }
                }
                other => other,
            })
        };
        let store = connect(&launch.store)?;
        let own = connect(&StoreAddress { serve: false, ..launch.store.clone() })?;
        let pulse = Pulse::start(own, key(ALIVE, launch.rank));
        Ok(Self { launch, store, timeout, _pulse: pulse })
    }

    /// The group of all ranks, to exchange tensors on `device` and on the CPU; see [`ProcessGroup::new`].
    ///
    /// # Errors
    /// If not every rank comes in time; for a CUDA device, if this was compiled without NCCL.
    pub fn group(&self, device: Device) -> Result<Arc<ProcessGroup>> {
        let Launch { rank, size, .. } = self.launch;
        Ok(Arc::new(ProcessGroup::new(&self.store, rank, size, device, self.timeout)?))
    }

    /// What the launcher said.
    pub fn launch(&self) -> &Launch {
        &self.launch
    }

    /// The store at which the ranks meet. Keys with `pulse/`, `failed/` or `left/` in front are the job's own.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// How long one rank waits for another.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Leaves the job because this rank failed by itself. The others, whose exchanges break off, find `reason` as
    /// [`Fault::Failed`]: text, or what the caller makes of it.
    pub fn fail(self, reason: &[u8]) {
        // Where the store is gone, nobody is left to be told.
        let _ = self.store.set(&key(FAILED, self.launch.rank), reason);
    }

    /// Leaves the job because an exchange broke off ([`is_of_exchange`]), and finds out why. That takes 3 s where no rank left a reason.
    ///
    /// A store that is cut off gives no answer at all, and nothing can end a wait for it. If all this takes longer than 14 s,
    /// `unanswered` runs on a thread of its own. It should end the process, with [`tch_extra::exit_at_once`].
    pub fn fault(self, unanswered: impl FnOnce() + Send + 'static) -> Fault {
        let _watchdog = watchdog(unanswered);
        let fault = self.who_failed().unwrap_or(Fault::StoreGone);
        drop(self);
        fault
    }

    /// The rank at fault, if one left a reason or shows no sign of life.
    fn who_failed(&self) -> Result<Fault> {
        let others: Vec<usize> = (0..self.launch.size).filter(|&rank| rank != self.launch.rank).collect();
        let pulses =
            |ranks: &[usize]| ranks.iter().map(|&rank| self.pulse_of(rank)).collect::<Result<Vec<_>>>();
        let (start, before) = (Instant::now(), pulses(&others)?);
        while start.elapsed() < SILENCE {
            for &rank in &others {
                if self.store.has(&key(FAILED, rank))? {
                    return Ok(Fault::Failed { rank, reason: self.store.get(&key(FAILED, rank), ANSWER)? });
                }
            }
            thread::sleep(PULSE / 5);
        }
        let after = pulses(&others)?;
        for ((rank, before), after) in others.into_iter().zip(before).zip(after) {
            if before == after && !self.store.has(&key(LEFT, rank))? {
                return Ok(match after {
                    Some(_) => Fault::Silent { rank, silence: SILENCE },
                    None => Fault::Absent { rank, timeout: self.timeout },
                });
            }
        }
        Ok(Fault::AllLive)
    }

    fn pulse_of(&self, rank: usize) -> Result<Option<Vec<u8>>> {
        let key = key(ALIVE, rank);
        if self.store.has(&key)? { Ok(Some(self.store.get(&key, ANSWER)?)) } else { Ok(None) }
    }
}

impl Drop for Job {
    /// Says that this rank goes, whatever the reason. The rank that serves the store goes when the others that live have gone.
    fn drop(&mut self) {
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
            for beat in 0u64.. {
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

/// Runs `unanswered` after [`PATIENCE`], unless what it gives is dropped in time.
fn watchdog(unanswered: impl FnOnce() + Send + 'static) -> Sender<()> {
    let (stop, stopped) = channel::<()>();
    thread::spawn(move || {
        if stopped.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
            unanswered();
        }
    });
    stop
}

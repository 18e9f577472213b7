//! Several processes that train one network, on torch's own engine: each is a rank of a job that `torchrun` starts.
//!
//! Without a launcher there is no job, and nothing here runs. How a rank trains is in
//! [`DistributedDataParallel`](tch_c10d::DistributedDataParallel), what it trains on in
//! [`DistributedSampler`](torchvision_exact::loader::DistributedSampler).

mod faults;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use tch::{Device, Tensor};
use tch_c10d::{Job, Launch, ProcessGroup};

use crate::{Error, Result, panics};

/// Which process this is on its machine, as the launcher counts: the CUDA device that it takes. 0 without a launcher.
pub fn local_rank() -> usize {
    // What is wrong with an environment is said where the job begins.
    Launch::from_env().ok().flatten().map_or(0, |launch| launch.local_rank)
}

/// This process among those of its job.
#[derive(Debug)]
pub struct Distributed<'a> {
    group: Arc<ProcessGroup>,
    job: &'a Job,
}

/// Runs `f` as a rank of the job that the environment describes; with `None` where it describes none. Tensors are exchanged on
/// `device` and on the CPU.
///
/// No rank waits for another longer than `timeout`. What fails on one rank ends them all: each gives an error that names
/// the rank at fault, as far as it can be known.
///
/// # Errors
/// What `f` gives, and what went wrong on another rank; an environment that makes no sense.
pub fn together<T>(
    device: Device,
    timeout: Duration,
    f: impl FnOnce(Option<&Distributed>) -> Result<T>,
) -> Result<T> {
    let Some(launch) = Launch::from_env()? else { return f(None) };
    let job = Job::join(launch, timeout)?;
    let _farewell = faults::farewell();
    panics::caught(|| f(Some(&Distributed { group: job.group(device)?, job: &job })))
        .map_err(|error| faults::explained(job, error))
}

impl Distributed<'_> {
    /// Of all processes, from 0.
    pub fn rank(&self) -> usize {
        self.group.rank()
    }

    /// How many processes there are.
    pub fn size(&self) -> usize {
        self.group.size()
    }

    /// Whether this is rank 0, which alone writes files and shows progress.
    pub fn is_first(&self) -> bool {
        self.rank() == 0
    }

    /// What the launcher said of the job and of this process.
    pub fn launch(&self) -> &Launch {
        self.job.launch()
    }

    /// The processes as c10d knows them.
    pub fn group(&self) -> &Arc<ProcessGroup> {
        &self.group
    }

    /// What every rank gives, by rank. All give as many values.
    ///
    /// # Errors
    /// If a rank is gone or does not come in time.
    pub fn gather(&self, values: &[f64]) -> Result<Vec<Vec<f64>>> {
        let all = self.group.all_gather(&Tensor::from_slice(values))?;
        Ok(Vec::try_from(all).expect("float64 of two dimensions"))
    }

    /// Compares `facts` with every other rank's.
    ///
    /// # Errors
    /// The same on every rank: the first rank that differs from rank 0, and in what; or the rank that did not come in time.
    pub fn agree(&self, facts: &Map<String, Value>) -> Result<()> {
        let key = |rank: usize| format!("facts/{rank}");
        let text = serde_json::to_vec(facts).expect("JSON serializes");
        self.job.store().set(&key(self.rank()), &text)?;
        let facts_of = |rank: usize| -> Result<Map<String, Value>> {
            let text = self.job.store().get(&key(rank), self.job.timeout())?;
            Ok(serde_json::from_slice(&text).unwrap_or_default())
        };
        let first = facts_of(0)?;
        for rank in 1..self.size() {
            if let Some(difference) = difference(&first, &facts_of(rank)?) {
                return Err(Error::usage(
                    format!("rank {rank} is not like rank 0: {difference}"),
                    "start every rank with the same options, program, libtorch and data; one that does not see the directory \
                     of --resume needs the run's options too",
                ));
            }
        }
        Ok(())
    }
}

/// The first fact that differs.
fn difference(first: &Map<String, Value>, other: &Map<String, Value>) -> Option<String> {
    let keys = first.keys().chain(other.keys().filter(|key| !first.contains_key(*key)));
    keys.map(|key| (key, [first, other].map(|facts| facts.get(key).unwrap_or(&Value::Null))))
        .find(|(_, [first, other])| first != other)
        .map(|(key, [first, other])| format!("its {key} is {other}, rank 0's is {first}"))
}

#[cfg(test)]
mod tests;

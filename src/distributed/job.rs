//! This process as a rank of its job.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use tch::{Device, Kind, Tensor};
use tch_c10d::ProcessGroup;

use super::faults::Meeting;
use super::launch::Launch;
use crate::{Error, Result};

/// Which process this is on its machine, as the launcher counts: the CUDA device that it takes. 0 without a launcher.
pub fn local_rank() -> usize {
    // What is wrong with an environment is said where the job begins.
    Launch::read(|name| std::env::var(name).ok()).ok().flatten().map_or(0, |launch| launch.local_rank)
}

/// This process among those of its job.
#[derive(Debug)]
pub struct Distributed<'a> {
    group: Arc<ProcessGroup>,
    meeting: &'a Meeting,
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
    let Some(launch) = Launch::read(|name| std::env::var(name).ok())? else { return f(None) };
    let meeting = Meeting::new(launch, timeout)?;
    meeting.guarded(|| {
        let Launch { rank, size, .. } = meeting.launch;
        let group = Arc::new(ProcessGroup::new(&meeting.store, rank, size, device, timeout)?);
        f(Some(&Distributed { group, meeting: &meeting }))
    })
}

impl Distributed<'_> {
    /// Of all processes, from 0.
    pub fn rank(&self) -> usize {
        self.meeting.launch.rank
    }

    /// How many processes there are.
    pub fn size(&self) -> usize {
        self.meeting.launch.size
    }

    /// Whether this is rank 0, which alone writes files and shows progress.
    pub fn is_first(&self) -> bool {
        self.rank() == 0
    }

    /// What the launcher said of the job and of this process.
    pub fn launch(&self) -> &Launch {
        &self.meeting.launch
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
        // Bits, of which adding zeros changes none.
        let mut all = Tensor::zeros([self.size() as i64, values.len() as i64], (Kind::Int64, Device::Cpu));
        let bits: Vec<i64> = values.iter().map(|value| value.to_bits().cast_signed()).collect();
        all.get(self.rank() as i64).copy_(&Tensor::from_slice(&bits));
        self.group.all_reduce(&mut all)?;
        let bits = Vec::<i64>::try_from(all.reshape([-1])).expect("integers of one dimension on the CPU");
        let floats = |bits: &[i64]| bits.iter().map(|bits| f64::from_bits(bits.cast_unsigned())).collect();
        Ok(bits.chunks(values.len().max(1)).map(floats).collect())
    }

    /// Rank 0's bytes on every rank; the others' are not looked at.
    ///
    /// # Errors
    /// If a rank is gone or does not come in time.
    pub fn broadcast_bytes(&self, bytes: Option<Vec<u8>>) -> Result<Option<Vec<u8>>> {
        const NONE: i64 = -1;
        let length = bytes.as_ref().map_or(NONE, |bytes| bytes.len() as i64);
        let length = [Tensor::from_slice(&[length])];
        self.group.broadcast(&length)?;
        let length = length[0].int64_value(&[0]);
        if length <= 0 {
            return Ok((length == 0).then(Vec::new));
        }
        let content = match bytes.filter(|_| self.is_first()) {
            Some(bytes) => Tensor::from_slice(&bytes),
            None => Tensor::zeros([length], (Kind::Uint8, Device::Cpu)),
        };
        let content = [content];
        self.group.broadcast(&content)?;
        Ok(Some(Vec::try_from(&content[0]).expect("bytes of one dimension on the CPU")))
    }

    /// Compares `facts` with every other rank's.
    ///
    /// # Errors
    /// The same on every rank: the first rank that differs from rank 0, and in what; or the rank that did not come in time.
    pub fn agree(&self, facts: &Map<String, Value>) -> Result<()> {
        let key = |rank: usize| format!("facts/{rank}");
        let text = serde_json::to_vec(facts).expect("JSON serializes");
        self.meeting.store.set(&key(self.rank()), &text)?;
        let facts_of = |rank: usize| -> Result<Map<String, Value>> {
            let text = self.meeting.store.get(&key(rank), self.meeting.timeout)?;
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
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_difference_is_named_whichever_side_lacks_it() {
        let facts = |value: Value| value.as_object().unwrap().clone();
        let [a, b] = [json!({"lr": 1.0, "seed": 0}), json!({"lr": 1.0, "seed": 1})].map(facts);
        assert_eq!(difference(&a, &a), None);
        assert_eq!(difference(&a, &b).unwrap(), "its seed is 1, rank 0's is 0");
        let less = facts(json!({"seed": 0}));
        assert_eq!(difference(&a, &less).unwrap(), "its lr is null, rank 0's is 1.0");
        assert_eq!(difference(&less, &a).unwrap(), "its lr is 1.0, rank 0's is null");
    }
}

//! Several processes that train one network, on torch's own engine: each is a rank of a job that `torchrun` starts.
//!
//! Without a launcher there is no job, and nothing here runs. How a rank trains is in
//! [`train::DistributedDataParallel`](crate::train::DistributedDataParallel), what it trains on in
//! [`data::Share`](crate::data::Share).

mod agreement;
mod faults;
mod launch;

use std::sync::Arc;
use std::time::Duration;

use tch::{Device, Tensor};

use crate::Result;
use crate::torch::ProcessGroup;
use faults::Meeting;
pub use launch::Launch;

/// Which process this is on its machine, as the launcher counts: the CUDA device that it takes. 0 without a launcher.
pub fn local_rank() -> usize {
    // An environment that makes no sense is told of where the job begins.
    Launch::read(|name| std::env::var(name).ok()).ok().flatten().map_or(0, |launch| launch.local_rank)
}

/// This process among those of its job.
#[derive(Debug)]
pub struct Distributed<'a> {
    group: Arc<ProcessGroup>,
    meeting: &'a Meeting,
}

/// Runs `f` as a rank of the job that the environment tells of; with `None` where it tells of none. Tensors are exchanged on
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

    /// Whether the launcher has started the job anew, after it failed.
    pub fn is_restarted(&self) -> bool {
        self.meeting.launch.restarts > 0
    }

    /// Whether the launcher would start the job anew.
    pub fn may_be_restarted(&self) -> bool {
        self.meeting.launch.max_restarts > 0
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
        let mut all =
            Tensor::zeros([self.size() as i64, values.len() as i64], (tch::Kind::Int64, Device::Cpu));
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
            None => Tensor::zeros([length], (tch::Kind::Uint8, Device::Cpu)),
        };
        let content = [content];
        self.group.broadcast(&content)?;
        Ok(Some(Vec::try_from(&content[0]).expect("bytes of one dimension on the CPU")))
    }
}

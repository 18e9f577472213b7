//! The order in which a PyTorch `DataLoader` visits a data set.

use std::cell::Cell;

use crate::random::{Draws, Mt19937, randperm};

/// What a `DataLoader` draws from the default generator at every `iter()`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EpochDraws {
    /// Worker process `w` seeds its generator with `base_seed + w`. A loader without any draws it all the same.
    pub base_seed: u64,
    /// The examples in the order of their batches.
    pub order: Vec<i64>,
}

impl EpochDraws {
    /// Draws for an epoch of `n` examples: `base_seed`, and the sampler's seed when it shuffles.
    ///
    /// ```
    /// use torchvision_exact::loader::EpochDraws;
    /// use torchvision_exact::random::{Draws, Mt19937, randperm};
    ///
    /// let mut draws = Mt19937::new(0); // torch.manual_seed(0)
    /// let epoch = EpochDraws::new(10, true, &mut draws.clone());
    /// assert_eq!(epoch.base_seed, draws.random_i64() as u64);
    /// assert_eq!(epoch.order, randperm(10, draws.random_i64() as u64));
    /// assert_eq!(EpochDraws::new(3, false, &mut draws).order, [0, 1, 2]);
    /// ```
    pub fn new(n: usize, shuffle: bool, draws: &mut dyn Draws) -> Self {
        Sampler::new(n, n, shuffle).draw(draws)
    }

    /// The random streams of so many worker processes in this epoch.
    pub fn workers(&self, count: usize) -> Vec<Mt19937> {
        (0..count as u64).map(|worker| Mt19937::new(self.base_seed.wrapping_add(worker))).collect()
    }
}

/// What one of several processes visits of a data set: PyTorch's `DistributedSampler`.
///
/// ```
/// use torchvision_exact::loader::DistributedSampler;
/// use torchvision_exact::random::randperm;
///
/// let sampler = |rank| DistributedSampler { rank, num_replicas: 2, seed: 7 };
/// let all = randperm(5, 7 + 1);
/// // In epoch 1, both have three: the first of all comes again.
/// assert_eq!(sampler(0).training(5, 1), [all[0], all[2], all[4]]);
/// assert_eq!(sampler(1).training(5, 1), [all[1], all[3], all[0]]);
/// assert_eq!((sampler(0).test(5), sampler(1).test(5)), (vec![0, 2, 4], vec![1, 3]));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DistributedSampler {
    /// Which process, from 0.
    pub rank: usize,
    /// How many there are.
    pub num_replicas: usize,
    /// Seed of the order, the same for all.
    pub seed: u64,
}

impl DistributedSampler {
    /// PyTorch's `DistributedSampler(n examples, num_replicas, rank, shuffle=True, seed)` after `set_epoch(epoch)`: all have as many,
    /// and where that does not come out even, the order begins anew.
    pub fn training(&self, n: usize, epoch: usize) -> Vec<i64> {
        let order = randperm(n, self.seed.wrapping_add(epoch as u64));
        let taken = order.iter().cycle().skip(self.rank).step_by(self.num_replicas);
        taken.take(n.div_ceil(self.num_replicas)).copied().collect()
    }

    /// Every so-many-th of `n` examples: together, the processes have each once. PyTorch's would give some twice, and count them twice.
    pub fn test(&self, n: usize) -> Vec<i64> {
        (self.rank..n).step_by(self.num_replicas).map(|i| i as i64).collect()
    }

    /// How many of `n` examples [`training`](Self::training) or [`test`](Self::test) gives.
    pub fn examples(&self, n: usize, training: bool) -> usize {
        if training { n.div_ceil(self.num_replicas) } else { (self.rank..n).step_by(self.num_replicas).len() }
    }
}

/// Which examples a loader visits in an epoch, in which order, and how many at a time.
#[derive(Debug)]
pub struct Sampler {
    n: usize,
    shuffle: bool,
    part: Option<DistributedSampler>,
    epoch: Cell<usize>,
    /// How many examples a batch has, the last one excepted.
    pub batch_size: usize,
}

impl Sampler {
    /// For `n` examples in batches of `batch_size`, which is positive.
    pub fn new(n: usize, batch_size: usize, shuffle: bool) -> Self {
        Self { n, shuffle, part: None, epoch: Cell::new(0), batch_size }
    }

    /// One process's part of it; `None`: all.
    #[must_use]
    pub fn distributed(self, part: Option<DistributedSampler>) -> Self {
        Self { part, ..self }
    }

    /// `sampler.set_epoch(epoch)`.
    pub fn set_epoch(&self, epoch: usize) {
        self.epoch.set(epoch);
    }

    /// How many examples an epoch has.
    pub fn examples(&self) -> usize {
        self.part.map_or(self.n, |part| part.examples(self.n, self.shuffle))
    }

    /// Draws for an epoch: `base_seed`, and the sampler's seed when it shuffles. A [`DistributedSampler`] is given its seed and draws none.
    pub fn draw(&self, draws: &mut dyn Draws) -> EpochDraws {
        let base_seed = draws.random_i64() as u64;
        let order = match (self.part, self.shuffle) {
            (None, true) => randperm(self.n, draws.random_i64() as u64),
            (None, false) => (0..self.n as i64).collect(),
            (Some(part), true) => part.training(self.n, self.epoch.get()),
            (Some(part), false) => part.test(self.n),
        };
        EpochDraws { base_seed, order }
    }
}

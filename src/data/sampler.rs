//! The order in which a PyTorch `DataLoader` visits a data set.

use std::cell::Cell;

use super::{Draws, Mt19937};

/// `torch.randperm(n, generator=torch.Generator().manual_seed(seed))` on the CPU: [`Draws::randperm`].
///
/// ```
/// let order = d2l_ch7::data::randperm(5, 0);
/// let mut sorted = order.clone();
/// sorted.sort();
/// assert_eq!(sorted, [0, 1, 2, 3, 4]);
/// assert_eq!(order, d2l_ch7::data::randperm(5, 1 << 32)); // the high bits do not matter
/// ```
///
/// # Panics
/// For `n` of 214,748,364 and more, where PyTorch draws otherwise.
pub fn randperm(n: usize, seed: u64) -> Vec<i64> {
    Mt19937::new(seed).randperm(n)
}

/// What a `DataLoader` draws from the default generator at every `iter()`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EpochDraws {
    /// Worker process `w` seeds its generator with `base_seed + w`. A loader without any draws it all the same.
    pub base_seed: u64,
    /// The images in the order of their batches.
    pub order: Vec<i64>,
}

impl EpochDraws {
    /// Draws for an epoch of `n` images, from libtorch's default generator: `base_seed`, and the sampler's seed when
    /// it shuffles.
    ///
    /// ```
    /// use d2l_ch7::{data::{EpochDraws, randperm}, torch};
    ///
    /// tch_extra::manual_seed(0);
    /// let (base_seed, sampler_seed) = (tch_extra::random_i64() as u64, tch_extra::random_i64() as u64);
    /// tch_extra::manual_seed(0);
    /// assert_eq!(EpochDraws::new(10, true), EpochDraws { base_seed, order: randperm(10, sampler_seed) });
    /// assert_eq!(EpochDraws::new(3, false).order, [0, 1, 2]);
    /// ```
    pub fn new(n: usize, shuffle: bool) -> Self {
        Sampler::new(n, n, shuffle).draw()
    }
}

/// What one of several processes visits of a data set.
///
/// ```
/// use d2l_ch7::data::{Share, randperm};
///
/// let share = |rank| Share { rank, ranks: 2, seed: 7 };
/// let all = randperm(5, 7 + 1);
/// // In epoch 1, both have three: the first of all comes again.
/// assert_eq!(share(0).training(5, 1), [all[0], all[2], all[4]]);
/// assert_eq!(share(1).training(5, 1), [all[1], all[3], all[0]]);
/// assert_eq!((share(0).test(5), share(1).test(5)), (vec![0, 2, 4], vec![1, 3]));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Which process, from 0.
    pub rank: usize,
    /// How many there are.
    pub ranks: usize,
    /// Seed of the order, the same for all.
    pub seed: u64,
}

impl Share {
    /// PyTorch's `DistributedSampler(n images, ranks, rank, shuffle=True, seed)` after `set_epoch(epoch)`: all have as many,
    /// and where that does not come out even, the order begins anew.
    pub fn training(&self, n: usize, epoch: usize) -> Vec<i64> {
        let order = randperm(n, self.seed.wrapping_add(epoch as u64));
        let taken = order.iter().cycle().skip(self.rank).step_by(self.ranks);
        taken.take(n.div_ceil(self.ranks)).copied().collect()
    }

    /// Every so-many-th of `n` images: together, the processes have each once.
    pub fn test(&self, n: usize) -> Vec<i64> {
        (self.rank..n).step_by(self.ranks).map(|i| i as i64).collect()
    }

    /// How many of `n` images [`training`](Self::training) or [`test`](Self::test) gives.
    pub fn examples(&self, n: usize, training: bool) -> usize {
        if training { n.div_ceil(self.ranks) } else { (self.rank..n).step_by(self.ranks).len() }
    }
}

/// Which images a loader visits in an epoch, in which order, and how many at a time.
#[derive(Debug)]
pub struct Sampler {
    n: usize,
    shuffle: bool,
    share: Option<Share>,
    epoch: Cell<usize>,
    /// How many images a batch has, the last one excepted.
    pub batch_size: usize,
}

impl Sampler {
    /// For `n` images in batches of `batch_size`, which is positive.
    pub fn new(n: usize, batch_size: usize, shuffle: bool) -> Self {
        Self { n, shuffle, share: None, epoch: Cell::new(0), batch_size }
    }

    /// One process's part of it.
    #[must_use]
    pub fn shared(self, share: Option<Share>) -> Self {
        Self { share, ..self }
    }

    /// `sampler.set_epoch(epoch)`.
    pub fn set_epoch(&self, epoch: usize) {
        self.epoch.set(epoch);
    }

    /// How many images an epoch has.
    pub fn examples(&self) -> usize {
        self.share.map_or(self.n, |share| share.examples(self.n, self.shuffle))
    }

    /// Draws for an epoch. A sampler that is given its seed draws none.
    pub fn draw(&self) -> EpochDraws {
        let base_seed = tch_extra::random_i64() as u64;
        let order = match (self.share, self.shuffle) {
            (None, true) => randperm(self.n, tch_extra::random_i64() as u64),
            (None, false) => (0..self.n as i64).collect(),
            (Some(share), true) => share.training(self.n, self.epoch.get()),
            (Some(share), false) => share.test(self.n),
        };
        EpochDraws { base_seed, order }
    }
}

/// The order of [`EpochDraws`] alone, for a loader without workers.
pub fn epoch_order(n: usize, shuffle: bool) -> Vec<i64> {
    EpochDraws::new(n, shuffle).order
}

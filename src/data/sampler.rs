//! The order in which a PyTorch `DataLoader` visits a data set.

use super::{Draws, Mt19937};
use crate::torch;

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
    /// torch::manual_seed(0);
    /// let (base_seed, sampler_seed) = (torch::random_i64() as u64, torch::random_i64() as u64);
    /// torch::manual_seed(0);
    /// assert_eq!(EpochDraws::new(10, true), EpochDraws { base_seed, order: randperm(10, sampler_seed) });
    /// assert_eq!(EpochDraws::new(3, false).order, [0, 1, 2]);
    /// ```
    pub fn new(n: usize, shuffle: bool) -> Self {
        let base_seed = torch::random_i64() as u64;
        let order = if shuffle { randperm(n, torch::random_i64() as u64) } else { (0..n as i64).collect() };
        Self { base_seed, order }
    }
}

/// The order of [`EpochDraws`] alone, for a loader without workers.
pub fn epoch_order(n: usize, shuffle: bool) -> Vec<i64> {
    EpochDraws::new(n, shuffle).order
}

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

/// The order of one epoch, drawing from libtorch's default generator just what a `DataLoader` over `n`
/// images draws at every `iter()`: `base_seed`, and the sampler's seed when it shuffles.
///
/// ```
/// use d2l_ch7::{data::{epoch_order, randperm}, torch};
///
/// torch::manual_seed(0);
/// let (_base_seed, sampler_seed) = (torch::random_i64(), torch::random_i64());
/// torch::manual_seed(0);
/// assert_eq!(epoch_order(10, true), randperm(10, sampler_seed as u64));
/// assert_eq!(epoch_order(3, false), [0, 1, 2]);
/// ```
pub fn epoch_order(n: usize, shuffle: bool) -> Vec<i64> {
    // base_seed seeds worker processes; a loader without any draws it all the same.
    let _base_seed = torch::random_i64();
    if shuffle { randperm(n, torch::random_i64() as u64) } else { (0..n as i64).collect() }
}

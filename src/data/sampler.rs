//! The order in which a PyTorch `DataLoader` visits a data set.

use rand_mt::Mt;

use crate::torch;

/// The most indices for which `torch.randperm` draws 32 bits each; from there on it draws 64.
const MAX_N: usize = (u32::MAX / 20) as usize;

/// `torch.randperm(n, generator=torch.Generator().manual_seed(seed))` on the CPU: a Fisher-Yates shuffle of
/// 0..n driven by MT19937, of whose seed PyTorch uses the low 32 bits.
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
    assert!(n < MAX_N, "randperm of {n}: PyTorch draws 64 bits an index from {MAX_N} on");
    let mut generator = Mt::new(seed as u32);
    let mut order: Vec<i64> = (0..n as i64).collect();
    for i in 0..n.saturating_sub(1) {
        let offset = generator.next_u32() as usize % (n - i);
        order.swap(i, i + offset);
    }
    order
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
